//! Times to live as people write them: `90`, `90s`, `15m`, `1h30m`, `2d`.

use std::fmt;
use std::str::FromStr;

/// A number of whole seconds, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ttl(u64);

/// What a suffix is worth, largest first.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Ttl {
    /// The number of seconds.
    pub(crate) const fn seconds(self) -> u64 {
        self.0
    }

    /// A time to live of `seconds`, for showing one.
    pub(crate) const fn from_seconds(seconds: u64) -> Self {
        Self(seconds)
    }
}

impl FromStr for Ttl {
    type Err = &'static str;

    /// Seconds without a unit, or numbers that each carry one, from large to small.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "expected seconds or a time such as 90s, 15m, 1h or 1h30m";
        let mut seconds: u64 = 0;
        let mut rest = text;
        let mut largest = u64::MAX;
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let amount: u64 = rest[..digits].parse().map_err(|_| RULE)?;
            let Some(unit) = rest[digits..].chars().next() else {
                if digits != text.len() {
                    return Err(RULE);
                }
                seconds = amount;
                break;
            };
            let (_, worth) = UNITS.into_iter().find(|(known, _)| *known == unit).ok_or(RULE)?;
            if worth >= largest {
                return Err(RULE);
            }
            largest = worth;
            seconds = amount.checked_mul(worth).and_then(|more| seconds.checked_add(more)).ok_or(RULE)?;
            rest = &rest[digits + 1..];
        }
        if seconds == 0 { Err("expected at least one second, such as 90s, 15m or 1h") } else { Ok(Self(seconds)) }
    }
}

/// The two largest units that are not zero: `1h30m`, `15m`, `2d4h`.
impl fmt::Display for Ttl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        let mut shown = 0;
        for (unit, worth) in UNITS {
            let amount = left / worth;
            left %= worth;
            if amount > 0 && shown < 2 {
                write!(f, "{amount}{unit}")?;
                shown += 1;
            } else if shown == 1 {
                shown = 2;
            }
        }
        if shown == 0 { f.write_str("0s") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_units_are_read() {
        for (text, seconds) in
            [("1", 1), ("90", 90), ("90s", 90), ("15m", 900), ("1h", 3_600), ("1h30m", 5_400), ("2d", 172_800), ("1d1h1m1s", 90_061)]
        {
            assert_eq!(text.parse::<Ttl>().map(Ttl::seconds), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "0",
            "0s",
            "h",
            "1x",
            "-1",
            "1.5h",
            "1h30",
            "30m1h",
            "1h1h",
            " 1",
            "1 h",
            "99999999999999999999",
            "999999999999999999d",
            "é",
        ] {
            assert!(text.parse::<Ttl>().is_err(), "{text}");
        }
    }

    #[test]
    fn shown_with_two_units_at_most() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (3_600, "1h"), (5_400, "1h30m"), (90_061, "1d1h"), (86_401, "1d")] {
            assert_eq!(Ttl::from_seconds(seconds).to_string(), text);
        }
    }
}
