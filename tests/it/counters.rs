//! Every number of the metric table moves, and is seen to on the page that Prometheus reads.

use crate::endpoints::{metrics, service};
use crate::{LIMIT, PROGRAM, Place, STDOUT, es, pipes, tail};
use std::collections::BTreeSet;
use std::fs::{remove_file, rename};
use std::os::unix::fs::symlink;
use std::path::Path;
use tailwater_testing::{Agent, BulkStore, Fault, Faults, Kind, Kubernetes, free_port, until};

/// A metric, the instance whose it is, and its value in the end; `None`: any but 0.
type Moved = (&'static str, &'static str, Option<u64>);

#[track_caller]
fn check(agent: &Agent, port: u16, expected: &[Moved]) {
    let page = || metrics(port);
    let missing = || {
        let page = page();
        let found = |(metric, instance, value): &Moved| match (read(&page, metric, instance), value)
        {
            (Some(found), Some(value)) => found == *value,
            (found, None) => found > Some(0),
            (None, Some(_)) => false,
        };
        expected.iter().filter(|moved| !found(moved)).collect::<Vec<_>>()
    };
    let moved = until(LIMIT, || missing().is_empty());
    assert!(moved, "{:?} not in\n{}\nthe agent said:\n{}", missing(), page(), agent.stderr());
}

/// The value of the instance's first line.
pub(crate) fn read(page: &str, metric: &str, instance: &str) -> Option<u64> {
    let name = format!("name=\"{instance}\"");
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(metric)?;
        let (labels, rest) = rest.split_once(' ')?;
        let is_it = labels.is_empty() || labels.starts_with('{');
        let value = rest.split(' ').next()?.parse().ok()?;
        (is_it && (instance.is_empty() || labels.contains(&name))).then_some(value)
    });
    values.into_iter().next()
}

fn start(port: u16, parts: &[&str], prepare: impl FnOnce(&Place)) -> (Place, Agent) {
    let place = Place::new(&[&[&*service(port)], parts].concat().concat());
    prepare(&place);
    let agent = place.start();
    (place, agent)
}

const LINES: &[Moved] = &[
    ("fluentbit_input_records_total", "odd", Some(4)),
    ("fluentbit_input_bytes_total", "odd", Some(44)),
    ("tailwater_input_unparsed_lines_total", "odd", Some(1)),
    ("tailwater_input_invalid_utf8_total", "odd", Some(1)),
    ("tailwater_input_repaired_json_total", "odd", Some(1)),
    ("tailwater_input_unreadable_files_total", "odd", Some(1)),
    ("fluentbit_input_long_line_skipped_total", "skip", Some(1)),
    ("fluentbit_input_long_line_truncated_total", "cut", Some(1)),
    ("tailwater_input_polling", "cut", Some(1)),
    ("tailwater_input_unrouted_records_total", "nowhere", Some(3)),
    ("fluentbit_filter_records_total", "drop", Some(4)),
    ("fluentbit_filter_bytes_total", "drop", Some(44)),
    ("fluentbit_filter_drop_records_total", "drop", Some(1)),
    ("fluentbit_filter_drop_bytes_total", "drop", Some(11)),
    ("tailwater_filter_unparsed_records_total", "again", Some(1)),
    ("tailwater_filter_repaired_json_total", "again", Some(1)),
    ("fluentbit_output_proc_records_total", "null.0", Some(6)),
    ("fluentbit_output_proc_records_total", "file.0", Some(3)),
    ("fluentbit_output_dropped_records_total", "file.0", Some(3)),
    ("fluentbit_output_errors_total", "file.0", None),
    ("fluentbit_uptime", "", None),
    ("tailwater_regex_given_up_total", "", Some(1)),
    ("process_start_time_seconds", "", None),
    ("fluentbit_build_info", "", Some(1)),
    ("tailwater_build_info", "", Some(1)),
];

