//! Many writers rotate their files while the output is away: nothing is lost, and nothing doubled.
//!
//! The long form, 64 writers that rotate at 5 MB under 20 MB/s in all, a minute long, the output away for a third of it:
//!
//! ```text
//! TAILWATER_ROTATE_SECONDS=60 cargo test --release --test it rotate:: -- --nocapture
//! ```

use crate::{LIMIT, Place, SERVICE, es, tail};
use std::time::{Duration, Instant};
use tailwater_testing::{Mix, Numbered, Writer, pause, until, write_out};

/// Files that are written to at once.
const WRITERS: u64 = 64;

/// Short enough for every run of the tests.
const SECONDS: u64 = 4;

/// Bytes a second, of all writers: a tenth in the short form, which a program without optimization keeps up with.
const PACE_LONG: u64 = 20_000_000;
const PACE_SHORT: u64 = PACE_LONG / 10;

/// A file is rotated when it has so many bytes; in the short form so many that each is rotated a few times, too.
const ROTATE_BYTES_LONG: u64 = 5_000_000;
const ROTATE_BYTES_SHORT: u64 = PACE_SHORT * SECONDS / WRITERS / 4;

/// How often lines are written.
const TICK: Duration = Duration::from_millis(50);

#[test]
fn writers_that_rotate_while_the_output_is_away_lose_nothing() {
    let asked = std::env::var("TAILWATER_ROTATE_SECONDS").ok();
    let seconds = asked.as_ref().map_or(SECONDS, |text| text.parse().unwrap());
    let (bytes_per_second, rotate_bytes) = match asked {
        Some(_) => (PACE_LONG, ROTATE_BYTES_LONG),
        None => (PACE_SHORT, ROTATE_BYTES_SHORT),
    };
    let mix = Mix::default();
    let line_bytes = mix.line_bytes as u64;
    let lines_each = bytes_per_second * seconds / line_bytes / WRITERS;
    let rotate_lines = rotate_bytes / line_bytes;

    let store = Numbered::refusing();
    store.listen();
    // As the kubelet rotates: no pattern finds the new name.
    let input = tail("@DIR@/*.log", "    Parser cri\n    Mem_Buf_Limit 5M");
    let place = Place::new(&[SERVICE, &input, &es(store.port(), "")].concat());
    let mut writers: Vec<_> = (0..WRITERS)
        .map(|index| {
            let path = place.path(&format!("pod-{index}.log"));
            Writer::open(&path, mix).numbered_from(index * lines_each)
        })
        .collect();
    let agent = place.start();
    let (began, end) = (Instant::now(), Duration::from_secs(seconds));
    let mut rotations = 0;
    let (mut is_away, mut was_away) = (false, false);
    while writers[0].next() < lines_each {
        pause(TICK);
        let elapsed = began.elapsed().min(end);
        if !is_away && !was_away && elapsed >= end / 3 {
            store.refuse();
            is_away = true;
        }
        if is_away && elapsed >= end * 2 / 3 {
            store.listen();
            (is_away, was_away) = (false, true);
        }
        let share = elapsed.as_secs_f64() / end.as_secs_f64();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a share of some millions"
        )]
        let lines = (share * lines_each as f64) as u64;
        for (index, writer) in (0..).zip(&mut writers) {
            let written = writer.next() - index * lines_each;
            writer.write(lines - written);
            // Not all at the same moment.
            if (lines + index * rotate_lines / WRITERS) / rotate_lines
                > (written + index * rotate_lines / WRITERS) / rotate_lines
            {
                writer.rotate();
                rotations += 1;
            }
        }
    }
    store.listen();
    let total = WRITERS * lines_each;
    let is_all = until(LIMIT + 2 * end, || store.count() >= total);
    let seen = store.seen();
    let told = agent.stderr();
    write_out(&format!(
        "rotate: {total} lines, {rotations} rotations, {} came, {} of them again as others, all after {:?}\n",
        seen.count,
        seen.doubled,
        began.elapsed(),
    ));
    assert!(is_all, "only {} of {total} lines came; the agent said:\n{told}", seen.count);
    assert_eq!((seen.count, seen.doubled, seen.strangers), (total, 0, 0), "{told}");
    assert!(rotations >= WRITERS * 3, "{rotations} rotations");
}
