//! The side of the API: a task beside the pipeline that fills the [`Directory`].
//!
//! | file | holds |
//! |---|---|
//! | `watching`, `events` | the pods of the own node: one list, one watch |
//! | `ask` | pods that the watch does not cover, and namespaces, one by one; the kubelet |
//! | `node` | which node this is |
//! | `call` | one question: `token`, `pace`, answer or `error` |
//! | `standing` | whether the API answers, and what was said of that |
//!
//! Of kube-rs, requests, watch events and refusals are used (`kube-core`), and neither its client nor its runtime:
//! measured with version 5.0, those two and what they need are 76 crates on top of 149, among them a second HTTP stack
//! beside [`crate::net`], which holds the pools, the TLS by `tls.*` and the errors that say why; `kube-core` is 11.

mod ask;
mod call;
mod error;
mod events;
mod node;
mod pace;
mod standing;
#[cfg(test)]
mod tests;
mod token;
mod watching;

use self::ask::{Agenda, Asker};
use self::call::Caller;
use self::node::Node;
use self::pace::Pace;
use self::standing::Standing;
use self::token::Credential;
use self::watching::{Coverage, Watcher};
use super::directory::{Directory, Want};
use super::options::ApiOptions;
use crate::metrics::FilterMetrics;
use crate::net::Backoff;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;

/// Waits before an API that failed is asked again.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(500), cap: Duration::from_secs(30) };

/// All that asks an API, for all filters: those that would ask the same share what it says.
#[derive(Debug, Default)]
pub struct Apis(Vec<Api>);

/// What asks one API, ready to run.
#[derive(Debug)]
struct Api {
    options: ApiOptions,
    directory: Directory,
    wants: UnboundedReceiver<Want>,
    metrics: Arc<FilterMetrics>,
    node: Node,
}

/// Runs for as long as it is polled.
pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Apis {
    /// The directory that is filled as these options say. Nothing is opened yet. `variable` looks up the environment.
    pub fn directory(
        &mut self,
        options: ApiOptions,
        metrics: &Arc<FilterMetrics>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Directory {
        if let Some(known) = self.0.iter().find(|known| known.options.asks_as(&options)) {
            return known.directory.clone();
        }
        let metrics = Arc::clone(metrics);
        let (directory, wants) = Directory::asking(Arc::clone(&metrics));
        let node = Node::new(options.node_name.clone(), options.namespace_file.clone(), variable);
        self.0.push(Api { options, directory: directory.clone(), wants, metrics, node });
        directory
    }

    /// What is to run beside the pipeline, which fills the directories.
    pub fn into_tasks(self) -> Vec<Task> {
        self.0.into_iter().map(|api| Box::pin(api.run()) as Task).collect()
    }
}

impl Api {
    async fn run(self) {
        self.run_over(|caller| caller).await;
    }

    /// The same; `line` may change how a server is reached, in a test.
    async fn run_over(self, line: impl Fn(Caller) -> Caller) {
        let Self { options, directory, wants, metrics, node } = self;
        let standing = Arc::new(Standing::new(directory.clone(), Arc::clone(&metrics)));
        let credential = Arc::new(Credential::new(options.token, options.token_ttl));
        let pace = Arc::<Pace>::default();
        let caller = |server| {
            line(Caller {
                server,
                tls: options.tls.clone(),
                credential: Arc::clone(&credential),
                pace: Arc::clone(&pace),
                standing: Arc::clone(&standing),
                metrics: Arc::clone(&metrics),
                client: Mutex::new(None),
            })
        };
        let server = Arc::new(caller(options.server));
        let kubelet = options.kubelet.map(caller);
        let has_watch = options.wants_pods && kubelet.is_none();
        let first = if has_watch { Coverage::Pending } else { Coverage::Nothing };
        let (coverage, follower) = watch::channel(first);
        let asker = Asker {
            caller: Arc::clone(&server),
            kubelet,
            directory: directory.clone(),
            metrics: Arc::clone(&metrics),
            wants,
            coverage: follower,
            backoff: BACKOFF,
            pod_ttl: options.pod_ttl,
            namespace_ttl: options.namespace_ttl,
            agenda: Agenda::default(),
        };
        let watcher = Watcher {
            caller: server,
            directory,
            metrics: Arc::clone(&metrics),
            coverage,
            backoff: BACKOFF,
            failures: 0,
            needs_fresh: false,
        };
        let beside = async {
            if has_watch {
                watcher.run(node).await;
            }
        };
        tokio::join!(Box::pin(asker.run()), Box::pin(beside));
    }
}
