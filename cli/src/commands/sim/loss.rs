use std::fmt;
use std::str::FromStr;

/// A share of datagrams: `10%` or `0.1`. In millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loss(pub(super) u32);

impl FromStr for Loss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, whole) = match text.strip_suffix('%') {
            Some(number) => (number.trim_end(), 10_000.0),
            None => (text, 1_000_000.0),
        };
        let millionths = number.parse::<f64>().ok().map(|number| (number * whole).round());
        match millionths.filter(|millionths| (0.0..=1_000_000.0).contains(millionths)) {
            Some(millionths) => Ok(Self(millionths as u32)),
            None => Err(format!("`{text}` is no share of datagrams; write for example 10% or 0.1")),
        }
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 10_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_percentage_or_a_fraction() {
        for (text, millionths) in [("10%", 100_000), ("0.1", 100_000), ("0", 0), ("2.5 %", 25_000), ("1", 1_000_000), ("0.1%", 1_000)] {
            assert_eq!(text.parse(), Ok(Loss(millionths)), "{text}");
        }
        for text in ["", "%", "-1", "101%", "1.5", "ten", "NaN"] {
            assert!(text.parse::<Loss>().is_err(), "{text}");
        }
        assert_eq!(Loss(25_000).to_string(), "2.5%");
    }
}
