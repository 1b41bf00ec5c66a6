//! What `config/kubernetes` puts into a cluster, by kustomize and by Helm, before a real API server.

use crate::cluster::{Cluster, NODE, Pod};
use crate::{ARRIVAL_MAX, turn};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tailwater_testing::{Agent, BulkStore, Document, Faults, free_port, readme_commands, until};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A cluster that knows the kinds of the Prometheus Operator, and what people put manifests into it with.
struct Site {
    cluster: Cluster,
    tools: PathBuf,
}

impl Site {
    fn start() -> Self {
        let mut script = Command::new(Path::new(ROOT).join("tests/servers/kube/tools.sh"));
        let tools = PathBuf::from(said(&script.stderr(Stdio::inherit()).output().unwrap()).trim());
        let site = Self { cluster: Cluster::start(), tools };
        let kinds = include_str!("monitoring.yaml");
        said(&site.kubectl(&["apply", "--server-side", "-f", "-"], kinds));
        let names = ["podmonitors", "prometheusrules", "servicemonitors"];
        let are_known = || {
            let known = site.kubectl(&["api-resources", "--api-group=monitoring.coreos.com"], "");
            let known = String::from_utf8(known.stdout).unwrap();
            names.iter().all(|name| known.contains(name))
        };
        assert!(until(ARRIVAL_MAX, are_known));
        site
    }

