//! The real OpenSearch, Loki and kube-apiserver of `tests/servers`, each started for one test and ended with it.

use opensearch::OpenSearch;
use opensearch::http::transport::Transport;
use reqwest::header::{AUTHORIZATION, HeaderValue};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tailwater_testing::{ask_to_stop, free_port, pause, until};
use tempfile::TempDir;

/// A JVM, or an API server with its etcd, on a busy machine of two cores takes this long at worst.
const READY_MAX: Duration = Duration::from_mins(2);

/// A server as a child process.
pub(crate) struct Server {
    /// Its folder in `tests/servers`.
    name: &'static str,
    /// Of its settings, those that are not as in `start.sh`.
    settings: Vec<&'static str>,
    /// Where it says that it is ready.
    ready: &'static str,
    child: Child,
    port: u16,
    data: TempDir,
}

impl Server {
    /// Builds it if it is not in the cache yet, starts it, and waits until `GET ready` says that it is ready.
    pub(crate) fn start(name: &'static str, ready: &'static str) -> Self {
        Self::start_with(name, ready, &[])
    }

    /// The same, with other settings than those of `start.sh`.
    pub(crate) fn start_with(
        name: &'static str,
        ready: &'static str,
        settings: &[&'static str],
    ) -> Self {
        let built =
            Command::new(script(name)).arg("--build").stdin(Stdio::null()).status().unwrap();
        assert!(built.success(), "{name} cannot be built");
        let data = tailwater_testing::folder();
        let port = free_port();
        let child = spawn(name, port, data.path(), settings);
        let mut server = Self { name, settings: settings.to_vec(), ready, child, port, data };
        server.wait_until_ready();
        server
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn stop(&mut self) {
        ask_to_stop(&self.child);
        let ended = until(READY_MAX, || self.child.try_wait().unwrap().is_some());
        assert!(ended, "{} does not end", self.name);
    }

    /// Starts it again with its state, where it was.
    pub(crate) fn start_again(&mut self) {
        self.child = spawn(self.name, self.port, self.data.path(), &self.settings);
        self.wait_until_ready();
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

    /// Its folder.
    pub(crate) fn data(&self) -> &Path {
        self.data.path()
    }

    /// Where it is, as a URL.
    pub(crate) fn url(&self) -> String {
        let scheme = if self.name == "kube" { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// A client with all rights: what is shown for them lies in the folder of a server that asks for it.
    pub(crate) fn client(&self) -> reqwest::Client {
        let token = std::fs::read_to_string(self.data().join("admin.token"));
        let shown = token.map(|token| format!("Bearer {}", token.trim_end()));
        let shown = shown.map(|text| (AUTHORIZATION, HeaderValue::from_str(&text).unwrap()));
        self.trusting().default_headers(shown.into_iter().collect()).build().unwrap()
    }

    /// A client with no rights but those that it asks with.
    pub(crate) fn nobody(&self) -> reqwest::Client {
        self.trusting().build().unwrap()
    }

    /// A server that speaks TLS says in its folder what it is known by, once it has started.
    fn trusting(&self) -> reqwest::ClientBuilder {
        let builder = reqwest::Client::builder().no_proxy();
        match std::fs::read(self.data().join("ca.crt")) {
            Ok(pem) => builder.tls_certs_only(reqwest::Certificate::from_pem_bundle(&pem).unwrap()),
            Err(_) => builder,
        }
    }

    fn wait_until_ready(&mut self) {
        let url = self.url() + self.ready;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ready = until(READY_MAX, || {
            let answer = runtime.block_on(self.client().get(&url).send());
            let ended = self.child.try_wait().unwrap().is_some();
            if !ended && answer.is_err() {
                pause(Duration::from_millis(200));
            }
            ended || answer.is_ok_and(|answer| answer.status().is_success())
        });
        let ended = self.child.try_wait().unwrap();
        let log = || std::fs::read_to_string(self.data.path().join("log")).unwrap();
        assert!(ready && ended.is_none(), "{} does not start: {}", self.name, log());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers").join(name).join("start.sh")
}

fn spawn(name: &str, port: u16, data: &Path, settings: &[&str]) -> Child {
    let log = File::create(data.join("log")).unwrap();
    Command::new(script(name))
        .arg(port.to_string())
        .arg(data)
        .args(settings)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}
