//! From a checked configuration to an agent: first everything that needs no more than the
//! configuration (which is all that `--dry-run` does), then what opens files, sockets and threads.

use super::agent::{Admin, Agent};
use super::filter_slot::FilterSlot;
use super::output_folder;
use super::plugins::{self, BuiltInput, BuiltOutput, OpenInput};
use super::router::{Deliver, MEM_BUF_LIMIT_DEFAULT, Outlet, Router, Share};
use super::storage::Storage;
use super::{Control, InputSlot, Pipeline, walk};
use crate::admin::{self, HealthOptions, Server};
use crate::buffer::{DiskError, OutputName, RouteSet, Settler};
use crate::config::{
    Diagnostics, FilterCommon, InputCommon, Instance, Located, Location, LogLevel, Model,
    OutputCommon, RetryLimit, ServiceOptions, StorageType, Verbatim,
};
use crate::filter::kubernetes::api::Apis;
use crate::input::tail::Means;
use crate::mailbox;
use crate::metrics::{InputMetrics, OutputMetrics, Registry};
use crate::net::{Backoff, Client, Doubts, Endpoint, Proxy};
use crate::output::writer::{self, Closed};
use crate::output::{Courier, Local, Output, Policy};
use crate::parser::Parsers;
use crate::parser::multiline::MultilineParsers;
use crate::record::Match;
use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use tailwater_parsers::regex::Pattern;
use tokio::sync::mpsc::unbounded_channel;

/// What the folder beside a position database is called, behind the database's name.
const BUFFER_SUFFIX: &str = ".buffer";

/// An agent that can be started.
#[derive(Debug)]
pub struct Plan {
    /// What this was made from, for the case that what replaces it does not start; kept only where something can.
    pub(super) model: Option<Box<Model>>,
    service: ServiceOptions,
    registry: Registry,
    inputs: Vec<PlannedInput>,
    filters: Vec<FilterSlot>,
    /// What the filters look things up in is filled by these.
    apis: Apis,
    outputs: Vec<PlannedOutput>,
}

struct PlannedInput {
    name: String,
    mem_buf_limit: usize,
    /// `storage.type filesystem`.
    on_disk: bool,
    /// `DB`.
    database: Option<String>,
    is_pipe: bool,
    metrics: Arc<InputMetrics>,
    open: OpenInput,
}

impl fmt::Debug for PlannedInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedInput").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Debug)]
pub(super) struct PlannedOutput {
    name: String,
    /// What its folder in the storage is called.
    folder: OutputName,
    matches: Option<Match>,
    metrics: Arc<OutputMetrics>,
    setup: OutputSetup,
    /// `storage.total_limit_size`.
    disk_bytes_max: Option<u64>,
}

/// How an output's records leave.
enum OutputSetup {
    /// Over the network.
    Courier(Box<dyn Output>, Client, Policy),
    /// To this machine.
    Writer(Box<dyn Local>),
}

