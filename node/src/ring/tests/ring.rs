use std::time::Duration;

use artifacts_core::mesh::limits::{LIVES_AT_ONCE, MEMBERS_MAX};
use artifacts_core::mesh::{CallError, CallSeat, Incarnation, MeshKeys, NodePhase, SendersError};

use super::fixture::*;
use crate::ring::{RingConfig, RingError, RingSeat, RingView};

#[tokio::test]
async fn members_find_each_other_and_agree_who_should_own_what() {
    let place = Place::new();
    let first = place.start(place.config("a", &[]));
    let second = place.start(place.config("b", &[&first]));
    let third = place.start(place.config("c", &[&first]));
    let placement = first.places(3).await.placement("eu");
    assert_eq!(second.places(3).await.placement("eu"), placement);
    let view = third.places(3).await;
    assert_eq!(view.placement("eu"), placement);
    assert_eq!(view.placement("us").nodes().count(), 0);
    for member in [first, second, third] {
        member.ring.stop().await;
    }
}

/// A node that has just come knows only itself. If it took that for the ring, it would take everything from everybody.
#[tokio::test]
async fn a_node_that_has_just_come_takes_nothing() {
    let place = Place::new();
    let first = place.start(place.config("a", &[]));
    first.places(1).await;
    let second = place.start(place.config("b", &[&first]));
    let owns_all = std::cell::Cell::new(false);
    let both = |view: &RingView| {
        let nodes: Vec<_> = view.placement("eu").nodes().cloned().collect();
        owns_all.set(owns_all.get() || nodes == [view.me.clone()]);
        nodes.len() == 2
    };
    second.sees(both).await;
    assert!(!owns_all.get());
}

#[tokio::test]
async fn who_leaves_gets_nothing_any_more_before_it_is_gone() {
    let place = Place::new();
    let (first, second) = {
        let first = place.start(place.config("a", &[]));
        let second = place.start(place.config("b", &[&first]));
        (first, second)
    };
    first.places(2).await;
    second.places(2).await;
    second.ring.leave().await;
    let view = first.places(1).await;
    let leaver = view.member(second.ring.me()).unwrap();
    assert!(leaver.live && leaver.facts.as_ref().unwrap().phase == NodePhase::Leaving);
    second.ring.stop().await;
    first.sees(|view| view.members.iter().filter(|member| member.live).count() == 1).await;
    // It comes back as somebody newer, and gets its share again.
    let second = place.start(place.config("b", &[&first]));
    let view = first.places(2).await;
    assert!(view.member(second.ring.me()).unwrap().id.generation > leaver.id.generation);
}

#[tokio::test]
async fn gossip_that_ends_by_itself_begins_anew_with_a_later_generation() {
    let place = Place::new();
    let first = place.start(place.config("a", &[]));
    let second = place.start(place.config("b", &[&first]));
    first.places(2).await;
    second.places(2).await;
    let before = second.ring.view().generation;
    let mut missed = second.ring.watch();
    second.ring.break_gossip().await;
    let watch = async {
        loop {
            missed.changed().await.unwrap();
            assert_eq!(missed.borrow_and_update().placement("eu").nodes().count(), 2, "who begins anew forgets nobody");
        }
    };
    let back = first.sees(|view| view.member(second.ring.me()).is_some_and(|member| member.live && member.id.generation > before));
    tokio::select! {
        () = watch => {}
        _ = back => {}
    }
    second.sees(|view| view.generation > before).await;
    first.places(2).await;
}

