//! Reads configurations: the classic syntax, the model, units, diagnostics.

pub mod diagnostics;
mod near;
pub mod network;
pub mod property;
pub mod section;
pub mod service;
pub mod value;

pub use diagnostics::{Diagnostics, Finding, Location, Severity};
pub use near::nearest;
pub use network::{NetOptions, TlsOptions};
pub(crate) use property::properties;
pub use property::{Field, Keyed, Kind, Located, Ordered, Property, Repeated, Rules};
pub use section::{Entry, Section, SectionKind};
pub use service::{LogLevel, ServiceOptions, StorageSync, StorageType};
pub(crate) use value::choices;
pub use value::{Limit, Reading, Secret, Size, Value, Verbatim};