#[test]
fn odd_lines() {
    let port = free_port();
    let tail = |alias: &str, more: &str| {
        format!(
            "[INPUT]\n    Name tail\n    Alias {alias}\n    Tag {alias}\n    Path @DIR@/{alias}*.log\n    \
             Read_from_Head On\n    Buffer_Chunk_Size 1k\n    Buffer_Max_Size 4k\n    {more}\n"
        )
    };
    let inputs = [
        tail("odd", "Parser json-log"),
        tail("skip", "Skip_Long_Lines On"),
        tail("cut", "Truncate_Long_Lines On\n    Inotify_Watcher Off"),
    ];
    let rest = "
[INPUT]
    Name dummy
    Alias nowhere
    Tag nowhere
    Samples 3
    Rate 10
[FILTER]
    Name grep
    Alias drop
    Match odd
    Exclude log not
[FILTER]
    Name parser
    Alias again
    Match skip
    Key_Name log
    Parser json-log
[FILTER]
    Name grep
    Match cut
    Exclude log ^(?:(x|xx)+)+(?!.)$y
[OUTPUT]
    Name null
    Match_Regex ^(odd|skip|cut)$
[OUTPUT]
    Name file
    Match_Regex ^(odd|skip|cut)$
    Path @DIR@
    File $a
    fallback_file none
";
    let (_place, agent) = start(port, &[&inputs.concat(), rest], |place| {
        place.write("odd.log", b"{\"a\":1}\nnot json\n{\"a\":\"\xff\"}\n{\"a\":\"\\ud800 -\"}\n");
        symlink("odd-loop.log", place.path("odd-loop.log")).unwrap();
        let long = "x".repeat(10_000);
        place.write("skip.log", format!("{long}\nshort\n{{\"b\":\"\\ud800\"}}\n").as_bytes());
        place.write("cut.log", format!("{long}\n").as_bytes());
    });
    check(&agent, port, LINES);
}

const FILES: &[Moved] = &[
    ("fluentbit_input_files_opened_total", "tail.0", Some(3)),
    ("fluentbit_input_files_rotated_total", "tail.0", Some(1)),
    ("fluentbit_input_files_closed_total", "tail.0", Some(2)),
    ("tailwater_input_files_truncated_total", "tail.0", Some(1)),
    ("tailwater_input_lost_bytes_total", "tail.0", Some(4)),
    ("fluentbit_input_records_total", "tail.0", Some(3)),
];

#[test]
fn files_that_come_and_go() {
    let port = free_port();
    let input = tail("@DIR@/*.log", "    Rotate_Wait 1");
    let (place, agent) = start(port, &[&input, STDOUT], |place| {
        place.write("renamed.log", b"1\n");
        place.write("cut.log", b"2\npart");
    });
    check(&agent, port, &[("fluentbit_input_records_total", "tail.0", Some(2))]);
    rename(place.path("renamed.log"), place.path("renamed.log.1")).unwrap();
    place.write("renamed.log", b"");
    place.write("cut.log", b"3\n");
    check(&agent, port, &FILES[3..]);
    remove_file(place.path("cut.log")).unwrap();
    check(&agent, port, FILES);
}

const AWAY: &[Moved] = &[
    ("fluentbit_input_ingestion_paused", "tail.0", Some(1)),
    ("fluentbit_input_storage_overlimit", "tail.0", Some(1)),
    ("fluentbit_input_storage_memory_bytes", "tail.0", None),
    ("fluentbit_input_storage_chunks", "tail.0", None),
    ("fluentbit_output_retries_total", "es.0", None),
    ("fluentbit_output_retried_records_total", "es.0", None),
];

const BACK: &[Moved] = &[
    ("fluentbit_input_ingestion_paused", "tail.0", Some(0)),
    ("fluentbit_input_storage_overlimit", "tail.0", Some(0)),
    ("fluentbit_input_storage_memory_bytes", "tail.0", Some(0)),
    ("fluentbit_input_storage_chunks", "tail.0", Some(0)),
    ("fluentbit_output_proc_records_total", "es.0", Some(20_000)),
    ("fluentbit_output_proc_bytes_total", "es.0", None),
];

#[test]
fn a_store_that_is_away_and_comes_back() {
    let port = free_port();
    let store = BulkStore::refusing(Kind::OpenSearch("3.9.0"), Faults::default());
    let input = tail("@DIR@/app.log", "    Mem_Buf_Limit 200k");
    let (_place, agent) = start(port, &[&input, &es(store.port(), "")], |place| {
        place.write("app.log", &b"a line of some length\n".repeat(20_000));
    });
    check(&agent, port, AWAY);
    store.listen();
    check(&agent, port, BACK);
}

const DISK: &[Moved] = &[
    ("tailwater_storage_syncs_total", "", None),
    ("tailwater_storage_torn_files_total", "", Some(1)),
    ("tailwater_storage_corrupt_files_total", "", Some(2)),
    ("tailwater_storage_unclaimed_chunks", "", Some(1)),
];

/// A chunk file, whose number is 5.
const CHUNK: &[u8] = include_bytes!("../fixtures/chunk-v1/delivery.chunk");