/// What a node says besides is heard as it changes, by who is there and by who comes later, and survives the end of its gossip.
#[tokio::test]
async fn what_is_said_is_heard_and_said_again_in_the_next_life() {
    let place = Place::new();
    let first = place.start(place.config("a", &[]));
    let second = place.start(place.config("b", &[&first]));
    first.counts(2).await;
    let say = |key: &str, text: &str| vec![(key.to_owned(), text.to_owned())];
    let heard = async |member: &Member, wanted: &[(&str, &str)]| {
        let mut rumours = member.ring.rumours();
        let is_heard = |rumours: &crate::ring::Rumours| {
            rumours
                .iter()
                .map(|((name, key), value)| (name.as_str(), key.as_str(), &**value))
                .eq(wanted.iter().map(|(key, value)| ("b", *key, *value)))
        };
        let waited = tokio::time::timeout(PATIENCE, rumours.wait_for(is_heard)).await;
        assert!(waited.is_ok(), "{:?}", member.ring.rumours().borrow());
    };
    second.ring.say(say("rev-x", "one"), 3).await;
    heard(&first, &[("rev-x", "one")]).await;
    second.ring.say(say("rev-y", "two"), 0).await;
    second.ring.say(say("rev-x", "three"), 0).await;
    heard(&first, &[("rev-x", "three"), ("rev-y", "two")]).await;
    let before = second.ring.view().generation;
    second.ring.break_gossip().await;
    // There is always something to say: it must not keep the next life from beginning.
    let chatter = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        loop {
            ticks.tick().await;
            second.ring.say(say("rev-x", "three"), 3).await;
        }
    };
    tokio::select! {
        _ = second.sees(|view| view.generation > before) => {}
        () = chatter => {}
    }
    second.ring.say(say("rev-y", "four"), 3).await;
    heard(&first, &[("rev-x", "three"), ("rev-y", "four")]).await;
    let third = place.start(place.config("c", &[&first]));
    heard(&third, &[("rev-x", "three"), ("rev-y", "four")]).await;
    assert!(second.ring.rumours().borrow().is_empty(), "nobody hears itself");
}

/// Nodes that come and go with new names add up. A seat that has heard as many as it can goes on in a new life.
#[tokio::test]
async fn calls_go_on_after_more_nodes_have_called_than_can_be_told_apart() {
    let place = Place::new();
    let first = place.start(place.config("a", &[]));
    let life = |view: &RingView| view.members.first().and_then(|member| member.facts.clone()).map(|facts| facts.calls);
    let calls = life(&first.counts(1).await).unwrap();
    let call = |index: usize, to| {
        let keys = MeshKeys::parse(OLD_KEY).unwrap();
        let incarnation = Incarnation { generation: 1, salt: [1; 16] };
        let mut seat = CallSeat::new("artifacts", keys, format!("n{index}").parse().unwrap(), incarnation);
        first.ring.caller().open("/p", &seat.seal(to, "/p", b"").unwrap().head).map(|_| ())
    };
    for index in 0..MEMBERS_MAX {
        call(index, calls).unwrap();
    }
    assert_eq!(call(MEMBERS_MAX, calls), Err(SendersError::Full.into()));
    let view = first.sees(|view| life(view).is_some_and(|now| now != calls)).await;
    call(MEMBERS_MAX, life(&view).unwrap()).unwrap();
    assert_eq!(call(0, calls), Err(CallError::Misaddressed));
}

/// A node in a crash loop was not taken any more by the others, and went on as a member and an owner.
#[tokio::test]
async fn a_node_that_is_restarted_in_a_loop_waits_and_knows_it() {
    let place = Place::new();
    let first = place.start(place.config("a", &[]));
    first.places(1).await;
    for _ in 0..LIVES_AT_ONCE {
        let second = place.start(place.config("b", &[&first]));
        let generation = second.ring.view().generation;
        first.sees(|view| view.member(second.ring.me()).is_some_and(|member| member.id.generation == generation)).await;
        second.ring.stop().await;
    }
    let last = place.start(place.config("b", &[&first]));
    let owns = std::cell::Cell::new(false);
    let view = last
        .sees(|view| {
            owns.set(owns.get() || view.placement("eu").nodes().any(|node| *node == view.me));
            !view.is_heard
        })
        .await;
    assert!(!owns.get(), "it would take what others have");
    assert!(view.member(first.ring.me()).is_some_and(|member| member.live), "it hears them");
    assert_eq!(view.member(&view.me).unwrap().facts.as_ref().unwrap().phase, NodePhase::Joining);
    let seen = first.ring.view();
    assert!(seen.is_heard && seen.member(&view.me).is_some_and(|member| member.id.generation < view.generation));
}

