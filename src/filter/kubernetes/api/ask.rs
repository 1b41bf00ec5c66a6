//! What is asked for by itself: pods that the watch does not cover, or not yet, and namespaces.

use super::call::Caller;
use super::error::CallError;
use super::watching::{Coverage, Page, RIGHT_PAUSE};
use crate::filter::kubernetes::directory::{Directory, Want};
use crate::filter::kubernetes::object::{Namespace, Pod};
use crate::metrics::FilterMetrics;
use crate::net::Backoff;
use hyper::StatusCode;
use kube_core::Request;
use kube_core::params::{GetParams, ListParams};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// How long a pod that the watch should tell of is waited for, before it is asked for: a container writes its first
/// line a moment before the API knows that it runs.
const EVENT_WAIT: Duration = Duration::from_secs(1);

/// Waits before what was not there is looked for again, if anyone still looks it up.
const NOTHING_PAUSE: Backoff =
    Backoff { base: Duration::from_secs(10), cap: Duration::from_mins(5) };

/// What was looked for in vain, and how often. Beyond that all begin anew.
const IN_VAIN_MAX: usize = 4_096;

/// The kubelet is asked for all its pods at once, so not for each: no more often than this, …
const KUBELET_PAUSE: Duration = Duration::from_secs(2);

/// … and no less, so that what changes is seen.
const KUBELET_REFRESH: Duration = Duration::from_mins(1);

/// Asks for what is wanted, one question after the other.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) caller: Arc<Caller>,
    /// With `Use_Kubelet`: who is asked for pods.
    pub(super) kubelet: Option<Caller>,
    pub(super) directory: Directory,
    pub(super) metrics: Arc<FilterMetrics>,
    pub(super) wants: UnboundedReceiver<Want>,
    pub(super) coverage: watch::Receiver<Coverage>,
    pub(super) backoff: Backoff,
    pub(super) pod_ttl: Option<Duration>,
    pub(super) namespace_ttl: Option<Duration>,
    pub(super) agenda: Agenda,
}

/// What is to be done, and what was.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    jobs: BTreeMap<(Instant, u64), Job>,
    next_number: u64,
    /// Pods that wait until it is known what the watch covers.
    held: Vec<Want>,
    /// How often something was looked for in vain.
    in_vain: HashMap<Want, u32>,
    /// What is asked for again when its time is over.
    refreshed: HashSet<Want>,
    /// Namespaces whose pods may not be asked for, until then.
    forbidden: HashMap<String, Instant>,
    /// When the kubelet was asked last.
    polled: Option<Instant>,
    /// Failures since anything was answered.
    failures: u32,
}

/// One thing to do.
#[derive(Clone, Debug)]
enum Job {
    /// To ask for this, which is wanted since then.
    Ask(Want, Instant),
    /// To let this be asked for again.
    Outdate(Want),
    /// To ask anew for what is known.
    Refresh(Want),
    /// To ask the kubelet for its pods.
    Poll,
}

impl Agenda {
    fn at(&mut self, at: Instant, job: Job) {
        self.jobs.insert((at, self.next_number), job);
        self.next_number += 1;
    }

    fn after(&mut self, pause: Duration, job: Job) {
        self.at(Instant::now() + pause, job);
    }

    fn due(&self) -> Option<Instant> {
        self.jobs.first_key_value().map(|((at, _), _)| *at)
    }
}

