use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::cluster::{Move, Placement};
use crate::mesh::{Facts, Incarnation, Member, MemberId, NodePhase};
use crate::name::NodeName;
use crate::protocol::VersionRange;

const SHARDS: u16 = 64;

fn name(index: usize) -> NodeName {
    format!("node-{index}").parse().unwrap()
}

fn owners(placement: &Placement) -> Vec<Option<NodeName>> {
    (0..SHARDS).map(|shard| placement.owner(shard).cloned()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The order in which nodes became known does not matter, and only what must move does.
    #[test]
    fn only_the_shards_of_who_came_or_went_move(nodes in proptest::collection::btree_set(0usize..500, 1..20), extra in 500usize..1_000) {
        let before: Placement = nodes.iter().map(|index| name(*index)).collect();
        prop_assert_eq!(&before, &nodes.iter().rev().map(|index| name(*index)).collect());
        let joined: Placement = before.nodes().cloned().chain([name(extra)]).collect();
        for Move { from, to, .. } in before.moves(&joined, SHARDS) {
            prop_assert!(from.is_some() && to == Some(name(extra)));
        }
        for Move { from, to, .. } in joined.moves(&before, SHARDS) {
            prop_assert!(from == Some(name(extra)) && to.is_some());
        }
        prop_assert!(before.moves(&before, SHARDS).is_empty());
    }
}

#[test]
fn the_work_is_spread() {
    for nodes in [2, 3, 5, 10] {
        let placement: Placement = (0..nodes).map(name).collect();
        let mut shares: BTreeMap<NodeName, u16> = BTreeMap::new();
        (0..1_000).for_each(|shard| *shares.entry(placement.owner(shard).unwrap().clone()).or_default() += 1);
        let even = 1_000 / nodes as u16;
        assert!(shares.len() == nodes && shares.values().all(|share| (even / 2..even * 3 / 2).contains(share)), "{shares:?}");
    }
}

#[test]
fn nobody_owns_what_no_node_can() {
    assert_eq!(owners(&Placement::default()), vec![None; usize::from(SHARDS)]);
    let one: Placement = [name(1)].into_iter().collect();
    assert_eq!(Placement::default().moves(&one, 2).len(), 2);
}

/// Nodes of different versions must agree: these answers never change.
#[test]
fn the_answers_are_part_of_the_protocol() {
    let placement: Placement = (0..3).map(name).collect();
    let answers: Vec<_> = (0..8).map(|shard| placement.owner(shard).unwrap().as_str().to_owned()).collect();
    assert_eq!(answers, ["node-0", "node-2", "node-1", "node-2", "node-0", "node-1", "node-1", "node-2"]);
}

fn member(index: usize, live: bool, region: Option<&str>, phase: NodePhase) -> Member {
    Member {
        id: MemberId { name: name(index), generation: 1, address: "127.0.0.1:1".parse().unwrap() },
        facts: region.map(|region| Facts {
            api: "http://a".to_owned(),
            stream: "http://a".to_owned(),
            region: region.to_owned(),
            protocol: VersionRange { min: 1, max: 1 },
            release: "1".to_owned(),
            calls: Incarnation { generation: 1, salt: [0; 16] },
            phase,
            regions: String::new(),
            shards: None,
        }),
        live,
    }
}

#[test]
fn who_is_dead_unknown_coming_going_or_elsewhere_gets_nothing() {
    let members = [
        member(0, true, Some("eu"), NodePhase::Serving),
        member(1, false, Some("eu"), NodePhase::Serving),
        member(2, true, None, NodePhase::Serving),
        member(3, true, Some("us"), NodePhase::Serving),
        member(4, true, Some("eu"), NodePhase::Leaving),
        member(5, true, Some("eu"), NodePhase::Joining),
        member(6, true, Some("eu"), NodePhase::Stranded),
        member(7, false, Some("eu"), NodePhase::Stranded),
    ];
    assert_eq!(Placement::of_region("eu", &members).nodes().collect::<Vec<_>>(), [&name(0)]);
    // Nobody reaches the bucket: nothing is won by moving.
    assert_eq!(Placement::of_region("eu", &members[1..]).nodes().collect::<Vec<_>>(), [&name(6)]);
}

#[test]
fn one_part_of_a_ring_that_was_cut_in_two_is_the_smaller_one() {
    let seen = |live: &[bool]| {
        let members: Vec<_> = live.iter().enumerate().map(|(n, live)| member(n, *live, Some("eu"), NodePhase::Serving)).collect();
        Placement::is_smaller_part("eu", &members)
    };
    assert!(seen(&[true, false, false]) && !seen(&[false, true, true]));
    assert!(!seen(&[true, false]) && seen(&[false, true]));
    assert!(!seen(&[true, false, false, true]) && seen(&[false, true, true, false]));
    assert!(!seen(&[true]) && !seen(&[]));
    // Those who left, and those elsewhere, are not missed.
    let gone = [
        member(0, true, Some("eu"), NodePhase::Serving),
        member(1, false, Some("eu"), NodePhase::Leaving),
        member(2, false, Some("us"), NodePhase::Serving),
        member(3, false, None, NodePhase::Serving),
    ];
    assert!(!Placement::is_smaller_part("eu", &gone));
}
