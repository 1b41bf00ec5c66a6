//! Real nginx under load, its access log rotated by real logrotate while the configuration of `config/vm` ships it.
//!
//! The long form: `TAILWATER_NGINX_SECONDS=20 cargo test --release --test e2e nginx`.

use crate::servers::Server;
use crate::{ARRIVAL_MAX, TURN, arrived};
use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::PoisonError;
use std::time::{Duration, Instant};
use tailwater_testing::{
    Agent, ask_to_stop, configure_machine, free_port, pause, until, write_out,
};
use tempfile::TempDir;

/// How long there is load, unless `TAILWATER_NGINX_SECONDS` says how long.
const SECONDS: u64 = 5;

/// Between two rotations.
const ROTATE_PAUSE: Duration = Duration::from_millis(900);

/// nginx starts, and ends, within this time.
const NGINX_MAX: Duration = Duration::from_secs(30);

/// Each request has an id, where `combined` has the user's name.
const NGINX_CONF: &str = r#"
    daemon off; user root; worker_processes 2;
    pid @DIR@/nginx.pid; error_log @DIR@/log/nginx/error.log notice;
    events { worker_connections 64; }
    http {
        log_format told_apart '$remote_addr - $request_id [$time_local] "$request" $status $body_bytes_sent '
                              '"$http_referer" "$http_user_agent"';
        access_log @DIR@/log/nginx/access.log told_apart;
        client_body_temp_path @DIR@/tmp; proxy_temp_path @DIR@/tmp; fastcgi_temp_path @DIR@/tmp;
        uwsgi_temp_path @DIR@/tmp; scgi_temp_path @DIR@/tmp;
        server { listen 127.0.0.1:@PORT@; location / { return 200 "ok\n"; } }
    }
"#;

