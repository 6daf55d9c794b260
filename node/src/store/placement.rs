//! Which shard a key lies in.
//!
//! Behind the byte that names the table stands what the row belongs to, as 16 bytes: an account, a workspace or a session. A
//! session's id is drawn so that it lies with its workspace; a handle, also one that another region has claimed, and the hash of an API key's secret lie where their
//! account does, because the one's id and the other's secret are drawn for that. So each batch that a node writes lies in one
//! shard. The tables are those of `catalog/key.rs`, `workspace/keys.rs` and `sessions/keys.rs`.

use artifacts_core::cluster::{Shard, ShardMap};

use super::{Batch, KeyRange, StoreError};

/// How long the id is of what a row belongs to.
const ID_BYTES: usize = 16;
/// The table's byte and the id.
const HOME_BYTES: usize = 1 + ID_BYTES;

/// The shard of a key. A key of no known table lies with what concerns the whole cluster.
pub fn shard_of(map: ShardMap, key: &[u8]) -> Shard {
    let id = |from: usize| key.get(from..from + ID_BYTES).map(|id| map.of_bytes(id));
    let shard = match key.first() {
        Some(b'A' | b'E' | b'G' | b'I' | b'K' | b'N' | b'O' | b'R' | b'S' | b'T' | b'V' | b'W' | b'e' | b'g' | b'k' | b'n') => id(1),
        // The instant at which an answer runs out comes before the answer's slot.
        Some(b'i') => id(1 + 8),
        Some(b'a' | b'H') => Some(map.of_bytes(key[1..].strip_suffix(&[0]).unwrap_or(&key[1..]))),
        Some(b'h') => Some(map.of_bytes(&key[1..])),
        _ => None,
    };
    shard.unwrap_or(map.of_cluster())
}

/// The shard in which all keys of a batch lie; none for one without keys.
///
/// # Errors
/// [`StoreError::Scattered`].
pub(super) fn shard_of_batch(map: ShardMap, batch: &Batch) -> Result<Option<Shard>, StoreError> {
    if map.len() == 1 {
        return Ok((!batch.is_empty()).then(|| map.of_cluster()));
    }
    let mut shards = batch.iter().map(|(key, _)| shard_of(map, key));
    let Some(first) = shards.next() else { return Ok(None) };
    if shards.all(|shard| shard == first) { Ok(Some(first)) } else { Err(StoreError::Scattered) }
}

/// The one shard in which all keys of a range lie, if that can be told.
pub(super) fn shard_of_range(map: ShardMap, range: &KeyRange) -> Option<Shard> {
    if map.len() == 1 {
        return Some(map.of_cluster());
    }
    let start = range.start();
    let home_bytes = match start.first() {
        Some(b'A' | b'E' | b'G' | b'I' | b'K' | b'N' | b'O' | b'R' | b'S' | b'T' | b'V' | b'W' | b'e' | b'g' | b'k' | b'n') => HOME_BYTES,
        Some(b'L' | b'Y' | b'Z') => 1,
        _ => return None,
    };
    let home = KeyRange::prefix(start.get(..home_bytes)?);
    let within = range.end().is_some_and(|end| home.end().is_none_or(|home_end| end <= home_end));
    within.then(|| shard_of(map, start))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn map() -> ShardMap {
        ShardMap::new(16).unwrap()
    }

    fn key(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    #[test]
    fn rows_of_one_thing_lie_together() {
        let id = 0x1234_5678_u128.to_be_bytes();
        let expected = map().of_bytes(&id);
        for table in *b"AEGKNORTVWegknSI" {
            assert_eq!(shard_of(map(), &key(&[&[table], &id, b"rest"])), expected, "{}", char::from(table));
            assert_eq!(shard_of(map(), &key(&[&[table], &id])), expected);
        }
        assert_eq!(shard_of(map(), &key(&[b"i", &7u64.to_be_bytes(), &id, &[0; 16]])), expected);
        assert_eq!(shard_of(map(), b"aacme\0"), map().of_bytes(b"acme"));
        assert_eq!(shard_of(map(), &key(&[b"h", &[7; 32]])), map().of_bytes(&[7; 32]));
        for of_the_cluster in [&b"Y"[..], b"Z", b"", b"Kshort", b"?"] {
            assert_eq!(shard_of(map(), of_the_cluster), map().of_cluster());
        }
    }

    #[test]
    fn a_range_lies_in_one_shard_if_it_stays_within_one_thing() {
        let id = 0x1234_5678_u128.to_be_bytes();
        let workspace = key(&[b"W", &id]);
        let one = Some(map().of_bytes(&id));
        assert_eq!(shard_of_range(map(), &KeyRange::prefix(&workspace)), one);
        assert_eq!(shard_of_range(map(), &KeyRange::prefix(&key(&[&workspace, b"i"])).after(&key(&[&workspace, b"ix"]))), one);
        assert_eq!(shard_of_range(map(), &KeyRange::between(&key(&[&workspace, b"a"]), &key(&[&workspace, b"{"]))), one);
        assert_eq!(shard_of_range(map(), &KeyRange::prefix(b"Y")), Some(map().of_cluster()));
        for wide in [
            KeyRange::all(),
            KeyRange::prefix(b"W"),
            KeyRange::prefix(b"a"),
            KeyRange::prefix(b"i"),
            KeyRange::between(&workspace, b"X"),
            KeyRange::between(&key(&[b"W", &[0xff; 16]]), b"Y"),
        ] {
            assert_eq!(shard_of_range(map(), &wide), None, "{wide:?}");
        }
        assert_eq!(shard_of_range(ShardMap::SINGLE, &KeyRange::all()), Some(Shard(0)));
    }
}
