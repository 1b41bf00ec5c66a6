//! A Kubernetes cluster of which there is only the API: a real kube-apiserver, and pods that nobody runs.

use crate::servers::Server;
use serde_json::{Value, json};
use std::path::PathBuf;
use tokio::runtime::Runtime;

/// The node that the agent runs on.
pub(crate) const NODE: &str = "node-1";

/// A `ServiceAccount` with the rights of `config/kubernetes`, and what those rights are.
const RIGHTS: &str = include_str!("../../config/kubernetes/base/rbac.yaml");

/// Where objects of these kinds are made.
const LISTS: [(&str, &str); 3] = [
    ("ServiceAccount", "/api/v1/namespaces/logging/serviceaccounts"),
    ("ClusterRole", "/apis/rbac.authorization.k8s.io/v1/clusterroles"),
    ("ClusterRoleBinding", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"),
];

/// Who the agent is.
pub(crate) const ACCOUNT: &str = "/api/v1/namespaces/logging/serviceaccounts/tailwater";

/// The rights of the agent.
pub(crate) const ROLE: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles/tailwater";

/// The shortest time for which the API gives a token.
const TOKEN_SECONDS: u64 = 600;

/// The API server, and an administrator's way to it.
pub(crate) struct Cluster {
    server: Server,
    client: reqwest::Client,
    runtime: Runtime,
}

impl Cluster {
    /// With a namespace `logging`, the account of the agent there, and its rights.
    pub(crate) fn start() -> Self {
        let server = Server::start("kube", "/readyz");
        let client = server.client();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let cluster = Self { server, client, runtime };
        for namespace in ["logging", "shop"] {
            cluster.create("/api/v1/namespaces", &json!({"metadata": {"name": namespace}}));
        }
        cluster.grant();
        cluster
    }

    /// Makes the account and its rights, as far as they are not there.
    pub(crate) fn grant(&self) {
        for document in RIGHTS.split("\n---\n") {
            let kind = document.lines().find_map(|line| line.strip_prefix("kind: ")).unwrap();
            let path = LISTS.iter().find(|(known, _)| *known == kind).map(|(_, path)| *path);
            let (status, answer) =
                self.post(path.unwrap(), "application/yaml", document.to_owned());
            assert!(matches!(status, 201 | 409), "{kind}: {status} {answer}");
        }
    }

    /// What the agent shows to be who it is.
    pub(crate) fn token(&self) -> String {
        let wanted = json!({"spec": {"expirationSeconds": TOKEN_SECONDS}});
        let answer = self.create(&format!("{ACCOUNT}/token"), &wanted);
        answer["status"]["token"].as_str().unwrap().to_owned()
    }

    /// Where the API is, by TLS.
    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// What it is known by.
    pub(crate) fn authority(&self) -> PathBuf {
        self.server.data().join("ca.crt")
    }

    /// What tells `kubectl` and its like where that is, and lets them do anything.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.server.data().join("admin.kubeconfig")
    }

    /// A client that shows nothing of its own.
    pub(crate) fn nobody(&self) -> reqwest::Client {
        self.server.nobody()
    }

    /// Makes an object in a list; the object as it is now.
    pub(crate) fn create(&self, path: &str, object: &Value) -> Value {
        let (status, answer) = self.post(path, "application/json", object.to_string());
        assert_eq!(status, 201, "{path}: {answer}");
        answer
    }

    /// Posts anything: status and answer.
    fn post(&self, path: &str, content_type: &str, body: String) -> (u16, Value) {
        let request = self.client.post(self.server.url() + path);
        self.ask(request.header("content-type", content_type).body(body))
    }

    /// Changes an object.
    pub(crate) fn patch(&self, path: &str, change: &Value) {
        let request = self.client.patch(self.server.url() + path);
        let request = request.header("content-type", "application/merge-patch+json");
        let (status, answer) = self.ask(request.body(change.to_string()));
        assert_eq!(status, 200, "{path}: {answer}");
    }

    /// Deletes an object at once.
    pub(crate) fn delete(&self, path: &str) {
        let url = format!("{}{path}?gracePeriodSeconds=0", self.server.url());
        let (status, answer) = self.ask(self.client.delete(url));
        assert_eq!(status, 200, "{path}: {answer}");
    }

    fn ask(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        self.runtime.block_on(async {
            let answer = request.send().await.unwrap();
            let status = answer.status().as_u16();
            (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default())
        })
    }
}

