//! What is found depends on the seed alone, and is what was promised.

use super::*;
use artifacts_core::session::PROOF_MS;

fn settings(agents: u32, seed: u64, threads: usize) -> Settings {
    Settings { agents, regions: 2, loss_ppm: 100_000, gossip_interval_ms: 200, rounds: 1, seed, threads: Some(threads) }
}

fn found(settings: Settings) -> Report {
    run(settings, |_, _| {}).unwrap()
}

#[test]
fn a_seed_determines_what_is_found_however_many_threads_look() {
    let seen = |settings: Settings| {
        let report = found(settings);
        (report.ended, report.beacons, report.without_beacons, report.strangers, report.cell.sent(), report.ring.sent())
    };
    let one = seen(settings(24, 7, 1));
    assert_eq!(one, seen(settings(24, 7, 2)));
    assert_ne!(one.4, seen(settings(24, 8, 1)).4);
}

#[test]
fn access_ends_in_its_bound_with_every_tenth_datagram_lost() {
    let report = found(settings(96, 1, 2));
    let bound_ms = PROOF_MS as u32;
    for case in Case::ALL {
        let ended = report.of(case);
        assert_eq!(ended.all.len() + ended.late, 96, "{case}");
        assert_eq!(ended.by_way.iter().map(Distribution::len).sum::<usize>(), ended.all.len(), "{case}");
    }
    let [all, push, gossip, proofs] = &report.ended;
    assert!(all.percentile(99).is_some_and(|ms| ms <= bound_ms), "{all:?}");
    // Half of them are in the other region, where gossip takes three ways and push one; the end of proofs takes as long as a proof lasts.
    assert!(push.percentile(90) < gossip.percentile(90) && gossip.percentile(99) < proofs.percentile(50), "{push:?} {gossip:?}");
    assert!(proofs.percentile(50).is_some_and(|ms| (bound_ms - 300..bound_ms + 500).contains(&ms)), "{proofs:?}");
    assert!([push, gossip].iter().all(|alone| alone.late == 0), "{push:?} {gossip:?}");
    assert_eq!((report.strangers, report.cells, report.nodes), (0, 2, 6));
    assert!(report.without_beacons < 10 && report.beacons.percentile(50).is_some_and(|ms| ms < bound_ms), "{:?}", report.beacons);
    assert!((20.0..60.0).contains(&report.cell.datagrams_per_second()), "{}", report.cell.datagrams_per_second());
}

#[test]
fn the_picture_is_a_png() {
    let png = found(settings(4, 1, 1)).png().unwrap();
    let decoder = png::Decoder::new(std::io::Cursor::new(&png));
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), (1_000, 690));
    let distinct: std::collections::BTreeSet<_> = pixels.iter().collect();
    assert!(distinct.len() >= 8, "each line has its colour: {distinct:?}");
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let good = settings(96, 1, 1);
    let bad = [
        (Settings { agents: 1, ..good }, Unusable::Nothing),
        (Settings { rounds: 0, ..good }, Unusable::Nothing),
        (Settings { regions: 17, ..good }, Unusable::Regions),
        (Settings { loss_ppm: 500_001, ..good }, Unusable::Loss),
        (Settings { gossip_interval_ms: 0, ..good }, Unusable::Interval),
        (Settings { agents: 300_000, ..good }, Unusable::Nodes { nodes: 300 }),
    ];
    for (settings, unusable) in bad {
        assert_eq!(settings.check(), Err(unusable));
    }
    assert_eq!(good.check(), Ok(()));
}
