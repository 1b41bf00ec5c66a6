//! `Kube_meta_preload_cache_dir`: what the API would answer, from files.

use super::object::{Namespace, Pod};
use crate::config::{Diagnostics, Located};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// Files of one folder that are read: as many as the pods of the largest clusters, of which a node has a few.
const FILES_MAX: usize = 10_000;

/// Bytes of one file: an object of the API is 1.5 MiB at most, and a kubelet's list may hold some hundred.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Pods and namespaces that are known from files, by the names of the files.
#[derive(Debug, Default)]
pub(super) struct Preloaded {
    pods: HashMap<(String, String), Arc<Pod>>,
    namespaces: HashMap<String, Arc<Namespace>>,
}

/// An answer of the kubelet.
#[derive(Deserialize)]
struct List {
    items: Vec<Pod>,
}

impl Preloaded {
    /// Reads all files of the folder, which hold what the API answers, or with `of_kubelet` what the kubelet does: a list
    /// of all its pods. What cannot be read is reported, and left to the API.
    pub(super) fn read(
        folder: &Located<String>,
        of_kubelet: bool,
        diagnostics: &mut Diagnostics,
    ) -> Self {
        let mut preloaded = Self::default();
        let entries = match fs::read_dir(&folder.value) {
            Ok(entries) => entries,
            Err(error) => {
                let message = format!("cannot read the folder `{}`: {error}", folder.value);
                diagnostics.warning(&folder.location, message);
                return preloaded;
            }
        };
        for entry in entries.flatten().take(FILES_MAX) {
            if let Err(error) = preloaded.take(&entry.path(), of_kubelet) {
                let path = entry.path();
                let message = format!("cannot read `{}`: {error}", path.display());
                diagnostics.warning(&folder.location, message);
            }
        }
        preloaded
    }

    /// The pod, by what a tag says of it.
    pub(super) fn pod(&self, namespace: &str, name: &str) -> Option<&Arc<Pod>> {
        if self.pods.is_empty() {
            return None;
        }
        self.pods.get(&(namespace.to_owned(), name.to_owned()))
    }

    /// The namespace.
    pub(super) fn namespace(&self, name: &str) -> Option<&Arc<Namespace>> {
        self.namespaces.get(name)
    }

    /// Takes in what a file holds; one of another name is none of ours.
    fn take(&mut self, path: &Path, of_kubelet: bool) -> io::Result<()> {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return Ok(()) };
        if let Some(namespace) = name.strip_suffix(".namespace_meta") {
            let read = parse(&read_file(path)?)?;
            self.namespaces.insert(namespace.to_owned(), Arc::new(read));
        } else if let Some((namespace, name)) =
            name.strip_suffix(".meta").and_then(|stem| stem.split_once('_'))
        {
            let text = read_file(path)?;
            let pod = if of_kubelet {
                let is_it =
                    |pod: &Pod| pod.metadata.name == name && pod.metadata.namespace == namespace;
                let List { items } = parse(&text)?;
                items
                    .into_iter()
                    .find(is_it)
                    .ok_or_else(|| io::Error::other("it lists no pod of its name"))?
            } else {
                parse(&text)?
            };
            self.pods.insert((namespace.to_owned(), name.to_owned()), Arc::new(pod));
        }
        Ok(())
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    Ok(text)
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> io::Result<T> {
    Ok(serde_json::from_slice(text)?)
}
