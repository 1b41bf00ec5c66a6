//! The configurations of `config/vm`, for a machine that is a folder.

use crate::free_port;
use std::path::{Path, PathBuf};

/// `config/vm`
#[must_use]
pub fn machine_configurations() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/vm")
}

/// Puts the configuration `main` of `config/vm`, and all that it needs, below `conf` in `folder`, with `log`, `journal`
/// and `state` there in the place of the machine's folders, and a store on this machine at `port`. Of what may be shipped
/// it has `sources`, such as `nginx`. Returns its path.
#[must_use]
pub fn configure_machine(folder: &Path, main: &str, sources: &[&str], port: u16) -> PathBuf {
    let from = machine_configurations();
    for name in ["conf/vm", "state", "log/nginx", "journal"] {
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
            "vm-service.conf" => {
                replace("/var/lib/tailwater", &state);
                replace("2020", &free_port().to_string());
            }
            "vm-parsers.conf" => {}
            "vm-journal.conf" => {
                replace("/var/lib/tailwater", &state);
                let path = folder.join("journal").display().to_string();
                replace("systemd\n", &format!("systemd\n    Path {path}\n"));
            }
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
        let lines = conf.lines().filter_map(|line| selected(line, sources));
        let conf: String = lines.flat_map(|line| [line, "\n"]).collect();
        std::fs::write(folder.join("conf/vm").join(name), conf).unwrap();
    }
    folder.join("conf/vm").join(main)
}

/// A line of a configuration. What it includes of the sources is there, commented out or not: here if it is selected.
fn selected<'l>(line: &'l str, sources: &[&str]) -> Option<&'l str> {
    let bare = line.trim_start_matches('#');
    let included = bare.strip_prefix("@INCLUDE vm-").and_then(|name| name.strip_suffix(".conf"));
    match included {
        None | Some("service") => Some(line),
        Some(source) => sources.contains(&source).then_some(bare),
    }
}
