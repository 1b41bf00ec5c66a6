//! The metadata of pods against a real API server: right at every moment, at the price of one list and one watch.

use crate::api_proxy::ApiProxy;
use crate::cluster::{ACCOUNT, Cluster, NODE, Pod, ROLE};
use crate::turn;
use serde_json::{Value, json};
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tailwater_testing::{Agent, BulkStore, Faults, until, write_out};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine; only a failure waits so long.
const LIMIT: Duration = Duration::from_mins(1);

/// For how long the API server may go on to take a token that it took before, and some more.
const TOKEN_REMEMBERED_MAX: Duration = Duration::from_secs(15);

#[test]
fn records_carry_what_their_pod_was_when_they_were_written() {
    let _turn = turn();
    let cluster = Cluster::start();
    let mut node = Node::new(&cluster);
    node.start(&cluster.url());
    let mut pods: Vec<Pod> =
        (0..10).map(|number| Pod::run(&cluster, NODE, &format!("web-{number}"), number)).collect();
    for pod in &pods {
        node.write(pod, 5);
    }
    node.wait_for(50);
    for pod in &pods {
        node.check(pod, 5, |labels| labels["tier"].is_null());
    }

    // A label that changes: not a line with the old one behind one with the new one.
    for pod in &pods {
        pod.label(&cluster, "tier", "gold");
    }
    for pod in &pods {
        let is_new = || {
            node.write(pod, 1);
            node.wait_for_all();
            node.records(pod).last().unwrap()["kubernetes"]["labels"]["tier"] == "gold"
        };
        assert!(until(LIMIT, is_new), "{}", node.log());
        let written = node.written(pod);
        node.write(pod, 5);
        node.wait_for_all();
        let records = node.records(pod);
        let (before, after) = records.split_at(usize::try_from(written).unwrap());
        assert!(before[..5].iter().all(|it| it["kubernetes"]["labels"]["tier"].is_null()));
        assert!(after.iter().all(|it| it["kubernetes"]["labels"]["tier"] == "gold"), "{after:?}");
    }

    // Containers that start anew: each file is its own container's.
    let old = pods.clone();
    for (number, pod) in (0..).zip(&mut pods) {
        pod.restart(&cluster, number);
        node.write(pod, 5);
    }
    for (old, new) in old.iter().zip(&pods) {
        node.write(old, 1);
        node.wait_for_all();
        node.check(old, node.written(old), |_| true);
        node.check(new, 5, |labels| labels["tier"] == "gold");
    }

    // Pods that are gone, and one of the same name in the place of one: what they wrote last is still theirs.
    for pod in &pods {
        pod.delete(&cluster);
    }
    let again = Pod::run(&cluster, NODE, "web-0", 100);
    for pod in &pods {
        node.write(pod, 5);
    }
    node.write(&again, 5);
    node.wait_for_all();
    for pod in &pods {
        node.check(pod, 10, |labels| labels["tier"] == "gold");
    }
    node.check(&again, 5, |labels| labels["tier"].is_null());
    assert_ne!(again.uid, pods[0].uid);
    node.end();
}

#[test]
fn two_hundred_pods_cost_one_list_and_one_watch() {
    const PODS: u64 = 200;
    let _turn = turn();
    let cluster = Cluster::start();
    let proxy = ApiProxy::start(cluster.url(), cluster.nobody());
    // Other nodes have pods, too.
    Pod::run(&cluster, "node-2", "elsewhere", 9_999);
    let early: Vec<Pod> = (0..PODS / 2)
        .map(|number| Pod::run(&cluster, NODE, &format!("early-{number}"), number))
        .collect();
    let mut node = Node::new(&cluster);
    for pod in &early {
        node.write(pod, 10);
    }
    node.start(&proxy.url());
    node.wait_for_all();
    let late: Vec<Pod> = (PODS / 2..PODS)
        .map(|number| {
            let pod = Pod::run(&cluster, NODE, &format!("late-{number}"), number);
            node.write(&pod, 10);
            pod
        })
        .collect();
    node.wait_for_all();
    for pod in early.iter().chain(&late) {
        node.check(pod, 10, |_| true);
    }
    let asked = proxy.take_asked();
    write_out(&format!("{asked:#?}\n"));
    let of_node = |path: &String| path.contains("fieldSelector=spec.nodeName%3Dnode-1");
    assert!(asked.iter().all(of_node), "{asked:?}");
    let watches = asked.iter().filter(|path| path.contains("watch=")).count();
    assert_eq!((asked.len() - watches, watches), (1, 1), "{asked:?}");
    node.end();
}