/// As Debian has it, but for how often, and that nothing is deleted.
const LOGROTATE_CONF: &str = "
    @DIR@/log/nginx/*.log {
        missingok
        rotate 1000
        nocompress
        notifempty
        @HOW@
    }
";

/// The new file is nginx's own when it is told to open one.
const CREATE: &str =
    "create 0640\n sharedscripts\n postrotate\n kill -USR1 $(cat @DIR@/nginx.pid)\n endscript";

#[test]
fn nginx_line_for_line_when_logrotate_creates() {
    let (in_files, arrived) = check("create", CREATE);
    assert_eq!(arrived, in_files, "lines that are in no file arrived");
}

/// What is written between the copy and the cut is in no file, and may have arrived all the same.
#[test]
fn nginx_all_that_is_left_when_logrotate_copies_and_truncates() {
    let (in_files, arrived) = check("copytruncate", "copytruncate");
    assert!(arrived >= in_files);
}

/// Loads, rotates, and sees that every line of the files arrived, and none twice. How many are in the files, and how many
/// arrived.
fn check(name: &str, how: &str) -> (usize, usize) {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let store = Server::start("opensearch", "/_cluster/health");
    let nginx = Nginx::start(how);
    let dir = nginx.folder.path();
    let conf = configure_machine(dir, "opensearch.conf", &["nginx"], store.port());
    let program = Path::new(env!("CARGO_BIN_EXE_tailwater"));
    let mut agent = Agent::start(program, dir, &["-c", conf.to_str().unwrap()]);
    let rotations = nginx.load_and_rotate();
    let began = Instant::now();
    let logged = nginx.stop();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = store.search_client();
    let mut arrived = HashMap::new();
    let all = || {
        pause(Duration::from_millis(500));
        assert!(agent.is_running(), "{}", agent.stderr());
        if runtime.block_on(arrived::count(&client, "logs-*")) < logged.len() as u64 {
            return false;
        }
        arrived.clear();
        let count = |document: arrived::Document| {
            // The error log lies in the same index.
            if document.fields["source"] == "nginx.access" {
                let id = document.fields["user"].as_str().unwrap().to_owned();
                *arrived.entry(id).or_insert(0_u32) += 1;
            }
        };
        runtime.block_on(arrived::each_document(&client, "logs-*", count));
        logged.iter().all(|id| arrived.contains_key(id))
    };
    let has_all = until(ARRIVAL_MAX, all);
    let ended = agent.terminate(NGINX_MAX);
    let lost = logged.iter().filter(|id| !arrived.contains_key(*id)).count();
    let doubled = arrived.values().filter(|count| **count > 1).count();
    let (in_files, came) = (logged.len(), arrived.len());
    write_out(&format!(
        "nginx, {name}: {in_files} lines in the files, {rotations} rotations, {came} arrived, {lost} lost, {doubled} \
         doubled, all there {:.1} s after\n",
        began.elapsed().as_secs_f32()
    ));
    assert!(has_all, "{lost} of {in_files} are lost; the agent said:\n{}", ended.stderr);
    assert_eq!((doubled, ended.code), (0, Some(0)), "{}", ended.stderr);
    assert!(rotations >= 3, "only {rotations} rotations");
    drop(turn);
    (in_files, came)
}

/// nginx as a child process, in a folder with its logs and how they are rotated.
struct Nginx {
    child: Child,
    folder: TempDir,
    port: u16,
}

impl Nginx {
    fn start(how: &str) -> Self {
        let folder = tailwater_testing::folder();
        let (dir, port) = (folder.path(), free_port());
        let place = |text: &str| {
            text.replace("@HOW@", how)
                .replace("@DIR@", dir.to_str().unwrap())
                .replace("@PORT@", &port.to_string())
        };
        std::fs::create_dir_all(dir.join("log/nginx")).unwrap();
        std::fs::write(dir.join("nginx.conf"), place(NGINX_CONF)).unwrap();
        std::fs::write(dir.join("logrotate.conf"), place(LOGROTATE_CONF)).unwrap();
        let child = command("nginx").arg("-c").arg(dir.join("nginx.conf")).spawn().unwrap();
        let nginx = Self { child, folder, port };
        let is_up = || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(until(NGINX_MAX, is_up), "nginx does not start: {}", nginx.errors());
        nginx
    }

    /// As many requests as it answers, and a rotation now and then; how many.
    fn load_and_rotate(&self) -> usize {
        let asked = std::env::var("TAILWATER_NGINX_SECONDS").ok();
        let seconds = asked.map_or(SECONDS, |seconds| seconds.parse().unwrap());
        let url = format!("http://127.0.0.1:{}/order?id=7", self.port);
        let duration = format!("-d{seconds}s");
        let mut load = command("wrk").args(["-t1", "-c8", &duration, &url]).spawn().unwrap();
        let mut rotations = 0;
        while load.try_wait().unwrap().is_none() {
            pause(ROTATE_PAUSE);
            let mut rotate = command("logrotate");
            rotate.arg("--force").arg("--state").arg(self.folder.path().join("logrotate.state"));
            let rotated = rotate.arg(self.folder.path().join("logrotate.conf")).status().unwrap();
            assert!(rotated.success());
            rotations += 1;
        }
        assert!(load.wait().unwrap().success(), "{}", self.errors());
        rotations
    }

    /// Ends it; the ids of all requests in its access logs.
    fn stop(&self) -> Vec<String> {
        ask_to_stop(&self.child);
        let pid = self.folder.path().join("nginx.pid");
        assert!(until(NGINX_MAX, || !pid.exists()), "{}", self.errors());
        let mut ids = Vec::new();
        for entry in std::fs::read_dir(self.folder.path().join("log/nginx")).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with("access.log") {
                let text = std::fs::read_to_string(&path).unwrap();
                ids.extend(text.lines().map(|line| line.split(' ').nth(2).unwrap().to_owned()));
            }
        }
        ids
    }

    fn errors(&self) -> String {
        let log = std::fs::read_to_string(self.folder.path().join("log/nginx/error.log"));
        log.unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        ask_to_stop(&self.child);
        self.child.wait().unwrap();
    }
}

/// A program that says nothing but on standard error.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}
