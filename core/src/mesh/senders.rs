use std::collections::BTreeMap;

use super::limits::MEMBERS_MAX;
use super::{Incarnation, ReplayWindow};
use crate::name::NodeName;

/// Why a sender's message does not count although its seal is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendersError {
    /// A later life of this sender was heard already.
    #[error("it comes from an earlier life of its sender")]
    Outdated,
    /// It was here before.
    #[error("it was here before")]
    Replayed,
    /// More senders than a mesh may have were heard in this life.
    #[error("too many senders")]
    Full,
}

/// Whom we have heard in this life, and what of each.
///
/// Nobody is ever forgotten, because everything forgotten could be replayed. When the table is full its owner begins a
/// new life, to which nothing recorded is addressed, with an empty one.
#[derive(Debug, Default)]
pub struct Senders {
    heard: BTreeMap<NodeName, (Incarnation, ReplayWindow)>,
}

impl Senders {
    /// Notes one message of a sender. The caller has verified the seal, and that it was addressed to this life of ours.
    ///
    /// # Errors
    /// [`SendersError`]; nothing has changed then.
    pub fn admit(&mut self, sender: &NodeName, incarnation: Incarnation, counter: u64) -> Result<(), SendersError> {
        let full = self.heard.len() >= MEMBERS_MAX;
        match self.heard.get_mut(sender) {
            None if full => return Err(SendersError::Full),
            None => {
                self.heard.insert(sender.clone(), (incarnation, first(counter)));
            }
            Some((known, window)) if *known == incarnation => {
                if !window.admit(counter) {
                    return Err(SendersError::Replayed);
                }
            }
            // Two of the same generation: the one that was heard first stays.
            Some((known, _)) if incarnation.generation <= known.generation => return Err(SendersError::Outdated),
            Some(entry) => *entry = (incarnation, first(counter)),
        }
        Ok(())
    }

    /// The life in which a sender was heard last.
    pub fn incarnation(&self, sender: &NodeName) -> Option<Incarnation> {
        self.heard.get(sender).map(|(incarnation, _)| *incarnation)
    }

    /// How many were heard.
    pub fn len(&self) -> usize {
        self.heard.len()
    }

    /// Whether nobody was heard yet.
    pub fn is_empty(&self) -> bool {
        self.heard.is_empty()
    }
}

fn first(counter: u64) -> ReplayWindow {
    let mut window = ReplayWindow::default();
    window.admit(counter);
    window
}
