//! The bench runs small, so that it never rots.

use std::time::Duration;
use tailwater_testing::{Case, Idle, Plan, measure};

#[test]
fn every_case_ships_every_line() {
    let agent = [crate::PROGRAM, "-q", "-c", "{conf}"].map(str::to_owned);
    let check = |case: Case, expected: u64| {
        let report = measure(&Plan { case, lines: 2_000, agent: &agent, floor: None });
        assert_eq!(report.arrived, expected, "{report}");
    };
    check(Case::Es, 2_000);
    check(Case::EsDisk, 2_000);
    check(Case::Loki, 2_000);
    check(Case::OneAway, 2_000);
    check(Case::Both, 4_000);
    check(Case::Reference, 4_000);
    check(Case::Null, 0);
    check(Case::Raw, 0);
    check(Case::RawJson, 0);
    check(Case::Docker, 0);
    check(Case::Pieces, 0);
    check(Case::Traces, 0);
}

/// Without optimisation, and beside other tests: no more than that it is idle at all.
#[test]
fn an_agent_without_work_does_next_to_nothing() {
    let agent = [crate::PROGRAM, "-q", "-c", "{conf}"].map(str::to_owned);
    let idle = Idle::named("idle-200").unwrap();
    let report = idle.measure(&agent, Duration::from_secs(3));
    assert!(report.share() < 0.02, "{report}");
    assert!(report.descriptors < 300, "{report}");
}