/// A pod with one container `app`.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    pub(crate) name: String,
    pub(crate) uid: String,
    /// Of its container, without `containerd://`.
    pub(crate) container_id: String,
    ip: String,
    restarts: u64,
    /// The container before, which ended.
    ended: Option<String>,
}

/// The list of pods of the namespace that all of them are in.
const PODS: &str = "/api/v1/namespaces/shop/pods";

const IMAGE: &str = "docker.io/library/shop:1.2";
const IMAGE_ID: &str = "docker.io/library/shop@sha256:5d1f2a7c";

impl Pod {
    /// A pod that runs on `node`. Each number may be used once in a test.
    pub(crate) fn run(cluster: &Cluster, node: &str, name: &str, number: u64) -> Self {
        let object = json!({
            "metadata": {"name": name, "labels": Self::labels()},
            "spec": {"nodeName": node, "containers": [{"name": "app", "image": IMAGE}]},
        });
        let made = cluster.create(PODS, &object);
        let uid = made["metadata"]["uid"].as_str().unwrap().to_owned();
        let (container_id, ip) = (id(number, 0), format!("10.1.{}.{}", number / 250, number % 250));
        let pod = Self { name: name.to_owned(), uid, container_id, ip, restarts: 0, ended: None };
        pod.tell_status(cluster);
        pod
    }

    /// What it is labelled with at first.
    pub(crate) fn labels() -> Value {
        json!({"app.kubernetes.io/part-of": "store_1", "team": "payments"})
    }

    /// Its container ends and starts anew.
    pub(crate) fn restart(&mut self, cluster: &Cluster, number: u64) {
        self.restarts += 1;
        self.ended = Some(std::mem::replace(&mut self.container_id, id(number, self.restarts)));
        self.tell_status(cluster);
    }

    /// Sets one of its labels.
    pub(crate) fn label(&self, cluster: &Cluster, key: &str, value: &str) {
        let change = json!({"metadata": {"labels": {key: value}}});
        cluster.patch(&format!("{PODS}/{}", self.name), &change);
    }

    /// Deletes it.
    pub(crate) fn delete(&self, cluster: &Cluster) {
        cluster.delete(&format!("{PODS}/{}", self.name));
    }

    /// What records of its container say of it, its labels aside.
    pub(crate) fn metadata(&self) -> Value {
        json!({
            "pod_name": self.name,
            "namespace_name": "shop",
            "pod_id": self.uid,
            "host": NODE,
            "pod_ip": self.ip,
            "container_name": "app",
            "docker_id": self.container_id,
            "container_hash": IMAGE_ID,
            "container_image": IMAGE,
        })
    }

    /// The name of its container's log, without the ending.
    pub(crate) fn log_name(&self) -> String {
        format!("{}_shop_app-{}", self.name, self.container_id)
    }

    /// What a kubelet tells when the container has been created.
    fn tell_status(&self, cluster: &Cluster) {
        let ended = self.ended.as_ref().map(|id| {
            json!({"terminated": {"exitCode": 1, "containerID": format!("containerd://{id}")}})
        });
        let status = json!({"status": {
            "phase": "Running",
            "podIP": self.ip,
            "podIPs": [{"ip": self.ip}],
            "containerStatuses": [{
                "name": "app",
                "image": IMAGE,
                "imageID": IMAGE_ID,
                "containerID": format!("containerd://{}", self.container_id),
                "ready": true,
                "lastState": ended.unwrap_or_else(|| json!({})),
                "restartCount": self.restarts,
                "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
            }],
        }});
        cluster.patch(&format!("{PODS}/{}/status", self.name), &status);
    }
}

/// The id of a container.
fn id(number: u64, restarts: u64) -> String {
    format!("{number:032x}{restarts:032x}")
}
