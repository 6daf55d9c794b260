use super::fixture::*;
use crate::mesh::limits::{LIFE_EVERY_MS, LIVES_AT_ONCE, MEMBERS_MAX};
use crate::mesh::{DigestEntry, Endpoint, EnvelopeError, Gossip, MeshKeys, Opened, Refusal, SendersError};

#[test]
fn two_members_learn_who_they_are_and_then_every_message_counts() {
    let (mut one, mut other) = pair();
    for _ in 0..3 {
        deliver(&mut one, &mut other);
        deliver(&mut other, &mut one);
    }
}

#[test]
fn a_message_counts_once_in_any_order() {
    let (mut one, mut other) = pair();
    let datagrams: Vec<_> = (0..5).map(|_| one.seal(other.me().address, syn(&one)).unwrap()).collect();
    for datagram in datagrams.iter().rev() {
        assert!(matches!(other.open(address(1), datagram, 0), Ok(Opened::Gossip { .. })));
    }
    for datagram in &datagrams {
        assert_eq!(other.open(address(1), datagram, 0), Err(SendersError::Replayed.into()));
    }
}

#[test]
fn what_was_recorded_before_the_receiver_started_again_does_not_count() {
    let (mut one, other) = pair();
    let recorded: Vec<_> = (0..3).map(|_| one.seal(other.me().address, syn(&one)).unwrap()).collect();
    let mut again = endpoint("b", 2);
    // Each is answered at most once, to its sender's own address, with a datagram that is not larger.
    for datagram in &recorded {
        let Opened::Introduce { to, datagram: hello } = again.open(address(6), datagram, 0).unwrap() else { panic!("it counted") };
        assert_eq!(to, one.me().address);
        assert!(hello.len() <= datagram.len());
    }
    for datagram in &recorded {
        assert_eq!(again.open(address(6), datagram, 0), Err(SendersError::Replayed.into()));
    }
    // And the sender itself gets through in spite of that.
    introduce(&mut one, &mut again);
}

#[test]
fn recorded_hellos_do_not_lead_astray() {
    let (mut one, mut other) = (endpoint("a", 1), endpoint("b", 1));
    let first = one.seal(other.me().address, syn(&one)).unwrap();
    let Opened::Introduce { datagram: hello, .. } = other.open(one.me().address, &first, 0).unwrap() else { panic!("it was known") };
    one.open(address(1), &hello, 0).unwrap();
    assert_eq!(one.open(address(1), &hello, 0), Err(SendersError::Replayed.into()));
    let mut one_again = endpoint("a", 2);
    assert_eq!(one_again.open(address(1), &hello, 0), Err(Refusal::Misaddressed));
    introduce(&mut one_again, &mut other);
}

#[test]
fn an_earlier_life_of_a_sender_is_not_heard_any_more() {
    let (mut one, mut other) = pair();
    let late = one.seal(other.me().address, syn(&one)).unwrap();
    let mut again = endpoint("a", 2);
    introduce(&mut again, &mut other);
    assert_eq!(other.open(address(1), &late, 0), Err(SendersError::Outdated.into()));
    // Nor is it told who is there.
    let mut outsider = endpoint("a", 1);
    let stray = outsider.seal(other.me().address, syn(&outsider)).unwrap();
    assert_eq!(other.open(address(1), &stray, 0), Err(SendersError::Outdated.into()));
    deliver(&mut again, &mut other);
}

#[test]
fn a_peer_that_started_again_is_found_again() {
    let (mut one, other) = pair();
    let mut again = endpoint("b", 2);
    let stray = one.seal(other.me().address, syn(&one)).unwrap();
    let Opened::Introduce { datagram, .. } = again.open(address(1), &stray, 0).unwrap() else { panic!("it counted") };
    one.open(address(1), &datagram, 0).unwrap();
    deliver(&mut one, &mut again);
}

#[test]
fn a_seed_may_be_known_under_another_address() {
    let (mut one, mut other) = (endpoint("a", 1), endpoint("b", 1));
    let alias = address(4444);
    let first = one.seal(alias, syn(&one)).unwrap();
    let Opened::Introduce { datagram, .. } = other.open(address(1), &first, 0).unwrap() else { panic!("it was known") };
    one.open(other.me().address, &datagram, 0).unwrap();
    let second = one.seal(alias, syn(&one)).unwrap();
    assert!(matches!(other.open(address(1), &second, 0), Ok(Opened::Gossip { .. })));
}

