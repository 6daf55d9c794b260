//! What only named locks have: a time after which they run out, and an id by which they are spoken of.

use super::holder::{Identity, Party};
use super::{ByteRange, Grant, Held, Holder, LockTable, Mode, NamedHolder, Resource};
use crate::LockId;
use crate::name::LockName;

/// A named lock is not held under this id: it was released, or has run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lock is not held under this id any more")]
pub struct NotHeld;

/// A named lock that has run out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expired {
    /// Its name.
    pub name: LockName,
    /// Who held it.
    pub holder: NamedHolder,
}

impl LockTable {
    /// A named lock was held before the node lost its memory, and has not run out.
    pub fn restore(&mut self, name: LockName, holder: NamedHolder, mode: Mode, fencing_token: u64, since_ms: u64, expires_ms: u64) {
        self.expiries.insert((expires_ms, holder.lock_id));
        let holder = Holder::Named(holder);
        let held = Held { holder, range: ByteRange::WHOLE, mode, fencing_token, since_ms, expires_ms: Some(expires_ms) };
        self.insert(&Resource::Named(name), held);
        self.last_token = self.last_token.max(fencing_token);
    }

    /// A named lock, if it is held.
    pub fn named(&self, lock: LockId) -> Option<(&LockName, &Held)> {
        let resource = self.places.get(&Party::Lock(lock))?.first()?;
        let Resource::Named(name) = resource else { return None };
        Some((name, self.spaces.get(resource)?.held_by(Identity::Named(lock), ByteRange::WHOLE)?))
    }

    /// Extends a named lock to `ttl_ms` from now, or to its end. Says when it will run out.
    ///
    /// # Errors
    /// [`NotHeld`].
    pub fn renew(&mut self, lock: LockId, ttl_ms: u64, now_ms: u64) -> Result<u64, NotHeld> {
        let resource = self.named(lock).map(|(name, _)| Resource::Named(name.clone())).ok_or(NotHeld)?;
        let held = self.spaces.get_mut(&resource).and_then(|space| space.held_by_mut(Identity::Named(lock))).ok_or(NotHeld)?;
        let Holder::Named(holder) = &held.holder else { return Err(NotHeld) };
        let expires_ms = holder.expiry_ms(ttl_ms, now_ms);
        if let Some(before) = held.expires_ms.replace(expires_ms) {
            self.expiries.remove(&(before, lock));
        }
        self.expiries.insert((expires_ms, lock));
        Ok(expires_ms)
    }

    /// Gives a named lock back.
    ///
    /// # Errors
    /// [`NotHeld`].
    pub fn release(&mut self, lock: LockId, now_ms: u64) -> Result<Vec<Grant>, NotHeld> {
        let resource = self.named(lock).map(|(name, _)| Resource::Named(name.clone())).ok_or(NotHeld)?;
        if let Some(at_ms) = self.named(lock).and_then(|(_, held)| held.expires_ms) {
            self.expiries.remove(&(at_ms, lock));
        }
        Ok(self.take(&resource, ByteRange::WHOLE, |holder| holder.identity() == Identity::Named(lock), now_ms))
    }

    /// When the next named lock runs out.
    pub fn next_expiry_ms(&self) -> Option<u64> {
        self.expiries.first().map(|&(at_ms, _)| at_ms)
    }

    /// Takes the named locks that have run out.
    pub fn expire(&mut self, now_ms: u64) -> (Vec<Expired>, Vec<Grant>) {
        let (mut expired, mut grants) = (Vec::new(), Vec::new());
        while let Some(&(at_ms, lock)) = self.expiries.first()
            && at_ms <= now_ms
        {
            self.expiries.pop_first();
            let Some((name, held)) = self.named(lock) else { continue };
            if let Holder::Named(holder) = &held.holder {
                expired.push(Expired { name: name.clone(), holder: holder.clone() });
            }
            grants.extend(self.release(lock, now_ms).unwrap_or_default());
        }
        (expired, grants)
    }
}
