//! Amounts of bytes as people write them: `4096`, `512MiB`, `10GiB`, `1.5T`, `10GB`.

use std::fmt;
use std::str::FromStr;

/// A number of bytes. `K`, `KiB` are 1,024; `KB` is 1,000, as in GNU coreutils.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(u64);

/// The letters of the units; each is worth 1,024 (or 1,000) times the one before.
const LETTERS: [char; 5] = ['K', 'M', 'G', 'T', 'P'];

impl Size {
    /// The number of bytes.
    pub(crate) const fn bytes(self) -> u64 {
        self.0
    }

    /// An amount of `bytes`, for showing it.
    pub(crate) const fn from_bytes(bytes: u64) -> Self {
        Self(bytes)
    }
}

impl FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "expected bytes or a size such as 512MiB, 10GiB or 10GB";
        let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = (&text[..split], text[split..].trim_start().to_ascii_uppercase());
        let factor = match unit.as_str() {
            "" | "B" => 1,
            unit => {
                let letter = unit.chars().next().ok_or(RULE)?;
                let power = LETTERS.iter().position(|&known| known == letter).ok_or(RULE)? as u32 + 1;
                match &unit[1..] {
                    "" | "IB" => 1024u64.pow(power),
                    "B" => 1000u64.pow(power),
                    _ => return Err(RULE),
                }
            }
        };
        if let Ok(whole) = number.parse::<u64>() {
            return whole.checked_mul(factor).map(Self).ok_or("that is more than 16 EiB");
        }
        let fraction: f64 = number.parse().map_err(|_| RULE)?;
        let bytes = fraction * factor as f64;
        // 2^63 and more cannot come from a fraction that anyone means.
        if factor == 1 || !bytes.is_finite() || bytes >= 9.2e18 { Err(RULE) } else { Ok(Self(bytes.round() as u64)) }
    }
}

/// One decimal at most, binary units: `1.5 GiB`.
impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0 as f64;
        let mut unit = None;
        for letter in LETTERS {
            if value < 1024.0 {
                break;
            }
            value /= 1024.0;
            unit = Some(letter);
        }
        match unit {
            None => write!(f, "{} B", self.0),
            Some(letter) if (value * 10.0).round() % 10.0 == 0.0 || value >= 100.0 => write!(f, "{value:.0} {letter}iB"),
            Some(letter) => write!(f, "{value:.1} {letter}iB"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_read_as_coreutils_reads_them() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("1B", 1),
            ("1K", 1024),
            ("1KiB", 1024),
            ("1kb", 1000),
            ("10GiB", 10 << 30),
            ("10 GiB", 10 << 30),
            ("10GB", 10_000_000_000),
            ("1.5T", 3 << 39),
            ("0.5K", 512),
        ] {
            assert_eq!(text.parse::<Size>().map(Size::bytes), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "G", "10X", "10GiX", "-1", "1.5", "1.2.3G", ".", "20000000PiB", "99999999999999999999", "10GiBB", "é", "1é"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }

    #[test]
    fn shown_in_binary_units() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1536, "1.5 KiB"), (10 << 30, "10 GiB"), (123 << 20, "123 MiB")]
        {
            assert_eq!(Size::from_bytes(bytes).to_string(), text);
        }
    }
}
