//! The JSON that a container's records get: `kubernetes` and `kubernetes_namespace`.

use super::object::{ContainerStatus, Namespace, OwnerReference, Pairs, Pod};
use super::options::KubernetesOptions;
use super::origin::Origin;
use serde::Serialize;

/// What of a pod and a namespace goes into the records.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one for each switch of the user")]
pub(super) struct Selection {
    labels: bool,
    annotations: bool,
    owner_references: bool,
    namespace_labels: bool,
    namespace_annotations: bool,
}

impl Selection {
    /// As the options say.
    pub(super) fn new(options: &KubernetesOptions) -> Self {
        Self {
            labels: options.labels,
            annotations: options.annotations,
            owner_references: options.owner_references,
            namespace_labels: options.namespace_labels,
            namespace_annotations: options.namespace_annotations,
        }
    }

    /// `kubernetes`. What the pod does not have, or has not yet, is left out.
    pub(super) fn pod(self, origin: &Origin, pod: &Pod) -> String {
        let metadata = &pod.metadata;
        let container = Container::find(origin, pod);
        let owners = Some(&*metadata.owner_references).filter(|owners| !owners.is_empty());
        json(&PodFields {
            pod_name: origin.pod.as_deref(),
            namespace_name: origin.namespace.as_deref(),
            pod_id: Some(&*metadata.uid).filter(|uid| !uid.is_empty()),
            labels: metadata.labels.as_ref().filter(|_| self.labels),
            annotations: metadata.annotations.as_ref().filter(|_| self.annotations),
            owner_references: owners.filter(|_| self.owner_references),
            host: pod.spec.node_name.as_deref(),
            pod_ip: pod.status.pod_ip.as_deref(),
            container_name: origin.container.as_deref(),
            docker_id: container.id,
            container_hash: container.hash,
            container_image: container.image,
        })
    }

    /// `kubernetes_namespace`.
    pub(super) fn namespace(self, name: &str, namespace: &Namespace) -> String {
        let metadata = &namespace.metadata;
        json(&NamespaceFields {
            name,
            labels: metadata.labels.as_ref().filter(|_| self.namespace_labels),
            annotations: metadata.annotations.as_ref().filter(|_| self.namespace_annotations),
        })
    }
}

/// `kubernetes` with what the tag says alone: `Use_Tag_For_Meta`.
pub(super) fn of_tag(origin: &Origin) -> String {
    json(&PodFields {
        pod_name: origin.pod.as_deref(),
        namespace_name: origin.namespace.as_deref(),
        container_name: origin.container.as_deref(),
        docker_id: origin.container_id.as_deref(),
        ..PodFields::default()
    })
}

/// `kubernetes` of `Dummy_Meta`.
pub(super) fn dummy(text: &str) -> String {
    json(&DummyFields { dummy: text })
}

/// What is in `kubernetes`, in Fluent Bit's order.
#[derive(Debug, Default, Serialize)]
struct PodFields<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a Pairs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a Pairs>,
    #[serde(rename = "ownerReferences", skip_serializing_if = "Option::is_none")]
    owner_references: Option<&'a [OwnerReference]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod_ip: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    docker_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_hash: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_image: Option<&'a str>,
}

/// What is in `kubernetes_namespace`.
#[derive(Debug, Serialize)]
struct NamespaceFields<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<&'a Pairs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a Pairs>,
}

#[derive(Debug, Serialize)]
struct DummyFields<'a> {
    dummy: &'a str,
}

/// The JSON of fields, which are texts and flags by text: nothing of that fails.
fn json(fields: &impl Serialize) -> String {
    serde_json::to_string(fields).unwrap_or_default()
}

/// What the records say of their container beside its name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Container<'a> {
    id: Option<&'a str>,
    hash: Option<&'a str>,
    image: Option<&'a str>,
}

impl<'a> Container<'a> {
    /// What was told of it, and what the pod's status adds.
    fn find(origin: &'a Origin, pod: &'a Pod) -> Self {
        let status = &pod.status;
        let all = [
            &status.container_statuses,
            &status.init_container_statuses,
            &status.ephemeral_container_statuses,
        ];
        let is_it = |status: &&ContainerStatus| Some(&*status.name) == origin.container.as_deref();
        let status = all.into_iter().flatten().find(is_it);
        let told = |text: &'a Option<String>| text.as_deref();
        Self {
            id: told(&origin.container_id)
                .or_else(|| status.and_then(|it| reference(it.container_id.as_deref()?))),
            hash: told(&origin.container_hash)
                .or_else(|| status.and_then(|it| reference(&it.image_id))),
            image: status.map(|it| &*it.image).filter(|image| !image.is_empty()),
        }
    }
}

/// What is behind the `containerd://` or `docker-pullable://` of an id. What has neither a scheme nor another colon, as
/// every digest has, is none.
fn reference(id: &str) -> Option<&str> {
    let (_, behind) = id.split_once(':')?;
    let text = if behind.starts_with('/') { behind.trim_start_matches('/') } else { id };
    Some(text).filter(|text| !text.is_empty())
}
