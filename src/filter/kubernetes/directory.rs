//! The directory of pods and namespaces: the side of the API fills it, the filter looks things up and never waits.
//!
//! A pod that is watched is known for as long as it is there. All others are *loose*: those that were deleted, whose
//! files may still be unread, and those that were asked for by themselves. They stay until there are too many.
//!
//! What is looked up and not known is *asked for*, once: the `Want` goes to the side of the API and stays open until
//! that has an answer, or is known to be away.

use super::object::{Namespace, Pod};
use crate::clock;
use crate::metrics::FilterMetrics;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Watched pods. A kubelet runs 110 unless it is told otherwise, and no more than some hundreds then.
const WATCHED_PODS_MAX: usize = 8_192;

/// Pods that are not watched: a node that starts one every ten seconds has the files of none of them after three hours.
const LOOSE_PODS_MAX: usize = 1_024;

/// What these take together: a pod may have 256 KiB of annotations.
const LOOSE_BYTES_MAX: usize = 8 << 20;

/// Namespaces. Those of the pods of one node are fewer.
const NAMESPACES_MAX: usize = 4_096;

/// Questions that are open, or answered with "no such thing" a while ago.
const ASKED_MAX: usize = 4_096;

/// A pod that was used within this time is likely to be used again.
const USED_LATELY: Duration = Duration::from_mins(10);

/// The longest name of an object (RFC 1123, as Kubernetes has it).
const NAME_BYTES_MAX: usize = 253;

/// What a tag or a journal entry says of the pod that it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PodKey<'a> {
    /// The namespace.
    pub namespace: &'a str,
    /// The pod's name, which another one may have had before.
    pub name: &'a str,
    /// The pod's id, if it is known: of several pods of one name, it says which.
    pub uid: Option<&'a str>,
    /// The container's id, if it is known, which says so, too.
    pub container_id: Option<&'a str>,
}

impl PodKey<'_> {
    /// Whether this is the pod, and known to have the container.
    fn fits(&self, pod: &Pod) -> bool {
        self.is_of(pod) && self.container_id.is_none_or(|id| pod.has_container(id))
    }

    /// Whether this may be the pod.
    fn is_of(&self, pod: &Pod) -> bool {
        self.uid.is_none_or(|uid| pod.has_uid(uid))
    }

    fn want(&self) -> Want {
        Want::Pod {
            namespace: self.namespace.to_owned(),
            name: self.name.to_owned(),
            uid: self.uid.map(str::to_owned),
            container_id: self.container_id.map(str::to_owned),
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Want {
    /// A pod, as of its [`PodKey`].
    Pod { namespace: String, name: String, uid: Option<String>, container_id: Option<String> },
    /// A namespace.
    Namespace(String),
}

impl Want {
    /// Any pod of this name.
    pub(super) fn pod(namespace: &str, name: &str) -> Self {
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        Self::Pod { namespace, name, uid: None, container_id: None }
    }
}

/// What is known of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// This.
    Yes(Arc<T>),
    /// Nothing yet; it is being asked for.
    NotYet,
    /// Nothing, and nothing will be for a while: it does not exist, or the API does not say.
    No,
}

/// All that is known. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Directory(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Moves with every change.
    revision: AtomicU64,
    inner: Mutex<Inner>,
    /// Who asks the API, if anyone does.
    wants: Option<UnboundedSender<Want>>,
    metrics: Arc<FilterMetrics>,
}

#[derive(Debug, Default)]
struct Inner {
    /// By namespace and name; of one name, the latest last.
    pods: HashMap<String, HashMap<String, Vec<Kept>>>,
    watched_pods: usize,
    loose_pods: usize,
    loose_bytes: usize,
    namespaces: HashMap<String, Arc<Namespace>>,
    asked: HashMap<Want, Asked>,
    /// Whether the API is known not to answer.
    is_away: bool,
}

