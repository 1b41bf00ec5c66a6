//! Nothing lost and nothing doubled in a real OpenSearch, whatever goes wrong on the way to it.
//!
//! The long form, ten minutes: `TAILWATER_CHAOS_SECONDS=600 cargo test --release --test e2e chaos`.

use crate::servers::Server;
use crate::{TURN, arrived, start_agent};
use std::sync::PoisonError;
use tailwater_testing::{Chaos, Faults, Proxy, Tally};

/// Long enough for thirty kills.
const SECONDS: u64 = 45;

/// Lines a second: OpenSearch has two cores together with the agent, and after the last kill it must take what no agent
/// lived long enough to bring.
const PACE: u64 = 1_000;

const INDEX: &str = "lines";

#[test]
fn chaos_before_what_waits_in_memory() {
    check("memory");
}

#[test]
fn chaos_before_what_waits_on_disk() {
    check("filesystem");
}

/// Everything arrives once from an input with this `storage.type`.
fn check(storage: &'static str) {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let server = Server::start("opensearch", "/_cluster/health");
    let chaos = Chaos::new(storage, SECONDS, PACE);
    let proxy = Proxy::start(server.port(), Faults::all(chaos.seed));
    let folder = tailwater_testing::folder();
    let dir = folder.path();
    let conf = include_str!("chaos.conf")
        .replace("@DIR@", dir.to_str().unwrap())
        .replace("@PORT@", &proxy.port().to_string())
        .replace("@STORAGE@", storage);
    std::fs::write(dir.join("fluent-bit.conf"), conf).unwrap();
    std::fs::write(dir.join("parsers.conf"), include_str!("parsers.conf")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let client = server.search_client();
    let has_all = |lines| runtime.block_on(arrived::count(&client, INDEX)) >= lines;
    let written = chaos.run(&dir.join("app.log"), || start_agent(dir), has_all);
    // Makes the last of them findable.
    runtime.block_on(arrived::count(&client, INDEX));
    let mut tally = Tally::new(written);
    let count = |document: arrived::Document| tally.count(&document.fields.to_string());
    runtime.block_on(arrived::each_document(&client, INDEX, count));
    chaos.tell(&tally.verdict().to_string());
    tally.assert_exactly_once();
    drop(turn);
}
