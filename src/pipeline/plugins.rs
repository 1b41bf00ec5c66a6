//! The plugins that there are: the catalogue that a configuration is read by, and the way from a
//! section to the plugin.

use crate::config::{
    Catalog, Diagnostics, FilterCommon, InputCommon, Instance, OutputCommon, Plugin, PluginKind,
    Section, Transport,
};
use crate::filter::Filter;
use crate::filter::grep::{Grep, GrepOptions};
use crate::filter::modify::{Modify, ModifyOptions};
use crate::filter::parser::{ParserFilter, ParserFilterOptions};
use crate::input::Input;
use crate::input::tail::{Tail, TailError, TailOptions};
use crate::metrics::InputMetrics;
use crate::output::null::{Null, NullOptions};
use crate::output::opensearch::{self, Bulk, BulkOptions};
use crate::output::stdout::{Stdout, StdoutOptions};
use crate::output::{Format, Output};
use crate::parser::{Parser, Parsers};
use std::fmt;
use std::sync::Arc;

/// A row of the catalogue from an option type.
macro_rules! plugin {
    ($kind:ident, $options:ty, $transport:ident) => {
        &Plugin {
            name: <$options>::NAME,
            kind: PluginKind::$kind,
            doc: <$options>::DOC,
            properties: <$options>::PROPERTIES,
            transport: Transport::$transport,
            check: <$options>::check,
        }
    };
}

/// Every plugin there is.
pub const CATALOG: Catalog = Catalog(&[
    plugin!(Input, TailOptions, Local),
    plugin!(Filter, GrepOptions, Local),
    plugin!(Filter, ModifyOptions, Local),
    plugin!(Filter, ParserFilterOptions, Local),
    plugin!(Output, BulkOptions, Network),
    &Plugin {
        name: OPENSEARCH,
        kind: PluginKind::Output,
        doc: opensearch::OPENSEARCH_DOC,
        properties: opensearch::OPENSEARCH_PROPERTIES,
        transport: Transport::Network,
        check: opensearch::check_opensearch,
    },
    plugin!(Output, NullOptions, Local),
    plugin!(Output, StdoutOptions, Local),
]);

/// The same output as `es`, under its other name.
const OPENSEARCH: &str = "opensearch";

/// What an input needs to open.
pub(super) enum InputSetup {
    /// `tail`.
    Tail { options: TailOptions, tag: String, parser: Option<Arc<Parser>> },
}

impl fmt::Debug for InputSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tail { tag, .. } => {
                f.debug_struct("Tail").field("tag", tag).finish_non_exhaustive()
            }
        }
    }
}

impl InputSetup {
    /// Reads the section of an input; `None` if it cannot work, which is reported.
    pub(super) fn read(
        instance: &Instance<InputCommon>,
        parsers: &Parsers,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let tag = instance.common.tag.clone().unwrap_or_else(|| instance.name.clone());
        let options = instance.options(TailOptions::read);
        let parser =
            find_parser(options.parser.as_deref(), parsers, &instance.section, diagnostics);
        Some(Self::Tail { options, tag, parser })
    }

    /// Opens the input as number `number`.
    pub(super) fn open(
        self,
        number: u32,
        metrics: Arc<InputMetrics>,
    ) -> Result<Box<dyn Input>, OpenError> {
        match self {
            Self::Tail { options, tag, parser } => {
                Ok(Box::new(Tail::open(options, &tag, parser, number, metrics)?))
            }
        }
    }
}

/// Why an input cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// `tail`.
    #[error(transparent)]
    Tail(#[from] TailError),
}

/// The parser that `Parser` names. Without it lines are passed on whole, as Fluent Bit starts then, too.
fn find_parser(
    name: Option<&str>,
    parsers: &Parsers,
    section: &Section,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<Parser>> {
    match parsers.get(name?) {
        Ok(parser) => Some(Arc::clone(parser)),
        Err(why) => {
            diagnostics.warning(section.location_of("Parser"), format!("{why}; lines stay whole"));
            None
        }
    }
}

/// Builds a filter from its section; `None` if it cannot work, which is reported.
pub(super) fn filter(
    instance: &Instance<FilterCommon>,
    parsers: &Parsers,
    diagnostics: &mut Diagnostics,
) -> Option<Box<dyn Filter>> {
    match instance.plugin.name {
        GrepOptions::NAME => {
            Some(Box::new(Grep::build(&instance.options(GrepOptions::read), diagnostics)))
        }
        ModifyOptions::NAME => {
            Some(Box::new(Modify::build(&instance.options(ModifyOptions::read), diagnostics)))
        }
        ParserFilterOptions::NAME => {
            let options = instance.options(ParserFilterOptions::read);
            let filter = ParserFilter::build(&options, &instance.location, parsers, diagnostics)?;
            Some(Box::new(filter))
        }
        _ => None,
    }
}

/// A built output.
pub(super) enum BuiltOutput {
    /// Writes to this machine.
    Local(Box<dyn Format>),
    /// Speaks to a store.
    Remote {
        output: Box<dyn Output>,
        host: String,
        port: u16,
        /// Whether chunks must arrive in order.
        ordered: bool,
    },
}

/// Where stores are when `Host` is not set.
const HOST: &str = "127.0.0.1";

/// Builds an output from its section; `None` if it cannot work, which is reported.
pub(super) fn output(
    instance: &Instance<OutputCommon>,
    diagnostics: &mut Diagnostics,
) -> Option<BuiltOutput> {
    let section = &instance.section;
    let host = instance.common.host.clone().unwrap_or_else(|| HOST.to_owned());
    let port = instance.common.port;
    match instance.plugin.name {
        StdoutOptions::NAME => {
            let options = instance.options(StdoutOptions::read);
            Some(BuiltOutput::Local(Box::new(Stdout::new(&options))))
        }
        NullOptions::NAME => Some(BuiltOutput::Local(Box::new(Null))),
        BulkOptions::NAME | OPENSEARCH => {
            let options = instance.options(BulkOptions::read);
            let output = Bulk::build(&instance.name, &options, section, diagnostics)?;
            let port = port.unwrap_or(9200);
            Some(BuiltOutput::Remote { output: Box::new(output), host, port, ordered: false })
        }
        _ => None,
    }
}
