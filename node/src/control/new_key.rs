use artifacts_core::revocation::Issue;

use super::KeyWish;
use crate::context::Context;
use crate::random::secret_hash;
use crate::records::KeyRecord;

/// An API key together with its secret, which exists only now: the record holds a hash.
#[derive(Clone)]
pub struct NewKey {
    /// What is on record.
    pub record: KeyRecord,
    /// What the caller must present; shown once.
    pub secret: String,
}

impl NewKey {
    /// Draws a key that is not on record yet. The hash of its secret lies where its account does: both are written together, and
    /// whoever is shown the secret knows whom to ask, also in another region.
    pub(super) fn draw(context: &Context, issue: Issue, wish: KeyWish) -> Self {
        let Issue { account, generation } = issue;
        let shards = context.store.shards();
        let prefix = if wish.scope.mesh { "tbm_" } else { "tbo_" };
        let draw = || {
            let secret = context.regions.mark(format!("{prefix}{}", context.entropy.secret()));
            (secret_hash(&secret), secret)
        };
        let (hash, secret) = shards.draw_beside(shards.of(account), draw, |(hash, _)| shards.of_bytes(hash));
        let record = KeyRecord {
            id: context.entropy.id(),
            account,
            name: wish.name,
            secret_hash: hash,
            scope: wish.scope,
            generation,
            created_at: context.clock.wall(),
            expires_at: wish.expires_at,
            revoked_at: None,
        };
        Self { record, secret }
    }
}