#[test]
fn a_token_that_ends_is_read_again() {
    let _turn = turn();
    let cluster = Cluster::start();
    let proxy = ApiProxy::start(cluster.url(), cluster.nobody());
    let pod = Pod::run(&cluster, NODE, "web", 1);
    let mut node = Node::new(&cluster);
    node.start(&proxy.url());
    node.write(&pod, 5);
    node.wait_for_all();
    node.check(&pod, 5, |_| true);

    // As if its time were over: it is the token of an account that is no more. The kubelet writes another one.
    cluster.delete(ACCOUNT);
    cluster.grant();
    tailwater_testing::pause(TOKEN_REMEMBERED_MAX);
    proxy.cut();
    let is_refused = until(LIMIT, || node.log().contains("401"));
    assert!(is_refused, "{}", node.log());
    node.give(cluster.token());
    let late = Pod::run(&cluster, NODE, "late", 2);
    node.write(&late, 5);
    node.wait_for_all();
    let is_known = || {
        node.write(&late, 1);
        node.wait_for_all();
        node.records(&late).last().unwrap()["kubernetes"]["pod_id"] == late.uid
    };
    assert!(until(LIMIT, is_known), "{}", node.log());
    for token in &node.tokens {
        let (_, signature) = token.rsplit_once('.').unwrap();
        assert!(!node.log().contains(signature), "a token is in the log");
    }
    node.end();
}

#[test]
fn without_the_right_it_says_which_and_logs_flow() {
    let _turn = turn();
    let cluster = Cluster::start();
    cluster.delete(ROLE);
    let pod = Pod::run(&cluster, NODE, "web", 1);
    let mut node = Node::new(&cluster);
    node.start(&cluster.url());
    node.write(&pod, 100);
    node.wait_for_all();
    for record in node.records(&pod) {
        // What the tag says is known all the same, or nothing is.
        assert!(record["kubernetes"]["pod_id"].is_null(), "{record}");
    }
    let said = |log: &str| {
        let words = ["list", "pods", "system:serviceaccount:logging:tailwater"];
        log.lines().any(|line| words.iter().all(|word| line.contains(word)))
    };
    assert!(until(LIMIT, || said(&node.log())), "{}", node.log());
    node.end();
}

/// A node of the cluster, as the agent sees it: logs of containers behind links, a token, a store.
struct Node {
    folder: TempDir,
    store: BulkStore,
    agent: Option<Agent>,
    /// Every line so far: the name of the log, and how many lines it has.
    logs: Vec<(String, u64)>,
    authority: PathBuf,
    /// What it was given.
    tokens: Vec<String>,
}

impl Node {
    fn new(cluster: &Cluster) -> Self {
        let folder = tailwater_testing::folder();
        for name in ["containers", "pods"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("parsers.conf"), include_str!("parsers.conf")).unwrap();
        let store = BulkStore::start(Faults::default());
        let (authority, tokens, logs) = (cluster.authority(), Vec::new(), Vec::new());
        let mut node = Self { folder, store, agent: None, logs, authority, tokens };
        node.give(cluster.token());
        node
    }

    /// Writes the token as the kubelet does: another file takes the place of the one that is there.
    fn give(&mut self, token: String) {
        std::fs::write(self.path("token.new"), &token).unwrap();
        self.tokens.push(token);
        std::fs::rename(self.path("token.new"), self.path("token")).unwrap();
    }

