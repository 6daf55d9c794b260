use crate::blob::BlobKey;

/// How keys become names of objects: `{prefix}/blobs/{key}`, with the slashes of the key written as dots.
///
/// A key has no dot of its own, and a dot sorts where a slash does among the characters of keys, so the order of the
/// names is that of the keys. And all objects lie in one folder, for the sake of servers that make folders of slashes:
/// they could not hold the objects `a` and `a/b` together, and they list `a/b` before `a-b`.
#[derive(Debug, Clone)]
pub(super) struct Names {
    blobs: String,
    probe: String,
}

impl Names {
    /// Below a prefix.
    pub(super) fn new(prefix: &str) -> Self {
        let prefix = prefix.trim_matches('/');
        let root = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Self { blobs: format!("{root}blobs/"), probe: format!("{root}probe/") }
    }

    /// The name of an object.
    pub(super) fn of(&self, key: &BlobKey) -> String {
        self.beginning_with(key.as_str())
    }

    /// What the names of all objects begin with whose keys begin with `text`.
    pub(super) fn beginning_with(&self, text: &str) -> String {
        format!("{}{}", self.blobs, text.replace('/', "."))
    }

    /// The key of an object; `None` if it is not one of ours.
    pub(super) fn key(&self, name: &str) -> Option<BlobKey> {
        let text = name.strip_prefix(&self.blobs)?;
        if text.contains('/') {
            return None;
        }
        BlobKey::new(&text.replace('.', "/")).ok()
    }

    /// The name of an object that is no blob, to try the server with.
    pub(super) fn probe(&self, id: &str) -> String {
        format!("{}{id}", self.probe)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_lie_below_the_prefix_and_lead_back() {
        for (prefix, name) in [("", "blobs/ws_1.seg_2"), ("/a/b/", "a/b/blobs/ws_1.seg_2")] {
            let names = Names::new(prefix);
            let key = BlobKey::new("ws_1/seg_2").unwrap();
            assert_eq!(names.of(&key), name);
            assert_eq!(names.key(name), Some(key));
            assert_eq!(names.key(&names.probe("x")), None);
            for foreign in ["elsewhere/x", "blobs/A", "blobs/a/b", "blobs/"] {
                assert_eq!(names.key(foreign), None, "{foreign}");
            }
        }
    }

    proptest! {
        #[test]
        fn names_are_in_the_order_of_their_keys(one in "[a-z0-9_-]{1,3}(/[a-z0-9_-]{1,3}){0,2}", two in "[a-z0-9_-]{1,3}(/[a-z0-9_-]{1,3}){0,2}") {
            let names = Names::new("p");
            let (one, two) = (BlobKey::new(&one).unwrap(), BlobKey::new(&two).unwrap());
            prop_assert_eq!(names.of(&one).cmp(&names.of(&two)), one.cmp(&two));
            prop_assert_eq!(names.key(&names.of(&one)), Some(one));
        }
    }
}
