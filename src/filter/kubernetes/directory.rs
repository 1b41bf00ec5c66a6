//! The directory of pods and namespaces: the side of the API fills it, the filter looks things up and never waits.

use super::object::{Namespace, Pod};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Moves with every change, after it.
    revision: AtomicU64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    pods: HashMap<(String, String), Vec<Arc<Pod>>>,
    namespaces: HashMap<String, Arc<Namespace>>,
}

impl Directory {
    /// Moves when anything changes: what was found under the same revision is found again.
    pub fn revision(&self) -> u64 {
        self.0.revision.load(Ordering::Acquire)
    }

    /// Looks up a pod, and has it asked for if it is not known.
    pub fn pod(&self, key: &PodKey<'_>) -> Known<Pod> {
        let inner = self.inner();
        let pods = inner.pods.get(&(key.namespace.to_owned(), key.name.to_owned()));
        pods.and_then(|pods| pods.last()).map_or(Known::No, |pod| Known::Yes(Arc::clone(pod)))
    }

    /// Looks up a namespace, and has it asked for if it is not known.
    pub fn namespace(&self, name: &str) -> Known<Namespace> {
        self.inner()
            .namespaces
            .get(name)
            .map_or(Known::No, |namespace| Known::Yes(Arc::clone(namespace)))
    }

    /// Takes in a pod as it is now.
    pub fn put_pod(&self, pod: Pod) {
        let mut inner = self.inner();
        let key = (pod.metadata.namespace.clone(), pod.metadata.name.clone());
        let pods = inner.pods.entry(key).or_default();
        pods.retain(|known| known.metadata.uid != pod.metadata.uid);
        pods.push(Arc::new(pod));
        self.0.revision.fetch_add(1, Ordering::Release);
    }

    /// Takes in a namespace as it is now.
    pub fn put_namespace(&self, namespace: Namespace) {
        self.inner().namespaces.insert(namespace.metadata.name.clone(), Arc::new(namespace));
        self.0.revision.fetch_add(1, Ordering::Release);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
