//! What comes to the port of calls between nodes: heads and bodies, from strangers and from a member whose call was changed on its
//! way.
#![no_main]

use artifacts_core::mesh::{CallSeat, Incarnation, MeshKey, MeshKeys};
use libfuzzer_sys::fuzz_target;

fn seat(name: &str, salt: u8) -> CallSeat {
    let incarnation = Incarnation { generation: 1, salt: [salt; 16] };
    CallSeat::new("fuzz", MeshKeys::one(MeshKey::new([7; 32])), name.parse().expect("a name"), incarnation)
}

fuzz_target!(|bytes: &[u8]| {
    let (mut one, mut other) = (seat("a", 1), seat("b", 2));
    assert!(other.open("/path", bytes).is_err(), "nobody without the key is heard");
    let call = one.seal(other.incarnation(), "/path", bytes).expect("it is small");
    let incoming = other.open("/path", &call.head).expect("a good call");
    let opened = incoming.open_body(&call.body).expect("a good body");
    assert_eq!(opened.body, bytes);
    assert!(other.open("/path", &call.head).is_err(), "a call counts once");
    assert!(call.open_answer(bytes).is_err(), "nobody else answers");
    let call = one.seal(other.incarnation(), "/path", b"body").expect("it is small");
    let incoming = other.open("/path", &call.head).expect("a good call");
    assert!(incoming.open_body(bytes).is_err(), "nor speaks for the caller");
});
