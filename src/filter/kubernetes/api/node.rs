//! The name of the node that this runs on, whose pods are watched at one go.

use super::call::Caller;
use crate::filter::kubernetes::object::Pod;
use crate::net::Backoff;
use kube_core::Request;
use kube_core::params::GetParams;
use std::path::PathBuf;
use tokio::time::sleep;

/// Variables that a DaemonSet's manifest puts the name into, by the downward API.
const VARIABLES: [&str; 2] = ["NODE_NAME", "KUBERNETES_NODE_NAME"];

/// Where the own node's name may come from.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// `tailwater.node_name`, or a variable.
    pub(super) name: Option<String>,
    /// `HOSTNAME`: the own pod's name, unless it shares the node's network.
    pub(super) own_pod: Option<String>,
    /// Where the own pod's namespace is written.
    pub(super) namespace_file: PathBuf,
}

impl Node {
    /// What the options and the environment say.
    pub(super) fn new(
        name: Option<String>,
        namespace_file: PathBuf,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let name = name.or_else(|| VARIABLES.into_iter().find_map(set));
        Self { name, own_pod: set("HOSTNAME"), namespace_file }
    }

    /// The name, if need be as the API says it of the own pod; `None` if nobody knows it.
    pub(super) async fn find(self, caller: &Caller, backoff: Backoff) -> Option<String> {
        if self.name.is_some() {
            return self.name;
        }
        let namespace = std::fs::read_to_string(&self.namespace_file).ok()?;
        let pod = self.own_pod?;
        let pods = Request::new(format!("/api/v1/namespaces/{}/pods", namespace.trim()));
        let request = pods.get(&pod, &GetParams::default()).ok()?;
        for tries in 0.. {
            match caller.get::<Pod>(&request).await {
                Ok(pod) => return pod.spec.node_name,
                Err(error) if error.is_answer() => return None,
                Err(_noted) => sleep(backoff.delay(tries)).await,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_counts_first() {
        let check = |name: Option<&str>, variables: &[(&str, &str)], expected: Option<&str>| {
            let variable = |wanted: &str| {
                let found = variables.iter().find(|(name, _)| *name == wanted);
                found.map(|(_, value)| (*value).to_owned())
            };
            let node = Node::new(name.map(str::to_owned), PathBuf::new(), &variable);
            assert_eq!(node.name.as_deref(), expected);
        };
        check(None, &[("HOSTNAME", "own")], None);
        check(None, &[("KUBERNETES_NODE_NAME", "one")], Some("one"));
        check(None, &[("KUBERNETES_NODE_NAME", "one"), ("NODE_NAME", "two")], Some("two"));
        check(None, &[("NODE_NAME", ""), ("KUBERNETES_NODE_NAME", "one")], Some("one"));
        check(Some("set"), &[("NODE_NAME", "one")], Some("set"));
    }
}
