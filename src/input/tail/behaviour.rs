//! What `tail` does with files, one behaviour a test.

use super::doze::Openings;
use super::follow::CREATED_SLACK;
use super::rig::Rig;
use super::*;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::time::Duration;

const HEAD: (&str, &str) = ("Read_from_Head", "on");
const DB: (&str, &str) = ("DB", "@/positions.db");
const PATH: (&str, &str) = ("Path", "@/*.log");

/// A running rig.
fn rig(properties: &[(&str, &str)]) -> Rig {
    let mut rig = Rig::new(properties);
    rig.properties.push(("Refresh_Interval".into(), "1".into()));
    rig.start();
    rig
}

#[test]
fn without_head_only_what_is_new_is_read() {
    let mut rig = Rig::new(&[PATH, DB]);
    rig.append("old.log", "old\n");
    rig.start();
    rig.drain();
    rig.append("old.log", "1\n");
    rig.append("later.log", "2\n");
    rig.expect(&["1", "2"]);
    rig.stop();
    // While nobody looks, one file is rotated.
    let clock = fs::metadata(rig.path("positions.db")).unwrap().modified().unwrap();
    rig.rename("old.log", "old.log.1");
    rig.append("old.log.1", "3\n");
    rig.append("old.log", "4\n");
    let created = rig.path("old.log").metadata().unwrap().created();
    assert!(created.is_ok_and(|created| created + CREATED_SLACK > clock));
    rig.start();
    rig.expect(&["1", "2", "3", "4"]);
}

#[test]
fn of_a_file_that_is_empty_everything_is_new() {
    for properties in [&[PATH][..], &[PATH, DB]] {
        let mut rig = Rig::new(properties);
        rig.append("empty.log", "");
        rig.start();
        rig.drain();
        rig.append("empty.log", "1\n");
        rig.expect(&["1"]);
    }
}

#[test]
fn a_file_by_two_names_is_followed_once_and_behind_a_link_as_well() {
    let mut rig = rig(&[("Path", "@/links/*.log, @/*.log"), HEAD]);
    fs::create_dir_all(rig.path("pods")).unwrap();
    fs::create_dir_all(rig.path("links")).unwrap();
    rig.append("pods/0.log", "1\n");
    std::os::unix::fs::symlink(rig.path("pods/0.log"), rig.path("links/x.log")).unwrap();
    fs::hard_link(rig.path("pods/0.log"), rig.path("y.log")).unwrap();
    rig.expect(&["1"]);
    fs::remove_file(rig.path("y.log")).unwrap();
    rig.drain();
    rig.append("pods/0.log", "2\n");
    rig.rename("pods/0.log", "pods/0.log.1");
    rig.append("pods/0.log.1", "3\n");
    rig.append("pods/0.log", "4\n");
    rig.expect(&["1", "2", "3", "4"]);
}

/// As a starved agent has it: by the time it hears of a name, that is gone.
#[test]
fn a_file_that_came_and_was_renamed_between_two_turns_is_read() {
    let mut rig = rig(&[PATH, DB, HEAD]);
    rig.append("a.log", "1\n");
    rig.drain();
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "2\n");
    rig.rename("a.log.1", "a.log.2");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "3\n");
    rig.rename("a.log.2", "a.log.3");
    rig.rename("a.log.1", "a.log.2");
    rig.rename("a.log", "a.log.1");
    rig.append("b.log", "4\n");
    rig.rename("b.log", "b.old");
    rig.append("b.log", "5\n");
    // Nobody asked for this one, whatever it is called.
    rig.append("c.txt", "6\n");
    rig.rename("c.txt", "d.txt");
    rig.expect(&["1", "2", "3", "4", "5"]);
    // It is followed until it is closed, and known after a crash.
    rig.append("a.log.1", "7\n");
    rig.kill();
    rig.start();
    rig.expect(&["1", "2", "3", "4", "5", "7"]);
    // One that is read and closed is not taken for new when it is renamed once more.
    for _ in 0..20 {
        rig.turn(Duration::from_secs(1));
    }
    let opened = rig.metrics.files_opened.value();
    rig.rename("a.log.3", "a.log.4");
    rig.rename("a.log.2", "a.log.3");
    rig.expect(&["1", "2", "3", "4", "5", "7"]);
    assert_eq!(rig.metrics.files_opened.value(), opened);
}

#[test]
fn a_file_that_was_renamed_unseen_has_the_name_that_it_had_or_that_of_its_link() {
    let mut rig = rig(&[("Path", "@/*.log, @/links/*.log"), HEAD, ("Path_Key", "path")]);
    fs::create_dir(rig.path("links")).unwrap();
    fs::create_dir(rig.path("pods")).unwrap();
    rig.append("pods/0.log", "1\n");
    std::os::unix::fs::symlink(rig.path("pods/0.log"), rig.path("links/x.log")).unwrap();
    rig.drain();
    rig.rename("pods/0.log", "pods/0.log.1");
    rig.append("pods/0.log", "2\n");
    rig.rename("pods/0.log.1", "pods/0.log.2");
    rig.rename("pods/0.log", "pods/0.log.1");
    rig.append("a.log", "3\n");
    rig.rename("a.log", "a.log.1");
    rig.drain();
    rig.settle(usize::MAX);
    let root = format!("{}/", rig.home.path().display());
    let bodies: Vec<_> = rig.bodies().iter().map(|body| body.replace(&root, "")).collect();
    let expected = [
        r#"{"path":"a.log","log":"3"}"#,
        r#"{"path":"links/x.log","log":"1"}"#,
        r#"{"path":"links/x.log","log":"2"}"#,
    ];
    assert_eq!(bodies, expected);
}

