//! What an output's folder in the storage is called, for ever: by what decides where its records go.

use super::plugins::BuiltOutput;
use crate::buffer::OutputName;
use crate::config::{Instance, OutputCommon};

/// Properties that decide where records go, beside host and port. None that says how (a password, a
/// format, a limit): changing one must not leave a backlog behind.
const DECIDING: &[&str] = &[
    "File",
    "Generate_ID",
    "Id_Key",
    "Index",
    "Labels",
    "Label_Keys",
    "Label_Map_Path",
    "Logstash_Format",
    "Logstash_Prefix",
    "Logstash_Prefix_Key",
    "Path",
    "Pipeline",
    "Tenant_ID",
    "Tenant_ID_Key",
    "Uri",
];

/// The name of the folder of an output: its alias, else plugin, host and port, and a hash.
pub(super) fn name(instance: &Instance<OutputCommon>, built: &BuiltOutput) -> OutputName {
    if let Some(alias) = &instance.common.alias {
        return OutputName::from_alias(alias);
    }
    let (host, port) = match built {
        BuiltOutput::Local(_) => ("", String::new()),
        BuiltOutput::Remote { host, port, .. } => (host.as_str(), port.to_string()),
    };
    let mut deciding = Vec::new();
    for key in DECIDING {
        for entry in instance.section.entries() {
            if entry.key.eq_ignore_ascii_case(key) {
                deciding.extend([key, entry.without_comment()]);
            }
        }
    }
    OutputName::from_destination(&[instance.plugin.name, host, &port], &deciding)
}
