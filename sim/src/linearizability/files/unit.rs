use super::Unit;

/// A unit that nobody has written: zeros.
pub const HOLE: Unit = 0;
/// A unit that is not whole. Nobody writes it.
pub const TORN: Unit = Unit::MAX;

/// Units as bytes, each `unit_bytes` long, which is a multiple of four.
pub fn encode(units: &[Unit], unit_bytes: usize) -> Vec<u8> {
    units.iter().flat_map(|unit| unit.to_le_bytes().repeat(unit_bytes / 4)).collect()
}

/// Bytes as units.
pub fn decode(bytes: &[u8], unit_bytes: usize) -> Vec<Unit> {
    let whole = |unit: &[u8]| {
        let (words, rest) = unit.as_chunks::<4>();
        let first = words.first().copied().unwrap_or([u8::MAX; 4]);
        let is_whole = unit.len() == unit_bytes && rest.is_empty() && words.iter().all(|&word| word == first);
        if is_whole { Unit::from_le_bytes(first) } else { TORN }
    };
    bytes.chunks(unit_bytes).map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_back_whole_or_torn() {
        let mut bytes = encode(&[7, HOLE, 9], 16);
        assert_eq!(decode(&bytes, 16), [7, HOLE, 9]);
        bytes[20] = 1;
        assert_eq!(decode(&bytes, 16), [7, TORN, 9]);
        bytes.truncate(40);
        assert_eq!(decode(&bytes, 16), [7, TORN, TORN]);
    }
}