/// What an earlier run may have left: a chunk of an output that is gone, one that was being written, one with a flipped
/// bit, and one of a version that is not known.
fn leave_chunks(place: &Place) {
    let changed = |index: usize| {
        let mut bytes = CHUNK.to_vec();
        bytes[index] ^= 1;
        bytes
    };
    let version_at = CHUNK.iter().position(|byte| *byte == 1).unwrap();
    for (folder, chunk) in [
        ("out/gone", CHUNK),
        ("open", &CHUNK[..CHUNK.len() / 4]),
        ("out/flipped", &changed(CHUNK.len() / 4)),
        ("out/unknown", &changed(version_at)),
    ] {
        std::fs::create_dir_all(place.path("storage").join(folder)).unwrap();
        place.write(&format!("storage/{folder}/00000000000000000005.chunk"), chunk);
    }
}

#[test]
fn a_store_that_is_away_while_records_wait_on_disk() {
    let port = free_port();
    let store = BulkStore::refusing(Kind::OpenSearch("3.9.0"), Faults::default());
    let input = tail("@DIR@/app.log", "    storage.type filesystem");
    let storage = "    storage.path @DIR@/storage\n";
    let (place, agent) = start(port, &[storage, &input, &es(store.port(), "")], |place| {
        place.write("app.log", b"a line\n");
        leave_chunks(place);
    });
    check(&agent, port, DISK);
    assert_eq!(std::fs::read_dir(place.path("storage/corrupt")).unwrap().count(), 2);
}

const ANSWERS: &[Moved] = &[
    ("fluentbit_output_retries_total", "es.0", None),
    ("fluentbit_output_errors_total", "es.0", None),
    ("tailwater_output_duplicates_total", "es.0", Some(2)),
    ("tailwater_output_refused_records_total", "es.0", Some(1)),
    ("fluentbit_output_dropped_records_total", "es.0", Some(1)),
    ("fluentbit_output_proc_records_total", "es.0", Some(2)),
    ("tailwater_output_conflicts_total", "user", Some(1)),
    ("fluentbit_output_proc_records_total", "user", Some(2)),
    ("fluentbit_output_retries_failed_total", "given-up", Some(1)),
    ("fluentbit_output_dropped_records_total", "given-up", Some(3)),
];

/// One answer is lost after storing; the store of the last output never answers.
#[test]
fn what_stores_make_of_records() {
    let port = free_port();
    let lost = BulkStore::start(Faults { lost_answers: 1.0, ..Faults::default() });
    lost.refuse_documents_with("poison");
    let user = BulkStore::start(Faults::default());
    let dead = BulkStore::start(Faults { resets: 1.0, ..Faults::default() });
    let outputs = [
        es(lost.port(), ""),
        es(user.port(), "    Alias user\n    Id_Key log\n"),
        es(dead.port(), "    Alias given-up\n    Retry_Limit 1\n"),
    ];
    let input = tail("@DIR@/app.log", "");
    let (_place, agent) = start(port, &[&input, &outputs.concat()], |place| {
        place.write("app.log", b"same\nsame\npoison\n");
    });
    check(&agent, port, &ANSWERS[..1]);
    lost.change(Faults::default());
    check(&agent, port, ANSWERS);
}

const PODS: &[Moved] = &[
    ("tailwater_filter_records_without_metadata_total", "pods", Some(2)),
    ("tailwater_filter_unmerged_records_total", "pods", Some(3)),
    ("tailwater_filter_missing_parsers_total", "pods", Some(1)),
    ("fluentbit_filter_drop_records_total", "pods", Some(1)),
];