    /// Runs `kubectl` as an administrator.
    fn kubectl(&self, arguments: &[&str], input: &str) -> Output {
        let mut command = Command::new("kubectl");
        command.env("KUBECONFIG", self.cluster.kubeconfig()).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// What the server says of these objects, of which it keeps none; a field that it does not know is an error.
    fn try_out(&self, manifests: &str) -> Output {
        let dry = ["--dry-run=server", "--validate=strict", "--namespace=logging"];
        self.kubectl(&[&["apply", "--server-side", "-f", "-"], &dry[..]].concat(), manifests)
    }

    /// A command of README, which finds the cluster and the tools.
    fn shell(&self, command: &str) -> Output {
        let path = std::env::var("PATH").unwrap();
        Command::new("sh")
            .args(["-c", command])
            .current_dir(ROOT)
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("PATH", format!("{}:{path}", self.tools.display()))
            .output()
            .unwrap()
    }

    /// Writes the configuration of the release `logs` into a folder, with the node, the API and the store where they
    /// are here.
    fn configure(&self, dir: &Path, store: u16) {
        let read = |file: &str| {
            let path = format!("--output=jsonpath={{.data.{}}}", file.replace('.', "\\."));
            let arguments = ["--namespace=logging", "get", "configmap", "logs-tailwater", &path];
            said(&self.kubectl(&arguments, ""))
        };
        let arguments = ["--namespace=logging", "create", "token", "logs-tailwater"];
        let token = said(&self.kubectl(&arguments, ""));
        std::fs::write(dir.join("token"), token.trim()).unwrap();
        let (path, tag) = (dir.display(), dir.display().to_string().replace('/', "."));
        let kubernetes = format!(
            "Name kubernetes\n    Kube_URL {}\n    Kube_CA_File {}\n    Kube_Token_File {path}/token\n    \
             Kube_Tag_Prefix kube{tag}.log.containers.\n",
            self.cluster.url(),
            self.cluster.authority().display(),
        );
        let conf = read("fluent-bit.conf")
            .replace("/var/log/", &format!("{path}/log/"))
            .replace("/var/lib/tailwater", &format!("{path}/state"))
            .replace("/fluent-bit/etc/conf/", &format!("{path}/"))
            .replace("/fluent-bit/etc/", &format!("{ROOT}/config/"))
            .replace("HTTP_Port               2020", &format!("HTTP_Port {}", free_port()))
            .replace("Name                 kubernetes\n", &kubernetes)
            .replace("opensearch-cluster-master", &format!("127.0.0.1\n    Port {store}"));
        assert!(conf.contains("Kube_URL"), "{conf}");
        std::fs::write(dir.join("fluent-bit.conf"), conf).unwrap();
        std::fs::write(dir.join("custom_parsers.conf"), read("custom_parsers.conf")).unwrap();
        std::fs::create_dir(dir.join("state")).unwrap();
    }

    /// The chart with these arguments, as a release called `logs`.
    fn chart(&self, arguments: &str) -> Output {
        let kinds = "--api-versions monitoring.coreos.com/v1 --namespace logging";
        self.shell(&format!("helm template logs config/kubernetes/chart {kinds} {arguments}"))
    }

    /// `config/kubernetes` with these components.
    fn kustomized(&self, components: &[&str]) -> String {
        let copy = tailwater_testing::folder();
        let to = copy.path().display();
        said(&self.shell(&format!("cp -r config/kubernetes/. {to}")));
        let path = copy.path().join("kustomization.yaml");
        let mut list = "components:\n".to_owned();
        for component in components {
            writeln!(list, "  - components/{component}").unwrap();
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("components: []\n"), "{text}");
        std::fs::write(&path, text.replace("components: []\n", &list)).unwrap();
        said(&self.shell(&format!("kustomize build {to}")))
    }
}

/// Standard output of what went well.
#[track_caller]
fn said(output: &Output) -> String {
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{log}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Every way to render them.
#[test]
fn a_cluster_takes_all_manifests() {
    let _turn = turn();
    let site = Site::start();
    let check = |manifests: &str, expected: &[&str]| {
        let said = said(&site.try_out(manifests));
        for name in expected {
            let line = format!("{name} serverside-applied (server dry run)");
            assert!(said.lines().any(|known| known == line), "no {name}: {said}");
        }
        let documents = manifests.split("\n---\n").filter(|text| text.contains("\nkind: ")).count();
        assert_eq!(said.lines().count(), documents, "{said}");
    };
    let base = [
        "namespace/logging",
        "serviceaccount/tailwater",
        "clusterrole.rbac.authorization.k8s.io/tailwater",
        "clusterrolebinding.rbac.authorization.k8s.io/tailwater",
        "priorityclass.scheduling.k8s.io/tailwater",
        "daemonset.apps/tailwater",
    ];
    let components = ["docker", "non-root", "pod-monitor"];
    check(&site.kustomized(&[]), &base);
    for component in components {
        check(&site.kustomized(&[component]), &base);
    }
    let monitor = "podmonitor.monitoring.coreos.com/tailwater";
    check(&site.kustomized(&components), &[monitor]);

    check(&said(&site.chart("")), &["daemonset.apps/logs-tailwater", "service/logs-tailwater"]);
    let deployment = "--set kind=Deployment,podDisruptionBudget.enabled=true";
    let budget = "poddisruptionbudget.policy/logs-tailwater";
    check(&said(&site.chart(deployment)), &["deployment.apps/logs-tailwater", budget]);
    let own = [
        "daemonset.apps/logs-fluent-bit",
        "servicemonitor.monitoring.coreos.com/logs-fluent-bit",
        "podmonitor.monitoring.coreos.com/logs-fluent-bit",
        "prometheusrule.monitoring.coreos.com/logs-fluent-bit",
        "networkpolicy.networking.k8s.io/logs-fluent-bit",
        "configmap/logs-fluent-bit-dashboard-tailwater",
    ];
    check(&said(&site.chart("--values tests/e2e/values.yaml")), &own);
    check(include_str!("daemonset.yaml"), &["daemonset.apps/fluent-bit"]);
}

/// The checks above can fail.
#[test]
fn a_cluster_refuses_what_does_not_fit() {
    let _turn = turn();
    let site = Site::start();
    let manifests = site.kustomized(&["pod-monitor"]);
    let daemonset = include_str!("daemonset.yaml");
    for (manifests, from, to, expected) in [
        (&*manifests, "readOnlyRootFilesystem", "readOnlyRootFileSystem", "not declared in schema"),
        (&manifests, "podMetricsEndpoints:", "podMetricsEndpoint:", "not declared in schema"),
        (daemonset, "/var/lib/fluent-bit", "/var/log", "duplicate entries"),
    ] {
        assert!(manifests.contains(from), "{from}");
        let output = site.try_out(&manifests.replace(from, to));
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && log.contains(expected), "{to}: {log}");
    }
    for (values, expected) in [
        ("--set luaScripts.a=b", "tailwater runs no Lua"),
        ("--set ingress.enabled=true", "no input that listens"),
        ("--set autoscaling.vpa.enabled=true", "this chart has none"),
        ("--set config.input=x", "config"),
        ("--set kind=StatefulSet", "kind"),
    ] {
        let output = site.chart(values);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && log.contains(expected), "{values}: {log}");
    }
}