#[test]
fn a_rotated_file_is_read_to_its_end_however_long_that_takes() {
    let mut rig = rig(&[PATH, DB, HEAD]);
    rig.append("a.log", "1\n");
    rig.drain();
    rig.recorder.is_full = true;
    rig.append("a.log", "2\nno newline");
    rig.rename("a.log", "a.log.1");
    for _ in 0..20 {
        rig.turn(Duration::from_secs(1));
    }
    assert_eq!(rig.tail.as_ref().unwrap().files.len(), 1);
    let leaving =
        |rig: &Rig| (rig.metrics.files_leaving.value(), rig.metrics.leaving_bytes.value());
    assert_eq!(leaving(&rig), (1, 12));
    rig.recorder.is_full = false;
    for _ in 0..20 {
        rig.turn(Duration::from_secs(1));
    }
    assert_eq!(rig.tail.as_ref().unwrap().files.len(), 0);
    assert_eq!((rig.metrics.files_opened.value(), rig.metrics.files_closed.value()), (1, 1));
    assert_eq!(leaving(&rig), (0, 0));
    rig.expect(&["1", "2", "no newline"]);
}

#[test]
fn a_closed_file_that_is_not_settled_is_read_again_after_a_crash() {
    let mut rig = rig(&[PATH, DB, HEAD]);
    rig.append("a.log", "1\n2\n");
    rig.drain();
    rig.rename("a.log", "a.log.1");
    for _ in 0..20 {
        rig.turn(Duration::from_secs(1));
    }
    assert_eq!(rig.metrics.files_closed.value(), 1);
    rig.kill();
    rig.start();
    rig.expect(&["1", "2"]);
}

/// What `copytruncate` copied was written after the last look, so that nobody knew of it when it was cut.
#[test]
fn what_was_copied_unseen_is_read_in_the_copy() {
    let mut rig = rig(&[PATH, DB, HEAD]);
    rig.append("a.log", "1\n");
    rig.expect(&["1"]);
    for (back, unseen, next) in [(1, "2\n", "3\n"), (2, "4\n", "5\n"), (3, "", "6\n")] {
        rig.append("a.log", unseen);
        fs::copy(rig.path("a.log"), rig.path(&format!("a.log.{back}"))).unwrap();
        fs::write(rig.path("a.log"), "").unwrap();
        rig.turn(Duration::from_millis(30));
        rig.append("a.log", next);
        rig.drain();
    }
    rig.expect(&["1", "2", "3", "4", "5", "6"]);
    assert_eq!(rig.metrics.lost_bytes.value(), 0);
}

#[test]
fn a_truncated_file_begins_anew() {
    let mut rig = rig(&[PATH, DB, HEAD]);
    rig.append("a.log", "1\n2\n3\n");
    rig.expect(&["1", "2", "3"]);
    fs::write(rig.path("a.log"), "4\n").unwrap();
    rig.expect(&["1", "2", "3", "4"]);
    // Longer than before when it is looked at, but not the same.
    fs::write(rig.path("a.log"), "5\n6\n7\n8\n").unwrap();
    rig.expect(&["1", "2", "3", "4", "5", "6", "7", "8"]);
    rig.stop();
    fs::write(rig.path("a.log"), "9\n").unwrap();
    rig.start();
    rig.expect(&["1", "2", "3", "4", "5", "6", "7", "8", "9"]);
    assert_eq!(rig.metrics.files_truncated.value(), 2);
}

#[test]
fn a_file_that_was_written_anew_and_looks_alike_where_it_was_left_begins_anew() {
    let mut rig = rig(&[PATH, DB, HEAD]);
    let lines: Vec<_> = (0..5).map(|n| format!("{n}{}", "x".repeat(40))).collect();
    let mut lines: Vec<_> = lines.iter().map(String::as_str).collect();
    rig.append("a.log", format!("{}\n{}\n", lines[0], lines[1]));
    rig.expect(&lines[..2]);
    fs::write(rig.path("a.log"), format!("{}\n{}\n{}\n", lines[2], lines[3], lines[4])).unwrap();
    rig.expect(&lines);
    // Nothing stands before a first line.
    rig.append("b.log", "begun");
    rig.drain();
    fs::write(rig.path("b.log"), "whole\n").unwrap();
    lines.push("whole");
    rig.expect(&lines);
    rig.stop();
    rig.start();
    rig.expect(&lines);
    assert_eq!(rig.metrics.files_truncated.value(), 2);
}

#[test]
fn a_file_that_was_written_anew_in_its_old_size_is_noticed_without_events() {
    let mut rig = rig(&[PATH, HEAD, ("Inotify_Watcher", "off")]);
    rig.turn(Duration::ZERO);
    assert_eq!(rig.metrics.polling.value(), 1);
    rig.append("a.log", "1\nbegun");
    rig.expect(&["1"]);
    fs::write(rig.path("a.log"), "2\nwhole").unwrap();
    // A file system's clock is a coarse one.
    let later = SystemTime::now() + Duration::from_secs(1);
    File::open(rig.path("a.log")).unwrap().set_modified(later).unwrap();
    rig.append("b.log", "3\n");
    rig.expect(&["1", "2", "3"]);
}