#[test]
fn keys_are_replaced_without_a_split() {
    let (old, new) = ("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=", "CAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAg=");
    let of =
        |list: &[&str], text: &str, generation| Endpoint::new(MESH, MeshKeys::parse(&list.join("\n")).unwrap(), identity(text, generation));
    // Each step of the rotation meets the one before and the one after.
    let steps: [&[&str]; 4] = [&[old], &[old, new], &[new, old], &[new]];
    for (step, pair) in steps.windows(2).enumerate() {
        let (mut one, mut other) = (of(pair[0], "a", step as u64 + 1), of(pair[1], "b", step as u64 + 1));
        introduce(&mut one, &mut other);
    }
    let (mut first, mut last) = (of(steps[0], "a", 9), of(steps[3], "b", 9));
    let datagram = first.seal(last.me().address, syn(&first)).unwrap();
    assert_eq!(last.open(address(1), &datagram, 0), Err(EnvelopeError::UnknownKey.into()));
}

#[test]
fn another_mesh_with_the_same_key_is_a_stranger() {
    let mut one = endpoint("a", 1);
    let mut other = Endpoint::new("production", keys(7), identity("b", 1));
    let datagram = one.seal(other.me().address, syn(&one)).unwrap();
    assert_eq!(other.open(address(1), &datagram, 0), Err(EnvelopeError::Forged.into()));
}

#[test]
fn what_bears_our_own_name_is_refused() {
    let (mut one, mut twin) = (endpoint("a", 1), endpoint("a", 2));
    let datagram = one.seal(twin.me().address, syn(&one)).unwrap();
    assert_eq!(twin.open(address(1), &datagram, 0), Err(Refusal::OurName));
    assert_eq!(one.open(address(1), &datagram, 0), Err(Refusal::OurName));
}

#[test]
fn a_member_learns_that_a_later_life_of_it_is_remembered() {
    let (mut one, mut other) = pair();
    let message = Gossip::Syn(vec![entry(itself(&one)), entry(member("b", 5))]);
    let datagram = one.seal(other.me().address, message).unwrap();
    assert_eq!(other.open(address(1), &datagram, 0), Err(Refusal::Outlived { generation: 5 }));
}

#[test]
fn members_past_the_limit_are_left_out_and_the_others_go_on() {
    let (mut one, mut other) = pair();
    let mut delivered = 0;
    // More identities than fit, in messages that are each within bounds.
    for batch in 0..4 {
        let mut digest = vec![entry(itself(&one))];
        digest.extend((0..100).map(|index| entry(member(&format!("m{batch}-{index}"), 1))));
        let datagram = one.seal(other.me().address, Gossip::Syn(digest)).unwrap();
        let Ok(Opened::Gossip { message, .. }) = other.open(address(1), &datagram, 0) else { panic!("refused") };
        delivered += message.digest().len() - 1;
        assert_eq!(message.digest()[0].member, itself(&one));
    }
    assert_eq!(delivered, MEMBERS_MAX - 1);
    // When nobody mentions them any more, there is room again.
    let digest = vec![entry(itself(&one)), entry(member("late", 1))];
    let datagram = one.seal(other.me().address, Gossip::Syn(digest)).unwrap();
    let Ok(Opened::Gossip { message, .. }) = other.open(address(1), &datagram, 3_600_000) else { panic!("refused") };
    assert_eq!(message.digest().len(), 2);
}

/// How many of these lives of one name are taken when another member mentions them at `now_ms`.
fn taken(by: &mut Endpoint, from: &mut Endpoint, generations: std::ops::Range<u64>, now_ms: u64) -> u64 {
    let mention = |generation| {
        let digest = vec![entry(itself(from)), entry(member("crashing", generation))];
        let datagram = from.seal(by.me().address, Gossip::Syn(digest)).unwrap();
        let Ok(Opened::Gossip { message, .. }) = by.open(address(1), &datagram, now_ms) else { panic!("refused") };
        message.digest().len() as u64 - 1
    };
    generations.map(mention).sum()
}

#[test]
fn a_member_that_restarts_without_end_does_not_fill_the_list() {
    let (mut one, mut other) = pair();
    assert_eq!(taken(&mut other, &mut one, 1..40, 0), LIVES_AT_ONCE);
    assert_eq!(taken(&mut other, &mut one, 40..80, LIFE_EVERY_MS - 1), 0);
    let of_an_hour = (1..7_200).map(|half_s| taken(&mut other, &mut one, 80 + half_s..81 + half_s, half_s * 500)).sum::<u64>();
    assert_eq!(of_an_hour, 7_200 * 500 / LIFE_EVERY_MS - 1);
}

/// Who joins hears of all lives that others still mention. These are over.
#[test]
fn what_a_name_did_before_a_member_came_does_not_keep_it_waiting() {
    let (mut one, mut other) = pair();
    let past = (1..30).map(|generation| entry(member("crashing", generation)));
    let digest = std::iter::once(entry(itself(&one))).chain(past).collect();
    let datagram = one.seal(other.me().address, Gossip::Syn(digest)).unwrap();
    let Ok(Opened::Gossip { message, .. }) = other.open(address(1), &datagram, 0) else { panic!("refused") };
    assert_eq!(message.digest().iter().map(|entry| entry.member.generation).max(), Some(29));
    assert_eq!(message.digest().len(), 2, "and of its lives the last");
    assert_eq!(taken(&mut other, &mut one, 1..29, 0), 0, "nor later, when others tell of them alone");
    assert_eq!(taken(&mut other, &mut one, 30..60, 0), LIVES_AT_ONCE - 1);
}

