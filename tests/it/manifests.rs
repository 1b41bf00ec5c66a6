//! What `config/kubernetes` puts into a cluster, as far as it can be judged without one: it can be read, its parts fit
//! one another and the program. `tests/e2e/manifests.rs` asks a real API server.

use crate::endpoints::{get, http};
use crate::{LIMIT, Place, STDOUT};
use saphyr::{LoadableYamlNode as _, YamlOwned};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use tailwater_testing::{free_port, until};

/// What the filter `kubernetes` asks the API for.
const RIGHTS: &[(&str, &[&str])] = &[("pods", &["get", "list", "watch"]), ("namespaces", &["get"])];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/kubernetes")
}

fn text(path: &str) -> String {
    let read = std::fs::read_to_string(folder().join(path));
    assert!(read.is_ok(), "{path}: {read:?}");
    read.unwrap()
}

/// The documents of a file.
fn yaml(path: &str) -> Vec<YamlOwned> {
    let read = YamlOwned::load_from_str(&text(path));
    assert!(read.is_ok(), "{path}: {read:?}");
    read.unwrap()
}

fn pod() -> YamlOwned {
    yaml("base/daemonset.yaml")[0]["spec"]["template"]["spec"].clone()
}

fn list<'a>(node: &'a YamlOwned, key: &str) -> impl Iterator<Item = &'a YamlOwned> {
    node[key].as_vec().unwrap().iter()
}

fn word<'a>(node: &'a YamlOwned, key: &str) -> &'a str {
    node[key].as_str().unwrap()
}

/// Every value of this property in the configuration, comments left out.
fn values(conf: &str, property: &str) -> Vec<String> {
    let value = |line: &str| {
        let (name, value) = line.trim().split_once(char::is_whitespace)?;
        name.eq_ignore_ascii_case(property).then(|| value.trim().to_owned())
    };
    conf.lines().filter_map(value).collect()
}

/// Paths below `config/kubernetes`, of all files.
fn files() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found
}

#[test]
fn every_file_can_be_read() {
    let mut count = 0;
    for path in files() {
        match Path::new(&path).extension().and_then(|end| end.to_str()) {
            // Templates are YAML once they are rendered.
            Some("yaml") if !path.starts_with("chart/templates/") => {
                assert!(!yaml(&path).is_empty(), "{path} is empty");
                count += 1;
            }
            Some("json") => drop(serde_json::from_str::<serde_json::Value>(&text(&path)).unwrap()),
            _ => {}
        }
    }
    assert!(count >= 10, "only {count} files found");
}

/// A resource that a kustomization forgets is in no cluster, and nobody sees that.
#[test]
fn kustomizations_name_every_file_beside_them() {
    let listed = |path: &str| {
        let kustomization = &yaml(path)[0];
        list(kustomization, "resources").map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    for folder in ["base", "components/pod-monitor"] {
        let beside = files().into_iter().filter_map(|path| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?.to_owned();
            (name != "kustomization.yaml").then_some(name)
        });
        let listed: BTreeSet<String> = listed(&format!("{folder}/kustomization.yaml"));
        assert_eq!(listed, beside.collect(), "{folder}");
    }
}

#[test]
fn the_program_has_the_version_that_is_deployed() {
    let version = env!("CARGO_PKG_VERSION");
    let image = &yaml("kustomization.yaml")[0]["images"][0];
    assert_eq!(word(image, "newTag"), version);
    let chart = &yaml("chart/Chart.yaml")[0];
    assert_eq!(word(chart, "appVersion"), version);
}