#[test]
fn a_database_of_fluent_bit_is_gone_on_with() {
    let mut rig = Rig::new(&[PATH, DB, HEAD]);
    rig.append("a.log", "old 1\nold 2\nnew\n");
    rig.append("reused.log", "all\n");
    let inode = |name: &str| Place::of(&rig.path(name).metadata().unwrap()).inode;
    let database = rusqlite::Connection::open(rig.path("positions.db")).unwrap();
    // As a release without `offset_marker` made it.
    database
        .execute_batch(&format!(
            "CREATE TABLE in_tail_files (id INTEGER PRIMARY KEY, name TEXT NOT NULL, offset INTEGER,
               inode INTEGER, created INTEGER, rotated INTEGER DEFAULT 0);
             INSERT INTO in_tail_files (name, offset, inode, created) VALUES
               ('{root}/a.log', 12, {a}, 1), ('{root}/reused.log', 5000, {reused}, 1),
               ('{root}/gone.log', 7, 1, 1), ('/elsewhere/x.log', 7, 2, 1);",
            root = rig.home.path().display(),
            a = inode("a.log"),
            reused = inode("reused.log"),
        ))
        .unwrap();
    drop(database);
    rig.start();
    rig.expect(&["new", "all"]);
    rig.stop();
    let database = rusqlite::Connection::open(rig.path("positions.db")).unwrap();
    let rows =
        "SELECT name, offset, offset_marker, offset_marker_size FROM in_tail_files ORDER BY name";
    let mut statement = database.prepare(rows).unwrap();
    let rows = statement.query_map([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, i64>(2)?,
            row.get::<_, i64>(3)?,
        ))
    });
    let rows: Vec<_> = rows.unwrap().map(Result::unwrap).collect();
    let marker = |text: &str| xxhash_rust::xxh3::xxh3_64(text.as_bytes()).cast_signed();
    let path = |name: &str| rig.path(name).to_str().unwrap().to_owned();
    let (a, reused) = (marker("old 1\nold 2\nnew\n"), marker("all\n"));
    let expected = [
        ("/elsewhere/x.log".to_owned(), 7, 0, 0),
        (path("a.log"), 16, a, 16),
        (path("reused.log"), 4, reused, 4),
    ];
    assert_eq!(rows, expected);
}

#[test]
fn a_database_that_cannot_be_used_is_said_with_what_to_do() {
    let mut rig = Rig::new(&[PATH, DB]);
    let check = |rig: &Rig, expected: &str| {
        let message = rig.open().unwrap_err().to_string();
        let message = message.replace(rig.home.path().to_str().unwrap(), "");
        assert!(message.contains(expected), "{message}");
    };
    fs::write(rig.path("positions.db"), "this is no database ".repeat(100)).unwrap();
    check(&rig, "/positions.db: file is not a database; restore it, or move it away");
    fs::remove_file(rig.path("positions.db")).unwrap();
    let holder = rusqlite::Connection::open(rig.path("positions.db")).unwrap();
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    check(&rig, "/positions.db: database is locked; another process holds it");
    drop(holder);
    rig.properties[1].1 = rig.path("none/positions.db").to_str().unwrap().to_owned();
    check(&rig, "the folder /none does not exist; create it or change `DB`");
    rig.properties[1].1 = rig.path("other.db").to_str().unwrap().to_owned();
    let other = rusqlite::Connection::open(rig.path("other.db")).unwrap();
    other.execute_batch("CREATE TABLE in_tail_files (id INTEGER, name TEXT)").unwrap();
    check(&rig, "/other.db: its table `in_tail_files` has no column `offset`; check the file");
    other.execute_batch("DROP TABLE in_tail_files").unwrap();
    rig.start();
    rig.stop();
    other.execute_batch("UPDATE tailwater_node SET version = 2").unwrap();
    check(&rig, "/other.db: its tables have version 2, and this tailwater knows 1; use the newer");
}

#[test]
fn options_that_cannot_work_are_refused() {
    let check = |properties: &[(&str, &str)], expected: &str| {
        assert_eq!(Rig::new(properties).open().unwrap_err().to_string(), expected);
    };
    check(&[PATH, ("Rotate_Wait", "0.5")], "`Rotate_Wait` must be at least 1 s");
    check(&[PATH, ("Refresh_Interval", "0")], "`Refresh_Interval` must be longer than 0");
    let sizes = "`Buffer_Max_Size` must not be smaller than `Buffer_Chunk_Size`";
    for size in ["16k", "0", "false"] {
        check(&[PATH, ("Buffer_Max_Size", size)], sizes);
    }
    check(&[], "`Path` is not set: it names the files to follow");
}

#[test]
fn inputs_that_share_a_database_leave_each_others_rows_alone() {
    let mut rig = rig(&[("Path", "@/a.log"), HEAD, DB]);
    let paths = ["a.log", "b.log"].map(|name| rig.path(name).to_str().unwrap().to_owned());
    rig.append("a.log", "1\n");
    rig.append("b.log", "2\n");
    rig.expect(&["1"]);
    for (path, lines) in [(1, ["1", "2"]), (0, ["1", "2"])] {
        rig.stop();
        rig.properties[0].1.clone_from(&paths[path]);
        rig.start();
        rig.expect(&lines);
    }
    rig.stop();
    // The other's file was never one that is gone, and neither was read twice.
    let database = rusqlite::Connection::open(rig.path("positions.db")).unwrap();
    let rows: i64 = database
        .query_row("SELECT count(*) FROM in_tail_files WHERE offset = 2", [], |row| row.get(0))
        .unwrap();
    assert_eq!(rows, 2);
    assert_eq!(rig.metrics.files_gone.value(), 0);
}