    fn start(&mut self, url: &str) {
        let dir = self.folder.path().to_str().unwrap();
        let conf = format!(
            "[SERVICE]
    Flush 0.2
    Grace 5
    Parsers_File parsers.conf
[INPUT]
    Name tail
    Path {dir}/containers/*.log
    Parser cri
    Tag kube.*
    Read_from_Head On
    Refresh_Interval 1
    DB {dir}/positions.db
[FILTER]
    Name kubernetes
    Match kube.*
    Kube_URL {url}
    Kube_CA_File {authority}
    Kube_Token_File {dir}/token
    Kube_Tag_Prefix kube.{tag}.containers.
    Annotations Off
    tls.verify_hostname On
    tailwater.node_name {NODE}
[OUTPUT]
    Name es
    Match *
    Host 127.0.0.1
    Port {port}
    Index lines
    Suppress_Type_Name On
",
            authority = self.authority.display(),
            tag = dir.trim_start_matches('/').replace('/', "."),
            port = self.store.port(),
        );
        std::fs::write(self.path("agent.conf"), conf).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_tailwater"));
        self.agent = Some(Agent::start(program, self.folder.path(), &["-c", "agent.conf"]));
    }

    /// Appends so many lines to the log of a pod's container.
    fn write(&mut self, pod: &Pod, count: u64) {
        let name = pod.log_name();
        let path = self.path(&format!("pods/{name}.log"));
        if !self.logs.iter().any(|(known, _)| *known == name) {
            std::fs::File::create(&path).unwrap();
            let link = self.path(&format!("containers/{name}.log"));
            std::os::unix::fs::symlink(&path, link).unwrap();
            self.logs.push((name.clone(), 0));
        }
        let (_, written) = self.logs.iter_mut().find(|(known, _)| *known == name).unwrap();
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        for _ in 0..count {
            let now = jiff::Timestamp::now();
            writeln!(file, "{now:.9} stdout F {name} line {written}").unwrap();
            *written += 1;
        }
    }

    /// How many lines were written to the log of a pod's container.
    fn written(&self, pod: &Pod) -> u64 {
        let name = pod.log_name();
        self.logs.iter().find(|(known, _)| *known == name).map_or(0, |(_, written)| *written)
    }

    /// The records of a pod's container, in the order of its lines.
    fn records(&self, pod: &Pod) -> Vec<Value> {
        let begin = format!("{} line ", pod.log_name());
        let number = |record: &Value| -> Option<u64> {
            record["log"].as_str()?.strip_prefix(&begin)?.parse().ok()
        };
        let all = self.store.documents().into_iter().map(|document| document.fields());
        let mut records: Vec<Value> = all.filter(|record| number(record).is_some()).collect();
        records.sort_by_key(number);
        records
    }

    /// Waits until every line has arrived.
    #[track_caller]
    fn wait_for_all(&self) {
        self.wait_for(self.logs.iter().map(|(_, written)| written).sum());
    }

    #[track_caller]
    fn wait_for(&self, count: u64) {
        let arrived = until(LIMIT, || self.store.count() as u64 >= count);
        assert!(arrived, "{} of {count} arrived; {}", self.store.count(), self.log());
    }

    /// That each of so many lines is there once, with all that is known of its pod and such labels.
    #[track_caller]
    fn check(&self, pod: &Pod, count: u64, is_label: impl Fn(&Value) -> bool) {
        let records = self.records(pod);
        assert_eq!(records.len() as u64, count, "{}", self.log());
        for record in records {
            let mut found = record["kubernetes"].clone();
            let labels = found.as_object_mut().and_then(|map| map.remove("labels"));
            let labels = labels.unwrap_or_default();
            assert_eq!(found, pod.metadata(), "{}", record["log"]);
            assert_eq!(labels["app.kubernetes.io/part-of"], json!("store/1"));
            assert!(is_label(&labels), "{record}");
        }
    }

    fn log(&self) -> String {
        self.agent.as_ref().map(Agent::stderr).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn end(mut self) {
        let ended = self.agent.take().unwrap().terminate(LIMIT);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    }
}
