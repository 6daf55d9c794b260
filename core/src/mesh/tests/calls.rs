use super::fixture::*;
use crate::mesh::limits::{CALL_MAX_BYTES, MEMBERS_MAX};
use crate::mesh::{Answer, CallError, CallSeat, EnvelopeError, SendersError};

const PATH: &str = "/internal/v1/status";

fn seat(text: &str, generation: u64) -> CallSeat {
    let identity = identity(text, generation);
    CallSeat::new(MESH, keys(7), identity.name, identity.incarnation)
}

fn answer(body: &[u8]) -> Answer {
    Answer { status: 200, body: body.to_vec() }
}

#[test]
fn a_call_and_its_answer_arrive() {
    let (mut one, mut other) = (seat("a", 1), seat("b", 1));
    let call = one.seal(other.incarnation(), PATH, b"question").unwrap();
    let incoming = other.open(PATH, &call.head).unwrap();
    assert_eq!((incoming.sender.clone(), incoming.body_bytes), (name("a"), call.body.len()));
    let opened = incoming.open_body(&call.body).unwrap();
    assert_eq!((opened.sender.clone(), opened.body.as_slice()), (name("a"), b"question".as_slice()));
    let sealed = opened.answer(&answer(b"answer")).unwrap();
    assert_eq!(call.open_answer(&sealed), Ok(answer(b"answer")));
    let contains = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
    assert!(!contains(&call.body, b"question") && !contains(&sealed, b"answer"));
}

#[test]
fn a_call_counts_once_and_only_where_it_was_meant_to() {
    let (mut one, mut other, mut third) = (seat("a", 1), seat("b", 1), seat("c", 1));
    let call = one.seal(other.incarnation(), PATH, b"").unwrap();
    assert_eq!(other.open("/internal/v1/other", &call.head).unwrap_err(), EnvelopeError::Forged.into());
    assert_eq!(third.open(PATH, &call.head).unwrap_err(), CallError::Misaddressed);
    assert_eq!(seat("b", 2).open(PATH, &call.head).unwrap_err(), CallError::Misaddressed);
    other.open(PATH, &call.head).unwrap();
    assert_eq!(other.open(PATH, &call.head).unwrap_err(), SendersError::Replayed.into());
    let stranger = CallSeat::new("other mesh", keys(7), name("a"), life(9, 9)).seal(other.incarnation(), PATH, b"").unwrap();
    assert_eq!(other.open(PATH, &stranger.head).unwrap_err(), EnvelopeError::Forged.into());
    let stranger = CallSeat::new(MESH, keys(8), name("a"), life(9, 9)).seal(other.incarnation(), PATH, b"").unwrap();
    assert_eq!(other.open(PATH, &stranger.head).unwrap_err(), EnvelopeError::UnknownKey.into());
}

fn flipped(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let bytes = bytes.to_vec();
    (0..bytes.len() * 8).map(move |bit| {
        let mut forged = bytes.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        forged
    })
}

#[test]
fn every_changed_bit_of_a_call_or_an_answer_is_noticed() {
    let (mut one, mut other) = (seat("a", 1), seat("b", 1));
    let mut call = || one.seal(life(1, other_salt()), PATH, b"question").unwrap();
    let first = call();
    for forged in flipped(&first.head) {
        assert!(matches!(other.open(PATH, &forged), Err(CallError::Envelope(_))));
    }
    for forged in flipped(&first.body) {
        let next = call();
        let incoming = other.open(PATH, &next.head).unwrap();
        assert_eq!(incoming.open_body(&forged).unwrap_err(), EnvelopeError::Forged.into());
    }
    let sealed = other.open(PATH, &first.head).unwrap().open_body(&first.body).unwrap().answer(&answer(b"answer")).unwrap();
    for forged in flipped(&sealed) {
        assert_eq!(first.open_answer(&forged), Err(EnvelopeError::Forged.into()));
    }
    // Neither body nor answer of one call belongs to another.
    let (next, last) = (call(), call());
    assert_eq!(next.open_answer(&sealed), Err(EnvelopeError::Forged.into()));
    assert_eq!(other.open(PATH, &next.head).unwrap().open_body(&last.body).unwrap_err(), EnvelopeError::Forged.into());
}

fn other_salt() -> u8 {
    identity("b", 1).incarnation.salt[0]
}

#[test]
fn a_seat_that_is_full_goes_on_in_a_new_life() {
    let mut busy = seat("busy", 1);
    let caller = |index: usize| CallSeat::new(MESH, keys(7), name(&format!("n{index}")), life(1, 1));
    let mut recorded = Vec::new();
    for index in 0..MEMBERS_MAX {
        let call = caller(index).seal(busy.incarnation(), PATH, b"").unwrap();
        busy.open(PATH, &call.head).unwrap();
        recorded.push(call);
    }
    let call = caller(MEMBERS_MAX).seal(busy.incarnation(), PATH, b"").unwrap();
    assert_eq!(busy.open(PATH, &call.head).unwrap_err(), SendersError::Full.into());
    busy.renew(life(2, 99));
    for call in recorded {
        assert_eq!(busy.open(PATH, &call.head).unwrap_err(), CallError::Misaddressed);
    }
    let call = caller(MEMBERS_MAX).seal(busy.incarnation(), PATH, b"").unwrap();
    busy.open(PATH, &call.head).unwrap();
}

#[test]
fn a_datagram_is_no_call() {
    let (mut one, mut other) = (endpoint("a", 1), seat("b", 1));
    let datagram = one.seal(address(1), syn(&one)).unwrap();
    assert_eq!(other.open("", &datagram).unwrap_err(), EnvelopeError::Forged.into());
}

#[test]
fn what_is_too_large_is_not_sent() {
    let (mut one, mut other) = (seat("a", 1), seat("b", 1));
    assert_eq!(one.seal(other.incarnation(), PATH, &vec![0; CALL_MAX_BYTES]).unwrap_err(), CallError::TooLarge);
    assert_eq!(other.open(PATH, &vec![1; CALL_MAX_BYTES]).unwrap_err(), EnvelopeError::TooLarge.into());
}
