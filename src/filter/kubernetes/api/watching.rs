//! The pods of one node: listed once, then watched
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes>).

use super::call::Caller;
use super::error::CallError;
use super::events::{Event, Events};
use super::node::Node;
use crate::filter::kubernetes::directory::Directory;
use crate::filter::kubernetes::object::Pod;
use crate::metrics::FilterMetrics;
use crate::net::Backoff;
use hyper::StatusCode;
use kube_core::Request;
use kube_core::params::{ListParams, WatchParams};
use kube_core::watch::WatchEvent;
use serde::Deserialize;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Pods of one page of the list: all that a node runs, mostly.
const PAGE_PODS: u32 = 500;

/// Seconds after which the server ends a watch; a random part more, so that agents do not come back together.
const WATCH_SECONDS: u32 = 240;
const WATCH_SECONDS_MORE: u32 = 55;

/// Time after which a right that was missing is looked for again.
pub(super) const RIGHT_PAUSE: Duration = Duration::from_mins(5);

/// What the watch covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    /// It is not known yet whether there will be one.
    Pending,
    /// The pods of the node: one that is not known is new, or another node's.
    Node,
    /// Nothing: pods are asked for one by one.
    Nothing,
}

/// Watches the pods of one node.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) caller: Arc<Caller>,
    pub(super) directory: Directory,
    pub(super) metrics: Arc<FilterMetrics>,
    pub(super) coverage: watch::Sender<Coverage>,
    pub(super) backoff: Backoff,
    /// Failures since the watch told anything.
    pub(super) failures: u32,
    /// Whether what the API server has cached is too old.
    pub(super) needs_fresh: bool,
}

/// What a list of pods is, as far as it is read.
#[derive(Debug, Deserialize)]
pub(super) struct Page {
    #[serde(default)]
    metadata: PageMetadata,
    /// `null` where there are none.
    pub(super) items: Option<Vec<Pod>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PageMetadata {
    resource_version: String,
    /// Where the next page begins; empty on the last.
    r#continue: String,
}

impl Watcher {
    /// Watches the pods of this node for as long as the agent runs.
    pub(super) async fn run(mut self, node: Node) {
        let Some(node) = node.find(&self.caller, self.backoff).await else {
            tracing::info!(
                "the name of this node is not known, so pods are asked for one by one: set `NODE_NAME` in the \
                 DaemonSet from `spec.nodeName`, or `tailwater.node_name`"
            );
            self.coverage.send_replace(Coverage::Nothing);
            return;
        };
        let selector = format!("spec.nodeName={node}");
        loop {
            let ended = match self.list(&selector).await {
                Ok(version) => {
                    self.coverage.send_replace(Coverage::Node);
                    self.follow(&selector, version).await
                }
                Err(error) => error,
            };
            match ended.status() {
                Some(StatusCode::FORBIDDEN) => {
                    self.tell_missing_right(&ended);
                    self.coverage.send_replace(Coverage::Nothing);
                    sleep(RIGHT_PAUSE).await;
                }
                Some(StatusCode::GONE) => {
                    self.needs_fresh = true;
                    self.pause().await;
                }
                _ => self.pause().await,
            }
        }
    }

    /// Lists the node's pods; the version that this is the state of.
    ///
    /// What the server has in memory will do, since the watch goes on from there: a list from etcd by every node of a
    /// large cluster at once would be a burden to it. That comes as a whole; what is asked of etcd comes in pages.
    async fn list(&mut self, selector: &str) -> Result<String, CallError> {
        let mut params =
            ListParams { field_selector: Some(selector.to_owned()), ..ListParams::default() };
        if self.needs_fresh {
            params.limit = Some(PAGE_PODS);
        } else {
            params.resource_version = Some("0".to_owned());
        }
        let pods = Request::new("/api/v1/pods");
        let mut uids = HashSet::new();
        loop {
            let page: Page = match self.caller.get(&pods.list(&params)?).await {
                Err(CallError::TooLarge(_)) if params.limit.is_none_or(|limit| limit > 1) => {
                    params.limit = Some(params.limit.map_or(PAGE_PODS, |limit| limit / 2));
                    params.resource_version = None;
                    continue;
                }
                page => page?,
            };
            for pod in page.items.unwrap_or_default() {
                uids.insert(pod.metadata.uid.clone());
                self.directory.put_watched(pod);
            }
            if page.metadata.r#continue.is_empty() {
                self.directory.delete_others(&uids);
                self.needs_fresh = false;
                return Ok(page.metadata.resource_version);
            }
            params.continue_token = Some(page.metadata.r#continue);
        }
    }

    /// Watches from this version on, in one watch after the other; why that has no sense any more.
    async fn follow(&mut self, selector: &str, mut version: String) -> CallError {
        loop {
            let asked = Instant::now();
            let ended = self.watch(selector, &mut version).await;
            match ended {
                Ok(()) if asked.elapsed() >= Duration::from_secs(u64::from(WATCH_SECONDS) / 2) => {
                    self.failures = 0;
                }
                Err(error) if !error.is_passing() => return error,
                Ok(()) | Err(_) => self.pause().await,
            }
        }
    }

    /// One watch, until the server ends it.
    async fn watch(&mut self, selector: &str, version: &mut String) -> Result<(), CallError> {
        let params = WatchParams {
            field_selector: Some(selector.to_owned()),
            timeout: Some(WATCH_SECONDS + fastrand::u32(..WATCH_SECONDS_MORE)),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = Request::new("/api/v1/pods").watch(&params, version)?;
        let asked = Instant::now();
        let mut events = Events::new(self.caller.watch(&request).await?);
        loop {
            let event = match events.next().await {
                Ok(Some(event)) => event,
                Ok(None) => return Ok(()),
                Err(error) => return self.caller.note(Err(error), asked),
            };
            self.failures = 0;
            match event {
                Event::TooLarge => self.metrics.pods_skipped.add(1),
                Event::Watch(event) => {
                    if let Err(error) = self.take(*event, version) {
                        return self.caller.note(Err(error), asked);
                    }
                }
            }
        }
    }

    /// Takes in one event; `version` is where to go on after it.
    fn take(&self, event: WatchEvent<Pod>, version: &mut String) -> Result<(), CallError> {
        let note = |version: &mut String, pod: &Pod| {
            pod.metadata.resource_version.clone_into(version);
        };
        match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                note(version, &pod);
                self.directory.put_watched(pod);
            }
            WatchEvent::Deleted(pod) => {
                note(version, &pod);
                self.directory.delete(pod);
            }
            WatchEvent::Bookmark(bookmark) => *version = bookmark.metadata.resource_version,
            // Whatever it is: from here the watch does not go on.
            WatchEvent::Error(said) => {
                return Err(CallError::Refused { status: StatusCode::GONE, text: said.reason });
            }
        }
        Ok(())
    }

    async fn pause(&mut self) {
        sleep(self.backoff.delay(self.failures)).await;
        self.failures = self.failures.saturating_add(1);
    }

    fn tell_missing_right(&self, error: &CallError) {
        if self.caller.standing.is_new("list") {
            tracing::warn!(
                "the pods of this node cannot be watched: {error}; grant the ServiceAccount `list` and `watch` on \
                 `pods` (apiGroup \"\") in a ClusterRole; until then pods are asked for one by one"
            );
        }
    }
}