/// What is known of pods comes from files. Before the `X_`, nothing can be the name of one.
#[test]
fn what_is_known_of_pods() {
    let port = free_port();
    let filter = "
[FILTER]
    Name kubernetes
    Alias pods
    Match kube.*
    Kube_Tag_Prefix kube.
    Kube_meta_preload_cache_dir @DIR@
    Merge_Log On
    K8S-Logging.Parser On
    K8S-Logging.Exclude On
";
    let (_place, agent) = start(port, &[&tail("@DIR@/X_*.log", ""), filter, STDOUT], |place| {
        let id = "0123456789abcdef".repeat(4);
        let write = |pod: &str, annotations: &str, lines: &str| {
            let text = format!(r#"{{"metadata": {{"annotations": {{{annotations}}}}}}}"#);
            place.write(&format!("shop_{pod}.meta"), text.as_bytes());
            place.write(&format!("X_{pod}_shop_app-{id}.log"), lines.as_bytes());
        };
        write("web", r#""fluentbit.io/parser": "none""#, "text\n{\"a\":1}\n");
        write("silent", r#""tailwater.io/exclude": "true""#, "text\n");
        place.write(&format!("X_other_shop_app-{id}.log"), b"text\ntext\n");
    });
    check(&agent, port, PODS);
    let said = until(LIMIT, || agent.stdout().matches("\"pod_name\":\"web\"").count() == 2);
    assert!(said, "{}", agent.stdout());
}

const ANSWERS_OF_API: &[Moved] = &[
    ("tailwater_filter_api_requests_total", "kubernetes.0", None),
    ("tailwater_filter_api_errors_total", "kubernetes.0", None),
    ("tailwater_filter_pods_known", "kubernetes.0", Some(1)),
    ("tailwater_filter_records_without_metadata_total", "kubernetes.0", Some(1)),
];

#[test]
fn what_the_kubernetes_api_tells_of_pods() {
    let port = free_port();
    let api = Kubernetes::start("token");
    api.set_fault(Fault::NoList);
    api.put_pod("ns", "pod", "uid", "app", &[]);
    let filter = format!(
        "\n[FILTER]\n    Name kubernetes\n    Match *\n    Kube_URL http://127.0.0.1:{}\n    Kube_Token_File \
         @DIR@/token\n    Kube_Tag_Prefix kube.\n    tailwater.node_name node\n",
        api.port()
    );
    let input = |pod: &str| {
        let file = format!("{pod}_ns_main-{:064x}.log", 1);
        format!(
            "\n[INPUT]\n    Name tail\n    Path @DIR@/{pod}.log\n    Tag kube.{file}\n    Read_from_Head On\n"
        )
    };
    let store = BulkStore::start(Faults::default());
    let parts = [input("pod"), input("gone"), filter, es(store.port(), "")].concat();
    let (_place, agent) = start(port, &[&parts], |place| {
        place.write("token", b"token");
        place.write("pod.log", b"line\n");
        place.write("gone.log", b"line\n");
    });
    check(&agent, port, ANSWERS_OF_API);
}

const PIPE: &[Moved] = &[("tailwater_input_read_errors_total", "stdin.0", Some(1))];

#[test]
fn a_pipe_that_breaks() {
    let port = free_port();
    let input = "\n[INPUT]\n    Name stdin\n";
    // What waits for the store keeps the agent.
    let place = Place::new(&[&*service(port), input, &es(free_port(), "")].concat());
    let arguments = ["-c", "fluent-bit.conf"];
    let agent =
        Agent::start_with(Path::new(PROGRAM), place.dir(), &arguments, pipes::broken().into());
    check(&agent, port, PIPE);
}

/// Tested elsewhere: no filter of ours adds records yet, which is tested beside the code.
const BESIDE: &[&str] = &[
    "fluentbit_filter_add_records_total",
    // In `filter::kubernetes`.
    "tailwater_filter_pods_forgotten_total",
    "tailwater_filter_pods_skipped_total",
    // In `input::tail`.
    "fluentbit_input_multiline_truncated_total",
    "tailwater_input_database_errors_total",
    "tailwater_input_files_let_go_total",
    "tailwater_input_files_parked",
    "tailwater_input_files_gone_total",
    "tailwater_input_files_leaving",
    "tailwater_input_leaving_bytes",
    // In `input::systemd`.
    "tailwater_input_journal_errors_total",
    // In `journal.rs`.
    "tailwater_input_broken_fields_total",
    "tailwater_input_cut_fields_total",
    "tailwater_input_lost_cursors_total",
    // In `disk.rs`.
    "tailwater_output_damaged_records_total",
    // In `reload.rs`.
    "fluentbit_hot_reloaded_times",
    // In `dead_letters.rs`.
    "tailwater_output_dead_letters_total",
    "tailwater_output_dead_letters_dropped_total",
];

#[test]
fn every_row_of_the_table_is_moved_by_a_test() {
    let moved = [LINES, FILES, AWAY, BACK, DISK, ANSWERS, PODS, ANSWERS_OF_API, PIPE].concat();
    let moved: BTreeSet<_> =
        moved.iter().map(|(metric, ..)| *metric).chain(BESIDE.iter().copied()).collect();
    let rows: BTreeSet<_> = tailwater::metrics::rows().map(|row| row.name).collect();
    assert_eq!(moved, rows);
}
