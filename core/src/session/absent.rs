use std::collections::BTreeSet;

use crate::SessionId;

/// Sessions that were on record when this actor began, and have not come back since.
///
/// While nobody else is served they may come back as if nothing had happened. Once somebody was, a session that was absent is
/// **outlived**: others may have been given what it held. What exactly they were given is known to this actor; the next one, on this
/// node or another, does not know, so it is on record that it happened, before it does. A session that the next actor finds there
/// cannot come back.
#[derive(Debug, Clone, Default)]
pub struct Absent {
    away: BTreeSet<SessionId>,
    /// They were away when others were served, and may have come back since.
    outlived: BTreeSet<SessionId>,
    /// That happened to them before this actor began.
    lost: BTreeSet<SessionId>,
}

impl Absent {
    /// Of those who may come back, some are on record as outlived.
    pub fn new(sessions: impl IntoIterator<Item = SessionId>, lost: impl IntoIterator<Item = SessionId>) -> Self {
        Self { away: sessions.into_iter().collect(), outlived: BTreeSet::new(), lost: lost.into_iter().collect() }
    }

    /// Whether one cannot come back, because it was outlived before this actor began.
    pub fn is_lost(&self, session: SessionId) -> bool {
        self.lost.contains(&session)
    }

    /// Whether somebody has not come back.
    pub fn is_anybody_away(&self) -> bool {
        !self.away.is_empty()
    }

    /// One has come back.
    pub fn back(&mut self, session: SessionId) {
        self.away.remove(&session);
    }

    /// A session is served: those that are outlived by it, and were not before.
    pub fn outlived_by(&mut self, session: SessionId) -> Vec<SessionId> {
        let is_new = |away: &SessionId| *away != session && !self.outlived.contains(away) && !self.lost.contains(away);
        let new: Vec<_> = self.away.iter().copied().filter(is_new).collect();
        self.outlived.extend(&new);
        new
    }

    /// Whether others were served while this one was away.
    pub fn is_outlived(&self, session: SessionId) -> bool {
        self.outlived.contains(&session)
    }

    /// A session has come back for good, or is over. Whether it had been outlived.
    pub fn settle(&mut self, session: SessionId) -> bool {
        self.away.remove(&session);
        self.outlived.remove(&session) | self.lost.remove(&session)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_away_while_others_are_served_is_outlived_once() {
        let [a, b, c] = [1, 2, 3].map(SessionId::from_bits);
        let mut absent = Absent::new([a, b, c], []);
        absent.back(c);
        assert!(!absent.is_outlived(a));
        assert_eq!(absent.outlived_by(b), [a], "nobody outlives itself");
        assert_eq!(absent.outlived_by(c), [b]);
        assert_eq!(absent.outlived_by(c), []);
        assert!(absent.is_anybody_away());
        absent.back(a);
        assert!(absent.is_outlived(a) && absent.is_outlived(b) && !absent.is_outlived(c));
        assert!(absent.settle(a) && !absent.settle(c));
        assert!(!absent.is_outlived(a));
    }

    #[test]
    fn who_was_outlived_before_stays_lost_whoever_is_served_now() {
        let [a, b] = [1, 2].map(SessionId::from_bits);
        let mut absent = Absent::new([a, b], [a]);
        assert_eq!(absent.outlived_by(b), []);
        assert!(absent.is_lost(a) && !absent.is_outlived(a));
        assert!(absent.settle(a) && !absent.is_lost(a));
    }
}