/// Not even a warning.
#[test]
fn the_configuration_says_what_it_means() {
    let conf = text("fluent-bit.conf");
    let parsers = concat!(env!("CARGO_MANIFEST_DIR"), "/config/parsers.conf");
    let place = Place::new(&conf.replace("/fluent-bit/etc/parsers.conf", parsers));
    let ended = place.finish(&["check", "fluent-bit.conf", "--strict"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// The image's own: it starts as it is, and finds all that it names beside it.
#[test]
fn the_image_starts_without_a_configuration_of_ones_own() {
    let config = concat!("--workdir=", env!("CARGO_MANIFEST_DIR"), "/config");
    let ended = Place::new("").finish(&[config, "--config=fluent-bit.conf", "--dry-run"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
}

#[test]
fn the_image_is_built_with_the_rust_that_is_asked_for_from_files_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let steps = std::fs::read_to_string(root.join("Dockerfile")).unwrap();
    let rust = concat!("FROM rust:", env!("CARGO_PKG_RUST_VERSION"), "-");
    assert!(steps.contains(rust), "{steps}");
    let files: Vec<_> = steps.split(' ').filter(|word| word.starts_with("config/")).collect();
    assert_eq!(files.len(), 3, "{files:?}");
    for file in files {
        assert!(root.join(file).is_file(), "{file}");
    }
}

#[test]
fn the_pod_is_given_more_time_than_the_program_takes_to_end() {
    let check = |conf: &str, seconds: &YamlOwned| {
        let grace: i64 = values(conf, "Grace")[0].parse().unwrap();
        let seconds = seconds.as_integer().unwrap();
        assert!(seconds >= grace + 5, "Grace is {grace}, terminationGracePeriodSeconds {seconds}");
    };
    check(&text("fluent-bit.conf"), &pod()["terminationGracePeriodSeconds"]);
    let chart = &yaml("chart/values.yaml")[0];
    check(word(&chart["config"], "service"), &chart["terminationGracePeriodSeconds"]);
}

#[test]
fn each_volume_is_mounted_once_at_a_place_of_its_own() {
    let pod = pod();
    let names: Vec<_> = list(&pod, "volumes").map(|volume| word(volume, "name")).collect();
    let mounts = || list(&pod["containers"][0], "volumeMounts");
    let mounted: Vec<_> = mounts().map(|mount| word(mount, "name")).collect();
    assert_eq!(mounted, names);
    let places: BTreeSet<_> = mounts().map(|mount| word(mount, "mountPath")).collect();
    assert_eq!(places.len(), names.len(), "{places:?}");
}

#[test]
fn what_is_read_and_written_lies_where_something_is_mounted() {
    let pod = pod();
    let conf = text("fluent-bit.conf");
    let is_mounted = |path: &str, writable: bool| {
        list(&pod["containers"][0], "volumeMounts").any(|mount| {
            let read_only = mount.as_mapping_get("readOnly").and_then(YamlOwned::as_bool);
            path.starts_with(word(mount, "mountPath")) && (!writable || read_only != Some(true))
        })
    };
    for (property, writable) in [("Path", false), ("DB", true), ("storage.path", true)] {
        let paths = values(&conf, property);
        assert!(!paths.is_empty(), "{property}");
        for path in paths {
            assert!(is_mounted(&path, writable), "{property} {path} lies in no such mount");
        }
    }
    let arguments: Vec<_> = list(&pod["containers"][0], "args").collect();
    let file = arguments[0].as_str().unwrap().strip_prefix("--config=").unwrap();
    assert!(is_mounted(file, false), "{file}");
    assert_eq!(Path::new(file).file_name().unwrap(), "fluent-bit.conf");
}

/// Otherwise a line about a store that refuses lines is the next line that it refuses.
#[test]
fn its_own_log_is_not_read() {
    let conf = text("fluent-bit.conf");
    let find = |property: &str| glob::Pattern::new(&values(&conf, property)[0]).unwrap();
    let name = word(&pod()["containers"][0], "name").to_owned();
    let id = "0123456789abcdef".repeat(4);
    let own = format!("/var/log/containers/tailwater-x7f2p_logging_{name}-{id}.log");
    let other = format!("/var/log/containers/web-x7f2p_shop_web-{id}.log");
    for (path, excluded) in [(&own, true), (&other, false)] {
        assert!(find("Path").matches(path), "{path}");
        assert_eq!(find("Exclude_Path").matches(path), excluded, "{path}");
    }
}

#[test]
fn it_may_do_what_it_does_and_nothing_else() {
    let all = yaml("base/rbac.yaml");
    let role = all.iter().find(|node| word(node, "kind") == "ClusterRole").unwrap();
    let words = |node: &YamlOwned, key: &str| {
        list(node, key).map(|word| word.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let rights: Vec<_> =
        list(role, "rules").map(|rule| (words(rule, "resources"), words(rule, "verbs"))).collect();
    let owned = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
    let expected: Vec<_> =
        RIGHTS.iter().map(|(resource, verbs)| (owned(&[resource]), owned(verbs))).collect();
    assert_eq!(rights, expected);
    let chart = text("chart/templates/rights.yaml");
    for (resource, verbs) in RIGHTS {
        let right = format!("resources: [{resource}]\n    verbs: [{}]\n", verbs.join(", "));
        assert!(chart.contains(&right), "the chart gives other rights to {resource}");
    }
    let binding = all.iter().find(|node| word(node, "kind") == "ClusterRoleBinding").unwrap();
    assert_eq!(word(&binding["roleRef"], "name"), word(&role["metadata"], "name"));
    let account = all.iter().find(|node| word(node, "kind") == "ServiceAccount").unwrap();
    assert_eq!(word(&binding["subjects"][0], "name"), word(&account["metadata"], "name"));
    assert_eq!(pod()["serviceAccountName"].as_str(), Some(word(&account["metadata"], "name")));
}

/// Probes and scrapers find a page where they look.
#[test]
fn every_page_that_is_asked_for_is_there() {
    let pod = pod();
    let container = &pod["containers"][0];
    let values = &yaml("chart/values.yaml")[0];
    let probes = [container, values].map(|node| {
        ["livenessProbe", "readinessProbe"].map(|probe| word(&node[probe]["httpGet"], "path"))
    });
    let monitor = &yaml("components/pod-monitor/pod-monitor.yaml")[0];
    let scraped = word(&monitor["spec"]["podMetricsEndpoints"][0], "path");
    let chart = text("chart/templates/monitoring.yaml");
    assert!(chart.contains(&format!("default \"{scraped}\"")), "{chart}");

    let port = free_port();
    let input = "[INPUT]\n    Name dummy\n    Samples 1\n";
    let place = Place::new(&format!("[SERVICE]\n{}{input}{STDOUT}", http(port)));
    let agent = place.start();
    assert!(until(LIMIT, || get(port, "/").is_some()), "{}", agent.stderr());
    // The second is where the ServiceMonitor of Fluent Bit's chart scrapes.
    for path in probes.iter().flatten().chain([&scraped, &"/api/v2/metrics/prometheus"]) {
        let (status, body) = get(port, path).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
    }
}

#[test]
fn dashboards_and_alerts_ask_for_metrics_that_exist() {
    let known: BTreeSet<_> = tailwater::metrics::rows().map(|row| row.name).collect();
    let mut count = 0;
    for path in ["chart/dashboards/tailwater.json", "chart/values.yaml"] {
        let text = text(path);
        let words = text.split(|char: char| char != '_' && !char.is_alphanumeric());
        for word in words.filter(|word| word.starts_with("fluentbit_")) {
            assert!(known.contains(word), "{path}: {word}");
            count += 1;
        }
    }
    assert!(count > 10, "only {count} metrics found");
}
