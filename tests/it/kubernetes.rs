//! The `kubernetes` filter and what asks the API for it, through the whole agent, against an API server that fails on
//! purpose.

use crate::tls::{Authority, front};
use crate::{LIMIT, Place, SERVICE, es, tail, wait_for};
use std::fs;
use std::time::{Duration, Instant};
use tailwater_testing::{Agent, BulkStore, Fault, Faults, Kubernetes, pause, until};

/// An API, a store, and a folder of containers' files between them.
struct Scene {
    api: Kubernetes,
    store: BulkStore,
    place: Place,
}

impl Scene {
    fn new(node: &str) -> Self {
        Self::with(node, |port| (format!("http://127.0.0.1:{port}"), String::new()))
    }

    /// `server` says where the API on this port is to be found, and what else the filter has.
    fn with(node: &str, server: impl FnOnce(u16) -> (String, String)) -> Self {
        let api = Kubernetes::start("one");
        let store = BulkStore::start(Faults::default());
        let (url, more) = server(api.port());
        let place = Place::new("");
        let folder = place.path("containers");
        fs::create_dir(&folder).unwrap();
        let dotted = folder.to_str().unwrap().trim_start_matches('/').replace('/', ".");
        let filter = format!(
            "\n[FILTER]\n    Name kubernetes\n    Match kube.*\n    Kube_URL {url}\n    Kube_Token_File \
             @DIR@/token\n    Kube_Tag_Prefix kube.{dotted}.\n    {node}\n{more}\n"
        );
        let input = tail("@DIR@/containers/*.log", "");
        place.configure(&[SERVICE, &input, &filter, &es(store.port(), "")].concat());
        place.write("token", b"one\n");
        Self { api, store, place }
    }

    fn file(&self, pod: &str, container: &str) -> std::path::PathBuf {
        self.place.path(&format!("containers/{pod}_ns_main-{container}.log"))
    }

    /// Appends a line to a container's file.
    fn log(&self, pod: &str, container: &str, line: &str) {
        let path = self.file(pod, container);
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes()).unwrap();
    }

    /// What is stored, in the order of the lines: line, pod's id, its label `app`; `-` where there is no metadata.
    fn stored(&self) -> Vec<String> {
        let documents = self.store.documents();
        let shown = documents.iter().map(|document| {
            let fields = document.fields();
            let text = |pointer: &str| {
                fields.pointer(pointer).and_then(|it| it.as_str()).unwrap_or("-").to_owned()
            };
            let pod = text("/kubernetes/pod_id");
            [text("/log"), pod, text("/kubernetes/labels/app")].join(" ")
        });
        let mut shown: Vec<_> = shown.collect();
        shown.sort();
        shown
    }

    #[track_caller]
    fn expect(&self, agent: &Agent, expected: &[&str]) {
        wait_for(&self.store, expected.len() as u64, agent);
        assert_eq!(self.stored(), expected, "the agent said:\n{}", agent.stderr());
    }
}

const WATCHED: &str = "tailwater.node_name node-1";

/// The id of a container.
fn id(number: u32) -> String {
    format!("{number:064x}")
}

#[track_caller]
fn wait_until(agent: &Agent, met: impl FnMut() -> bool) {
    assert!(until(LIMIT, met), "the agent said:\n{}", agent.stderr());
}

#[test]
fn two_hundred_pods_cost_one_list_and_one_watch() {
    let scene = Scene::new(WATCHED);
    let names: Vec<_> = (0..200).map(|number| format!("pod-{number:03}")).collect();
    for (number, name) in (0..).zip(&names) {
        scene.api.put_pod("ns", name, &format!("uid-{name}"), "app", &[&id(number)]);
        scene.log(name, &id(number), name);
    }
    let agent = scene.place.start();
    wait_for(&scene.store, 200, &agent);
    let expected: Vec<_> = names.iter().map(|name| format!("{name} uid-{name} app")).collect();
    assert_eq!(scene.stored(), expected);
    assert_eq!(scene.api.counts(), (1, 1, 0), "{:?}", scene.api.requests());
}

#[test]
fn pods_come_change_and_go_while_their_files_are_written() {
    let scene = Scene::new(WATCHED);
    let [one, two, three] = [id(1), id(2), id(3)];
    let agent = scene.place.start();
    wait_until(&agent, || scene.api.counts() == (1, 1, 0));
    // The file is there before the API tells of its pod.
    scene.log("web-0", &one, "a");
    pause(Duration::from_millis(300));
    assert_eq!(scene.store.count(), 0);
    scene.api.put_pod("ns", "web-0", "old", "red", &[&one]);
    scene.expect(&agent, &["a old red"]);
    scene.api.put_pod("ns", "web-0", "old", "blue", &[&one]);
    // Another pod tells that the one before was seen.
    scene.api.put_pod("ns", "mark", "mark", "mark", &[&three]);
    scene.log("mark", &three, "b");
    wait_for(&scene.store, 2, &agent);
    scene.log("web-0", &one, "c");
    scene.expect(&agent, &["a old red", "b mark mark", "c old blue"]);
    // Its successor has its name, and a file of the one before is still read.
    scene.api.delete_pod("ns", "web-0");
    scene.log("web-0", &two, "d");
    scene.api.put_pod("ns", "web-0", "new", "green", &[&two]);
    wait_for(&scene.store, 4, &agent);
    scene.log("web-0", &one, "e");
    let expected = ["a old red", "b mark mark", "c old blue", "d new green", "e old blue"];
    scene.expect(&agent, &expected);
    // One that lives shorter than it takes to look.
    scene.log("job", &id(9), "f");
    scene.api.put_pod("ns", "job", "job", "job", &[&id(9)]);
    pause(Duration::from_millis(200));
    scene.api.delete_pod("ns", "job");
    fs::remove_file(scene.file("job", &id(9))).unwrap();
    wait_for(&scene.store, 6, &agent);
    assert_eq!(scene.stored().pop().unwrap(), "f job job");
    assert_eq!(scene.api.counts(), (1, 1, 0), "{:?}", scene.api.requests());
}

