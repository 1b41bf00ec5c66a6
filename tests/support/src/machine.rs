//! The configurations of `config/vm`, for a machine that is a folder.

use crate::free_port;
use std::path::{Path, PathBuf};

/// `config/vm`
#[must_use]
pub fn machine_configurations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/vm")
}

/// Puts the configuration `main` of `config/vm`, and all that it needs, below `conf` in `folder`, with `log` and
/// `state` there in the place of the machine's folders, and a store on this machine at `port`. Returns its path.
#[must_use]
pub fn configure_machine(folder: &Path, main: &str, port: u16) -> PathBuf {
    let from = machine_configurations();
    for name in ["conf/vm", "state", "log/nginx"] {
        std::fs::create_dir_all(folder.join(name)).unwrap();
    }
    std::fs::copy(from.join("../parsers.conf"), folder.join("conf/parsers.conf")).unwrap();
    let state = folder.join("state").display().to_string();
    let logs = format!("{}/", folder.join("log").display());
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let mut conf = std::fs::read_to_string(&path).unwrap();
        let mut replace = |what: &str, with: &str| {
            assert!(conf.contains(what), "{name} has no `{what}`");
            conf = conf.replace(what, with);
        };
        match name {
            "service.conf" => {
                replace("/var/lib/tailwater", &state);
                replace("2020", &free_port().to_string());
            }
            "vm-parsers.conf" => {}
            "opensearch.conf" => {
                replace("opensearch.example.com", "127.0.0.1");
                replace("9200", &port.to_string());
            }
            "loki.conf" => {
                replace("loki.example.com", "127.0.0.1");
                replace("3100", &port.to_string());
            }
            _ => {
                replace("/var/lib/tailwater", &state);
                replace("/var/log/", &logs);
            }
        }
        std::fs::write(folder.join("conf/vm").join(name), conf).unwrap();
    }
    folder.join("conf/vm").join(main)
}
