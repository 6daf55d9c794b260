use artifacts_core::cluster::{Shard, ShardMap};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::store::shard_of;

/// Where the record of an API key lies that was made before there were shards: its secret was not drawn for its account's shard, so
/// whoever is shown the secret finds this first, and then asks the account's owner.
///
/// It is a hint and no credential: the record there counts only for whoever knows its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyPosition(Bytes);

impl KeyPosition {
    /// The position that an index entry holds.
    pub(super) fn new(position: Bytes) -> Self {
        Self(position)
    }

    /// The shard of the key's account.
    pub fn shard(&self, map: ShardMap) -> Shard {
        shard_of(map, &self.0)
    }

    /// The key of the row.
    pub(super) fn row(&self) -> &[u8] {
        &self.0
    }
}
