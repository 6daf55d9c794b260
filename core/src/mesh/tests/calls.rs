use super::fixture::*;
use crate::mesh::limits::CALL_MAX_BYTES;
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
    let opened = other.open(PATH, &call.bytes).unwrap();
    assert_eq!((opened.sender.clone(), opened.body.as_slice()), (name("a"), b"question".as_slice()));
    let sealed = opened.answer(&answer(b"answer")).unwrap();
    assert_eq!(call.open_answer(&sealed), Ok(answer(b"answer")));
    let contains = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).any(|part| part == text);
    assert!(!contains(&call.bytes, b"question") && !contains(&sealed, b"answer"));
}

#[test]
fn a_call_counts_once_and_only_where_it_was_meant_to() {
    let (mut one, mut other, mut third) = (seat("a", 1), seat("b", 1), seat("c", 1));
    let call = one.seal(other.incarnation(), PATH, b"").unwrap();
    assert_eq!(other.open("/internal/v1/other", &call.bytes).unwrap_err(), EnvelopeError::Forged.into());
    assert_eq!(third.open(PATH, &call.bytes).unwrap_err(), CallError::Misaddressed);
    assert_eq!(seat("b", 2).open(PATH, &call.bytes).unwrap_err(), CallError::Misaddressed);
    other.open(PATH, &call.bytes).unwrap();
    assert_eq!(other.open(PATH, &call.bytes).unwrap_err(), SendersError::Replayed.into());
    let stranger = CallSeat::new("other mesh", keys(7), name("a"), life(9, 9)).seal(other.incarnation(), PATH, b"").unwrap();
    assert_eq!(other.open(PATH, &stranger.bytes).unwrap_err(), EnvelopeError::Forged.into());
    let stranger = CallSeat::new(MESH, keys(8), name("a"), life(9, 9)).seal(other.incarnation(), PATH, b"").unwrap();
    assert_eq!(other.open(PATH, &stranger.bytes).unwrap_err(), EnvelopeError::UnknownKey.into());
}

#[test]
fn every_changed_bit_of_a_call_or_an_answer_is_noticed() {
    let (mut one, mut other) = (seat("a", 1), seat("b", 1));
    let call = one.seal(other.incarnation(), PATH, b"question").unwrap();
    for bit in 0..call.bytes.len() * 8 {
        let mut forged = call.bytes.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(other.open(PATH, &forged), Err(CallError::Envelope(_))), "{bit}");
    }
    let sealed = other.open(PATH, &call.bytes).unwrap().answer(&answer(b"answer")).unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut forged = sealed.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(call.open_answer(&forged), Err(EnvelopeError::Forged.into()), "{bit}");
    }
    // The answer to one call is none to another.
    let next = one.seal(other.incarnation(), PATH, b"question").unwrap();
    assert_eq!(next.open_answer(&sealed), Err(EnvelopeError::Forged.into()));
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
    assert_eq!(other.open(PATH, &vec![1; CALL_MAX_BYTES + 1]).unwrap_err(), EnvelopeError::TooLarge.into());
}
