//! The real OpenSearch and Loki of `tests/servers`, each started for one test and ended with it.

use opensearch::OpenSearch;
use opensearch::http::transport::Transport;
use std::fs::File;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tailwater_testing::{pause, until};
use tempfile::TempDir;

/// A JVM on a busy machine of two cores takes this long at worst.
const READY_MAX: Duration = Duration::from_mins(2);

/// A server as a child process.
pub(crate) struct Server {
    child: Child,
    port: u16,
    data: TempDir,
}

impl Server {
    /// Builds it if it is not in the cache yet, starts it, and waits until `GET path` says that it is ready.
    pub(crate) fn start(name: &str, path: &str) -> Self {
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(name).join("start.sh");
        let built = Command::new(&script).arg("--build").stdin(Stdio::null()).status().unwrap();
        assert!(built.success(), "{name} cannot be built");
        let data = tailwater_testing::folder();
        let port = free_port();
        let log = File::create(data.path().join("log")).unwrap();
        let child = Command::new(&script)
            .arg(port.to_string())
            .arg(data.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut server = Self { child, port, data };
        server.wait_until_ready(name, path);
        server
    }

    /// Where it listens on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The official client for it.
    pub(crate) fn search_client(&self) -> OpenSearch {
        let url = format!("http://127.0.0.1:{}", self.port);
        OpenSearch::new(Transport::single_node(&url).unwrap())
    }

    fn wait_until_ready(&mut self, name: &str, path: &str) {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ready = until(READY_MAX, || {
            let answer = runtime.block_on(reqwest::get(&url));
            let ended = self.child.try_wait().unwrap().is_some();
            if !ended && answer.is_err() {
                pause(Duration::from_millis(200));
            }
            ended || answer.is_ok_and(|answer| answer.status().is_success())
        });
        let ended = self.child.try_wait().unwrap();
        let log = || std::fs::read_to_string(self.data.path().join("log")).unwrap();
        assert!(ready && ended.is_none(), "{name} does not start: {}", log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
