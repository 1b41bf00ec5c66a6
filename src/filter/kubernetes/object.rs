//! Pods and namespaces, as much of them as anyone asks for: as the Kubernetes API writes them
//! (<https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>).

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// A pod. What is not named here is skipped while it is read, so that a very large specification costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Pod {
    /// Who it is; whoever asks the API sees whether it is there.
    #[serde(default)]
    pub metadata: Metadata,
    /// What it was asked to be.
    #[serde(default)]
    pub spec: PodSpec,
    /// What it is.
    #[serde(default)]
    pub status: PodStatus,
}

impl Pod {
    /// Whether it may be the pod of this id: one that has none may be any. The kubelet calls a static pod by the hash of its file, which the API keeps
    /// in an annotation (<https://kubernetes.io/docs/reference/labels-annotations-taints/#kubernetes-io-config-hash>).
    pub fn has_uid(&self, uid: &str) -> bool {
        let annotations = self.metadata.annotations.iter().flat_map(|pairs| &pairs.0);
        let mut hashes = annotations.filter(|(name, _)| name == CONFIG_HASH).map(|(_, hash)| hash);
        let own = &self.metadata.uid;
        own.is_empty() || own == uid || hashes.any(|hash| hash == uid)
    }

    /// Whether the container of this id is or was one of its own.
    pub fn has_container(&self, id: &str) -> bool {
        let PodStatus {
            container_statuses,
            init_container_statuses,
            ephemeral_container_statuses,
            ..
        } = &self.status;
        let all = [container_statuses, init_container_statuses, ephemeral_container_statuses];
        all.into_iter().flatten().flat_map(ContainerStatus::ids).any(|known| known == id)
    }

    /// Whether it says the same as another version of it: one that counts only the seconds of a probe changes nothing.
    pub fn says_the_same(&self, other: &Self) -> bool {
        let (one, other_one) = (&self.metadata, &other.metadata);
        one.uid == other_one.uid
            && one.labels == other_one.labels
            && one.annotations == other_one.annotations
            && one.owner_references == other_one.owner_references
            && self.spec == other.spec
            && self.status == other.status
    }

    /// Bytes of memory that it takes, about.
    pub fn bytes(&self) -> usize {
        let Metadata { labels, annotations, .. } = &self.metadata;
        let pairs = labels.iter().chain(annotations).flat_map(|pairs| &pairs.0);
        let texts: usize = pairs.map(|(name, text)| name.len() + text.len() + PAIR_BYTES).sum();
        let statuses = self.status.container_statuses.len()
            + self.status.init_container_statuses.len()
            + self.status.ephemeral_container_statuses.len();
        size_of::<Self>() + texts + statuses * STATUS_BYTES
    }
}

/// Where the API keeps what the kubelet calls a static pod by.
const CONFIG_HASH: &str = "kubernetes.io/config.hash";

/// What two texts take beside their bytes.
const PAIR_BYTES: usize = 2 * size_of::<String>();

/// What a container takes, with the texts that its runtime gives it.
const STATUS_BYTES: usize = size_of::<ContainerStatus>() + 400;

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Namespace {
    /// Who it is; whoever asks the API sees whether it is there.
    #[serde(default)]
    pub metadata: Metadata,
}

/// What all objects have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata {
    /// Its name, not unique over time.
    pub name: String,
    /// Where it lies; empty for what lies in none.
    pub namespace: String,
    /// Unique over time.
    pub uid: String,
    /// Version, to go on watching from.
    pub resource_version: String,
    /// As the API has them, in order.
    pub labels: Option<Pairs>,
    /// As the API has them, in order.
    pub annotations: Option<Pairs>,
    /// Whose it is.
    pub owner_references: Vec<OwnerReference>,
}

/// Whose a pod is. Written as it was read, without what it does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// `apps/v1`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub api_version: String,
    /// `ReplicaSet`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// Its name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its id.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub uid: String,
    /// Whether it is the one that manages the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controller: Option<bool>,
    /// Whether it may not go before the pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub block_owner_deletion: Option<bool>,
}

/// What a pod was asked to be.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// The node that it runs on.
    pub node_name: Option<String>,
}

/// What a pod is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PodStatus {
    /// Its address.
    #[serde(rename = "podIP")]
    pub pod_ip: Option<String>,
    /// Its containers that were created.
    pub container_statuses: Vec<ContainerStatus>,
    /// Those that ran before them.
    pub init_container_statuses: Vec<ContainerStatus>,
    /// Those for whoever looks for a fault.
    pub ephemeral_container_statuses: Vec<ContainerStatus>,
}

/// What a container is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ContainerStatus {
    /// Its name in the pod.
    pub name: String,
    /// Its image as the runtime names it.
    pub image: String,
    /// The digest of it.
    #[serde(rename = "imageID")]
    pub image_id: String,
    /// `containerd://` and its id; `None` before it is created.
    #[serde(rename = "containerID")]
    pub container_id: Option<String>,
    /// What it was before it was started anew: its files are there for a while.
    pub last_state: LastState,
}

impl ContainerStatus {
    /// The ids that it has and had, without the names of runtimes.
    fn ids(&self) -> impl Iterator<Item = &str> {
        let last = self.last_state.terminated.as_ref().and_then(|it| it.container_id.as_deref());
        let ids = self.container_id.as_deref().into_iter().chain(last);
        ids.map(|id| id.split_once("://").map_or(id, |(_runtime, id)| id))
    }
}

/// What a container was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LastState {
    /// How it ended, if it did.
    pub terminated: Option<Terminated>,
}

/// How a container ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Terminated {
    /// `containerd://` and its id.
    #[serde(rename = "containerID")]
    pub container_id: Option<String>,
}

/// Texts by their names, in the order in which they came; what is no text is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(pub Vec<(String, String)>);

impl Pairs {
    /// The text of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, text)| text.as_str())
    }
}

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, text)| (name, text)))
    }
}

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Pairs;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("texts by their names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some((name, item)) = map.next_entry()? {
                    if let Item::Text(text) = item {
                        pairs.push((name, text));
                    }
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Item {
    Text(String),
    Other(IgnoredAny),
}