#[test]
fn what_the_database_refuses_is_counted_and_tried_again() {
    let mut rig = rig(&[PATH, HEAD, DB]);
    rig.append("a.log", "1\n");
    rig.expect(&["1"]);
    let database = rusqlite::Connection::open(rig.path("positions.db")).unwrap();
    database.execute_batch("BEGIN IMMEDIATE").unwrap();
    rig.append("b.log", "2\n");
    let counted = |rig: &Rig| rig.metrics.database_errors.value() > 0;
    let refused = (0..5_000).any(|_| {
        rig.turn(Duration::from_millis(30));
        counted(&rig)
    });
    assert!(refused);
    database.execute_batch("ROLLBACK").unwrap();
    rig.expect(&["1", "2"]);
}

#[test]
fn the_same_inode_under_another_name_can_be_another_file() {
    let mut rig = rig(&[PATH, DB, HEAD, ("DB.Compare_Filename", "on"), ("Path_Key", "p")]);
    rig.append("a.log", "1\n");
    rig.drain();
    rig.settle(9);
    rig.stop();
    rig.rename("a.log", "b.log");
    rig.start();
    rig.drain();
    rig.settle(9);
    assert_eq!(rig.bodies().len(), 2, "{:?}", rig.bodies());
}

#[test]
fn long_lines_do_not_stop_a_file() {
    let long = "x".repeat(600_000);
    let check = |properties: &[(&str, &str)], expected: &[String]| {
        let mut properties = properties.to_vec();
        properties.extend([PATH, HEAD]);
        let mut rig = rig(&properties);
        rig.append("a.log", format!("before\n{long}"));
        rig.drain();
        rig.append("a.log", format!("{long}\nafter\n"));
        rig.drain();
        rig.settle(usize::MAX);
        let mut expected = expected.to_vec();
        expected.extend([r#"{"log":"before"}"#.to_owned(), r#"{"log":"after"}"#.to_owned()]);
        expected.sort_unstable();
        assert_eq!(rig.bodies(), expected);
        (rig.metrics.long_line_skipped.value(), rig.metrics.long_line_truncated.value())
    };
    assert_eq!(check(&[("Skip_Long_Lines", "on")], &[]), (1, 0));
    let cut = "x".repeat(32_767);
    assert_eq!(check(&[("Truncate_Long_Lines", "on")], &[format!(r#"{{"log":"{cut}"}}"#)]), (0, 1));
    assert_eq!(check(&[], &[format!(r#"{{"log":"{cut}","log_truncated":true}}"#)]), (0, 1));
    let whole = format!(r#"{{"log":"{long}{long}"}}"#);
    assert_eq!(check(&[("Buffer_Max_Size", "2M")], &[whole]), (0, 0));
}

#[test]
fn the_process_may_end_when_all_is_read() {
    let mut rig = Rig::new(&[PATH, DB, HEAD, ("Exit_On_Eof", "on")]);
    rig.append("a.log", "1\n");
    rig.append("b.log", "");
    rig.start();
    let is_done = (0..500).any(|_| rig.turn(Duration::from_millis(30)) == Turn::Done);
    assert!(is_done);
    rig.settle(9);
    assert_eq!(rig.bodies(), [r#"{"log":"1"}"#]);
}

#[test]
fn what_cannot_be_read_is_counted_once_and_does_not_stop_the_others() {
    let mut rig = rig(&[PATH, HEAD]);
    std::os::unix::fs::symlink("loop.log", rig.path("loop.log")).unwrap();
    fs::create_dir(rig.path("folder.log")).unwrap();
    let pipe = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
    rustix::fs::mknodat(rustix::fs::CWD, rig.path("pipe.log"), pipe.0, pipe.1, 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(rig.path("socket.log")).unwrap();
    std::os::unix::fs::symlink("/dev/null", rig.path("device.log")).unwrap();
    rig.append("a.log", "1\n");
    rig.expect(&["1"]);
    assert_eq!(rig.metrics.unreadable_files.value(), 5);
    fs::remove_file(rig.path("loop.log")).unwrap();
    rig.append("loop.log", "2\n");
    rig.expect(&["1", "2"]);
}

#[test]
fn a_write_wakes_and_a_file_that_appears_as_well() {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut rig = rig(&[("Path", "@/new/*/x.log"), HEAD]);
    rig.drain();
    let wakes = |rig: &mut Rig| {
        // Events are listened to again when nothing happened for a while.
        for _ in 0..5 {
            rig.turn(Duration::from_millis(30));
        }
        let path = rig.path("new/1/x.log");
        if path.exists() {
            OpenOptions::new().append(true).open(path).unwrap().write_all(b"2\n").unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
        }
        let descriptor = rig.tail.as_ref().unwrap().wake_on(false).unwrap();
        let limit = Timespec { tv_sec: 5, tv_nsec: 0 };
        poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&limit)).unwrap() == 1
    };
    assert!(wakes(&mut rig), "a folder appears");
    rig.append("new/1/x.log", "1\n");
    rig.expect(&["1"]);
    assert!(wakes(&mut rig), "a line is written");
    rig.expect(&["1", "2"]);
}

#[test]
fn without_inotify_files_are_polled() {
    let mut rig = rig(&[PATH, HEAD, ("Inotify_Watcher", "off")]);
    rig.append("a.log", "1\n");
    rig.expect(&["1"]);
    rig.rename("a.log", "a.log.1");
    rig.append("a.log.1", "2\n");
    rig.append("a.log", "3\n");
    rig.expect(&["1", "2", "3"]);
}

#[test]
fn a_line_says_where_it_came_from() {
    let mut rig = rig(&[PATH, HEAD, ("Path_Key", "p"), ("Offset_Key", "o"), ("Key", "k")]);
    rig.append("a.log", "1\n2\n");
    rig.drain();
    rig.rename("a.log", "b.log");
    rig.append("b.log", "3\n");
    rig.drain();
    rig.settle(9);
    let path = rig.path("a.log").to_str().unwrap().to_owned();
    let line = |offset: u64, text: &str| format!(r#"{{"p":"{path}","o":{offset},"k":"{text}"}}"#);
    assert_eq!(rig.bodies(), [line(0, "1"), line(2, "2"), line(4, "3")]);
}

#[test]
fn the_process_ends_only_when_what_was_renamed_is_read_too() {
    let mut rig = rig(&[PATH, DB, HEAD]);
    rig.append("a.log", "1\n");
    rig.drain();
    rig.settle(9);
    rig.stop();
    rig.append("a.log", "2\n");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "3\n");
    rig.properties.push(("Exit_On_Eof".to_owned(), "on".to_owned()));
    rig.start();
    let is_done = (0..500).any(|_| rig.turn(Duration::from_millis(30)) == Turn::Done);
    assert!(is_done);
    rig.settle(9);
    let bodies = [r#"{"log":"1"}"#, r#"{"log":"2"}"#, r#"{"log":"3"}"#];
    assert_eq!(rig.bodies(), bodies);
}

#[test]
fn before_the_process_ends_it_looks_for_new_files_once_more() {
    let seldom = ("Refresh_Interval", "1h");
    let mut rig =
        Rig::new(&[PATH, HEAD, seldom, ("Inotify_Watcher", "off"), ("Exit_On_Eof", "on")]);
    rig.append("a.log", "1\n");
    rig.start();
    rig.turn(Duration::ZERO);
    rig.append("a.log", "2\n");
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "3\n");
    let is_done = (0..500).any(|_| rig.turn(Duration::from_millis(1)) == Turn::Done);
    assert!(is_done);
    rig.settle(9);
    let bodies = [r#"{"log":"1"}"#, r#"{"log":"2"}"#, r#"{"log":"3"}"#];
    assert_eq!(rig.bodies(), bodies);
}

/// The bytes before the offset are the same as before, and so is the size.
#[test]
fn a_file_written_anew_with_lines_that_end_alike_begins_anew() {
    for properties in [&[PATH, DB, HEAD][..], &[PATH, HEAD]] {
        let mut rig = rig(properties);
        let tail = "x".repeat(40);
        let line = |number: u32| format!("{number} {tail}");
        fs::write(rig.path("a.log"), format!("{}\n{}\n", line(1), line(2))).unwrap();
        rig.expect(&[&line(1), &line(2)]);
        fs::write(rig.path("a.log"), format!("{}\n{}\n", line(3), line(4))).unwrap();
        rig.expect(&[&line(1), &line(2), &line(3), &line(4)]);
    }
}

/// As it is found when it was made: without a byte. It must be on record before it is rotated away, or nothing leads
/// back to it after a crash.
#[test]
fn a_file_that_was_empty_is_registered_even_while_the_buffer_is_full() {
    let mut rig = rig(&[PATH, DB, HEAD]);
    rig.append("a.log", "1\n");
    rig.drain();
    rig.recorder.is_full = true;
    rig.rename("a.log", "a.log.1");
    rig.append("a.log", "");
    rig.turn(Duration::from_mins(1));
    rig.append("a.log", "2\n");
    let is_followed = (0..500).any(|_| {
        rig.turn(Duration::from_millis(30));
        rig.is_followed("a.log")
    });
    assert!(is_followed);
    rig.rename("a.log", "a.log.2");
    rig.kill();
    rig.append("a.log", "3\n");
    rig.start();
    rig.expect(&["1", "2", "3"]);
}

fn pack(rig: &Rig, from: &str, to: &str) {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&fs::read(rig.path(from)).unwrap()).unwrap();
    fs::write(rig.path(to), encoder.finish().unwrap()).unwrap();
    fs::remove_file(rig.path(from)).unwrap();
}

/// What logrotate, the kubelet and `copytruncate` leave of a file while nobody looks, and what of it is lost.
#[test]
fn what_became_of_a_file_while_nobody_looked_is_found() {
    let check = |lines: &[&str], lost: u64, change: &dyn Fn(&Rig)| {
        let mut rig = rig(&[PATH, DB, HEAD]);
        rig.append("a.log", "1 is the first line\n");
        rig.expect(&["1 is the first line"]);
        rig.append("a.log", "2\n");
        rig.drain();
        // What was not settled comes again, with the same id.
        let open: Vec<_> = rig.recorder.open.drain(..).collect();
        for (_, _, sent) in open {
            rig.store(sent);
        }
        rig.stop();
        change(&rig);
        rig.start();
        rig.expect(lines);
        let is_counted = (0..500).any(|_| {
            rig.turn(Duration::from_millis(30));
            rig.metrics.lost_bytes.value() == lost
        });
        assert!(is_counted, "{} bytes lost", rig.metrics.lost_bytes.value());
        let is_gone = lost > 0 && !rig.path("a.log").exists();
        assert_eq!(rig.metrics.files_gone.value(), u64::from(is_gone));
    };
    let both = ["1 is the first line", "2"];
    check(&both, 0, &|_| {});
    check(&both, 0, &|rig| rig.rename("a.log", "a.log.1"));
    check(&both, 0, &|rig| rig.rename("a.log", "by another name"));
    check(&both, 0, &|rig| pack(rig, "a.log", "a.log.2.gz"));
    check(&["1 is the first line", "2", "3", "4"], 0, &|rig| {
        rig.append("a.log", "3\n");
        pack(rig, "a.log", "a-20260101.log.GZ");
        rig.append("a.log", "4\n");
    });
    check(&["1 is the first line", "2", "3", "4"], 0, &|rig| {
        rig.append("a.log", "3\n");
        fs::copy(rig.path("a.log"), rig.path("a.log.1")).unwrap();
        fs::write(rig.path("a.log"), "4\n").unwrap();
    });
    // Packed, but something else.
    check(&both, 2, &|rig| {
        fs::remove_file(rig.path("a.log")).unwrap();
        rig.append("b", "1 is the first line of another file\n");
        pack(rig, "b", "a.log.1.gz");
    });
    check(&both, 2, &|rig| fs::remove_file(rig.path("a.log")).unwrap());
}

#[test]
fn a_packed_file_that_path_finds_is_read_unpacked_and_gone_on_with() {
    let mut rig = rig(&[("Path", "@/*.gz"), DB, HEAD, ("Offset_Key", "o")]);
    rig.append("plain", "1\n22\n");
    pack(&rig, "plain", "a.log.gz");
    rig.append("damaged.gz", "this is not packed at all");
    rig.drain();
    rig.settle(9);
    assert_eq!(rig.bodies(), [r#"{"o":0,"log":"1"}"#, r#"{"o":2,"log":"22"}"#]);
    assert_eq!(rig.metrics.unreadable_files.value(), 1);
    rig.stop();
    let more = fs::read(rig.path("a.log.gz")).unwrap();
    rig.start();
    // Another member behind the first, as `gzip >>` makes it.
    rig.append("a.log.gz", more);
    rig.drain();
    rig.settle(9);
    let second = [r#"{"o":5,"log":"1"}"#, r#"{"o":7,"log":"22"}"#];
    assert_eq!(rig.bodies()[1..3], [r#"{"o":2,"log":"22"}"#, second[0]]);
    assert_eq!((rig.bodies().len(), rig.bodies()[3]), (4, second[1]));
}

#[test]
fn what_is_cut_off_unread_is_counted_when_it_was_seen() {
    let mut rig = rig(&[PATH, HEAD]);
    rig.append("a.log", "1\n");
    rig.drain();
    rig.recorder.is_full = true;
    rig.append("a.log", "2\n33\n");
    rig.turn(Duration::from_secs(3));
    // In the middle of what was read, of what was not, and behind it.
    let file = OpenOptions::new().write(true).open(rig.path("a.log")).unwrap();
    file.set_len(6).unwrap();
    rig.turn(Duration::from_secs(3));
    assert_eq!(rig.metrics.files_truncated.value(), 0);
    file.set_len(1).unwrap();
    rig.turn(Duration::from_secs(3));
    rig.recorder.is_full = false;
    rig.drain();
    assert_eq!(rig.metrics.files_truncated.value(), 1);
    assert_eq!(rig.metrics.lost_bytes.value(), 5);
}

/// Its descriptor leads to it, but only so many are kept.
#[test]
fn a_rotated_file_that_was_closed_for_others_is_found_again() {
    let mut rig = rig(&[PATH, HEAD]);
    rig.stop();
    rig.leaving_open_max = 1;
    rig.start();
    rig.recorder.is_full = true;
    for number in 0..4 {
        rig.append("a.log", format!("{number} begins\n"));
        let is_followed = (0..500).any(|_| {
            rig.turn(Duration::from_secs(1));
            rig.is_followed("a.log")
        });
        assert!(is_followed);
        rig.append("a.log", format!("{number} ends\n"));
        rig.turn(Duration::from_secs(3));
        rig.rename("a.log", &format!("a.log.{number}"));
        rig.turn(Duration::from_secs(3));
    }
    let tail = rig.tail.as_ref().unwrap();
    assert_eq!((tail.resting.len(), rig.metrics.files_leaving.value()), (3, 4));
    fs::remove_file(rig.path("a.log.0")).unwrap();
    pack(&rig, "a.log.1", "a.log.1.gz");
    rig.rename("a.log.2", "a.log.9");
    rig.recorder.is_full = false;
    rig.expect(&["1 begins", "1 ends", "2 begins", "2 ends", "3 begins", "3 ends"]);
    assert_eq!((rig.metrics.lost_bytes.value(), rig.metrics.files_gone.value()), (16, 1));
}

#[test]
fn a_file_that_gives_errors_is_named_once_and_the_others_go_on() {
    let mut rig = rig(&[PATH, HEAD, DB]);
    // Says that it has a page of text, and gives an error when that is read.
    std::os::unix::fs::symlink("/sys/class/net/lo/speed", rig.path("disk.log")).unwrap();
    rig.append("a.log", "1\n");
    let is_read = (0..500).any(|_| {
        rig.turn(Duration::from_secs(1));
        rig.settle(9);
        rig.bodies() == [r#"{"log":"1"}"#] && rig.metrics.unreadable_files.value() == 1
    });
    assert!(is_read);
    for _ in 0..20 {
        rig.turn(Duration::from_secs(1));
    }
    assert_eq!(rig.metrics.unreadable_files.value(), 1);
}

/// With the next scan an hour away, nothing but events tells of what happens.
fn told_by_events(properties: &[(&str, &str)]) -> Rig {
    let mut rig = Rig::new(properties);
    for (key, value) in [("Refresh_Interval", "3600"), ("Progress_Check_Interval", "3600")] {
        rig.properties.push((key.into(), value.into()));
    }
    rig.start();
    rig.drain();
    rig
}

#[test]
fn events_tell_of_files_that_come_and_go_and_are_renamed() {
    let mut rig = told_by_events(&[("Path", "@/*.log, @/*/*/*.log*"), HEAD]);
    rig.append("a.log", "1\n");
    rig.expect(&["1"]);
    // Folders within folders, and files in them at once.
    fs::create_dir_all(rig.path("x/y")).unwrap();
    rig.append("x/y/b.log", "2\n");
    rig.expect(&["1", "2"]);
    rig.rename("x/y/b.log", "x/y/b.log.1");
    rig.append("x/y/b.log.1", "3\n");
    rig.append("x/y/b.log", "4\n");
    rig.expect(&["1", "2", "3", "4"]);
    assert_eq!((rig.metrics.files_opened.value(), rig.metrics.files_rotated.value()), (3, 1));
    // Out of what `Path` finds, and written to there.
    rig.rename("a.log", "a.old");
    rig.append("a.old", "5\n");
    rig.expect(&["1", "2", "3", "4", "5"]);
    assert_eq!(rig.metrics.files_rotated.value(), 2);
    fs::remove_dir_all(rig.path("x")).unwrap();
    rig.turn(Duration::from_millis(30));
    for _ in 0..10 {
        rig.turn(Duration::from_secs(5));
    }
    assert!(rig.tail.as_ref().unwrap().files.is_empty());
}

/// What a container's runtime and the kubelet make, in every order in which they may.
#[test]
fn a_pod_that_lives_for_an_instant_is_read_from_its_first_byte() {
    let mut rig = told_by_events(&[("Path", "@/containers/*.log"), HEAD]);
    fs::create_dir_all(rig.path("pods")).unwrap();
    fs::create_dir_all(rig.path("containers")).unwrap();
    rig.drain();
    let mut lines = Vec::new();
    for number in 0..3 {
        let folder = format!("pods/{number}/app");
        let (link, file) = (format!("containers/{number}.log"), format!("{folder}/0.log"));
        lines.push(format!("line {number}"));
        let link_it = |rig: &Rig| {
            std::os::unix::fs::symlink(rig.path(&file), rig.path(&link)).unwrap();
        };
        if number == 0 {
            link_it(&rig);
            rig.drain();
        }
        fs::create_dir_all(rig.path(&folder)).unwrap();
        if number == 1 {
            link_it(&rig);
            rig.drain();
        }
        rig.append(&file, format!("{}\n", lines[number]));
        if number == 2 {
            link_it(&rig);
        }
        rig.turn(Duration::from_millis(30));
        // Its descriptor is all that is left of it.
        fs::remove_dir_all(rig.path(&format!("pods/{number}"))).unwrap();
        fs::remove_file(rig.path(&link)).unwrap();
        let expected: Vec<_> = lines.iter().map(String::as_str).collect();
        rig.expect(&expected);
    }
}

#[test]
fn a_file_that_was_read_and_is_old_is_left_until_it_is_written_to() {
    let options = [PATH, DB, HEAD, ("Ignore_Older", "60"), ("Ignore_Active_Older_Files", "on")];
    let mut rig = rig(&options);
    rig.append("a.log", "1\nbegun");
    rig.append("b.log", "2\n");
    rig.expect(&["1", "2"]);
    for name in ["a.log", "b.log"] {
        let file = OpenOptions::new().write(true).open(rig.path(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_mins(2)).unwrap();
    }
    rig.turn(Duration::from_secs(3));
    rig.turn(Duration::from_secs(3));
    assert!(rig.is_followed("a.log"), "its last line is not read yet");
    assert!(!rig.is_followed("b.log"));
    assert_eq!(rig.metrics.files_closed.value(), 1);
    rig.append("b.log", "3\n");
    rig.expect(&["1", "2", "3"]);
    assert_eq!(rig.metrics.files_opened.value(), 3);
}

/// Takes what it is given, and counts it.
#[derive(Default)]
struct Tally(u64);

impl Intake for Tally {
    fn take(&mut self, batch: crate::record::Batch<'_>) {
        self.0 += batch.bytes;
    }

    fn is_full(&self) -> bool {
        false
    }
}

#[test]
fn one_turn_reads_as_much_as_it_may_and_of_every_file() {
    let check = |properties: &[(&str, &str)], least: u64, most: u64| {
        let mut rig = Rig::new(&[PATH, HEAD]);
        for (key, value) in properties {
            rig.properties.push(((*key).to_owned(), (*value).to_owned()));
        }
        let line = format!("{}\n", "x".repeat(1023));
        rig.append("chatty.log", line.repeat(6 << 10));
        rig.append("quiet.log", "1\n");
        let mut tail = rig.open().unwrap();
        let mut tally = Tally::default();
        let now = Instant::now();
        tail.turn(now, &mut tally);
        tally.0 = 0;
        assert_eq!(tail.turn(now, &mut tally), Turn::More);
        assert!((least..=most).contains(&tally.0), "{properties:?}: {} bytes", tally.0);
        let chatty = tail.queue.front().map(|number| tail.files[number].shown.contains("chatty"));
        assert!(least < 512 << 10 || (tail.queue.len() == 1 && chatty == Some(true)));
    };
    check(&[], 4 << 20, 5 << 20);
    check(&[("Static_Batch_Size", "0"), ("Event_Batch_Size", "0")], 4 << 20, 5 << 20);
    check(&[("Static_Batch_Size", "1M")], 1_000_000, 1_500_000);
    check(&[("Event_Batch_Size", "1k")], 2, 256 << 10);
}

/// Far more files than may be open: told by events, and by looking.
#[test]
fn more_files_than_descriptors_are_followed() {
    for (inotify, most) in [("on", 5), ("off", 3)] {
        let mut rig = Rig::new(&[PATH, DB, HEAD, ("Inotify_Watcher", inotify)]);
        rig.openings = Openings { wanted: 3, most };
        let mut lines = Vec::new();
        let names: Vec<_> = (0..20).map(|number| format!("{number:02}.log")).collect();
        let append = |rig: &Rig, lines: &mut Vec<String>, name: &str| {
            lines.push(format!("line {}", lines.len()));
            rig.append(name, format!("{}\n", lines[lines.len() - 1]));
        };
        let expect = |rig: &mut Rig, lines: &[String]| {
            let lines: Vec<_> = lines.iter().map(String::as_str).collect();
            rig.expect(&lines);
            for _ in 0..20 {
                rig.turn(Duration::from_millis(300));
            }
            let tail = rig.tail.as_ref().unwrap();
            assert!(tail.files.len() <= 3, "{} are open", tail.files.len());
            assert_eq!(tail.files.len() + tail.dozing.len(), 20);
        };
        for name in &names {
            append(&rig, &mut lines, name);
        }
        rig.append("20.log", "");
        fs::remove_file(rig.path("19.log")).unwrap();
        lines.pop();
        rig.start();
        rig.turn(Duration::ZERO);
        assert_eq!(rig.tail.as_ref().unwrap().files.len(), most);
        expect(&mut rig, &lines);
        for name in ["03.log", "20.log", "17.log"] {
            append(&rig, &mut lines, name);
            expect(&mut rig, &lines);
        }
        // Rotated while nothing of it is open, and written to before and after that.
        append(&rig, &mut lines, "05.log");
        rig.rename("05.log", "05.log.1");
        append(&rig, &mut lines, "05.log.1");
        append(&rig, &mut lines, "05.log");
        rig.turn(Duration::from_millis(300));
        for _ in 0..5 {
            rig.turn(Duration::from_secs(2));
        }
        expect(&mut rig, &lines);
        // Cut, deleted, and deleted with a successor.
        fs::write(rig.path("06.log"), "").unwrap();
        append(&rig, &mut lines, "06.log");
        fs::remove_file(rig.path("07.log")).unwrap();
        append(&rig, &mut lines, "new.log");
        fs::remove_file(rig.path("08.log")).unwrap();
        append(&rig, &mut lines, "08.log");
        rig.turn(Duration::from_millis(300));
        for _ in 0..5 {
            rig.turn(Duration::from_secs(2));
        }
        expect(&mut rig, &lines);
        rig.kill();
        append(&rig, &mut lines, "09.log");
        rig.start();
        expect(&mut rig, &lines);
    }
}

/// The tag of a file of the rig.
fn tag_of(rig: &Rig, name: &str) -> String {
    let path = rig.path(name);
    let dotted = path.to_str().unwrap().replace('/', ".");
    format!("t.{}", dotted.trim_start_matches('.').replace("..", "."))
}

#[test]
fn a_file_that_is_awaited_waits_and_others_go_on() {
    let mut rig = Rig::new(&[PATH, DB, HEAD]);
    rig.recorder.awaited.insert(tag_of(&rig, "parked.log"));
    rig.append("parked.log", "1\n");
    rig.append("other.log", "2\n");
    rig.start();
    for _ in 0..100 {
        rig.turn(Duration::from_millis(20));
        rig.settle(usize::MAX);
    }
    assert_eq!(rig.bodies(), [r#"{"log":"2"}"#]);
    assert_eq!(rig.metrics.files_parked.value(), 1);
    // Rotated, then deleted while it waits: its descriptor is all that leads to it.
    rig.rename("parked.log", "parked.log.1");
    rig.append("parked.log.1", "3\n");
    for _ in 0..100 {
        rig.turn(Duration::from_millis(100));
    }
    fs::remove_file(rig.path("parked.log.1")).unwrap();
    rig.append("other.log", "4\n");
    for _ in 0..100 {
        rig.turn(Duration::from_millis(100));
        rig.settle(usize::MAX);
    }
    assert_eq!(rig.bodies(), [r#"{"log":"2"}"#, r#"{"log":"4"}"#]);
    rig.recorder.awaited.clear();
    rig.expect(&["1", "2", "3", "4"]);
    assert_eq!((rig.metrics.files_parked.value(), rig.metrics.files_let_go.value()), (0, 0));
    // Once it is let in, nobody is asked.
    let asked = rig.recorder.asked;
    rig.recorder.awaited.insert(tag_of(&rig, "other.log"));
    rig.append("other.log", "5\n");
    rig.expect(&["1", "2", "3", "4", "5"]);
    assert_eq!(rig.recorder.asked, asked);
}

#[test]
fn a_file_does_not_wait_for_ever() {
    let mut rig = Rig::new(&[PATH, DB, HEAD]);
    for name in ["1.log", "2.log"] {
        rig.recorder.awaited.insert(tag_of(&rig, name));
        rig.append(name, format!("{name}\n"));
    }
    rig.start();
    for _ in 0..50 {
        rig.turn(Duration::from_millis(500));
    }
    rig.settle(usize::MAX);
    assert_eq!(rig.metrics.files_parked.value(), 2);
    assert_eq!(rig.bodies().len(), 0);
    rig.turn(Duration::from_secs(10));
    rig.expect(&["1.log", "2.log"]);
    assert_eq!(rig.metrics.files_let_go.value(), 2);
}

#[test]
fn what_waits_when_it_stops_is_read_after_the_next_start() {
    let mut rig = Rig::new(&[PATH, DB, HEAD, ("Exit_On_Eof", "on")]);
    rig.recorder.awaited.insert(tag_of(&rig, "1.log"));
    rig.append("1.log", "1\n");
    rig.start();
    for _ in 0..100 {
        assert_ne!(rig.turn(Duration::from_millis(20)), Turn::Done);
    }
    rig.stop();
    rig.rename("1.log", "2.log");
    rig.append("2.log", "2\n");
    rig.start();
    rig.expect(&["1", "2"]);
}
