//! The JSON that a container's records get: `kubernetes` and `kubernetes_namespace`.

use super::object::{ContainerStatus, Namespace, OwnerReference, Pairs, Pod};
use super::options::KubernetesOptions;
use super::origin::Origin;
use tailwater_parsers::json;

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

    /// `kubernetes`, in Fluent Bit's order. What the pod does not have, or has not yet, is left out.
    pub(super) fn pod(self, origin: &Origin, pod: &Pod) -> String {
        let metadata = &pod.metadata;
        let container = Container::find(origin, pod);
        let mut object = Object::new();
        object.optional_text("pod_name", origin.pod.as_deref());
        object.optional_text("namespace_name", origin.namespace.as_deref());
        object.optional_text("pod_id", Some(&*metadata.uid).filter(|uid| !uid.is_empty()));
        if self.labels {
            object.pairs("labels", metadata.labels.as_ref());
        }
        if self.annotations {
            object.pairs("annotations", metadata.annotations.as_ref());
        }
        if self.owner_references && !metadata.owner_references.is_empty() {
            object.owners("ownerReferences", &metadata.owner_references);
        }
        object.optional_text("host", pod.spec.node_name.as_deref());
        object.optional_text("pod_ip", pod.status.pod_ip.as_deref());
        object.optional_text("container_name", origin.container.as_deref());
        object.optional_text("docker_id", container.id);
        object.optional_text("container_hash", container.hash);
        object.optional_text("container_image", container.image);
        object.end()
    }

    /// `kubernetes_namespace`.
    pub(super) fn namespace(self, name: &str, namespace: &Namespace) -> String {
        let mut object = Object::new();
        object.text("name", name);
        if self.namespace_labels {
            object.pairs("labels", namespace.metadata.labels.as_ref());
        }
        if self.namespace_annotations {
            object.pairs("annotations", namespace.metadata.annotations.as_ref());
        }
        object.end()
    }
}

/// `kubernetes` with what the tag says alone: `Use_Tag_For_Meta`.
pub(super) fn of_tag(origin: &Origin) -> String {
    let mut object = Object::new();
    object.optional_text("pod_name", origin.pod.as_deref());
    object.optional_text("namespace_name", origin.namespace.as_deref());
    object.optional_text("container_name", origin.container.as_deref());
    object.optional_text("docker_id", origin.container_id.as_deref());
    object.end()
}

/// `kubernetes` of `Dummy_Meta`.
pub(super) fn dummy(text: &str) -> String {
    let mut object = Object::new();
    object.text("dummy", text);
    object.end()
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

/// A JSON object as far as it is written.
struct Object {
    json: Vec<u8>,
}

impl Object {
    fn new() -> Self {
        Self { json: vec![b'{'] }
    }

    fn key(&mut self, key: &str) {
        if self.json.last() != Some(&b'{') {
            self.json.push(b',');
        }
        self.string(key);
        self.json.push(b':');
    }

    fn string(&mut self, text: &str) {
        self.json.push(b'"');
        json::escape(text, &mut self.json);
        self.json.push(b'"');
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        self.string(text);
    }

    fn optional_text(&mut self, key: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(key, text);
        }
    }

    fn optional_flag(&mut self, key: &str, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.key(key);
            self.json.extend_from_slice(if flag { b"true" } else { b"false" });
        }
    }

    fn pairs(&mut self, key: &str, pairs: Option<&Pairs>) {
        let Some(Pairs(pairs)) = pairs else { return };
        self.key(key);
        self.json.push(b'{');
        for (name, text) in pairs {
            self.text(name, text);
        }
        self.json.push(b'}');
    }

    fn owners(&mut self, key: &str, owners: &[OwnerReference]) {
        self.key(key);
        self.json.push(b'[');
        for (index, owner) in owners.iter().enumerate() {
            self.json.extend_from_slice(if index == 0 { b"{" } else { b",{" });
            let texts = [
                ("apiVersion", &owner.api_version),
                ("kind", &owner.kind),
                ("name", &owner.name),
                ("uid", &owner.uid),
            ];
            for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
                self.text(key, text);
            }
            self.optional_flag("controller", owner.controller);
            self.optional_flag("blockOwnerDeletion", owner.block_owner_deletion);
            self.json.push(b'}');
        }
        self.json.push(b']');
    }

    fn end(mut self) -> String {
        self.json.push(b'}');
        // Only text went in.
        String::from_utf8(self.json).unwrap_or_default()
    }
}
