//! The header by which a call says which trace it belongs to: it is read whatever it is, and what is read is written down again
//! as it was.
#![no_main]

use artifacts_core::trace::TraceContext;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(context) = text.parse::<TraceContext>() {
        assert_eq!(context.to_string().parse(), Ok(context));
        assert_eq!(context.to_string()[3..52], text[3..52]);
    }
});
