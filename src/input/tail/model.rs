//! A seeded writer against a `tail` that is restarted and killed: every line exactly once, by its id.

use super::rig::Rig;
use super::*;
use fastrand::Rng;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::time::Duration;

/// The writer's view of its files.
struct Writer {
    rng: Rng,
    lines: Vec<String>,
    /// Per name, what an unfinished line holds so far.
    partial: BTreeMap<&'static str, String>,
    /// Files that were cut and perhaps not looked at since. If one is renamed before, and the process killed, nothing
    /// tells it from a stranger that got its inode.
    cut: HashSet<&'static str>,
    rotations: usize,
}

const NAMES: [&str; 2] = ["a.log", "b.log"];

impl Writer {
    fn name(&mut self) -> &'static str {
        NAMES[self.rng.usize(..NAMES.len())]
    }

    fn new_line(&mut self) -> String {
        let width = self.rng.usize(..60);
        format!("{:05} {}", self.lines.len(), "x".repeat(width))
    }

    fn finish(&mut self, rig: &Rig, name: &'static str) {
        if let Some(partial) = self.partial.remove(name) {
            rig.append(name, "!\n");
            self.lines.push(format!("{partial}!"));
        }
    }

    fn step(&mut self, rig: &mut Rig) {
        let name = self.name();
        match self.rng.u32(..100) {
            0..35 => {
                self.finish(rig, name);
                for _ in 0..self.rng.usize(1..10) {
                    let line = self.new_line();
                    rig.append(name, format!("{line}\n"));
                    self.lines.push(line);
                }
            }
            35..45 => {
                self.finish(rig, name);
                let line = self.new_line();
                rig.append(name, &line);
                self.partial.insert(name, line);
                // Numbers are taken from what is finished: this one must not come again.
                self.finish(rig, name);
            }
            45..55 => {
                self.finish(rig, name);
                if rig.is_followed(name) && !self.cut.contains(name) {
                    self.rotations += 1;
                    rig.rename(name, &format!("{name}.{}", self.rotations));
                }
            }
            55..60 => {
                self.finish(rig, name);
                self.all_is_safe(rig);
                if let Ok(file) = OpenOptions::new().write(true).open(rig.path(name)) {
                    file.set_len(0).unwrap();
                    self.cut.insert(name);
                }
            }
            60..63 => {
                self.finish(rig, name);
                self.all_is_safe(rig);
                let _absent = fs::remove_file(rig.path(name));
            }
            63..78 => {
                rig.recorder.is_full = self.rng.bool();
                rig.turn(Duration::from_millis(self.rng.u64(..300)));
                rig.recorder.is_full = false;
            }
            78..88 => rig.settle(self.rng.usize(..4)),
            88..94 => {
                // Of what was sent and not answered, some arrived.
                let open: Vec<_> = rig.recorder.open.drain(..).collect();
                for (_, _, sent) in open {
                    if self.rng.bool() {
                        rig.store(sent);
                    }
                }
                rig.kill();
                rig.start();
            }
            94..97 => {
                rig.stop();
                rig.start();
            }
            _ => {
                rig.drain();
                self.cut.clear();
            }
        }
    }

    /// What is cut away or deleted unread is gone for good, so it must have been read before.
    fn all_is_safe(&self, rig: &mut Rig) {
        let lines: Vec<_> = self.lines.iter().map(String::as_str).collect();
        rig.expect(&lines);
    }
}

fn simulate(seed: u64, path: &str) {
    println!("seed {seed} path {path}");
    let mut rig = Rig::new(&[("Path", path), ("DB", "@/positions.db"), ("Read_from_Head", "on")]);
    rig.properties.push(("Refresh_Interval".into(), "1".into()));
    rig.start();
    let mut writer = Writer {
        rng: Rng::with_seed(seed),
        lines: Vec::new(),
        partial: BTreeMap::new(),
        cut: HashSet::new(),
        rotations: 0,
    };
    for _ in 0..80 {
        writer.step(&mut rig);
    }
    for name in NAMES {
        writer.finish(&rig, name);
    }
    writer.all_is_safe(&mut rig);
    assert!(!writer.lines.is_empty());
}

#[test]
fn every_line_exactly_once_whatever_happens() {
    let seeds = std::env::var("TAILWATER_SEEDS").map_or(12, |count| count.parse().unwrap());
    for seed in 0..seeds {
        simulate(seed, if seed % 2 == 0 { "@/*.log" } else { "@/*.log*" });
    }
}
