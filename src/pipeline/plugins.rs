//! The plugins that there are: the catalogue that a configuration is read by, and the way from a
//! section to the plugin.

use crate::config::{
    Catalog, Diagnostics, FilterCommon, InputCommon, Instance, OutputCommon, Plugin, PluginKind,
    Section, ServiceOptions, Severity, Transport,
};
use crate::filter::grep::{self, Grep, GrepOptions};
use crate::filter::kubernetes::api::Apis;
use crate::filter::kubernetes::directory::Directory;
use crate::filter::kubernetes::options::KubernetesOptions;
use crate::filter::kubernetes::{self, Kubernetes};
use crate::filter::modify::{self, Modify, ModifyOptions};
use crate::filter::nest::{Nest, NestOptions};
use crate::filter::outlook::Outlook;
use crate::filter::parser::{ParserFilter, ParserFilterOptions};
use crate::filter::record_modifier::{self, RecordModifier, RecordModifierOptions};
use crate::filter::{self, Filter};
use crate::input::Input;
use crate::input::dummy::{Dummy, DummyOptions};
use crate::input::stdin::{Stdin, StdinError, StdinOptions};
use crate::input::systemd::{Systemd, SystemdError, SystemdOptions};
use crate::input::tail::{Means, Tail, TailError, TailOptions};
use crate::metrics::{FilterMetrics, InputMetrics};
use crate::output::file::{File, FileOptions};
use crate::output::loki::{Loki, LokiOptions};
use crate::output::null::{Null, NullOptions};
use crate::output::opensearch::{self, Bulk, BulkOptions, Product};
use crate::output::stdout::{Stdout, StdoutOptions};
use crate::output::{Letters, Local, Output, Print};
use crate::parser::{NoParser, Parser, Parsers};
use std::io;
use std::sync::Arc;
use tailwater_parsers::regex::Pattern;

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
    plugin!(Input, DummyOptions, Local),
    plugin!(Input, StdinOptions, Local),
    plugin!(Input, SystemdOptions, Local),
    plugin!(Input, TailOptions, Local),
    plugin!(Filter, GrepOptions, Local),
    plugin!(Filter, KubernetesOptions, Local),
    plugin!(Filter, ModifyOptions, Local),
    plugin!(Filter, NestOptions, Local),
    plugin!(Filter, ParserFilterOptions, Local),
    plugin!(Filter, RecordModifierOptions, Local),
    plugin!(Output, BulkOptions, Network),
    &Plugin {
        name: OPENSEARCH,
        kind: PluginKind::Output,
        doc: opensearch::OPENSEARCH_DOC,
        properties: opensearch::OPENSEARCH_PROPERTIES,
        transport: Transport::Network,
        check: opensearch::check_opensearch,
    },
    plugin!(Output, LokiOptions, Network),
    plugin!(Output, FileOptions, Local),
    plugin!(Output, NullOptions, Local),
    plugin!(Output, StdoutOptions, Local),
]);

/// The same output as `es`, under its other name.
const OPENSEARCH: &str = "opensearch";

/// Opens an input under its number.
pub(super) type OpenInput =
    Box<dyn FnOnce(u32, Arc<InputMetrics>) -> Result<Box<dyn Input>, OpenError>>;

