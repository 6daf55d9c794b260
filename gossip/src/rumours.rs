use std::collections::BTreeMap;
use std::sync::Arc;

use artifacts_core::name::NodeName;

/// What keys begin with that are not a node's words about itself.
pub const PREFIX: &str = "rev-";

/// What nodes say in gossip besides what they say of themselves, by who says it and under which key.
///
/// Gossip passes it on and looks at none of it: it is believed for what is signed in it, or not at all.
pub type Rumours = Arc<BTreeMap<(NodeName, String), Arc<str>>>;

/// What was read of gossip so far.
#[derive(Debug, Default)]
pub struct Heard {
    known: BTreeMap<(NodeName, String), (u64, u64, Arc<str>)>,
}

impl Heard {
    /// A value of a key of some life of a member, in some version. Of two lives the later one counts. Whether it is news.
    pub fn hear(&mut self, member: &NodeName, generation: u64, key: &str, version: u64, value: &str) -> bool {
        let place = (member.clone(), key.to_owned());
        if self.known.get(&place).is_some_and(|(life, known, _)| (*life, *known) >= (generation, version)) {
            return false;
        }
        self.known.insert(place, (generation, version, value.into()));
        true
    }

    /// Forgets members that gossip has forgotten.
    pub fn retain(&mut self, is_known: impl Fn(&NodeName) -> bool) {
        self.known.retain(|(member, _), _| is_known(member));
    }

    /// All of it.
    pub fn all(&self) -> Rumours {
        Arc::new(self.known.iter().map(|(place, (_, _, value))| (place.clone(), value.clone())).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_latest_version_of_the_latest_life_counts() {
        let (member, mut heard): (NodeName, Heard) = ("a".parse().unwrap(), Heard::default());
        assert!(heard.hear(&member, 2, "rev-x", 7, "one"));
        assert!(!heard.hear(&member, 2, "rev-x", 7, "again") && !heard.hear(&member, 1, "rev-x", 9, "an earlier life"));
        assert!(heard.hear(&member, 2, "rev-x", 8, "two") && heard.hear(&member, 3, "rev-x", 1, "three"));
        let value = |heard: &Heard| heard.all().values().map(|value| value.to_string()).collect::<Vec<_>>();
        assert_eq!(value(&heard), ["three"]);
        heard.retain(|_| false);
        assert!(heard.all().is_empty());
    }
}
