//! Reads configurations: both syntaxes, the model, units, diagnostics.
//!
//! Text becomes [`Section`]s with file and line ([`classic`], [`yaml`]); sections become typed options
//! through tables that are also the help and the hints ([`property`]); [`Model`] is the checked
//! whole. Nothing behind this module sees an optional string or checks a range again.

pub mod classic;
pub mod diagnostics;
mod disk;
pub mod document;
pub mod environment;
#[cfg(test)]
mod fixture;
mod instance;
mod model;
mod multiline;
mod near;
mod network;
mod parser;
mod plugin;
pub mod property;
mod routes;
pub mod section;
mod service;
pub mod value;
pub mod yaml;

pub use diagnostics::{Diagnostics, Finding, Location, Severity};
pub use instance::{FilterCommon, InputCommon, Instance, OutputCommon, RetryLimit};
pub use model::{Model, Request};
pub use multiline::{MultilineKind, MultilineOptions, MultilineParser, Rule, RuleOptions};
pub use near::nearest;
pub use network::{CIPHERS, Ciphers, NetOptions, TlsOptions, TlsVersion};
pub use parser::{ParserDefinition, ParserFormat, ParserOptions};
pub use plugin::{Catalog, Plugin, PluginKind, Transport};
pub(crate) use property::properties;
pub use property::{Field, Keyed, Kind, Located, Ordered, Property, Repeated, Rules};
pub use routes::Share;
pub use section::{Entry, Section, SectionKind};
pub use service::{
    Grace, LogLevel, RejectedLimit, RejectedPath, ServiceOptions, StorageSync, StorageType,
};
pub(crate) use value::choices;
pub use value::{
    BinarySize, ElseFirst, ElseSeconds, Limit, Reading, Secret, Size, Value, Verbatim, Within,
};
