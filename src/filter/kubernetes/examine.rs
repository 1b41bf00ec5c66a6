//! What the filter will do to the fields of records, and which tags it cannot read, as far as its options say.

use super::options::KubernetesOptions;
use crate::config::diagnostics::finding;
use crate::config::{Diagnostics, Section, Severity};
use crate::filter::outlook::{Merged, Outlook};

/// What it may know of every pod.
const NAMES: [&str; 9] = [
    "pod_name",
    "namespace_name",
    "pod_id",
    "host",
    "pod_ip",
    "container_name",
    "docker_id",
    "container_hash",
    "container_image",
];

/// Reports tags in which it will take the wrong part for the pod's name, and follows which fields it makes. `starts`
/// are what tags begin with that come to it.
pub fn examine(
    options: &KubernetesOptions,
    section: &Section,
    starts: &[&str],
    outlook: &mut Outlook,
    diagnostics: &mut Diagnostics,
) {
    if !options.use_journal {
        for start in starts {
            examine_start(options, section, start, diagnostics);
        }
    }
    if options.adds_namespace() {
        outlook.add("kubernetes_namespace");
    } else if options.namespace_metadata_only {
        // It does nothing at all.
        return;
    }
    let mut names = NAMES.to_vec();
    for (name, is_added) in [
        ("labels", options.labels),
        ("annotations", options.annotations),
        ("ownerReferences", options.owner_references),
        ("dummy", options.dummy_meta),
    ] {
        names.extend(is_added.then_some(name));
    }
    if !options.namespace_metadata_only {
        outlook.add_kubernetes(names);
    }
    if !options.merge_log {
        return;
    }
    match &options.merge_log_key {
        Some(key) => outlook.add(key),
        None => outlook.add_unknown(),
    }
    if !options.keep_log {
        let location = section.location_of("Keep_Log").clone();
        outlook.merge_log(Merged { location, is_json: options.merge_parser.is_none() });
    }
}

/// Only the length of `Kube_Tag_Prefix` counts: another one as long does as well.
fn examine_start(
    options: &KubernetesOptions,
    section: &Section,
    start: &str,
    diagnostics: &mut Diagnostics,
) {
    let prefix = &*options.kube_tag_prefix;
    let may_fit =
        start.len() == prefix.len() || start.starts_with(prefix) || prefix.starts_with(start);
    if !may_fit {
        let message = format!(
            "tags here begin with `{start}`, not with the `Kube_Tag_Prefix` `{prefix}`: no pod is found by them"
        );
        let location = section.location_of("Kube_Tag_Prefix");
        diagnostics.add(
            finding(Severity::Warning, location, message)
                .with_remedy(format!("did you mean `Kube_Tag_Prefix {start}`?")),
        );
    }
}