#[test]
fn a_watch_goes_on_through_410_garbage_and_an_api_that_starts_anew() {
    let scene = Scene::new(WATCHED);
    let agent = scene.place.start();
    let mut expected = Vec::new();
    let mut check = |number: u32| {
        let (name, container) = (format!("pod-{number}"), id(number));
        scene.api.put_pod("ns", &name, &name, "app", &[&container]);
        scene.log(&name, &container, &name);
        expected.push(format!("{name} {name} app"));
        wait_for(&scene.store, expected.len() as u64, &agent);
        assert_eq!(scene.stored(), expected, "the agent said:\n{}", agent.stderr());
    };
    check(1);
    scene.api.forget();
    check(2);
    scene.api.end_watches();
    check(3);
    scene.api.send_to_watches("{\"type\":\"ADDED\",\"object\":[\"hunter2\"]}");
    check(4);
    scene.api.stop();
    pause(Duration::from_millis(300));
    scene.api.resume();
    check(5);
    assert!(!agent.stderr().contains("hunter2"));
}

/// With `fault`, logs flow on without metadata, and the reason is said once.
fn check_fault(fault: Fault, told: &[&str]) {
    let scene = Scene::new(WATCHED);
    scene.api.set_fault(fault);
    scene.log("pod", &id(1), "a");
    let agent = scene.place.start();
    scene.expect(&agent, &["a - -"]);
    for told in told {
        let count = agent.stderr().matches(told).count();
        assert_eq!(count, 1, "{told}: {}", agent.stderr());
    }
    // What waits for nothing goes on at once.
    let began = Instant::now();
    scene.log("pod", &id(1), "b");
    wait_for(&scene.store, 2, &agent);
    assert!(began.elapsed() < LIMIT / 2);
    assert!(!agent.stderr().contains("Bearer"));
}

#[test]
fn an_api_that_answers_garbage_holds_nothing_up() {
    check_fault(Fault::Garbage, &["an answer that is none of a Kubernetes API"]);
}

#[test]
fn an_api_that_hangs_holds_nothing_up_for_long() {
    check_fault(Fault::Hang, &["no answer within"]);
}

#[test]
fn without_any_right_it_is_said_which_are_missing() {
    check_fault(
        Fault::NoRight,
        &[
            "grant the ServiceAccount `list` and `watch` on `pods`",
            "grant the ServiceAccount `get`",
        ],
    );
}

#[test]
fn without_the_right_to_list_pods_are_asked_for_one_by_one() {
    let scene = Scene::new(WATCHED);
    scene.api.set_fault(Fault::NoList);
    scene.api.put_pod("ns", "pod", "uid", "app", &[&id(1)]);
    scene.log("pod", &id(1), "a");
    scene.log("gone", &id(2), "b");
    let agent = scene.place.start();
    scene.expect(&agent, &["a uid app", "b - -"]);
    assert!(agent.stderr().contains("cannot list resource \"pods\" in API group"));
    assert_eq!(scene.api.counts(), (1, 0, 2), "{:?}", scene.api.requests());
}

#[test]
fn a_token_that_was_renewed_is_read_again_at_once() {
    let scene = Scene::new("Kube_Token_TTL 1h");
    scene.api.put_pod("ns", "one", "1", "app", &[&id(1)]);
    scene.api.put_pod("ns", "two", "2", "app", &[&id(2)]);
    scene.log("one", &id(1), "a");
    let agent = scene.place.start();
    scene.expect(&agent, &["a 1 app"]);
    scene.place.write("token", b"two\n");
    scene.api.set_token("two");
    scene.log("two", &id(2), "b");
    scene.expect(&agent, &["a 1 app", "b 2 app"]);
    assert!(!agent.stderr().contains("401"), "{}", agent.stderr());
}

#[test]
fn a_foreign_certificate_is_not_trusted_and_ours_is() {
    let (ours, foreign) = (Authority::new(), Authority::new());
    let check = |trusted: &Authority, expected: &str| {
        let scene = Scene::with(WATCHED, |port| {
            let port = front(ours.acceptor(2999, None), port);
            let more = "    Kube_CA_File @DIR@/ca.pem\n".to_owned();
            (format!("https://localhost:{port}"), more)
        });
        scene.place.write("ca.pem", trusted.pem().as_bytes());
        scene.api.put_pod("ns", "pod", "uid", "app", &[&id(1)]);
        scene.log("pod", &id(1), "a");
        let agent = scene.place.start();
        scene.expect(&agent, &[expected]);
        agent.terminate(LIMIT).stderr
    };
    check(&ours, "a uid app");
    let told = check(&foreign, "a - -");
    assert!(
        told.contains("the Kubernetes API does not say what it is asked: no connection"),
        "{told}"
    );
}

#[test]
fn what_waits_for_its_pod_when_it_stops_is_read_after_the_next_start() {
    let scene = Scene::new(WATCHED);
    scene.api.set_fault(Fault::Hang);
    scene.log("pod", &id(1), "a");
    let agent = scene.place.start();
    wait_until(&agent, || !scene.api.requests().is_empty());
    let ended = agent.terminate(LIMIT);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(scene.store.count(), 0);
    scene.api.set_fault(Fault::None);
    scene.api.put_pod("ns", "pod", "uid", "app", &[&id(1)]);
    scene.log("pod", &id(1), "b");
    let agent = scene.place.start();
    scene.expect(&agent, &["a uid app", "b uid app"]);
}
