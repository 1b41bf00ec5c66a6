//! Pods and namespaces, as much of them as anyone asks for: as the Kubernetes API writes them
//! (<https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/>).

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// A pod. What is not named here is skipped while it is read, so that a very large specification costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Pod {
    /// Who it is.
    pub metadata: Metadata,
    /// What it was asked to be.
    #[serde(default)]
    pub spec: PodSpec,
    /// What it is.
    #[serde(default)]
    pub status: PodStatus,
}

/// A namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Namespace {
    /// Who it is.
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

/// Whose a pod is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OwnerReference {
    /// `apps/v1`.
    pub api_version: String,
    /// `ReplicaSet`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its id.
    pub uid: String,
    /// Whether it is the one that manages the pod.
    pub controller: Option<bool>,
    /// Whether it may not go before the pod.
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
}

/// Texts by their names, in the order in which they came; what is no text is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs(pub Vec<(String, String)>);

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
