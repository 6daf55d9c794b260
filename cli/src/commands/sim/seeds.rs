use std::ops::Range;
use std::str::FromStr;

/// A range of seeds: `A..B`, without B.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seeds(pub(super) Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = || format!("`{text}` is no range of seeds; write for example 0..10000");
        let (first, end) = text.split_once("..").ok_or_else(advice)?;
        let (first, end) = (first.parse().map_err(|_| advice())?, end.parse().map_err(|_| advice())?);
        if first >= end {
            Err(format!("there are no seeds in {text}; the second number has to be the greater one"))
        } else {
            Ok(Self(first..end))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_two_numbers_the_second_greater() {
        assert_eq!("3..10".parse(), Ok(Seeds(3..10)));
        for text in ["3", "3..", "..4", "a..b", "4..4", "9..1", "3...5", "-1..2"] {
            assert!(text.parse::<Seeds>().is_err(), "{text}");
        }
    }
}
