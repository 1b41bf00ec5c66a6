//! From a checked configuration to an agent: first everything that needs no more than the
//! configuration (which is all that `--dry-run` does), then what opens files, sockets and threads.

use super::agent::{Admin, Agent};
use super::filter_slot::FilterSlot;
use super::plugins::{self, BuiltOutput, OpenInput};
use super::router::{Deliver, MEM_BUF_LIMIT_DEFAULT, Outlet, Router, Share};
use super::{Control, InputSlot, Pipeline};
use crate::admin::{self, HealthOptions, Server};
use crate::buffer::{RouteSet, Settler};
use crate::config::{
    Diagnostics, FilterCommon, InputCommon, Instance, Located, Location, LogLevel, Model,
    OutputCommon, RetryLimit, ServiceOptions, Verbatim,
};
use crate::mailbox;
use crate::metrics::{InputMetrics, OutputMetrics, Registry};
use crate::net::{Client, Doubts, Endpoint, Proxy};
use crate::output::writer::{self, Closed};
use crate::output::{Backoff, Courier, Local, Output, Policy};
use crate::parser::Parsers;
use crate::record::Match;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;
use tailwater_parsers::regex::Pattern;
use tokio::sync::mpsc::unbounded_channel;

/// An agent that can be started.
#[derive(Debug)]
pub struct Plan {
    service: ServiceOptions,
    registry: Registry,
    inputs: Vec<PlannedInput>,
    filters: Vec<FilterSlot>,
    outputs: Vec<PlannedOutput>,
}

struct PlannedInput {
    name: String,
    mem_buf_limit: usize,
    metrics: Arc<InputMetrics>,
    open: OpenInput,
}

impl fmt::Debug for PlannedInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedInput").field("name", &self.name).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct PlannedOutput {
    name: String,
    matches: Option<Match>,
    metrics: Arc<OutputMetrics>,
    setup: OutputSetup,
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
        let mut planner = Planner {
            parsers: Parsers::build(&model.parsers, diagnostics),
            registry: Registry::new(SystemTime::now()),
            diagnostics,
        };
        let inputs = model.inputs.into_iter().filter_map(|it| planner.input(it)).collect();
        let filters = model.filters.iter().filter_map(|it| planner.filter(it)).collect();
        if let Some(excess) = model.outputs.get(RouteSet::OUTPUTS_MAX) {
            let message = format!("more than {} outputs", RouteSet::OUTPUTS_MAX);
            planner.diagnostics.error(&excess.location, message);
        }
        if let Some(second) = model.outputs.get(1) {
            let message = "the outputs share each input's memory: while one of them is away, an input reads on \
                 for the others until `Mem_Buf_Limit` is full, then it pauses";
            planner.diagnostics.note(&second.location, message);
        }
        let outputs = model.outputs.into_iter();
        let outputs = outputs.filter_map(|it| planner.output(it, &model.service)).collect();
        let Planner { registry, diagnostics, .. } = planner;
        let plan = Self { service: model.service, registry, inputs, filters, outputs };
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

    /// Opens what the plan needs: position databases, the admin server's socket, threads.
    pub fn start(self) -> Result<Agent, StartError> {
        let (settled_sender, settled) = mailbox::channel()?;
        let (control, control_receiver) = mailbox::channel()?;
        let mut outlets = Vec::new();
        let mut couriers = Vec::new();
        let is_only = self.outputs.len() == 1;
        for (number, PlannedOutput { name, matches, metrics, setup }) in
            self.outputs.into_iter().enumerate()
        {
            let settler = Settler::new(number, settled_sender.clone());
            // Couriers and writers outlive the pipeline, which is what sends.
            let deliver: Deliver = match setup {
                OutputSetup::Courier(output, client, policy) => {
                    let (sender, chunks) = unbounded_channel();
                    let courier = Courier::new(name, output, client, policy, metrics, settler);
                    couriers.push((courier, chunks));
                    Box::new(move |chunk| drop(sender.send(chunk)))
                }
                OutputSetup::Writer(local) => {
                    let closed = if is_only { end(control.clone()) } else { Closed::Drop };
                    let sender = writer::spawn(name, local, closed, metrics, settler)?;
                    Box::new(move |chunk| drop(sender.send(chunk)))
                }
            };
            outlets.push(Outlet { matches, deliver });
        }
        let mut slots = Vec::new();
        let mut shares = Vec::new();
        for (number, PlannedInput { name, mem_buf_limit, metrics, open }) in (0..).zip(self.inputs)
        {
            let opened = open(number, Arc::clone(&metrics));
            let input =
                opened.map_err(|reason| StartError::Input { name: name.clone(), reason })?;
            slots.push(InputSlot::new(name, input));
            shares.push(Share::new(mem_buf_limit, metrics));
        }
        let registry = Arc::new(self.registry);
        let router = Router::new(self.filters, outlets, shares, self.service.flush);
        let pipeline = Pipeline::new(slots, router, settled, control_receiver);
        let admin = bind_admin(&self.service)?;
        Ok(Agent { pipeline, control, couriers, admin, grace: self.service.grace.0, registry })
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
    parsers: Parsers,
    registry: Registry,
    diagnostics: &'a mut Diagnostics,
}

impl Planner<'_> {
    fn input(&mut self, instance: Instance<InputCommon>) -> Option<PlannedInput> {
        let limit = usize::try_from(instance.common.mem_buf_limit.0).unwrap_or(usize::MAX);
        let mem_buf_limit = if limit == 0 { MEM_BUF_LIMIT_DEFAULT } else { limit };
        let metrics = self.registry.input(&instance.name, instance.plugin.name);
        let open = plugins::input(&instance, &self.parsers, self.diagnostics)?;
        Some(PlannedInput { name: instance.name, mem_buf_limit, metrics, open })
    }

    fn filter(&mut self, instance: &Instance<FilterCommon>) -> Option<FilterSlot> {
        let Instance { common, plugin, .. } = instance;
        let metrics = self.registry.filter(&instance.name, plugin.name);
        let matches = self.matches(common.pattern.as_ref(), common.pattern_regex.as_ref());
        let built = plugins::filter(instance, &self.parsers, &metrics, self.diagnostics);
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
        let backoff = Backoff { base: service.scheduler_base, cap: service.scheduler_cap };
        let setup = match plugins::output(&instance, service, self.diagnostics)? {
            BuiltOutput::Local(local) => OutputSetup::Writer(local),
            BuiltOutput::Remote { output, host, port, ordered } => {
                let concurrency = if ordered { 1 } else { CONCURRENCY };
                let policy = Policy { concurrency, retry_limit, backoff };
                let client = self.client(&instance, Endpoint { host, port })?;
                OutputSetup::Courier(output, client, policy)
            }
        };
        Some(PlannedOutput { name: instance.name, matches, metrics, setup })
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
