//! Wall-clock instants as data. Reading a clock is the caller's business.

use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since the Unix epoch, UTC. RFC 3339 in JSON, a plain number in binary formats.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// The latest instant RFC 3339 can write: 9999-12-31T23:59:59.999Z.
const LATEST_MS: u64 = 253_402_300_799_999;

impl Timestamp {
    /// An instant `unix_ms` milliseconds after the epoch; later than the year 9999 is cut to its end.
    pub const fn from_unix_ms(unix_ms: u64) -> Self {
        Self(if unix_ms > LATEST_MS { LATEST_MS } else { unix_ms })
    }

    /// Milliseconds since the epoch.
    pub const fn unix_ms(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down (the unit of JWT claims, RFC 7519 section 2).
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This instant and `ms` milliseconds more.
    #[must_use]
    pub const fn plus_ms(self, ms: u64) -> Self {
        Self::from_unix_ms(self.0.saturating_add(ms))
    }

    /// Milliseconds from `earlier` to this instant, 0 when `earlier` is later.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000_000).map_err(|_| fmt::Error)?;
        f.write_str(&instant.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return Ok(Self::from_unix_ms(u64::deserialize(deserializer)?));
        }
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let instant = OffsetDateTime::parse(&text, &Rfc3339).map_err(D::Error::custom)?;
        let unix_ms = u64::try_from(instant.unix_timestamp_nanos() / 1_000_000).map_err(D::Error::custom)?;
        Ok(Self::from_unix_ms(unix_ms))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn json_is_rfc_3339_and_binary_a_number() {
        let instant = Timestamp::from_unix_ms(1_763_000_000_123);
        assert_eq!(serde_json::to_string(&instant).unwrap(), "\"2025-11-13T02:13:20.123Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>("\"2025-11-13T03:13:20.123+01:00\"").unwrap(), instant);
        assert!(serde_json::from_str::<Timestamp>("\"yesterday\"").is_err());
        let binary = postcard::to_stdvec(&instant).unwrap();
        assert_eq!(postcard::from_bytes::<Timestamp>(&binary).unwrap(), instant);
    }

    #[test]
    fn arithmetic_never_wraps() {
        let end = Timestamp::from_unix_ms(u64::MAX);
        assert_eq!(end.plus_ms(u64::MAX), end);
        assert!(end.to_string().starts_with("9999-12-31"));
        assert_eq!(Timestamp::from_unix_ms(5).since_ms(end), 0);
    }
}