/// One that had been restarted sixteen times within a quarter of an hour was not taken for the rest of it, and went on as if it was.
#[test]
fn a_member_that_stays_up_is_taken_soon_however_often_it_was_restarted() {
    let (mut one, mut other) = pair();
    taken(&mut other, &mut one, 1..400, 0);
    assert_eq!(taken(&mut other, &mut one, 400..401, LIFE_EVERY_MS - 1), 0);
    assert_eq!(taken(&mut other, &mut one, 400..401, LIFE_EVERY_MS), 1);
    // A restart each half minute is no haste.
    let restarts = (2..200).map(|life| taken(&mut other, &mut one, 400 + life..401 + life, life * LIFE_EVERY_MS));
    assert_eq!(restarts.sum::<u64>(), 198);
}

#[test]
fn a_member_learns_that_the_others_do_not_take_it() {
    let (mut one, mut other) = pair();
    let mut tells = |listed: Vec<_>, now_ms| {
        let datagram = other.seal(one.me().address, Gossip::Syn(listed)).unwrap();
        one.open(other.me().address, &datagram, now_ms).unwrap();
        one.is_heard(now_ms, 2_000)
    };
    let (me, sender) = (entry(member("a", 1)), entry(member("b", 1)));
    assert!(!tells(vec![sender.clone(), entry(member("a", 0))], 0), "it knows an earlier life");
    assert!(tells(vec![sender.clone(), me.clone()], 500));
    assert!(!tells(vec![sender.clone(), me.clone()], 2_500), "it hears nothing new");
    assert!(tells(vec![sender.clone(), DigestEntry { heartbeat: 6, ..me.clone() }], 2_600));
    assert!(tells(vec![DigestEntry { heartbeat: 0, ..sender }, me], 9_000), "it hears nobody itself");
}

#[test]
fn one_identity_has_one_address() {
    let (mut one, mut other) = pair();
    let mut moved = member("c", 1);
    let digest = vec![entry(itself(&one)), entry(moved.clone())];
    let datagram = one.seal(other.me().address, Gossip::Syn(digest)).unwrap();
    other.open(address(1), &datagram, 0).unwrap();
    moved.address = address(9);
    let digest = vec![entry(itself(&one)), entry(moved)];
    let datagram = one.seal(other.me().address, Gossip::Syn(digest)).unwrap();
    let Ok(Opened::Gossip { message, .. }) = other.open(address(1), &datagram, 0) else { panic!("refused") };
    assert_eq!(message.digest().len(), 1);
}

#[test]
fn too_many_senders_ask_for_a_new_life() {
    let mut hub = endpoint("hub", 1);
    let mut full = 0;
    for index in 0..MEMBERS_MAX + 2 {
        let mut one = endpoint(&format!("n{index}"), 1);
        let first = one.seal(hub.me().address, syn(&one)).unwrap();
        let Opened::Introduce { datagram, .. } = hub.open(address(1), &first, 0).unwrap() else { panic!("it was known") };
        one.open(address(1), &datagram, 0).unwrap();
        let second = one.seal(hub.me().address, syn(&one)).unwrap();
        full += usize::from(hub.open(address(1), &second, 0) == Err(SendersError::Full.into()));
    }
    assert_eq!(full, 2);
}

/// A member that hears nobody, and is heard, would keep a share of the work that it cannot do.
#[test]
fn who_has_heard_nobody_for_a_while_is_deaf_and_does_not_seem_alive() {
    let (mut one, mut other) = pair();
    assert!(!endpoint("c", 1).is_deaf(10_000, 2_000), "who has just come has nobody to hear");
    let mut hears_at = |now_ms| {
        let datagram = other.seal(one.me().address, syn(&other)).unwrap();
        one.open(other.me().address, &datagram, now_ms).unwrap();
        one.is_deaf(now_ms + 1_999, 2_000)
    };
    assert!(!hears_at(5_000));
    assert!(!hears_at(6_000));
    assert!(!one.is_deaf(7_999, 2_000) && one.is_deaf(8_000, 2_000));
    // What was recorded in another life of ours says nothing.
    let stranger = endpoint("d", 1).seal(one.me().address, syn(&endpoint("d", 1))).unwrap();
    assert!(matches!(one.open(address(9), &stranger, 9_000), Ok(Opened::Introduce { .. })));
    assert!(one.is_deaf(9_000, 2_000));
    let mut message = Gossip::Syn(vec![entry(itself(&one)), entry(itself(&other))]);
    message.still(&one.me().name);
    let heartbeats: Vec<_> = message.digest().iter().map(|entry| entry.heartbeat).collect();
    assert_eq!(heartbeats, [0, 5]);
}