/// A pod that is known.
#[derive(Debug)]
struct Kept {
    pod: Arc<Pod>,
    is_watched: bool,
    used: Instant,
}

/// How far a question has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    /// For the first time: an answer is worth waiting for.
    Open,
    /// There is no such thing, or nobody says.
    InVain,
    /// That was a while ago: the next look-up asks again, and goes on with what there is.
    Stale,
    /// It did.
    OpenAgain,
}

impl Directory {
    /// A directory, and what is asked of it that it does not know.
    pub(super) fn asking(metrics: Arc<FilterMetrics>) -> (Self, UnboundedReceiver<Want>) {
        let (sender, wants) = unbounded_channel();
        (Self(Arc::new(Shared { wants: Some(sender), metrics, ..Shared::default() })), wants)
    }

    /// Moves when anything changes: what was found under the same revision is found again.
    pub fn revision(&self) -> u64 {
        self.0.revision.load(Ordering::Acquire)
    }

    /// Looks up a pod, and has it asked for if it is not known. While the container is not known to be of the pod, the
    /// pod of this name may be an older one: it counts once the API was asked.
    pub fn pod(&self, key: &PodKey<'_>) -> Known<Pod> {
        let mut inner = self.inner();
        let mut nearest = Known::No;
        if let Some(pods) = inner.of_name(key.namespace, key.name) {
            if let Some(kept) = pods.iter_mut().rev().find(|kept| key.fits(&kept.pod)) {
                return Known::Yes(kept.take());
            }
            if let Some(kept) = pods.iter_mut().rev().find(|kept| key.is_of(&kept.pod)) {
                nearest = Known::Yes(kept.take());
            }
        }
        if !is_name(key.namespace) || !is_name(key.name) || !self.ask(&mut inner, key.want()) {
            return nearest;
        }
        Known::NotYet
    }

    /// Looks up a namespace, and has it asked for if it is not known.
    pub fn namespace(&self, name: &str) -> Known<Namespace> {
        let mut inner = self.inner();
        if let Some(namespace) = inner.namespaces.get(name) {
            return Known::Yes(Arc::clone(namespace));
        }
        let is_asked = is_name(name) && self.ask(&mut inner, Want::Namespace(name.to_owned()));
        if is_asked { Known::NotYet } else { Known::No }
    }

    /// Takes in a pod as it is now, found by itself.
    pub fn put_pod(&self, pod: Pod) {
        self.change(|inner| {
            let is_watched = inner.find(&pod).is_some_and(|kept| kept.is_watched);
            inner.put(pod, is_watched)
        });
    }

    /// Takes in a namespace as it is now.
    pub fn put_namespace(&self, namespace: Namespace) {
        self.change(|inner| {
            let name = &namespace.metadata.name;
            let known = inner.namespaces.get(name);
            let is_new = known.is_none_or(|known| **known != namespace);
            if known.is_none() && inner.namespaces.len() >= NAMESPACES_MAX {
                inner.namespaces.clear();
            }
            inner.namespaces.insert(name.clone(), Arc::new(namespace));
            is_new
        });
    }

    /// Takes in a pod that was seen to come or to change.
    pub(super) fn put_watched(&self, pod: Pod) {
        self.change(|inner| {
            let is_new = !inner.find(&pod).is_some_and(|kept| kept.is_watched);
            if is_new && inner.watched_pods >= WATCHED_PODS_MAX {
                self.0.metrics.pods_skipped.add(1);
                return false;
            }
            inner.put(pod, true)
        });
    }

    /// The pod is there no more. What it said last is kept for its files.
    pub(super) fn delete(&self, pod: Pod) {
        self.change(|inner| inner.put(pod, false));
    }