impl fmt::Debug for OutputSetup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Courier(..) => "Courier",
            Self::Writer(_) => "Writer",
        })
    }
}

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The system refused a thread or a descriptor.
    #[error("cannot start: {0}")]
    System(#[from] io::Error),
    /// The admin server's address cannot be had.
    #[error("{0}")]
    Admin(#[from] admin::BindError),
    /// `storage.path` cannot be used.
    #[error("storage: {0}")]
    Storage(#[from] DiskError),
    /// An input cannot open what it needs.
    #[error("input `{name}`: {reason}")]
    Input {
        /// Name of the instance.
        name: String,
        /// What is the matter, and what to do.
        reason: plugins::OpenError,
    },
}

impl Plan {
    /// Builds what the configuration asks for, without opening anything. Every problem is reported;
    /// `None` if one of them is an error.
    pub fn new(model: Model, diagnostics: &mut Diagnostics) -> Option<Self> {
        let parsers = Parsers::build(&model.parsers, diagnostics);
        walk::check(&model, &parsers, diagnostics);
        check_databases(&model.inputs, diagnostics);
        let kept = model.service.hot_reload.then(|| Box::new(model.clone()));
        let mut planner = Planner {
            multiline: MultilineParsers::build(&model.multiline_parsers, &parsers, diagnostics),
            parsers: Arc::new(parsers),
            registry: Registry::new(SystemTime::now()),
            apis: Apis::default(),
            diagnostics,
        };
        let inputs = model.inputs.into_iter();
        let inputs = inputs.filter_map(|it| planner.input(it, &model.service)).collect();
        let filters = model.filters.iter().filter_map(|it| planner.filter(it)).collect();
        if let Some(excess) = model.outputs.get(RouteSet::OUTPUTS_MAX) {
            let message = format!("more than {} outputs", RouteSet::OUTPUTS_MAX);
            planner.diagnostics.error(&excess.location, message);
        }
        let outputs = model.outputs.into_iter();
        let mut outputs: Vec<_> =
            outputs.filter_map(|it| planner.output(it, &model.service)).collect();
        let mut folders: Vec<_> = outputs.iter().map(|output| output.folder.clone()).collect();
        OutputName::distinct(&mut folders);
        for (output, folder) in outputs.iter_mut().zip(folders) {
            output.folder = folder;
        }
        let Planner { registry, apis, diagnostics, .. } = planner;
        let plan =
            Self { model: kept, service: model.service, registry, inputs, filters, apis, outputs };
        if plan.outputs.len() > 1 && plan.storage_folder().is_none() {
            let message = "without a `DB` or a `storage.path` the outputs share each input's memory: while one of \
                 them is away, an input reads on for the others until `Mem_Buf_Limit` is full, then it pauses";
            diagnostics.note(&Location::command_line(), message);
        }
        (!diagnostics.has_errors()).then_some(plan)
    }

    /// What is logged.
    pub fn log_level(&self) -> LogLevel {
        self.service.log_level
    }

    /// Where it is logged, if not to standard error.
    pub fn log_file(&self) -> Option<&str> {
        self.service.log_file.as_deref()
    }

    /// So many configurations were put in place of another, with this one.
    pub(super) fn count_reloads(&self, reloads: u64) {
        self.registry.service().reloads.add(reloads);
    }

    /// Whether an input reads from a pipe, which ends and cannot be read again.
    pub fn reads_pipe(&self) -> bool {
        self.inputs.iter().any(|input| input.is_pipe)
    }

    /// Whether an output may write to the standard output.
    pub fn prints(&self) -> bool {
        self.outputs.iter().any(|output| matches!(output.setup, OutputSetup::Writer(_)))
    }

    pub(super) fn service(&self) -> &ServiceOptions {
        &self.service
    }

    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The folder for what waits on the disk: `storage.path`; else, where an output may lag behind another, one
    /// beside the first position database.
    pub(super) fn storage_folder(&self) -> Option<PathBuf> {
        let is_shared = self.outputs.len() > 1;
        let is_used = is_shared
            || self.service.keep_rejected
            || self.inputs.iter().any(|input| input.on_disk);
        if !is_used {
            return None;
        }
        let beside = || {
            let database = self.inputs.iter().find_map(|input| input.database.as_ref())?;
            Some(PathBuf::from(format!("{database}{BUFFER_SUFFIX}"))).filter(|_| is_shared)
        };
        self.service.storage_path.as_ref().map(PathBuf::from).or_else(beside)
    }

    /// The folders of the outputs, in their order.
    pub(super) fn folders(&self) -> Vec<OutputName> {
        self.outputs.iter().map(|output| output.folder.clone()).collect()
    }

    /// Whether an output may have any amount waiting on the disk.
    pub(super) fn has_unlimited_output(&self) -> bool {
        self.outputs.iter().any(|output| output.disk_bytes_max.is_none())
    }

    /// Opens what the plan needs: position databases, the admin server's socket, threads.
    pub fn start(self) -> Result<Agent, StartError> {
        let (settled_sender, settled) = mailbox::channel()?;
        let (synced_sender, synced) = mailbox::channel()?;
        let (control, control_receiver) = mailbox::channel()?;
        let storage = Storage::open(&self)?;
        let reads_pipe = self.reads_pipe();
        let mut outlets = Vec::new();
        let mut couriers = Vec::new();
        let mut writers = Vec::new();
        let is_only = self.outputs.len() == 1;
        for (number, PlannedOutput { name, folder, matches, metrics, setup, .. }) in
            self.outputs.into_iter().enumerate()
        {
            let settler = Settler::new(number, settled_sender.clone());
            // Couriers and writers outlive the pipeline, which is what sends.
            let deliver: Deliver = match setup {
                OutputSetup::Courier(output, client, policy) => {
                    let (sender, chunks) = unbounded_channel();
                    let mut courier = Courier::new(name, output, client, policy, metrics, settler);
                    let rejected =
                        storage.as_ref().and_then(|it| it.rejected(folder, &self.service));
                    if let Some(rejected) = rejected {
                        courier = courier.with_dead_letters(Arc::new(rejected));
                    }
                    couriers.push((courier, chunks));
                    Box::new(move |chunk| drop(sender.send(chunk)))
                }
                OutputSetup::Writer(local) => {
                    let closed = if is_only { end(control.clone()) } else { Closed::Drop };
                    let (sender, thread) = writer::spawn(name, local, closed, metrics, settler)?;
                    writers.push(thread);
                    Box::new(move |chunk| drop(sender.send(chunk)))
                }
            };
            outlets.push(Outlet { matches, deliver });
        }
        let mut slots = Vec::new();
        let mut shares = Vec::new();
        for (number, PlannedInput { name, mem_buf_limit, on_disk, metrics, open, .. }) in
            (0..).zip(self.inputs)
        {
            let opened = open(number, Arc::clone(&metrics));
            let input =
                opened.map_err(|reason| StartError::Input { name: name.clone(), reason })?;
            slots.push(InputSlot::new(name, input));
            let share = Share::new(mem_buf_limit, metrics);
            shares.push(if on_disk { share.on_disk() } else { share });
        }
        let registry = Arc::new(self.registry);
        let held = storage.as_ref().map(Storage::shelf).unwrap_or_default();
        let router = Router::new(self.filters, outlets, shares, self.service.flush);
        let router = match storage {
            Some(storage) => storage.join(router, &self.service, synced_sender)?,
            None => router,
        };
        let pipeline = Pipeline::new(slots, router, settled, synced, control_receiver);
        let admin = bind_admin(&self.service)?;
        Ok(Agent {
            pipeline,
            control,
            couriers,
            apis: self.apis,
            admin,
            registry,
            writers,
            shelf: held,
            options: self.service,
            reads_pipe,
        })
    }
}

/// Reports the inputs whose position another one writes over, as it does with Fluent Bit.
fn check_databases(inputs: &[Instance<InputCommon>], diagnostics: &mut Diagnostics) {
    let mut taken = BTreeSet::new();
    for input in inputs {
        let Some(database) = plugins::own_database(input) else { continue };
        if !taken.insert(database.clone()) {
            let message = format!(
                "input `{}`: another input keeps its position in `{database}`, which has room for one; after a restart \
                 entries are missing: give each a file of its own",
                input.name
            );
            diagnostics.warning(input.section.location_of("DB"), message);
        }
    }
}

/// Ends the agent when its only output is closed.
fn end(control: mailbox::Sender<Control>) -> Closed {
    Closed::End(Box::new(move || control.send(Control::End)))
}

/// The admin server, if it is asked for.
fn bind_admin(service: &ServiceOptions) -> Result<Option<Admin>, StartError> {
    if !service.http_server {
        return Ok(None);
    }
    let server = Server::bind(&service.http_listen, service.http_port)?;
    Ok(Some(Admin { server, health: HealthOptions::from(service) }))
}

/// What planning needs along the way.
struct Planner<'a> {
    parsers: Arc<Parsers>,
    multiline: MultilineParsers,
    registry: Registry,
    apis: Apis,
    diagnostics: &'a mut Diagnostics,
}

impl Planner<'_> {
    fn input(
        &mut self,
        instance: Instance<InputCommon>,
        service: &ServiceOptions,
    ) -> Option<PlannedInput> {
        let limit = usize::try_from(instance.common.mem_buf_limit.0).unwrap_or(usize::MAX);
        let mem_buf_limit = if limit == 0 { MEM_BUF_LIMIT_DEFAULT } else { limit };
        let metrics = self.registry.input(&instance.name, instance.plugin.name);
        let on_disk = instance.common.storage_type(service) == StorageType::Filesystem;
        let means = Means {
            parsers: &self.parsers,
            multiline: &self.multiline,
            bytes_max: service.multiline_buffer_limit.0,
        };
        let BuiltInput { database, is_pipe, open } =
            plugins::input(&instance, means, self.diagnostics)?;
        let name = instance.name;
        Some(PlannedInput { name, mem_buf_limit, on_disk, database, is_pipe, metrics, open })
    }

    fn filter(&mut self, instance: &Instance<FilterCommon>) -> Option<FilterSlot> {
        let Instance { common, plugin, .. } = instance;
        let metrics = self.registry.filter(&instance.name, plugin.name);
        let matches = self.matches(common.pattern.as_ref(), common.pattern_regex.as_ref());
        let built =
            plugins::filter(instance, &self.parsers, &mut self.apis, &metrics, self.diagnostics);
        // A filter without a pattern sees no record: it was told, and is left out.
        Some(FilterSlot { matches: matches?, filter: built?, metrics })
    }

    fn output(
        &mut self,
        instance: Instance<OutputCommon>,
        service: &ServiceOptions,
    ) -> Option<PlannedOutput> {
        let Instance { common, plugin, .. } = &instance;
        let metrics = self.registry.output(&instance.name, plugin.name);
        let matches = self.matches(common.pattern.as_ref(), common.pattern_regex.as_ref());
        let retry_limit = match common.retry_limit {
            RetryLimit::Unlimited => None,
            RetryLimit::Never => Some(0),
            RetryLimit::Retries(count) => Some(count),
        };
        let disk_bytes_max = common.storage_total_limit_size.bytes();
        let backoff = Backoff { base: service.scheduler_base, cap: service.scheduler_cap };
        let built = plugins::output(&instance, service, self.diagnostics)?;
        let folder = output_folder::name(&instance, &built);
        let setup = match built {
            BuiltOutput::Local(local) => OutputSetup::Writer(local),
            BuiltOutput::Remote { output, host, port, ordered } => {
                let concurrency = if ordered { 1 } else { CONCURRENCY };
                let policy = Policy { concurrency, retry_limit, disk_bytes_max, backoff };
                let client = self.client(&instance, Endpoint { host, port })?;
                OutputSetup::Courier(output, client, policy)
            }
        };
        Some(PlannedOutput { name: instance.name, matches, metrics, setup, folder, disk_bytes_max })
    }

    /// The way to a destination: directly, or through the proxy of the environment.
    fn client(&mut self, instance: &Instance<OutputCommon>, endpoint: Endpoint) -> Option<Client> {
        let Instance { location, net, tls, .. } = instance;
        let mut doubts = Doubts::new();
        let variable = |name: &str| std::env::var(name).ok();
        let proxy = Proxy::of_environment(&variable, &endpoint.host, net, tls, &mut doubts);
        let proxy = self.built(location, proxy)?;
        if let Some(proxy) = &proxy {
            let message = format!("`{}` goes through the proxy {proxy}", instance.name);
            self.diagnostics.note(location, message);
        }
        let client = Client::new(endpoint, net, tls, proxy, &mut doubts);
        for doubt in doubts {
            self.diagnostics.warning(location, doubt);
        }
        self.built(location, client)
    }

    /// Takes what was built, or reports why it was not.
    fn built<T>(&mut self, location: &Location, result: Result<T, impl ToString>) -> Option<T> {
        match result {
            Ok(built) => Some(built),
            Err(error) => {
                self.diagnostics.error(location, error.to_string());
                None
            }
        }
    }

    /// `Match` and `Match_Regex`, of which one is enough.
    fn matches(
        &mut self,
        pattern: Option<&String>,
        pattern_regex: Option<&Located<Verbatim>>,
    ) -> Option<Match> {
        let Some(regex) = pattern_regex else { return pattern.cloned().map(Match::Wildcard) };
        let regex = self.built(&regex.location, Pattern::new(&regex.value.0))?;
        Some(match pattern {
            Some(pattern) => Match::Either(pattern.clone(), regex),
            None => Match::Regex(regex),
        })
    }
}

/// Requests under way at once to a store that takes them in any order: as many as Fluent Bit's `es`
/// has workers.
const CONCURRENCY: usize = 2;
