//! A node with as many pods as the kubelet lets it have: the logs of their containers, and what the API says of them.

use serde_json::json;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

/// The most that a kubelet runs unless it is told otherwise.
const PODS: u64 = 110;

/// Lines that one container writes before the next one does.
const RUN: usize = 200;

/// Where the logs are, in the folder of the run.
pub(crate) const LOGS: &str = "containers/*.log";

/// What the API says of the pods, in that folder.
const METADATA: &str = "metadata";

/// Lays out the logs of the pods, with the lines of `bench.log`, and what is known of each pod.
pub(crate) fn lay_out(folder: &Path) {
    for name in ["containers", METADATA] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    let mut logs: Vec<_> = (0..PODS)
        .map(|pod| {
            let name = format!("{}_{NAMESPACE}_{CONTAINER}-{}.log", pod_name(pod), container(pod));
            BufWriter::new(File::create(folder.join("containers").join(name)).unwrap())
        })
        .collect();
    let mut lines = BufReader::new(File::open(folder.join("bench.log")).unwrap());
    let mut line = Vec::new();
    for number in 0_usize.. {
        line.clear();
        if lines.read_until(b'\n', &mut line).unwrap() == 0 {
            break;
        }
        let log = number / RUN % logs.len();
        logs[log].write_all(&line).unwrap();
    }
    for pod in 0..PODS {
        let name = format!("{NAMESPACE}_{}.meta", pod_name(pod));
        std::fs::write(folder.join(METADATA).join(name), metadata(pod)).unwrap();
    }
}

/// The filter as most have it, but that it asks no API.
pub(crate) fn kubernetes_filter(folder: &Path) -> String {
    let folder = folder.display().to_string();
    let tag = folder.trim_start_matches('/').replace('/', ".");
    format!(
        "
[FILTER]
    Name kubernetes
    Match kube.*
    Kube_URL http://127.0.0.1:1
    Kube_Tag_Prefix kube.{tag}.containers.
    Kube_meta_preload_cache_dir {folder}/{METADATA}
    Merge_Log On
    Keep_Log Off
    K8S-Logging.Parser On
    K8S-Logging.Exclude On
    Labels On
    Annotations Off
"
    )
}

const NAMESPACE: &str = "shop";
const CONTAINER: &str = "checkout";

/// As a `Deployment` names its pods.
fn pod_name(pod: u64) -> String {
    format!("checkout-7d9f8b6c5d-{pod:05}")
}

fn container(pod: u64) -> String {
    format!("{:064x}", u128::from(pod + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
}

/// A pod as the API has it, as much of it as counts.
fn metadata(pod: u64) -> String {
    json!({
        "metadata": {
            "name": pod_name(pod),
            "namespace": NAMESPACE,
            "uid": format!("5f0c2f5e-7d0a-4a0b-9d0e-{pod:012}"),
            "labels": {
                "app.kubernetes.io/name": "checkout",
                "app.kubernetes.io/part-of": "shop",
                "app.kubernetes.io/version": "1.42.0",
                "pod-template-hash": "7d9f8b6c5d",
                "team": "payments",
            },
            "annotations": {"prometheus.io/scrape": "true"},
        },
        "spec": {"nodeName": "node-1"},
        "status": {
            "podIP": format!("10.1.0.{pod}"),
            "containerStatuses": [{
                "name": CONTAINER,
                "image": "registry.example.com/shop/checkout:1.42.0",
                "imageID": format!("registry.example.com/shop/checkout@sha256:{:064x}", 42),
                "containerID": format!("containerd://{}", container(pod)),
            }],
        },
    })
    .to_string()
}
