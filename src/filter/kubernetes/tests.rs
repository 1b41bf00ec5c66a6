//! The filter as a whole: options, pods and records in, records out.

use super::*;
use crate::config::SectionKind;
use crate::parser::fixture::{self, JSON_WITH_TIME, batch, section, show};
use expect_test::{Expect, expect};
use std::fmt::Write as _;

const ID: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90";

/// A pod as the API writes it, shortened, with a container of each kind.
const POD: &str = r#"{"kind": "Pod", "apiVersion": "v1",
    "metadata": {"name": "web-0", "namespace": "shop", "uid": "11-22", "resourceVersion": "7",
        "labels": {"app": "web", "app.kubernetes.io/name": "shop/web", "odd\"\\": "tab\t"},
        "annotations": {"a/b": "c"},
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "web", "uid": "33", "controller": true}]},
    "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "never told"}]},
    "status": {"phase": "Running", "podIP": "10.0.0.1",
        "containerStatuses": [
            {"name": "side", "image": "side:1", "imageID": "docker.io/side@sha256:01", "containerID": "containerd://side-id"},
            {"name": "app", "image": "reg:5000/app:2", "imageID": "reg:5000/app@sha256:02", "containerID": "containerd://app-id"}],
        "initContainerStatuses": [{"name": "setup", "image": "setup:1", "imageID": "docker-pullable://setup@sha256:03", "containerID": null}],
        "ephemeralContainerStatuses": [{"name": "debug", "image": "sha256:04", "imageID": ""}]}}"#;

const NAMESPACE: &str =
    r#"{"metadata": {"name": "shop", "labels": {"team": "blue"}, "annotations": {"x": "y"}}}"#;

const PARSERS: &[&str] = &[
    JSON_WITH_TIME,
    "Name lf\n Format logfmt",
    "Name timed\n Format regex\n Regex ^(?<when>[^ ]+) (?<text>.*)$\n Time_Key when\n Time_Format %Y-%m-%dT%H:%M:%S%z",
    "Name tag\n Format regex\n Regex ^(?<namespace_name>[^.]+)\\.(?<pod_name>[^.]+)(\\.(?<container_name>[^.]+))?$",
];

/// A filter at work.
struct Rig {
    filter: Option<Kubernetes>,
    directory: Directory,
    parsers: Arc<Parsers>,
    metrics: Arc<FilterMetrics>,
    said: String,
}

impl Rig {
    /// Set up by these lines, with nothing in the directory, and nobody who would be asked.
    fn new(config: &str) -> Self {
        Self::over(config, Directory::default())
    }

    /// The same with this directory.
    fn over(config: &str, directory: Directory) -> Self {
        let mut diagnostics = Diagnostics::new();
        let parsers = Arc::new(fixture::parsers(PARSERS, &mut diagnostics));
        let mut section = section(SectionKind::Filter, config);
        section.set_title("kubernetes");
        let options = KubernetesOptions::read(&mut section, &mut diagnostics);
        let metrics = Arc::default();
        let filter = Kubernetes::build(
            &options,
            directory.clone(),
            &parsers,
            &metrics,
            &section,
            &mut diagnostics,
        );
        section.finish(&mut diagnostics);
        let said = diagnostics.to_string();
        let filter = filter.filter(|_| !diagnostics.has_errors());
        Self { filter, directory, parsers, metrics, said }
    }

    fn put(&self, pod: &str) {
        self.directory.put_pod(serde_json::from_str(pod).unwrap());
    }

    /// The records that are left of these lines.
    fn apply(&mut self, tag: &str, input: &str) -> String {
        let bump = Bump::new();
        let mut batch = batch(&self.parsers, "jt", input, &bump);
        batch.tag = Tag::new(tag);
        self.filter.as_mut().unwrap().apply(&mut batch);
        show(&batch)
    }
}

/// The tag of a container of the pod.
fn tag(container: &str) -> String {
    format!("kube.var.log.containers.web-0_shop_{container}-{ID}.log")
}

/// What there is to say of the lines `config`, then the records that become of `input` from the container `app` of a pod.
#[track_caller]
fn check_pod(pod: &str, config: &str, input: &str, expected: &Expect) {
    let mut rig = Rig::new(config);
    rig.put(pod);
    rig.directory.put_namespace(serde_json::from_str(NAMESPACE).unwrap());
    let mut shown = rig.said.clone();
    if rig.filter.is_some() {
        shown.push_str(&rig.apply(&tag("app"), input));
    }
    expected.assert_eq(&shown.replace(ID, "ID"));
}

/// The same of the pod above, of which little is added.
#[track_caller]
fn check(config: &str, input: &str, expected: &Expect) {
    check_pod(
        r#"{"metadata": {"name": "web-0", "namespace": "shop"}}"#,
        &format!("{config}\n Use_Tag_For_Meta off"),
        input,
        expected,
    );
}

