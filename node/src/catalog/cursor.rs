use artifacts_core::AccountId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;

/// A cursor longer than this was not made here.
const LONGEST_TEXT: usize = 8_192;
const MARK_BYTES: usize = 8;

/// Which list a cursor goes on with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names of the lists")]
pub enum ListKind {
    Keys,
    Tenants,
    Workspaces,
    Grants,
    Sessions,
    Locks,
    Audit,
    Files,
    Snapshots,
}

impl ListKind {
    const fn tag(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Tenants => "tenants",
            Self::Workspaces => "workspaces",
            Self::Grants => "grants",
            Self::Sessions => "sessions",
            Self::Locks => "locks",
            Self::Audit => "audit",
            Self::Files => "files",
            Self::Snapshots => "snapshots",
        }
    }

    /// The opaque text for a position: where it lies, behind a mark that binds it to this list of this account.
    ///
    /// The mark is no secret. It catches cursors of another list and broken ones; a forged cursor could only start
    /// the caller's own list somewhere else.
    pub fn cursor(self, account: AccountId, position: &[u8]) -> String {
        let mut bytes = self.mark(account, position).to_vec();
        bytes.extend(position);
        BASE64URL.encode(bytes)
    }

    /// The position in a cursor of this list of this account.
    ///
    /// # Errors
    /// [`BadCursor`] for every other text.
    pub fn position(self, account: AccountId, cursor: &str) -> Result<Vec<u8>, BadCursor> {
        if cursor.len() > LONGEST_TEXT {
            return Err(BadCursor);
        }
        let bytes = BASE64URL.decode(cursor).map_err(|_| BadCursor)?;
        let (mark, position) = bytes.split_at_checked(MARK_BYTES).ok_or(BadCursor)?;
        if mark == self.mark(account, position) { Ok(position.to_vec()) } else { Err(BadCursor) }
    }

    fn mark(self, account: AccountId, position: &[u8]) -> [u8; MARK_BYTES] {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.tag().as_bytes()).update(&account.bits().to_be_bytes()).update(position);
        let mut mark = [0; MARK_BYTES];
        hasher.finalize_xof().fill(&mut mark);
        mark
    }
}

/// The text is not a cursor of this list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`cursor` is not one that this list gave")]
pub struct BadCursor;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_belongs_to_one_list_of_one_account() {
        let (mine, other) = (AccountId::from_bits(1), AccountId::from_bits(2));
        let cursor = ListKind::Grants.cursor(mine, b"position");
        assert_eq!(ListKind::Grants.position(mine, &cursor), Ok(b"position".to_vec()));
        assert_eq!(ListKind::Tenants.position(mine, &cursor), Err(BadCursor));
        assert_eq!(ListKind::Grants.position(other, &cursor), Err(BadCursor));
    }

    #[test]
    fn broken_cursors_are_refused() {
        let cursor = ListKind::Keys.cursor(AccountId::from_bits(1), b"xyz");
        let cut = &cursor[..cursor.len() - 1];
        for bad in ["", "a", "%%%", "AAAA", cut, &format!("{cursor}A"), &"A".repeat(10_000)] {
            assert_eq!(ListKind::Keys.position(AccountId::from_bits(1), bad), Err(BadCursor), "{bad}");
        }
    }
}