impl Asker {
    /// Asks for as long as the agent runs.
    pub(super) async fn run(mut self) {
        if self.kubelet.is_some() {
            self.agenda.after(Duration::ZERO, Job::Poll);
        }
        loop {
            let due = self.agenda.due();
            tokio::select! {
                new = self.wants.recv() => match new {
                    Some(new) => self.plan(new),
                    None => return,
                },
                Ok(()) = self.coverage.changed() => {
                    for held in std::mem::take(&mut self.agenda.held) {
                        self.plan(held);
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    if let Some((_, job)) = self.agenda.jobs.pop_first() {
                        Box::pin(self.work(job)).await;
                    }
                }
            }
        }
    }

    /// Decides when this is asked for.
    fn plan(&mut self, want: Want) {
        let now = Instant::now();
        let pause = match (&want, *self.coverage.borrow()) {
            (Want::Namespace(_), _) | (Want::Pod { .. }, Coverage::Nothing) => Duration::ZERO,
            (Want::Pod { .. }, Coverage::Node) => EVENT_WAIT,
            (Want::Pod { .. }, Coverage::Pending) => {
                self.agenda.held.push(want);
                return;
            }
        };
        self.agenda.at(now + pause, Job::Ask(want, now));
    }

    async fn work(&mut self, job: Job) {
        match job {
            Job::Ask(want, since) => {
                if self.directory.is_wanted(&want) {
                    self.ask(want, since).await;
                }
            }
            Job::Outdate(want) => self.directory.outdate_answer(&want),
            Job::Refresh(want) => self.refresh(want).await,
            Job::Poll => {
                // A failure is noted; who wants a pod asks sooner.
                let _noted = self.poll().await;
                self.agenda.after(KUBELET_REFRESH, Job::Poll);
            }
        }
    }

    async fn ask(&mut self, want: Want, since: Instant) {
        let answer = match &want {
            Want::Pod { .. } if self.kubelet.is_some() => {
                let polled = self.agenda.polled;
                match polled {
                    Some(polled) if polled >= since => Ok(()),
                    Some(polled) if polled.elapsed() < KUBELET_PAUSE => {
                        return self.agenda.at(polled + KUBELET_PAUSE, Job::Ask(want, since));
                    }
                    _ => self.poll().await,
                }
            }
            Want::Pod { namespace, .. } if self.is_forbidden(namespace) => Ok(()),
            want => self.get(want).await,
        };
        match answer {
            Ok(()) => {
                self.agenda.failures = 0;
                self.directory.answer(&want);
                if self.directory.is_in_vain(&want) {
                    let pause = self.pause_after_nothing(&want);
                    self.agenda.after(pause, Job::Outdate(want));
                } else {
                    self.agenda.in_vain.remove(&want);
                    self.refresh_later(&want);
                }
            }
            Err(error) if error.is_passing() => {
                // Others first: it may be this one that the server cannot answer.
                self.agenda.after(Duration::ZERO, Job::Ask(want, since));
                sleep(self.backoff.delay(self.agenda.failures)).await;
                self.agenda.failures = self.agenda.failures.saturating_add(1);
            }
            Err(error) => {
                self.metrics.pods_skipped.add(u64::from(matches!(error, CallError::TooLarge(_))));
                self.tell_missing_right(&want, &error);
                self.directory.answer(&want);
                let pause = match error.status() {
                    Some(StatusCode::FORBIDDEN) => RIGHT_PAUSE,
                    _ => self.pause_after_nothing(&want),
                };
                self.agenda.after(pause, Job::Outdate(want));
            }
        }
    }

    /// Asks the API server for this, and hands over what it says.
    async fn get(&self, want: &Want) -> Result<(), CallError> {
        let params = GetParams::default();
        match want {
            Want::Pod { namespace, name, .. } => {
                let pods = Request::new(format!("/api/v1/namespaces/{namespace}/pods"));
                let pod: Pod = self.caller.get(&pods.get(name, &params)?).await?;
                self.directory.put_pod(pod);
            }
            Want::Namespace(name) => {
                let namespaces = Request::new("/api/v1/namespaces");
                let namespace: Namespace = self.caller.get(&namespaces.get(name, &params)?).await?;
                self.directory.put_namespace(namespace);
            }
        }
        Ok(())
    }

    /// Asks the kubelet for all its pods.
    async fn poll(&mut self) -> Result<(), CallError> {
        let Some(kubelet) = &self.kubelet else { return Ok(()) };
        // Not after it: what is wanted while it answers may not be in the answer.
        let asked = Instant::now();
        let page: Page = kubelet.get(&Request::new("/pods").list(&ListParams::default())?).await?;
        let pods = page.items.unwrap_or_default();
        let uids: HashSet<_> = pods.iter().map(|pod| pod.metadata.uid.clone()).collect();
        for pod in pods {
            self.directory.put_watched(pod);
        }
        self.directory.delete_others(&uids);
        self.agenda.polled = Some(asked);
        Ok(())
    }

    /// Has what came by itself asked for again when its time is over.
    fn refresh_later(&mut self, want: &Want) {
        let (want, ttl) = match want {
            Want::Pod { namespace, name, .. } => {
                (Want::pod(namespace, name), self.pod_ttl.filter(|_| self.kubelet.is_none()))
            }
            Want::Namespace(_) => (want.clone(), self.namespace_ttl),
        };
        if let Some(ttl) = ttl
            && self.agenda.refreshed.insert(want.clone())
        {
            self.agenda.after(ttl, Job::Refresh(want));
        }
    }

    /// Asks anew for what is still kept and not watched.
    async fn refresh(&mut self, want: Want) {
        self.agenda.refreshed.remove(&want);
        if self.directory.is_loose(&want) {
            match self.get(&want).await {
                Ok(()) => self.refresh_later(&want),
                Err(error) if error.is_passing() => self.refresh_later(&want),
                // It is there no more, and what was known of it stays known.
                Err(_) => {}
            }
        }
    }

    fn is_forbidden(&mut self, namespace: &str) -> bool {
        let now = Instant::now();
        self.agenda.forbidden.retain(|_, until| now < *until);
        self.agenda.forbidden.contains_key(namespace)
    }

    /// How long this is not looked for, since it was not there.
    fn pause_after_nothing(&mut self, want: &Want) -> Duration {
        let in_vain = &mut self.agenda.in_vain;
        if in_vain.len() >= IN_VAIN_MAX {
            in_vain.clear();
        }
        let tries = in_vain.entry(want.clone()).or_default();
        let pause = NOTHING_PAUSE.delay(*tries);
        *tries += 1;
        pause
    }

    fn tell_missing_right(&mut self, want: &Want, error: &CallError) {
        if error.status() != Some(StatusCode::FORBIDDEN) {
            return;
        }
        let (what, key) = match want {
            Want::Pod { namespace, .. } => {
                let until = Instant::now() + RIGHT_PAUSE;
                self.agenda.forbidden.insert(namespace.clone(), until);
                ("pods", "get pods")
            }
            Want::Namespace(_) => ("namespaces", "get namespaces"),
        };
        if self.caller.standing.is_new(key) {
            tracing::warn!(
                "{what} cannot be asked for: {error}; grant the ServiceAccount `get` on `{what}` (apiGroup \"\") in a \
                 ClusterRole; until then records go on without what is known of their {what}"
            );
        }
    }
}