    /// Of the watched pods, only those of these ids are still there.
    pub(super) fn delete_others(&self, uids: &HashSet<String>) {
        self.change(|inner| {
            let all = inner.pods.values_mut().flat_map(HashMap::values_mut).flatten();
            for kept in all.filter(|kept| kept.is_watched) {
                if !uids.contains(&kept.pod.metadata.uid) {
                    kept.is_watched = false;
                    inner.watched_pods -= 1;
                    inner.loose_pods += 1;
                    inner.loose_bytes += kept.pod.bytes();
                }
            }
            false
        });
    }

    /// Whether this is still asked for: it may have become known in the meantime.
    pub(super) fn is_wanted(&self, want: &Want) -> bool {
        let mut inner = self.inner();
        let is_known = inner.knows(want);
        if is_known {
            inner.asked.remove(want);
        }
        !is_known && matches!(inner.asked.get(want), Some(Asked::Open | Asked::OpenAgain))
    }

    /// All that will come of this has come.
    pub(super) fn answer(&self, want: &Want) {
        self.change(|inner| {
            if inner.knows(want) {
                inner.asked.remove(want);
                return false;
            }
            inner.asked.insert(want.clone(), Asked::InVain) == Some(Asked::Open)
        });
    }

    /// Whether this was asked for, and there was no such thing.
    pub(super) fn is_in_vain(&self, want: &Want) -> bool {
        self.inner().asked.get(want) == Some(&Asked::InVain)
    }

    /// Whether this is kept, and nothing but a question would tell that it changed.
    pub(super) fn is_loose(&self, want: &Want) -> bool {
        let mut inner = self.inner();
        match want {
            Want::Pod { namespace, name, .. } => {
                let of_name = inner.of_name(namespace, name).and_then(|pods| pods.last());
                of_name.is_some_and(|kept| !kept.is_watched)
            }
            Want::Namespace(name) => inner.namespaces.contains_key(name),
        }
    }

    /// Lets this be asked for again.
    pub(super) fn outdate_answer(&self, want: &Want) {
        self.change(|inner| {
            let asked = inner.asked.get_mut(want).filter(|asked| **asked == Asked::InVain);
            asked.is_some_and(|asked| std::mem::replace(asked, Asked::Stale) == Asked::InVain)
        });
    }

    /// Whether nothing more is to be expected of the API for now.
    pub(super) fn set_away(&self, is_away: bool) {
        self.change(|inner| std::mem::replace(&mut inner.is_away, is_away) != is_away);
    }

    /// Whether an answer to this is to be waited for; the question is sent if it is new.
    fn ask(&self, inner: &mut Inner, want: Want) -> bool {
        let Some(wants) = &self.0.wants else { return false };
        let next = match inner.asked.get(&want) {
            Some(Asked::InVain | Asked::OpenAgain) => return false,
            Some(Asked::Open) => return !inner.is_away,
            Some(Asked::Stale) => Asked::OpenAgain,
            None => Asked::Open,
        };
        if inner.asked.len() >= ASKED_MAX {
            inner.asked.retain(|_, asked| matches!(asked, Asked::Open | Asked::OpenAgain));
        }
        if inner.asked.len() >= ASKED_MAX || wants.send(want.clone()).is_err() {
            return false;
        }
        inner.asked.insert(want, next);
        next == Asked::Open && !inner.is_away
    }

