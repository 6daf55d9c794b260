use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A span as others know it: the header `traceparent` of W3C Trace Context, level 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TraceContext {
    /// The trace.
    pub trace: NonZeroU128,
    /// The span.
    pub span: NonZeroU64,
    /// Whether the trace is recorded; whoever continues it does as was decided where it began.
    pub sampled: bool,
}

/// A text is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a traceparent: expected 00-{{32 hex digits}}-{{16 hex digits}}-{{2 hex digits}}, in lower case and not zero")]
pub struct InvalidTraceContext;

impl TraceContext {
    /// The name of the header.
    pub const HEADER: &'static str = "traceparent";
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, u8::from(self.sampled))
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceContext;

    /// Reads a header. Versions to come may add fields behind those of this one ("Versioning of traceparent").
    fn from_str(text: &str) -> Result<Self, InvalidTraceContext> {
        let mut fields = text.split('-');
        let mut field = |digits: usize| {
            let field = fields.next().filter(|field| field.len() == digits);
            field.filter(|field| field.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))).ok_or(InvalidTraceContext)
        };
        let (version, trace, span, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        let has_more = fields.next().is_some();
        if version == "ff" || (version == "00" && has_more) {
            return Err(InvalidTraceContext);
        }
        let trace = u128::from_str_radix(trace, 16).ok().and_then(NonZeroU128::new).ok_or(InvalidTraceContext)?;
        let span = u64::from_str_radix(span, 16).ok().and_then(NonZeroU64::new).ok_or(InvalidTraceContext)?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| InvalidTraceContext)?;
        Ok(Self { trace, span, sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    /// The example of the specification.
    const EXAMPLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_example_of_the_specification_is_read_and_written() {
        let context: TraceContext = EXAMPLE.parse().unwrap();
        assert_eq!((context.trace.get(), context.span.get()), (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736, 0x00f0_67aa_0ba9_02b7));
        assert!(context.sampled);
        assert_eq!(context.to_string(), EXAMPLE);
    }

    #[test]
    fn other_flags_and_later_versions_are_let_pass() {
        let sampled = |text: String| text.parse::<TraceContext>().map(|context| context.sampled);
        for (flags, expected) in [("00", false), ("01", true), ("02", false), ("ff", true)] {
            assert_eq!(sampled(EXAMPLE.replace("-01", &format!("-{flags}"))), Ok(expected));
        }
        assert_eq!(sampled(EXAMPLE.replacen("00-", "cc-", 1)), Ok(true));
        assert_eq!(sampled(EXAMPLE.replacen("00-", "cc-", 1) + "-what-comes-later"), Ok(true));
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "00",
            "-",
            &EXAMPLE[..54],
            &format!("{EXAMPLE}0"),
            &format!("{EXAMPLE}-more"),
            &format!(" {EXAMPLE}"),
            &EXAMPLE.to_uppercase(),
            &EXAMPLE.replacen("00-", "ff-", 1),
            &EXAMPLE.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            &EXAMPLE.replace("00f067aa0ba902b7", &"0".repeat(16)),
            &EXAMPLE.replace("00f067", "+0f067"),
            &EXAMPLE.replace("00f067", "00ü67"),
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(InvalidTraceContext), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read(trace in 1..=u128::MAX, span in 1..=u64::MAX, sampled in any::<bool>()) {
            let context =
                TraceContext { trace: NonZeroU128::new(trace).unwrap(), span: NonZeroU64::new(span).unwrap(), sampled };
            prop_assert_eq!(context.to_string().parse(), Ok(context));
            let bytes = postcard::to_stdvec(&context).unwrap();
            prop_assert_eq!(postcard::from_bytes(&bytes), Ok(context));
        }

        #[test]
        fn nothing_panics(text: String) {
            let _ = text.parse::<TraceContext>();
        }
    }
}