/// The ConfigMap as it is in the cluster, but for hosts and paths, run as the DaemonSet runs it, with the rights that
/// it is given.
#[test]
fn the_chart_as_it_is_ships_what_a_pod_logs() {
    let _turn = turn();
    let site = Site::start();
    said(&site.shell("helm install logs config/kubernetes/chart --namespace logging"));
    let pod = Pod::run(&site.cluster, NODE, "web-0", 1);
    let folder = tailwater_testing::folder();
    let dir = folder.path();
    let store = BulkStore::start(Faults::default());
    site.configure(dir, store.port());
    lay_log(&dir.join("log"), &pod);

    let program = dir.join("fluent-bit");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_tailwater"), &program).unwrap();
    let node = format!("NODE_NAME={NODE}");
    let workdir = format!("--workdir={}", dir.display());
    let config = format!("--config={}/fluent-bit.conf", dir.display());
    let arguments = [&node, program.to_str().unwrap(), &workdir, &config];
    let agent = Agent::start(Path::new("env"), dir, &arguments);
    let arrived = until(ARRIVAL_MAX, || store.count() == 2);
    assert!(arrived, "{}", agent.stderr());

    let mut documents: Vec<_> = store.documents().iter().map(Document::fields).collect();
    documents.sort_by_key(|document| document["@timestamp"].to_string());
    for document in &mut documents {
        let labels = document["kubernetes"].as_object_mut().unwrap().remove("labels").unwrap();
        // Its dots are replaced, so that another pod's `app` can be a field.
        assert_eq!(labels["app_kubernetes_io/part-of"], "store_1");
        assert_eq!(document["kubernetes"], pod.metadata());
    }
    assert_eq!(documents[0]["message"], "order placed", "{documents:?}");
    assert_eq!(documents[0]["user"], 7, "{documents:?}");
    assert_eq!(documents[1]["log"], "no JSON", "{documents:?}");
}

/// A pod's log on a look-alike of a node.
fn lay_log(node: &Path, pod: &Pod) {
    let log = node.join(format!("pods/shop_{}_{}/app/0.log", pod.name, pod.uid));
    std::fs::create_dir_all(log.parent().unwrap()).unwrap();
    std::fs::create_dir_all(node.join("containers")).unwrap();
    let lines = "2026-01-01T00:00:00.5Z stdout F {\"message\":\"order placed\",\"user\":7}\n\
                 2026-01-01T00:00:01.5Z stderr F no JSON\n";
    std::fs::write(&log, lines).unwrap();
    let link = node.join(format!("containers/{}.log", pod.log_name()));
    std::os::unix::fs::symlink(&log, link).unwrap();
}

/// As a reader will do it, and not only to try.
#[test]
fn the_readme_puts_it_into_a_cluster() {
    let _turn = turn();
    let site = Site::start();
    let commands = readme_commands(include_str!("../../README.md"), "sh cluster");
    assert_eq!(commands.len(), 2, "{commands:?}");
    for command in commands {
        said(&site.shell(&command));
    }
    let daemonsets = said(&site.shell("kubectl get daemonsets --all-namespaces --output name"));
    for name in ["tailwater", "logs-tailwater"] {
        let name = format!("daemonset.apps/{name}");
        assert!(daemonsets.lines().any(|known| known == name), "{name}: {daemonsets}");
    }
}