/// Of a pod with these annotations, which are not added themselves.
#[track_caller]
fn check_annotations(annotations: &str, config: &str, input: &str, expected: &Expect) {
    let pod = format!(
        r#"{{"metadata": {{"name": "web-0", "namespace": "shop", "annotations": {{{annotations}}}}}}}"#
    );
    let config = format!("Merge_Log on\n Keep_Log off\n Annotations off\n {config}");
    check_pod(&pod, &config, input, expected);
}

#[test]
fn all_that_is_known_in_order() {
    check_pod(
        POD,
        "Owner_References on\n Namespace_Labels on\n Namespace_Annotations on",
        r#"{"log":"x","stream":"stdout"}"#,
        &expect![[r#"
            now {"log":"x","stream":"stdout","kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","labels":{"app":"web","app.kubernetes.io/name":"shop/web","odd\"\\":"tab\t"},"annotations":{"a/b":"c"},"ownerReferences":[{"apiVersion":"apps/v1","kind":"StatefulSet","name":"web","uid":"33","controller":true}],"host":"node-1","pod_ip":"10.0.0.1","container_name":"app","docker_id":"ID","container_hash":"reg:5000/app@sha256:02","container_image":"reg:5000/app:2"},"kubernetes_namespace":{"name":"shop","labels":{"team":"blue"},"annotations":{"x":"y"}}}
        "#]],
    );
}

#[test]
fn what_is_not_asked_for_is_left_out() {
    check_pod(
        POD,
        "Labels off\n Annotations off",
        r#"{"log":"x"}"#,
        &expect![[r#"
        now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","host":"node-1","pod_ip":"10.0.0.1","container_name":"app","docker_id":"ID","container_hash":"reg:5000/app@sha256:02","container_image":"reg:5000/app:2"}}
    "#]],
    );
    check_pod(
        POD,
        "Namespace_Labels on\n Namespace_Metadata_Only on",
        r#"{"log":"x"}"#,
        &expect![[r#"
            now {"log":"x","kubernetes_namespace":{"name":"shop","labels":{"team":"blue"}}}
        "#]],
    );
    check_pod(
        POD,
        "Namespace_Metadata_Only on\n Merge_Log on",
        r#"{"log":"{}"}"#,
        &expect![[r#"
        command line: warning: `Namespace_Metadata_Only` leaves nothing to do without `Namespace_Labels` or `Namespace_Annotations`
        now {"log":"{}"}
    "#]],
    );
}

#[test]
fn what_the_pod_does_not_have_is_left_out() {
    check(
        "",
        r#"{"log":"x"}"#,
        &expect![[r#"
        now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
    check_pod(
        r#"{"metadata": {"name": "web-0", "namespace": "shop", "labels": {}, "annotations": null},
            "status": {"containerStatuses": [{"name": "app", "image": "", "imageID": "", "containerID": "containerd://"}]}}"#,
        "",
        r#"{"log":"x"}"#,
        &expect![[r#"
            now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","labels":{},"container_name":"app","docker_id":"ID"}}
        "#]],
    );
}

#[test]
fn containers_of_every_kind() {
    let mut rig = Rig::new("Labels off\n Annotations off");
    rig.put(POD);
    let all =
        ["side", "setup", "debug", "other"].map(|name| rig.apply(&tag(name), r#"{"log":"x"}"#));
    expect![[r#"
        now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","host":"node-1","pod_ip":"10.0.0.1","container_name":"side","docker_id":"ID","container_hash":"docker.io/side@sha256:01","container_image":"side:1"}}
        now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","host":"node-1","pod_ip":"10.0.0.1","container_name":"setup","docker_id":"ID","container_hash":"setup@sha256:03","container_image":"setup:1"}}
        now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","host":"node-1","pod_ip":"10.0.0.1","container_name":"debug","docker_id":"ID","container_image":"sha256:04"}}
        now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","host":"node-1","pod_ip":"10.0.0.1","container_name":"other","docker_id":"ID"}}
    "#]].assert_eq(&all.concat().replace(ID, "ID"));
}

#[test]
fn fields_stand_behind_those_of_the_record() {
    check(
        "Merge_Log on",
        r#"{"kubernetes":"before","log":"{\"kubernetes\":\"merged\",\"log\":\"inner\",\"b\":1}","stream":"stderr","b":0}"#,
        &expect![[r#"
            now {"stream":"stderr","log":"inner","b":1,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        "#]],
    );
}

/// Everything that `log` may be.
const LOGS: &str = r#"{"log":"{\"a\":1.50,\"b\":{\"c\":[1,null]},\"d\":\"\\u00e9\\n\",\"e\":true}\n","x":1}
{"log":" { } "}
{"log":"text"}
{"log":"[1]"}
{"log":"{\"a\":1} rest"}
{"log":"{\"a\":1}{\"b\":2}"}
{"log":"{\"a\":}"}
{"log":""}
{"log":{"a":1,"b":"x\n"}}
{"log":[1]}
{"log":5}
{"x":1}
{}"#;

#[test]
fn a_log_is_left_alone() {
    check(
        "",
        LOGS,
        &expect![[r#"
        now {"log":"{\"a\":1.50,\"b\":{\"c\":[1,null]},\"d\":\"\\u00e9\\n\",\"e\":true}\n","x":1,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":" { } ","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"text","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"[1]","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"{\"a\":1} rest","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"{\"a\":1}{\"b\":2}","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"{\"a\":}","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":{"a":1,"b":"x\n"},"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":[1],"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":5,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"x":1,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
}

#[test]
fn a_log_of_json_is_merged() {
    check(
        "Merge_Log on",
        LOGS,
        &expect![[r#"
        now {"log":"{\"a\":1.50,\"b\":{\"c\":[1,null]},\"d\":\"\\u00e9\\n\",\"e\":true}\n","x":1,"a":1.50,"b":{"c":[1,null]},"d":"é","e":true,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":" { } ","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"text","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"[1]","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"{\"a\":1} rest","a":1,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"{\"a\":1}{\"b\":2}","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"{\"a\":}","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":{"a":1,"b":"x\n"},"a":1,"b":"x\n","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":[1],"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":5,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"x":1,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
}

#[test]
fn a_log_that_was_merged_need_not_be_kept() {
    check(
        "Merge_Log on\n Keep_Log off",
        LOGS,
        &expect![[r#"
        now {"x":1,"a":1.50,"b":{"c":[1,null]},"d":"é","e":true,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"text","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"[1]","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"a":1,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"{\"a\":1}{\"b\":2}","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"{\"a\":}","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"a":1,"b":"x\n","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":[1],"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":5,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"x":1,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
}

#[test]
fn a_log_is_merged_under_a_key() {
    check(
        "Merge_Log on\n Keep_Log off\n Merge_Log_Key app",
        LOGS,
        &expect![[r#"
        now {"x":1,"app":{"a":1.50,"b":{"c":[1,null]},"d":"é","e":true},"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"text","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"[1]","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"app":{"a":1},"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"{\"a\":1}{\"b\":2}","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"{\"a\":}","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"app":{"a":1,"b":"x\n"},"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":[1],"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":5,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"x":1,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
    check(
        "Merge_Log on\n Keep_Log off\n Merge_Log_Key kubernetes",
        r#"{"log":"{\"a\":1}"}"#,
        &expect![[r#"
            now {"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        "#]],
    );
}

#[test]
fn line_breaks_at_the_end_are_trimmed() {
    let input = r#"{"log":{"a":"not parsed\n"}}
{"log":"{\"a\":\"x\\n\\n\",\"b\":\"x\\\\n\\\\r\",\"c\":\"\\n\",\"d\":\"\\\\n\",\"e\":\"x\\r\\n\",\"f\":\"\",\"g\":\"plain n\",\"h\":\"x\\u000a\",\"i\":[\"x\\n\"],\"j\":\"x\\\\a\"}"}"#;
    check(
        "Merge_Log on\n Keep_Log off",
        input,
        &expect![[r#"
        now {"a":"not parsed\n","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"a":"x","b":"x","c":"\n","d":"","e":"x\r","f":"","g":"plain n","h":"x","i":["x\n"],"j":"x\\a","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
    check(
        "Merge_Log on\n Keep_Log off\n Merge_Log_Trim off",
        input,
        &expect![[r#"
        now {"a":"not parsed\n","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"a":"x\n\n","b":"x\\n\\r","c":"\n","d":"\\n","e":"x\r\n","f":"","g":"plain n","h":"x\u000a","i":["x\n"],"j":"x\\a","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
}

#[test]
fn a_parser_may_read_the_log() {
    let input = r#"{"log":"k=v n=\"a b\""}
{"log":"{\"a\":1}"}"#;
    check(
        "Merge_Log on\n Keep_Log off\n Merge_Parser lf",
        input,
        &expect![[r#"
        now {"k":"v","n":"a b","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"{":true,"a":true,":1}":true,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
    let input = r#"{"t":"2024-03-01T10:00:00Z","log":"2020-01-02T03:04:05Z of the line"}
{"t":"2024-03-01T10:00:00Z","log":"{\"a\":1}"}
{"t":"2024-03-01T10:00:00Z","log":"when? never"}"#;
    check(
        "Merge_Log on\n Keep_Log off\n Merge_Parser timed",
        input,
        &expect![[r#"
        2020-01-02T03:04:05Z {"text":"of the line","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        2024-03-01T10:00:00Z {"log":"{\"a\":1}","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        2024-03-01T10:00:00Z {"text":"never","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
    check(
        "Merge_Log on\n Merge_Parser timd",
        r#"{"log":"{\"a\":1}"}"#,
        &expect![[r#"
        command line: warning: `Merge_Parser`: there is no parser `timd`; did you mean `timed`?; `log` is read as JSON
        now {"log":"{\"a\":1}","a":1,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
    check(
        "Merge_Parser lf\n Keep_Log off\n Merge_Log_Key x\n K8S-Logging.Parser on",
        "{}",
        &expect![[r#"
            command line: warning: `Merge_Log_Key` has no effect without `Merge_Log on`
            command line: warning: `Merge_Parser` has no effect without `Merge_Log on`
            command line: warning: `Keep_Log` has no effect without `Merge_Log on`
            command line: warning: `K8S-Logging.Parser` has no effect without `Merge_Log on`
            now {"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        "#]],
    );
}

#[test]
fn a_pod_names_its_parser() {
    let input = r#"{"log":"a=1","stream":"stdout"}
{"log":"a=1","stream":"stderr"}
{"log":"a=1","stream":"other"}
{"log":"a=1"}
{"log":"{\"b\":2}"}"#;
    let on = "K8S-Logging.Parser on";
    check_annotations(
        r#""fluentbit.io/parser":"lf""#,
        on,
        input,
        &expect![[r#"
        now {"stream":"stdout","a":"1","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"stream":"stderr","a":"1","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"stream":"other","a":"1","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"a":"1","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"{":true,"b":true,":2}":true,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
    check_annotations(
        r#""fluentbit.io/parser":"lf""#,
        "",
        input,
        &expect![[r#"
        now {"log":"a=1","stream":"stdout","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"a=1","stream":"stderr","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"a=1","stream":"other","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"a=1","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"b":2,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
    check_annotations(
        r#""fluentbit.io/parser_stdout":"lf""#,
        on,
        input,
        &expect![[r#"
        now {"stream":"stdout","a":"1","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"a=1","stream":"stderr","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"a=1","stream":"other","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"a=1","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"b":2,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
    check_annotations(
        r#""fluentbit.io/parser-app":"lf""#,
        on,
        r#"{"log":"a=1","stream":"stdout"}"#,
        &expect![[r#"
            now {"stream":"stdout","a":"1","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        "#]],
    );
    check_annotations(
        r#""fluentbit.io/parser_stderr-side":"lf""#,
        on,
        r#"{"log":"a=1","stream":"stderr"}"#,
        &expect![[r#"
            now {"log":"a=1","stream":"stderr","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        "#]],
    );
}

/// What the annotations say of the streams of the container `app`: the parser of each, and whether it is left out.
#[track_caller]
fn check_wishes(annotations: &[(&str, &str)], expected: &str) {
    let mut rig = Rig::new("Merge_Log on\n K8S-Logging.Parser on\n K8S-Logging.Exclude on");
    let pairs = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let mut pod = Pod::default();
    pod.metadata.annotations = Some(object::Pairs(pairs.collect()));
    let origin = Origin { container: Some("app".to_owned()), ..Origin::default() };
    let wishes = rig.filter.as_mut().unwrap().finder.annotations.read(&pod, &origin);
    let shown = [Stream::Stdout, Stream::Stderr, Stream::Unknown].map(|stream| {
        let parser = wishes.parser(stream).map_or("-", |parser| parser.name());
        format!("{parser}{}", if wishes.excludes(stream) { " out" } else { "" })
    });
    assert_eq!(shown.join(", "), expected, "{annotations:?}");
    let is_excluded = wishes.excludes(Stream::Stdout) || wishes.excludes(Stream::Stderr);
    assert_eq!(wishes.excludes_nothing(), !is_excluded);
}

#[test]
fn which_annotations_count() {
    check_wishes(&[], "-, -, -");
    check_wishes(&[("fluentbit.io/parser", "lf")], "lf, lf, lf");
    check_wishes(&[("fluentbit.io/parser_stderr", "lf")], "-, lf, -");
    check_wishes(&[("fluentbit.io/parser-app", "lf")], "lf, lf, lf");
    check_wishes(&[("fluentbit.io/parser-other", "lf")], "-, -, -");
    // What is said of one container goes before, in either order; of what is said of all, the first counts.
    let (all, one) = (("fluentbit.io/parser", "jt"), ("fluentbit.io/parser_stdout-app", "lf"));
    check_wishes(&[all, one], "lf, jt, -");
    check_wishes(&[one, all], "lf, jt, -");
    check_wishes(&[all, ("fluentbit.io/parser_stdout", "lf")], "jt, jt, jt");
    check_wishes(&[("fluentbit.io/parser-app", "jt"), one], "lf, jt, -");
    check_wishes(
        &[("fluentbit.io/parser", "lg"), ("fluentbit.io/parser_stderr", "lf")],
        "-, lf, -",
    );
    // Ours go before.
    let ours = ("tailwater.io/parser_stdout", "timed");
    check_wishes(&[ours], "timed, -, -");
    check_wishes(&[all, one, ours], "timed, jt, -");
    check_wishes(&[("tailwater.io/parser", "missing"), all], "jt, jt, jt");
    for yes in ["true", "on", "yes", "TRUE", "Yes"] {
        check_wishes(&[("fluentbit.io/exclude", yes)], "- out, - out, - out");
    }
    for no in ["false", "off", "no", "1", "", "truex", " true"] {
        check_wishes(&[("fluentbit.io/exclude", no)], "-, -, -");
    }
    check_wishes(&[("fluentbit.io/exclude_stdout", "true")], "- out, -, -");
    let but = ("fluentbit.io/exclude-app", "false");
    check_wishes(&[("fluentbit.io/exclude", "true"), but], "-, -, -");
    check_wishes(
        &[("fluentbit.io/exclude", "true"), ("tailwater.io/exclude_stderr", "no")],
        "- out, -, -",
    );
    for odd in
        ["", "parsers", "parser_", "parser_out", "parser_stdoutx", "parser-", "exclud", "pars"]
    {
        check_wishes(&[(&format!("fluentbit.io/{odd}"), "lf")], "-, -, -");
    }
}

#[test]
fn a_pod_is_left_out() {
    let input = r#"{"log":"1","stream":"stdout"}
{"log":"2","stream":"stderr"}
{"log":"3"}"#;
    let on = "K8S-Logging.Exclude on";
    check_annotations(r#""fluentbit.io/exclude":"true""#, on, input, &expect![""]);
    check_annotations(
        r#""fluentbit.io/exclude":"true""#,
        "",
        input,
        &expect![[r#"
        now {"log":"1","stream":"stdout","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"2","stream":"stderr","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"3","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
    check_annotations(
        r#""fluentbit.io/exclude_stderr":"true""#,
        on,
        input,
        &expect![[r#"
        now {"log":"1","stream":"stdout","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
        now {"log":"3","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
}

#[test]
fn a_missing_parser_is_counted_once_for_its_pod() {
    let mut rig = Rig::new("Merge_Log on\n K8S-Logging.Parser on");
    let pod = |name: &str| {
        format!(
            r#"{{"metadata": {{"name": "{name}", "namespace": "shop", "annotations": {{"fluentbit.io/parser": "lg", "x": "y"}}}}}}"#
        )
    };
    rig.put(&pod("web-0"));
    for container in ["app", "side", "app"] {
        rig.apply(&tag(container), "{}\n{}");
    }
    assert_eq!(rig.metrics.missing_parsers.value(), 1);
    // It changes, and is still the same pod.
    rig.put(&pod("web-0"));
    rig.apply(&tag("app"), "{}");
    assert_eq!(rig.metrics.missing_parsers.value(), 1);
    rig.put(&pod("web-1"));
    rig.apply(&tag("app").replace("web-0", "web-1"), "{}");
    assert_eq!(rig.metrics.missing_parsers.value(), 2);
}

#[test]
fn records_without_metadata_go_on_and_are_counted() {
    let mut rig = Rig::new("Merge_Log on");
    let input = "{\"log\":\"{\\\"a\\\":1}\"}\n{\"log\":\"text\"}";
    let mut shown = String::new();
    for tag in [&*tag("app"), "kube.var.log.containers.other.log", "kube", ""] {
        let records = rig.apply(tag, input);
        let counted = rig.metrics.records_without_metadata.value();
        writeln!(shown, "{tag}\n{records}{counted}").unwrap();
    }
    expect![[r#"
        kube.var.log.containers.web-0_shop_app-ID.log
        now {"log":"{\"a\":1}","a":1}
        now {"log":"text"}
        2
        kube.var.log.containers.other.log
        now {"log":"{\"a\":1}"}
        now {"log":"text"}
        4
        kube
        now {"log":"{\"a\":1}"}
        now {"log":"text"}
        6

        now {"log":"{\"a\":1}"}
        now {"log":"text"}
        8
    "#]]
    .assert_eq(&shown.replace(ID, "ID"));
    assert_eq!(rig.metrics.unmerged_records.value(), 1);
}

#[test]
fn json_that_was_repaired_is_counted() {
    let mut rig = Rig::new("Merge_Log on");
    rig.apply(&tag("app"), r#"{"log":"{\"a\":\"x\ty\"}"}"#);
    assert_eq!(rig.metrics.repaired_json.value(), 1);
}

#[test]
fn what_changes_is_seen() {
    let mut rig = Rig::new("Annotations off");
    let input = "{\"log\":\"x\"}";
    let mut shown = String::new();
    let pod = |labels: &str| {
        format!(r#"{{"metadata": {{"name": "web-0", "namespace": "shop", "labels": {labels}}}}}"#)
    };
    shown.push_str(&rig.apply(&tag("app"), input));
    rig.put(&pod(r#"{"a": "1"}"#));
    shown.push_str(&rig.apply(&tag("app"), input));
    rig.put(&pod(r#"{"a": "2"}"#));
    shown.push_str(&rig.apply(&tag("app"), input));
    rig.put(&POD.replace("web-0", "other"));
    shown.push_str(&rig.apply(&tag("app"), input));
    expect![[r#"
        now {"log":"x"}
        now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","labels":{"a":"1"},"container_name":"app","docker_id":"ID"}}
        now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","labels":{"a":"2"},"container_name":"app","docker_id":"ID"}}
        now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","labels":{"a":"2"},"container_name":"app","docker_id":"ID"}}
    "#]].assert_eq(&shown.replace(ID, "ID"));
}

#[test]
fn what_did_not_change_is_not_made_again() {
    let mut rig = Rig::new("");
    rig.put(POD);
    let filter = rig.filter.as_mut().unwrap();
    let first = filter.container(&tag("app")).unwrap();
    rig.directory.put_pod(Pod::default());
    let second = filter.container(&tag("app")).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
}

#[test]
fn the_filter_does_not_remember_any_number_of_containers() {
    let mut rig = Rig::new("");
    let filter = rig.filter.as_mut().unwrap();
    for number in 0..CONTAINERS_MAX + 2 {
        filter.container(&tag(&number.to_string()));
    }
    assert_eq!(filter.containers.len(), 2);
}

/// The status tells of the new container only; the old one's file is not read to its end yet.
#[test]
fn a_container_that_is_started_anew_is_known_while_its_pod_is_asked_for() {
    let (directory, _wants) = Directory::asking(Arc::default());
    let mut rig = Rig::over("", directory);
    let pod = |container_id| serde_json::from_str(&POD.replace("app-id", container_id)).unwrap();
    rig.directory.put_watched(pod(ID));
    let before = rig.apply(&tag("app"), r#"{"log":"x"}"#);
    assert!(before.contains(r#""host":"node-1""#), "{before}");
    rig.directory.put_watched(pod("next-id"));
    assert!(!rig.filter.as_mut().unwrap().awaits(&Tag::new(&tag("app"))));
    assert_eq!(rig.apply(&tag("app"), r#"{"log":"x"}"#), before);
}

#[test]
fn the_tag_alone() {
    check_pod(
        POD,
        "Use_Tag_For_Meta on\n Namespace_Labels on",
        r#"{"log":"x"}"#,
        &expect![[r#"
        now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","container_name":"app","docker_id":"ID"}}
    "#]],
    );
    let mut rig = Rig::new("Use_Tag_For_Meta on");
    rig.apply(&tag("app"), "{}");
    assert_eq!(rig.metrics.records_without_metadata.value(), 0);
    assert!(!rig.filter.as_mut().unwrap().awaits(&Tag::new(&tag("app"))));
}

#[test]
fn a_parser_may_read_the_tag() {
    let mut rig = Rig::new("Regex_Parser tag\n Kube_Tag_Prefix k.\n Labels off\n Annotations off");
    rig.put(POD);
    let tags = ["k.shop.web-0.app", "k.shop.web-0", "k.shop.web-1", "k.shop", "x"];
    let shown = tags.map(|tag| rig.apply(tag, r#"{"log":"x"}"#));
    expect![[r#"
        now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","host":"node-1","pod_ip":"10.0.0.1","container_name":"app","docker_id":"app-id","container_hash":"reg:5000/app@sha256:02","container_image":"reg:5000/app:2"}}
        now {"log":"x","kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","host":"node-1","pod_ip":"10.0.0.1"}}
        now {"log":"x"}
        now {"log":"x"}
        now {"log":"x"}
    "#]].assert_eq(&shown.concat());
    for config in ["Regex_Parser lf", "Regex_Parser tags"] {
        let rig = Rig::new(config);
        assert!(rig.filter.is_none());
        assert!(!rig.said.contains("warning"), "{}", rig.said);
    }
}

#[test]
fn entries_of_the_journal() {
    let mut rig = Rig::new("Use_Journal on\n Labels off\n K8S-Logging.Exclude on");
    rig.put(POD);
    rig.put(
        r#"{"metadata": {"name": "db-0", "namespace": "shop", "annotations": {"fluentbit.io/exclude": "yes"}}}"#,
    );
    let shown = rig.apply(
        "journal",
        r#"{"CONTAINER_NAME":"k8s_app.abc_web-0_shop_11-22_0","n":1}
{"CONTAINER_NAME":"k8s_app.abc_web-0_shop_11-22_0","n":2}
{"CONTAINER_NAME":"k8s_db_db-0_shop_11-23_0","n":3}
{"CONTAINER_NAME":"k8s_side_web-0_shop_11-22_0","n":4}
{"CONTAINER_NAME":"k8s_app_gone-0_shop_11-24_0","n":5}
{"CONTAINER_NAME":"registry","n":6}
{"CONTAINER_NAME":7,"n":7}
{"n":8}"#,
    );
    expect![[r#"
        now {"CONTAINER_NAME":"k8s_app.abc_web-0_shop_11-22_0","n":1,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","annotations":{"a/b":"c"},"host":"node-1","pod_ip":"10.0.0.1","container_name":"app","docker_id":"app-id","container_hash":"abc","container_image":"reg:5000/app:2"}}
        now {"CONTAINER_NAME":"k8s_app.abc_web-0_shop_11-22_0","n":2,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","annotations":{"a/b":"c"},"host":"node-1","pod_ip":"10.0.0.1","container_name":"app","docker_id":"app-id","container_hash":"abc","container_image":"reg:5000/app:2"}}
        now {"CONTAINER_NAME":"k8s_side_web-0_shop_11-22_0","n":4,"kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","annotations":{"a/b":"c"},"host":"node-1","pod_ip":"10.0.0.1","container_name":"side","docker_id":"side-id","container_hash":"docker.io/side@sha256:01","container_image":"side:1"}}
        now {"CONTAINER_NAME":"k8s_app_gone-0_shop_11-24_0","n":5}
        now {"CONTAINER_NAME":"registry","n":6}
        now {"CONTAINER_NAME":7,"n":7}
        now {"n":8}
    "#]].assert_eq(&shown);
    assert_eq!(rig.metrics.records_without_metadata.value(), 4);
    assert!(!rig.filter.as_mut().unwrap().awaits(&Tag::new("journal")));
}

#[test]
fn dummy_metadata_is_the_time() {
    let mut rig = Rig::new("Dummy_Meta on\n Merge_Log on\n Keep_Log off");
    let shown = rig.apply("any", r#"{"log":"{\"a\":1}"}"#);
    let time = shown
        .strip_prefix("now {\"a\":1,\"kubernetes\":{\"dummy\":\"")
        .and_then(|rest| rest.strip_suffix("\"}}\n"))
        .unwrap();
    // `Sun Nov  2 00:14:09 2025`
    assert_eq!(time.len(), 24, "{time}");
    assert!(jiff::civil::DateTime::strptime("%a %b %e %H:%M:%S %Y", time).is_ok(), "{time}");
}

#[test]
fn what_is_in_files_is_not_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("shop_web-0.meta", &POD.replace("web-0", "whatever it says"));
    write("shop_web-1.meta", "no json");
    write("shop_web-2.meta", "{}");
    write("shop.namespace_meta", NAMESPACE);
    write("readme", "");
    let mut rig = Rig::new(&format!(
        "Kube_meta_preload_cache_dir {}\n Namespace_Labels on\n Labels off\n Annotations off",
        folder.path().display()
    ));
    rig.put(r#"{"metadata": {"name": "web-3", "namespace": "shop", "uid": "of the API"}}"#);
    let mut shown = rig.said.replace(folder.path().to_str().unwrap(), "DIR");
    for pod in ["web-0", "web-1", "web-2", "web-3"] {
        shown.push_str(&rig.apply(&tag("app").replace("web-0", pod), "{}"));
    }
    expect![[r#"
        command line: warning: cannot read `DIR/shop_web-1.meta`: expected ident at line 1 column 2
        now {"kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","host":"node-1","pod_ip":"10.0.0.1","container_name":"app","docker_id":"ID","container_hash":"reg:5000/app@sha256:02","container_image":"reg:5000/app:2"},"kubernetes_namespace":{"name":"shop","labels":{"team":"blue"}}}
        now {"kubernetes_namespace":{"name":"shop","labels":{"team":"blue"}}}
        now {"kubernetes":{"pod_name":"web-2","namespace_name":"shop","container_name":"app","docker_id":"ID"},"kubernetes_namespace":{"name":"shop","labels":{"team":"blue"}}}
        now {"kubernetes":{"pod_name":"web-3","namespace_name":"shop","pod_id":"of the API","container_name":"app","docker_id":"ID"},"kubernetes_namespace":{"name":"shop","labels":{"team":"blue"}}}
    "#]].assert_eq(&shown.replace(ID, "ID"));
    assert!(Rig::new("Kube_meta_preload_cache_dir /does/not/exist").said.contains("warning"));
}

#[test]
fn files_of_the_kubelet_list_pods() {
    let folder = tempfile::tempdir().unwrap();
    let list = format!(r#"{{"kind": "PodList", "metadata": {{}}, "items": [{POD}]}}"#);
    for name in ["shop_web-0.meta", "shop_web-1.meta"] {
        std::fs::write(folder.path().join(name), &list).unwrap();
    }
    let dir = folder.path().display();
    let mut rig = Rig::new(&format!(
        "Kube_meta_preload_cache_dir {dir}\n Use_Kubelet on\n Labels off\n Annotations off"
    ));
    let mut shown = rig.said.replace(folder.path().to_str().unwrap(), "DIR");
    for pod in ["web-0", "web-1"] {
        shown.push_str(&rig.apply(&tag("app").replace("web-0", pod), "{}"));
    }
    expect![[r#"
        command line: warning: cannot read `DIR/shop_web-1.meta`: it lists no pod of its name
        now {"kubernetes":{"pod_name":"web-0","namespace_name":"shop","pod_id":"11-22","host":"node-1","pod_ip":"10.0.0.1","container_name":"app","docker_id":"ID","container_hash":"reg:5000/app@sha256:02","container_image":"reg:5000/app:2"}}
        now {}
    "#]].assert_eq(&shown.replace(ID, "ID"));
}

#[test]
fn what_cannot_be_meant() {
    let said = |config: &str| {
        let rig = Rig::new(config);
        format!("{}{}\n", rig.said, if rig.filter.is_some() { "runs" } else { "does not run" })
    };
    let all = [
        "Kube_URL ftp://x",
        "Kube_URL x\n Use_Tag_For_Meta on",
        "Kube_URL https://x:y",
        "Regex_Parser lf",
        "Regex_Parser tagg",
        "Merge_Log on\n Merge_Parser lff",
        "Merge_Lgo on",
        "aws_use_pod_association on",
        "aws_use_pod_association off",
        "Buffer_Size 0\n Cache_Use_Docker_Id on",
        "tls.ca_file x",
    ];
    expect![[r#"
        command line: `Kube_URL` does not begin with `http://` or `https://`
        does not run
        runs
        command line: warning: `Kube_URL` has no port from 0 to 65535 behind its `:`, so nothing is asked of the API
        runs
        command line: `Regex_Parser`: parser `lf` is not `Format regex`
        does not run
        command line: `Regex_Parser`: there is no parser `tagg`; did you mean `tag`?
        does not run
        command line: warning: `Merge_Parser`: there is no parser `lff`; did you mean `lf`?; `log` is read as JSON
        runs
        command line: `kubernetes` has no property `Merge_Lgo`; did you mean `Merge_Log`?
        does not run
        command line: `aws_use_pod_association` of `kubernetes` is not supported: CloudWatch's names of services are not looked up
            aws_use_pod_association on
        does not run
        runs
        command line: note: `Buffer_Size` of `kubernetes` has no effect: an answer is read as it comes, whatever its size
            Buffer_Size 0
        command line: note: `Cache_Use_Docker_Id` of `kubernetes` has no effect: a container that is started anew is always told from the one before
            Cache_Use_Docker_Id on
        runs
        command line: `kubernetes` has no property `tls.ca_file`
        does not run
    "#]].assert_eq(&all.map(said).concat());
}

#[test]
fn an_accessor_finds_what_is_added() {
    use crate::filter::grep::{Grep, GrepOptions};
    let mut rig = Rig::new("Owner_References on");
    rig.put(POD);
    let bump = Bump::new();
    let check = |rule: &str, expected: usize| {
        let mut section = section(SectionKind::Filter, rule);
        let mut diagnostics = Diagnostics::new();
        let options = GrepOptions::read(&mut section, &mut diagnostics);
        let mut grep = Grep::build(&options, &mut diagnostics);
        let mut batch = batch(&rig.parsers, "jt", "{}", &bump);
        batch.tag = Tag::new(&tag("app"));
        rig.filter.as_mut().unwrap().apply(&mut batch);
        grep.apply(&mut batch);
        assert_eq!(batch.records.len(), expected, "{rule}");
    };
    let mut check = check;
    check("Regex $kubernetes['pod_name'] ^web-0$", 1);
    check("Regex $kubernetes['labels']['app'] ^web$", 1);
    check("Regex $kubernetes['labels']['odd\"\\'] \t", 1);
    check("Regex $kubernetes['labels']['none'] .", 0);
    check("Regex $kubernetes['labels'] .", 0);
    check("Regex $kubernetes['labels'][0] .", 0);
    check("Regex $kubernetes['pod_name']['x'] .", 0);
    check("Regex $kubernetes['ownerReferences'][0]['kind'] ^StatefulSet$", 1);
    check("Regex $kubernetes['ownerReferences'][1]['kind'] .", 0);
    check("Regex $kubernetes .", 0);
}