#[tokio::test]
async fn a_member_whose_generation_was_lost_takes_a_later_one() {
    let place = Place::new();
    let first = place.start(place.config("a", &[]));
    let record = place.path().join("b");
    std::fs::create_dir_all(&record).unwrap();
    // As if the clock had been far ahead before.
    std::fs::write(record.join("ring.json"), r#"{"node":"b","generation":4000000000000}"#).unwrap();
    let second = place.start(place.config("b", &[&first]));
    first.counts(2).await;
    second.counts(2).await;
    let address = second.address;
    second.ring.stop().await;
    std::fs::remove_file(record.join("ring.json")).unwrap();
    // The same address, as after a restart; the first still knows the life before and never hears this one.
    let second = place.start(RingConfig { listen: address, ..place.config("b", &[&first]) });
    let view = second.sees(|view| view.generation > 4_000_000_000_001).await;
    assert_eq!(view.me.as_str(), "b");
    // Its calls are of that life, too: the others would take those of an earlier one for recordings.
    second
        .sees(|view| {
            view.member(&view.me).and_then(|member| member.facts.as_ref()).is_some_and(|facts| facts.calls.generation == view.generation)
        })
        .await;
    first.sees(|view| view.member(second.ring.me()).is_some_and(|member| member.live && member.id.generation > 4_000_000_000_001)).await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused_with_the_reason() {
    let place = Place::new();
    let take = |config: RingConfig| {
        let (clock, entropy) = (std::sync::Arc::new(crate::time::SystemClock), std::sync::Arc::new(crate::random::SystemEntropy));
        RingSeat::take(config, place.path(), clock, entropy).map(|_| ()).unwrap_err()
    };
    let good = place.config("a", &[]);
    let wildcard = RingConfig { listen: "0.0.0.0:0".parse().unwrap(), ..good.clone() };
    assert!(take(wildcard).to_string().contains("ring.advertise"));
    let hasty = RingConfig { suspect_after_ms: 100, ..good.clone() };
    assert!(take(hasty).to_string().contains("suspect_after_ms"));
    let missing = RingConfig { key_file: Some(place.path().join("none")), ..good.clone() };
    assert!(matches!(take(missing), RingError::Keys { .. }));
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let busy = RingConfig { listen: taken.local_addr().unwrap(), ..good };
    assert!(matches!(take(busy), RingError::Socket { .. }));
}

#[tokio::test]
async fn strangers_noise_and_echoes_change_nothing() {
    let place = Place::new();
    let first = place.start(place.config("a", &[]));
    let second = place.start(place.config("b", &[&first]));
    first.places(2).await;
    second.places(2).await;
    let before = first.ring.view();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    // What a chitchat without a seal says, noise, and more than a datagram may have.
    let syn = [&[0x53u8, 0xb0, 0, 0, 0, 0, 9, 0][..], b"artifacts"].concat();
    for round in 0..2_000u32 {
        let noise: Vec<u8> = (0..round % 600).map(|index| (index * 31 + round) as u8).collect();
        let _ = socket.send_to(&syn, first.address);
        let _ = socket.send_to(&noise, first.address);
        if round % 100 == 0 {
            let _ = socket.send_to(&vec![1; 60_000], first.address);
        }
    }
    // Through all of it they hear each other.
    let mut changes = first.ring.watch();
    changes.mark_unchanged();
    let quiet = tokio::time::timeout(Duration::from_secs(1), changes.changed()).await;
    assert!(quiet.is_err(), "{:?}", first.ring.view());
    assert_eq!(first.ring.view(), before);
}
