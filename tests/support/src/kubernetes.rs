//! A Kubernetes API server of pods: get, list and watch, and faults on purpose.

use crate::http::{Answer, Request, Server, Service};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Lists and watches are forbidden.
    NoList,
    /// Everything is forbidden.
    NoRight,
    /// Answers are no JSON.
    Garbage,
    /// Connections are taken and requests never answered.
    Hang,
}

/// The server, and what it holds.
#[derive(Debug)]
pub struct Kubernetes {
    state: Arc<State>,
    server: Server,
}

#[derive(Debug)]
struct State(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    version: u64,
    /// By namespace and name.
    pods: BTreeMap<(String, String), Value>,
    token: String,
    fault: Fault,
    /// Watches from an older version are gone.
    oldest: u64,
    events: Vec<(u64, String)>,
    watches: Vec<Sender<String>>,
    /// Requests that are never answered hang on these.
    hung: Vec<Sender<String>>,
    requests: Vec<String>,
}

impl Kubernetes {
    /// A server without a pod that takes requests with this token.
    #[must_use]
    pub fn start(token: &str) -> Self {
        let state = Arc::new(State(Mutex::new(Inner {
            version: 1000,
            pods: BTreeMap::new(),
            token: token.to_owned(),
            fault: Fault::None,
            oldest: 0,
            events: Vec::new(),
            watches: Vec::new(),
            hung: Vec::new(),
            requests: Vec::new(),
        })));
        let server = Server::start(Arc::<State>::clone(&state));
        Self { state, server }
    }

    /// Where it listens on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.server.port()
    }

    /// Goes away, with all its connections.
    pub fn stop(&self) {
        self.state.lock().watches.clear();
        self.server.refuse();
    }

    /// Comes back.
    pub fn resume(&self) {
        self.server.listen();
    }

    /// Takes requests with this token only.
    pub fn set_token(&self, token: &str) {
        token.clone_into(&mut self.state.lock().token);
    }

    /// Fails like this from now on.
    pub fn set_fault(&self, fault: Fault) {
        let mut inner = self.state.lock();
        inner.fault = fault;
        inner.hung.clear();
    }

    /// Ends all watches; what happened so far cannot be watched any more.
    pub fn forget(&self) {
        let mut inner = self.state.lock();
        inner.version += 1;
        inner.oldest = inner.version;
        inner.events.clear();
        inner.watches.clear();
    }

    /// Ends all watches.
    pub fn end_watches(&self) {
        self.state.lock().watches.clear();
    }

    /// Sends a line to all watches.
    pub fn send_to_watches(&self, line: &str) {
        self.state.lock().watches.retain(|watch| watch.send(line.to_owned()).is_ok());
    }

    /// Makes a pod, or changes it: its id, its label `app` and its containers' ids.
    pub fn put_pod(&self, namespace: &str, name: &str, uid: &str, app: &str, containers: &[&str]) {
        let statuses: Vec<_> = containers
            .iter()
            .map(|id| json!({"name": "main", "image": "img", "containerID": format!("containerd://{id}")}))
            .collect();
        let mut inner = self.state.lock();
        inner.version += 1;
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name, "namespace": namespace, "uid": uid, "labels": {"app": app},
                "resourceVersion": inner.version.to_string(),
            },
            "spec": {"nodeName": "node-1"},
            "status": {"containerStatuses": statuses},
        });
        let key = (namespace.to_owned(), name.to_owned());
        let kind = if inner.pods.contains_key(&key) { "MODIFIED" } else { "ADDED" };
        inner.tell(kind, &pod);
        inner.pods.insert(key, pod);
    }

    /// Deletes a pod.
    pub fn delete_pod(&self, namespace: &str, name: &str) {
        let mut inner = self.state.lock();
        inner.version += 1;
        let mut pod = inner.pods.remove(&(namespace.to_owned(), name.to_owned())).unwrap();
        pod["metadata"]["resourceVersion"] = inner.version.to_string().into();
        inner.tell("DELETED", &pod);
    }

    /// Paths and queries of the requests so far.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state.lock().requests.clone()
    }

    /// How many of the requests so far were lists, watches and single gets of pods.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        let requests = self.requests();
        let count = |is: fn(&String) -> bool| requests.iter().filter(|it| is(it)).count();
        let watches = count(|it| it.contains("watch=true"));
        let lists = count(|it| it.starts_with("/api/v1/pods?")) - watches;
        (lists, watches, count(|it| it.contains("/pods/")))
    }
}

impl Inner {
    fn tell(&mut self, kind: &str, pod: &Value) {
        let line = json!({"type": kind, "object": pod}).to_string();
        self.watches.retain(|watch| watch.send(line.clone()).is_ok());
        self.events.push((self.version, line));
    }

    fn watch(&mut self, version: u64) -> Answer {
        let (sender, lines) = channel();
        if version < self.oldest {
            let gone =
                json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
            sender.send(json!({"type": "ERROR", "object": gone}).to_string()).unwrap();
            return Answer::Lines(lines);
        }
        for (_, line) in self.events.iter().filter(|(at, _)| *at > version) {
            sender.send(line.clone()).unwrap();
        }
        self.watches.push(sender);
        Answer::Lines(lines)
    }

    fn list(&self) -> Answer {
        let pods: Vec<_> = self.pods.values().collect();
        let version = self.version.to_string();
        reply(
            200,
            &json!({"kind": "PodList", "metadata": {"resourceVersion": version}, "items": pods}),
        )
    }

    fn get(&self, path: &str) -> Answer {
        let rest = path.strip_prefix("/api/v1/namespaces/").unwrap_or_default();
        let parts: Vec<_> = rest.split('/').collect();
        let found = match parts[..] {
            [namespace, "pods", name] => self.pods.get(&(namespace.to_owned(), name.to_owned())),
            _ => None,
        };
        found.map_or_else(|| refusal(404, "NotFound", "not found"), |object| reply(200, object))
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

impl Service for State {
    fn answer(&self, request: &Request) -> Answer {
        let mut inner = self.lock();
        inner.requests.push(request.path.clone());
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let is_list = path == "/api/v1/pods";
        match inner.fault {
            Fault::Hang => {
                let (sender, lines) = channel();
                inner.hung.push(sender);
                drop(inner);
                // Until the fault is over; then the connection ends.
                return lines.recv().map_or(Answer::Lost, |_| Answer::Lost);
            }
            Fault::Garbage => return Answer::Reply(200, b"<html>no API here</html>".to_vec()),
            _ => {}
        }
        if request.header("authorization") != Some(&format!("Bearer {}", inner.token)) {
            return refusal(401, "Unauthorized", "Unauthorized");
        }
        if inner.fault == Fault::NoRight || inner.fault == Fault::NoList && is_list {
            let verb = if is_list { "list" } else { "get" };
            let message = format!(
                "pods is forbidden: User \"system:serviceaccount:logging:tailwater\" cannot {verb} resource \
                 \"pods\" in API group \"\" at the cluster scope"
            );
            return refusal(403, "Forbidden", &message);
        }
        let parameter = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
        };
        if !is_list {
            return inner.get(path);
        }
        if parameter("watch") == Some("true") {
            let version = parameter("resourceVersion").and_then(|text| text.parse().ok());
            return inner.watch(version.unwrap_or(0));
        }
        inner.list()
    }
}

fn reply(status: u16, body: &Value) -> Answer {
    Answer::Reply(status, body.to_string().into_bytes())
}

fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({"kind": "Status", "code": code, "reason": reason, "message": message});
    reply(code, &status)
}
