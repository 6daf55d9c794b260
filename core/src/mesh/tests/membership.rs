use super::fixture::*;
use crate::mesh::{Heard, Membership};

const INTERVAL_MS: u64 = 200;
const SUSPECT_MS: u64 = 2_000;

fn heard(text: &str, generation: u64, heartbeat: u64) -> Heard {
    Heard { member: member(text, generation), heartbeat, facts: None }
}

fn membership() -> Membership {
    Membership::new(name("me"), INTERVAL_MS, SUSPECT_MS)
}

fn live(membership: &Membership) -> Vec<String> {
    membership.members().filter(|member| member.live).map(|member| format!("{}.{}", member.id.name, member.id.generation)).collect()
}

#[test]
fn a_member_lives_while_its_heartbeat_moves() {
    let mut membership = membership();
    let mut now_ms = 0;
    let mut look = |membership: &mut Membership, beat| {
        now_ms += INTERVAL_MS;
        membership.observe(now_ms, [heard("me", 1, 1), heard("a", 1, beat)]);
    };
    look(&mut membership, 5);
    assert_eq!(live(&membership), ["me.1"], "gossip may list the dead");
    look(&mut membership, 6);
    assert_eq!(live(&membership), ["a.1", "me.1"]);
    for _ in 0..SUSPECT_MS / INTERVAL_MS - 1 {
        look(&mut membership, 6);
        assert_eq!(live(&membership), ["a.1", "me.1"]);
    }
    look(&mut membership, 6);
    assert_eq!(live(&membership), ["me.1"]);
    look(&mut membership, 7);
    assert_eq!(live(&membership), ["a.1", "me.1"]);
}

#[test]
fn a_frozen_node_suspects_nobody_at_once_and_knows_that_it_was_frozen() {
    let mut membership = membership();
    assert_eq!(membership.observe(0, [heard("me", 1, 1), heard("a", 1, 1)]), 0);
    membership.observe(INTERVAL_MS, [heard("me", 1, 2), heard("a", 1, 2)]);
    let gap_ms = membership.observe(60_000, [heard("me", 1, 2), heard("a", 1, 2)]);
    assert!(gap_ms > SUSPECT_MS);
    assert_eq!(live(&membership), ["a.1", "me.1"]);
    // A clock that goes back is no gap.
    assert_eq!(membership.observe(1_000, [heard("me", 1, 2), heard("a", 1, 2)]), 0);
}

#[test]
fn the_latest_life_of_a_member_counts() {
    let mut membership = membership();
    membership.observe(0, [heard("a", 1, 1)]);
    membership.observe(200, [heard("a", 1, 2)]);
    membership.observe(400, [heard("a", 2, 1), heard("a", 1, 2)]);
    assert_eq!(live(&membership), ["a.2"], "it came back before anybody missed it");
    membership.observe(600, [heard("a", 1, 3), heard("a", 2, 1)]);
    assert_eq!(live(&membership), ["a.2"], "heartbeats of an earlier life do not count");
    for step in 0..20 {
        membership.observe(800 + step * 200, [heard("a", 1, 4 + step), heard("a", 2, 1)]);
    }
    assert!(live(&membership).is_empty());
    membership.observe(9_000, [heard("a", 3, 1)]);
    assert!(live(&membership).is_empty(), "a new life of a dead member has to be heard, too");
    membership.observe(9_200, []);
    assert_eq!(membership.members().count(), 0);
}

#[test]
fn gossip_that_begins_anew_buries_nobody() {
    let mut membership = membership();
    membership.observe(0, [heard("me", 1, 1), heard("a", 1, 1)]);
    membership.observe(200, [heard("me", 1, 2), heard("a", 1, 2)]);
    membership.observe(400, [heard("me", 2, 1)]);
    assert_eq!(live(&membership), ["a.1", "me.2"]);
    membership.observe(600, [heard("me", 2, 2), heard("a", 1, 9)]);
    for step in 1..=10 {
        membership.observe(600 + step * 200, [heard("me", 2, 2 + step)]);
        assert_eq!(live(&membership).len(), if step < 10 { 2 } else { 1 });
    }
    assert_eq!(membership.members().count(), 1);
}
