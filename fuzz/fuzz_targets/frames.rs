//! What crosses the session stream: each decoder takes anything, and what it takes it writes down again as it was.
#![no_main]

use artifacts_core::protocol::{ClientFrame, Hello, HelloAnswer, ServerFrame, decode, encode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = decode::<ClientFrame>(bytes) {
        let again = encode(&frame).expect("what was decoded fits");
        assert_eq!(decode::<ClientFrame>(&again), Ok(frame));
    }
    if let Ok(frame) = decode::<ServerFrame>(bytes) {
        let again = encode(&frame).expect("what was decoded fits");
        assert_eq!(decode::<ServerFrame>(&again), Ok(frame));
    }
    let _ = serde_json::from_slice::<Hello>(bytes);
    let _ = serde_json::from_slice::<HelloAnswer>(bytes);
});
