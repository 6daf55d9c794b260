use std::collections::{BTreeMap, BTreeSet};

use crate::SessionId;
use crate::namespace::Ino;

/// Which sessions have which inodes open. An inode that lost its last link lives until it stands here no more.
#[derive(Debug, Clone, Default)]
pub struct OpenFiles {
    by_inode: BTreeMap<Ino, BTreeSet<SessionId>>,
    by_session: BTreeMap<SessionId, BTreeSet<Ino>>,
}

impl OpenFiles {
    /// A session has the inode open (once is enough: the mount counts its own handles).
    pub fn open(&mut self, session: SessionId, ino: Ino) {
        self.by_inode.entry(ino).or_default().insert(session);
        self.by_session.entry(session).or_default().insert(ino);
    }

    /// A session has closed its last handle. Answers whether nobody has the inode open now.
    pub fn close(&mut self, session: SessionId, ino: Ino) -> bool {
        if let Some(inodes) = self.by_session.get_mut(&session) {
            inodes.remove(&ino);
            if inodes.is_empty() {
                self.by_session.remove(&session);
            }
        }
        let Some(sessions) = self.by_inode.get_mut(&ino) else { return true };
        sessions.remove(&session);
        let last = sessions.is_empty();
        if last {
            self.by_inode.remove(&ino);
        }
        last
    }

    /// A session says which inodes it has open, over a new connection. Answers those that nobody has open now.
    pub fn replace(&mut self, session: SessionId, open: &BTreeSet<Ino>) -> Vec<Ino> {
        let before = self.by_session.get(&session).cloned().unwrap_or_default();
        for &ino in open {
            self.open(session, ino);
        }
        before.difference(open).copied().filter(|&ino| self.close(session, ino)).collect()
    }

    /// A session is over. Answers the inodes that nobody has open now.
    pub fn close_all(&mut self, session: SessionId) -> Vec<Ino> {
        let inodes = self.by_session.get(&session).cloned().unwrap_or_default();
        inodes.into_iter().filter(|&ino| self.close(session, ino)).collect()
    }

    /// Whether anybody has it open.
    pub fn is_open(&self, ino: Ino) -> bool {
        self.by_inode.contains_key(&ino)
    }

    /// How many inodes one session has open.
    pub fn count(&self, session: SessionId) -> usize {
        self.by_session.get(&session).map_or(0, BTreeSet::len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inode_is_open_until_its_last_session_lets_go() {
        let (a, b) = (SessionId::from_bits(1), SessionId::from_bits(2));
        let mut open = OpenFiles::default();
        for (session, ino) in [(a, 1), (a, 1), (a, 2), (b, 1), (b, 3)] {
            open.open(session, Ino(ino));
        }
        assert_eq!(open.count(a), 2);
        assert!(!open.close(a, Ino(1)), "b has it still");
        assert!(open.close(a, Ino(2)));
        assert!(open.close(a, Ino(99)), "what nobody has open may go");
        assert_eq!(open.close_all(b), [Ino(1), Ino(3)]);
        assert!(!open.is_open(Ino(1)));
        assert_eq!(open.close_all(b), []);
    }

    #[test]
    fn what_was_closed_while_the_connection_was_down_is_closed() {
        let (a, b) = (SessionId::from_bits(1), SessionId::from_bits(2));
        let mut open = OpenFiles::default();
        for (session, ino) in [(a, 1), (a, 2), (b, 2), (a, 3)] {
            open.open(session, Ino(ino));
        }
        assert_eq!(open.replace(a, &BTreeSet::from([Ino(3), Ino(4)])), [Ino(1)]);
        assert!(open.is_open(Ino(2)) && open.is_open(Ino(3)) && open.is_open(Ino(4)) && !open.is_open(Ino(1)));
    }
}