/// Why an input cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// `tail`.
    #[error(transparent)]
    Tail(#[from] TailError),
    /// `stdin`.
    #[error(transparent)]
    Stdin(#[from] StdinError),
    /// `systemd`.
    #[error(transparent)]
    Systemd(#[from] SystemdError),
    /// `dummy`.
    #[error("the system gives no random numbers: {0}")]
    Dummy(#[from] io::Error),
}

/// An input as its section describes it.
pub(super) struct BuiltInput {
    /// The path of its position database.
    pub(super) database: Option<String>,
    pub(super) open: OpenInput,
}

/// Reads the section of an input; `None` if it cannot work, which is reported.
pub(super) fn input(
    instance: &Instance<InputCommon>,
    means: Means<'_>,
    diagnostics: &mut Diagnostics,
) -> Option<BuiltInput> {
    let tag = instance.common.tag.clone().unwrap_or_else(|| instance.name.clone());
    let mut find = |name: Option<&str>, missing| {
        find_parser(name?, missing, means.parsers, &instance.section, diagnostics)
    };
    let (database, open): (_, OpenInput) = match instance.plugin.name {
        DummyOptions::NAME => {
            let options = instance.options(DummyOptions::read);
            let open = Box::new(move |number, _metrics| {
                Ok(Box::new(Dummy::open(&options, &tag, number)?) as _)
            });
            (None, open)
        }
        StdinOptions::NAME => {
            let options = instance.options(StdinOptions::read);
            let parser = find(options.parser.as_deref(), Severity::Error);
            let open = Box::new(move |number, metrics| {
                Ok(Box::new(Stdin::open(&options, &tag, parser, number, metrics)?) as _)
            });
            (None, open)
        }
        SystemdOptions::NAME => {
            let options = instance.options(SystemdOptions::read);
            options.check_filters(diagnostics);
            let database = options.db.clone();
            let open = Box::new(move |number, metrics| {
                Ok(Box::new(Systemd::open(&options, &tag, number, metrics)?) as _)
            });
            (database, open)
        }
        TailOptions::NAME => {
            let options = instance.options(TailOptions::read);
            let parser = find(options.parser.as_deref(), Severity::Warning);
            if let Some(Err(error)) = options.tag_regex.as_deref().map(Pattern::new) {
                let message = format!("`Tag_Regex`: {error}; `Tag` stays as it is");
                diagnostics.warning(instance.section.location_of("Tag_Regex"), message);
            }
            let joining =
                options.joining(parser.as_ref(), means, &instance.section, diagnostics)?;
            let database = options.db.clone();
            let open = Box::new(move |number, metrics| {
                Ok(Box::new(Tail::open(options, &tag, parser, joining, number, metrics)?) as _)
            });
            (database, open)
        }
        _ => return None,
    };
    Some(BuiltInput { database, open })
}

/// The parser that `Parser` names. That there is none of that name is `missing`: Fluent Bit's `tail` starts, and
/// passes lines on whole.
fn find_parser(
    name: &str,
    missing: Severity,
    parsers: &Parsers,
    section: &Section,
    diagnostics: &mut Diagnostics,
) -> Option<Arc<Parser>> {
    match parsers.get(name) {
        Ok(parser) => Some(Arc::clone(parser)),
        Err(NoParser::Missing(why)) => {
            let location = section.location_of("Parser");
            if missing == Severity::Error {
                diagnostics.error(location, why);
            } else {
                diagnostics.warning(location, format!("{why}; lines stay whole"));
            }
            None
        }
        Err(NoParser::Unusable(why)) => {
            diagnostics.error(section.location_of("Parser"), why);
            None
        }
    }
}

/// Builds a filter from its section; `None` if it cannot work, which is reported. What it asks the Kubernetes API goes to
/// `apis`.
pub(super) fn filter(
    instance: &Instance<FilterCommon>,
    parsers: &Arc<Parsers>,
    apis: &mut Apis,
    metrics: &Arc<FilterMetrics>,
    diagnostics: &mut Diagnostics,
) -> Option<Box<dyn Filter>> {
    match instance.plugin.name {
        GrepOptions::NAME => {
            Some(Box::new(Grep::build(&instance.options(GrepOptions::read), diagnostics)))
        }
        KubernetesOptions::NAME => {
            let options = instance.options(KubernetesOptions::read);
            let variable = |name: &str| std::env::var(name).ok();
            let directory = match options.api() {
                Ok(Some(api)) => apis.directory(api, metrics, &variable),
                // It asks nothing, or cannot: the filter says which.
                Ok(None) | Err(_) => Directory::default(),
            };
            let section = &instance.section;
            let filter =
                Kubernetes::build(&options, directory, parsers, metrics, section, diagnostics)?;
            Some(Box::new(filter))
        }
        ModifyOptions::NAME => {
            Some(Box::new(Modify::build(&instance.options(ModifyOptions::read), diagnostics)))
        }
        NestOptions::NAME => {
            let options = instance.options(NestOptions::read);
            Some(Box::new(Nest::build(&options, &instance.location, diagnostics)?))
        }
        ParserFilterOptions::NAME => {
            let options = instance.options(ParserFilterOptions::read);
            let (location, metrics) = (&instance.location, Arc::clone(metrics));
            let filter = ParserFilter::build(&options, location, parsers, metrics, diagnostics)?;
            Some(Box::new(filter))
        }
        RecordModifierOptions::NAME => {
            let options = instance.options(RecordModifierOptions::read);
            Some(Box::new(RecordModifier::build(&options, diagnostics)))
        }
        _ => None,
    }
}

/// What the records of an input are like.
pub(super) fn outlook(instance: &Instance<InputCommon>, parsers: &Parsers) -> Outlook {
    if instance.plugin.name != TailOptions::NAME {
        return Outlook::open();
    }
    let options = instance.options(TailOptions::read);
    let parser = options.parser.as_ref().and_then(|name| parsers.get(name).ok());
    match options.field_names(parser.map(Arc::as_ref)) {
        Some(names) => Outlook::of(names),
        None => Outlook::open(),
    }
}

/// The database in which an input keeps its position, where there is room for one position only.
pub(super) fn own_database(instance: &Instance<InputCommon>) -> Option<String> {
    let is_systemd = instance.plugin.name == SystemdOptions::NAME;
    is_systemd.then(|| instance.options(SystemdOptions::read).db).flatten()
}

/// What the tags begin with that an input makes of its `Tag`, as far as that is known.
pub(super) fn tag_starts(instance: &Instance<InputCommon>, tag: &str) -> Vec<String> {
    if instance.plugin.name != TailOptions::NAME {
        return Vec::new();
    }
    instance.options(TailOptions::read).tag_starts(tag)
}

/// Follows what becomes of records in a filter, and reports what of it can never act. `starts` is what tags begin with
/// that come to it.
pub(super) fn examine(
    instance: &Instance<FilterCommon>,
    parsers: &Parsers,
    starts: &[&str],
    outlook: &mut Outlook,
    diagnostics: &mut Diagnostics,
) {
    match instance.plugin.name {
        GrepOptions::NAME => {
            grep::examine(&instance.options(GrepOptions::read), outlook, diagnostics);
        }
        KubernetesOptions::NAME => {
            let options = instance.options(KubernetesOptions::read);
            kubernetes::examine(&options, &instance.section, starts, outlook, diagnostics);
        }
        ModifyOptions::NAME => {
            modify::examine(&instance.options(ModifyOptions::read), outlook, diagnostics);
        }
        ParserFilterOptions::NAME => {
            let options = instance.options(ParserFilterOptions::read);
            filter::parser::examine(&options, parsers, outlook, diagnostics);
        }
        RecordModifierOptions::NAME => {
            let options = instance.options(RecordModifierOptions::read);
            record_modifier::examine(&options, outlook);
        }
        // It may make of the fields what it wants: `nest` can lift `kubernetes` as `kubernetes_…`.
        _ => *outlook = Outlook::open(),
    }
}

/// A built output.
pub(super) enum BuiltOutput {
    /// Writes to this machine.
    Local(Box<dyn Local>),
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
    service: &ServiceOptions,
    diagnostics: &mut Diagnostics,
) -> Option<BuiltOutput> {
    let letters = if service.json_escape_unicode { Letters::Escaped } else { Letters::Plain };
    let section = &instance.section;
    let host = instance.common.host.clone().unwrap_or_else(|| HOST.to_owned());
    // As in Fluent Bit, 0 is as good as none.
    let port = instance.common.port.filter(|port| *port > 0);
    match instance.plugin.name {
        StdoutOptions::NAME => {
            let options = instance.options(StdoutOptions::read);
            let print = Print::new(Stdout::new(&options), io::stdout());
            Some(BuiltOutput::Local(Box::new(print)))
        }
        LokiOptions::NAME => {
            let options = instance.options(LokiOptions::read);
            let output = Loki::build(&instance.name, &options, letters, section, diagnostics)?;
            let port = port.unwrap_or(3100);
            Some(BuiltOutput::Remote { output: Box::new(output), host, port, ordered: true })
        }
        FileOptions::NAME => {
            let options = instance.options(FileOptions::read);
            let file = File::build(&instance.name, &options, letters, section, diagnostics)?;
            Some(BuiltOutput::Local(Box::new(file)))
        }
        NullOptions::NAME => Some(BuiltOutput::Local(Box::new(Print::new(Null, io::sink())))),
        BulkOptions::NAME | OPENSEARCH => {
            let options = instance.options(BulkOptions::read);
            let product = match instance.plugin.name {
                OPENSEARCH => Product::OpenSearch,
                _ => Product::Elasticsearch,
            };
            let output = Bulk::build(&instance.name, product, &options, section, diagnostics)?;
            let port = port.unwrap_or(9200);
            Some(BuiltOutput::Remote { output: Box::new(output), host, port, ordered: false })
        }
        _ => None,
    }
}