    /// Changes what is known; `change` says whether that is anything that was looked up, or might have been.
    fn change(&self, change: impl FnOnce(&mut Inner) -> bool) {
        let mut inner = self.inner();
        let has_changed = change(&mut inner);
        let forgotten = inner.make_room(clock::instant());
        let metrics = &self.0.metrics;
        metrics.pods_forgotten.add(forgotten);
        metrics.pods_known.set((inner.watched_pods + inner.loose_pods) as u64);
        if has_changed {
            self.0.revision.fetch_add(1, Ordering::Release);
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// The pod, for somebody who reads its files.
    fn take(&mut self) -> Arc<Pod> {
        self.used = clock::instant();
        Arc::clone(&self.pod)
    }
}

impl Inner {
    fn of_name(&mut self, namespace: &str, name: &str) -> Option<&mut Vec<Kept>> {
        self.pods.get_mut(namespace)?.get_mut(name)
    }

    fn find(&mut self, pod: &Pod) -> Option<&mut Kept> {
        let of_name = self.of_name(&pod.metadata.namespace, &pod.metadata.name)?;
        of_name.iter_mut().find(|kept| kept.pod.metadata.uid == pod.metadata.uid)
    }

    fn knows(&mut self, want: &Want) -> bool {
        match want {
            Want::Pod { namespace, name, uid, container_id } => {
                let key = PodKey {
                    namespace,
                    name,
                    uid: uid.as_deref(),
                    container_id: container_id.as_deref(),
                };
                let of_name = self.of_name(namespace, name);
                of_name.is_some_and(|pods| pods.iter().any(|kept| key.fits(&kept.pod)))
            }
            Want::Namespace(name) => self.namespaces.contains_key(name),
        }
    }

    /// Takes in a pod in place of its version before; whether it says anything new.
    fn put(&mut self, pod: Pod, is_watched: bool) -> bool {
        let before = self.find(&pod).map(|kept| {
            let before = (kept.is_watched, kept.pod.bytes(), !kept.pod.says_the_same(&pod));
            kept.is_watched = is_watched;
            before
        });
        match before {
            Some((true, ..)) => self.watched_pods -= 1,
            Some((false, bytes, _)) => {
                self.loose_pods -= 1;
                self.loose_bytes -= bytes;
            }
            None => {}
        }
        if is_watched {
            self.watched_pods += 1;
        } else {
            self.loose_pods += 1;
            self.loose_bytes += pod.bytes();
        }
        let Some((_, _, is_new)) = before else {
            let names = self.pods.entry(pod.metadata.namespace.clone()).or_default();
            let of_name = names.entry(pod.metadata.name.clone()).or_default();
            of_name.push(Kept { pod: Arc::new(pod), is_watched, used: clock::instant() });
            return true;
        };
        if let Some(kept) = self.find(&pod) {
            // Its readers see by the pointer that nothing changed.
            if is_new {
                kept.pod = Arc::new(pod);
            }
        }
        is_new
    }

    /// Forgets the loose pods that were not used for longest, while there are too many; how many of them were used
    /// lately.
    fn make_room(&mut self, now: Instant) -> u64 {
        let mut used_lately = 0;
        while self.loose_pods > LOOSE_PODS_MAX || self.loose_bytes > LOOSE_BYTES_MAX {
            let all = self.pods.values().flat_map(HashMap::values).flatten();
            let oldest = all.filter(|kept| !kept.is_watched).min_by_key(|kept| kept.used);
            let Some(Kept { pod, used, .. }) = oldest else { break };
            used_lately += u64::from(now.saturating_duration_since(*used) < USED_LATELY);
            let pod = Arc::clone(pod);
            self.loose_pods -= 1;
            self.loose_bytes -= pod.bytes();
            self.remove(&pod);
        }
        used_lately
    }

    fn remove(&mut self, pod: &Pod) {
        let (namespace, name) = (&pod.metadata.namespace, &pod.metadata.name);
        let Some(names) = self.pods.get_mut(namespace) else { return };
        if let Some(of_name) = names.get_mut(name) {
            of_name.retain(|kept| kept.pod.metadata.uid != pod.metadata.uid);
            if of_name.is_empty() {
                names.remove(name);
            }
        }
        if names.is_empty() {
            self.pods.remove(namespace);
        }
    }
}

/// Whether an object may be called so
/// (<https://kubernetes.io/docs/concepts/overview/working-with-objects/names/#dns-subdomain-names>). What may not is
/// never asked for: it would be another path.
fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends_well = |byte: Option<&u8>| byte.is_some_and(|byte| is_letter(*byte));
    let bytes = text.as_bytes();
    bytes.len() <= NAME_BYTES_MAX
        && ends_well(bytes.first())
        && ends_well(bytes.last())
        && bytes.iter().all(|byte| is_letter(*byte) || matches!(byte, b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::kubernetes::object::{ContainerStatus, Metadata, Pairs, PodStatus};

    fn pod(name: &str, uid: &str, containers: &[&str]) -> Pod {
        let status = |id: &&str| ContainerStatus {
            container_id: Some(format!("containerd://{id}")),
            ..ContainerStatus::default()
        };
        Pod {
            metadata: Metadata {
                name: name.to_owned(),
                namespace: "ns".to_owned(),
                uid: uid.to_owned(),
                ..Metadata::default()
            },
            status: PodStatus {
                container_statuses: containers.iter().map(status).collect(),
                ..PodStatus::default()
            },
            ..Pod::default()
        }
    }

    fn key<'a>(name: &'a str, uid: Option<&'a str>, container_id: Option<&'a str>) -> PodKey<'a> {
        PodKey { namespace: "ns", name, uid, container_id }
    }

    /// The id of the pod that is found, `?` while it is asked for, `-` for none.
    #[track_caller]
    fn check(directory: &Directory, key: PodKey<'_>, expected: &str) {
        let found = match directory.pod(&key) {
            Known::Yes(pod) => pod.metadata.uid.clone(),
            Known::NotYet => "?".to_owned(),
            Known::No => "-".to_owned(),
        };
        assert_eq!(found, expected, "{key:?}");
    }

    fn asking() -> (Directory, UnboundedReceiver<Want>, Arc<FilterMetrics>) {
        let metrics = Arc::<FilterMetrics>::default();
        let (directory, wants) = Directory::asking(Arc::clone(&metrics));
        (directory, wants, metrics)
    }

    #[test]
    fn of_two_pods_of_one_name_the_ids_say_which() {
        let directory = Directory::default();
        directory.put_watched(pod("web-0", "old", &["a"]));
        directory.delete(pod("web-0", "old", &["a"]));
        directory.put_watched(pod("web-0", "new", &["b"]));
        check(&directory, key("web-0", None, None), "new");
        check(&directory, key("web-0", None, Some("a")), "old");
        check(&directory, key("web-0", None, Some("b")), "new");
        check(&directory, key("web-0", Some("old"), None), "old");
        check(&directory, key("web-0", Some("older"), None), "-");
        // Nobody asks anyone here: the latest is the best there is.
        check(&directory, key("web-0", None, Some("c")), "new");
    }

    #[test]
    fn what_is_not_known_is_asked_for_once() {
        let (directory, mut wants, _metrics) = asking();
        let of_container = key("web-0", None, Some("c"));
        check(&directory, of_container, "?");
        check(&directory, of_container, "?");
        let want = wants.try_recv().unwrap();
        assert!(directory.is_wanted(&want));
        // The pod is there, but the container may still be one of the pod's that follows.
        directory.put_watched(pod("web-0", "one", &["a"]));
        check(&directory, of_container, "?");
        directory.answer(&want);
        check(&directory, of_container, "one");
        // Later it is looked for again, and nobody waits for that.
        directory.outdate_answer(&want);
        check(&directory, of_container, "one");
        assert_eq!(wants.try_recv().unwrap(), want);
        assert!(wants.try_recv().is_err(), "asked twice");
        directory.put_watched(pod("web-0", "one", &["a", "c"]));
        assert!(!directory.is_wanted(&want));
        check(&directory, of_container, "one");
    }

    #[test]
    fn nobody_waits_for_an_api_that_is_away() {
        let (directory, mut wants, _metrics) = asking();
        check(&directory, key("one", None, None), "?");
        directory.set_away(true);
        check(&directory, key("one", None, None), "-");
        check(&directory, key("two", None, None), "-");
        let revision = directory.revision();
        directory.set_away(false);
        assert!(directory.revision() > revision);
        check(&directory, key("one", None, None), "?");
        assert_eq!((wants.try_recv().is_ok(), wants.try_recv().is_ok()), (true, true));
    }

    #[test]
    fn only_names_are_asked_for() {
        let (directory, mut wants, _metrics) = asking();
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in ["", "a/../b", "a?b", "a b", "Ä", ".a", "a.", "-", "A", "a%2f", &long] {
            check(&directory, key(name, None, None), "-");
            assert_eq!(directory.namespace(name), Known::No);
            check(&directory, PodKey { namespace: name, ..key("a", None, None) }, "-");
        }
        assert!(wants.try_recv().is_err());
        for name in ["a", "a.b-c", "0", &"x".repeat(NAME_BYTES_MAX)] {
            check(&directory, key(name, None, None), "?");
        }
    }

    #[test]
    fn the_revision_moves_when_something_changes_and_only_then() {
        let directory = Directory::default();
        let mut last = directory.revision();
        let mut check = |moves: bool| {
            let revision = directory.revision();
            assert_eq!(revision > last, moves);
            last = revision;
        };
        directory.put_watched(pod("a", "1", &[]));
        check(true);
        let mut same = pod("a", "1", &[]);
        same.metadata.resource_version = "2".to_owned();
        directory.put_watched(same);
        check(false);
        directory.put_watched(pod("a", "1", &["x"]));
        check(true);
        directory.put_pod(pod("a", "1", &["x"]));
        check(false);
    }

    #[test]
    fn deleted_pods_are_kept_in_bounds_and_watched_ones_stay() {
        let (directory, _wants, metrics) = asking();
        directory.put_watched(pod("there", "there", &[]));
        for number in 0..LOOSE_PODS_MAX {
            let name = format!("gone-{number}");
            directory.put_watched(pod(&name, &name, &[]));
            directory.delete(pod(&name, &name, &[]));
        }
        assert_eq!(metrics.pods_forgotten.value(), 0);
        // A file of the first is still read.
        check(&directory, key("gone-0", None, None), "gone-0");
        directory.delete(pod("more", "more", &[]));
        assert_eq!(metrics.pods_forgotten.value(), 1);
        assert_eq!(metrics.pods_known.value(), LOOSE_PODS_MAX as u64 + 1);
        check(&directory, key("gone-0", None, None), "gone-0");
        check(&directory, key("gone-1", None, None), "?");
        check(&directory, key("there", None, None), "there");
        // One that takes all the room there is.
        let mut large = pod("large", "large", &[]);
        large.metadata.labels = Some(Pairs(vec![(String::new(), "x".repeat(LOOSE_BYTES_MAX))]));
        directory.delete(large);
        assert_eq!(metrics.pods_known.value(), 1);
        check(&directory, key("there", None, None), "there");
    }

    #[test]
    fn a_list_deletes_what_it_lacks() {
        let (directory, _wants, metrics) = asking();
        for name in ["a", "b"] {
            directory.put_watched(pod(name, name, &[]));
        }
        directory.delete_others(&HashSet::from(["b".to_owned()]));
        directory.put_watched(pod("b", "b", &[]));
        assert_eq!(metrics.pods_known.value(), 2);
        assert_eq!(directory.inner().watched_pods, 1);
        check(&directory, key("a", None, None), "a");
        assert!(directory.is_loose(&Want::pod("ns", "a")));
        assert!(!directory.is_loose(&Want::pod("ns", "b")));
    }

    #[test]
    fn no_more_is_asked_at_once_than_may_be() {
        let (directory, mut wants, _metrics) = asking();
        for number in 0..ASKED_MAX {
            check(&directory, key(&format!("p-{number}"), None, None), "?");
        }
        check(&directory, key("one-more", None, None), "-");
        directory.answer(&wants.try_recv().unwrap());
        check(&directory, key("one-more", None, None), "?");
    }
}
