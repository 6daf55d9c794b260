//! The names that people choose, each a checked type: once one of these exists, its text is within the rules of
//! the contract and needs no further look.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} must match {rule}")]
pub struct InvalidName {
    what: &'static str,
    rule: &'static str,
}

fn is_lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// First byte by one rule, the others by a second, and a length.
fn matches(text: &str, longest: usize, first: fn(u8) -> bool, rest: fn(u8) -> bool) -> bool {
    let bytes = text.as_bytes();
    bytes.len() <= longest && bytes.first().is_some_and(|&byte| first(byte)) && bytes.iter().skip(1).all(|&byte| rest(byte))
}

/// Declares a checked string.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The rule, as a regular expression.
            pub const RULE: &'static str = $rule;

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.to_owned())) } else { Err(InvalidName { what: $what, rule: $rule }) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

names! {
    /// An account's public name, the first half of a workspace address.
    Handle, "a handle", "^[a-z0-9][a-z0-9-]{0,38}$",
        |text| matches(text, 39, is_lower_or_digit, |byte| is_lower_or_digit(byte) || byte == b'-');
    /// A tenant's name within its account.
    TenantSlug, "a tenant slug", "^[a-z0-9][a-z0-9-]{0,62}$",
        |text| matches(text, 63, is_lower_or_digit, |byte| is_lower_or_digit(byte) || byte == b'-');
    /// The platform's own name for one container, VM, task or agent run.
    RuntimeId, "a runtime id", "^[A-Za-z0-9._:-]{1,128}$",
        |text| matches(text, 128, is_runtime_byte, is_runtime_byte);
    /// A workspace's name within its account.
    WorkspaceName, "a workspace name", "^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$",
        |text| matches(text, 63, |byte| byte.is_ascii_alphanumeric(), |byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    /// A snapshot within its workspace.
    SnapshotName, "a snapshot name", "^[A-Za-z0-9][A-Za-z0-9._:-]{0,62}$",
        |text| matches(text, 63, |byte| byte.is_ascii_alphanumeric(), is_runtime_byte);
    /// A named lock within its workspace.
    LockName, "a lock name", "^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$",
        |text| matches(text, 128, |byte| byte.is_ascii_alphanumeric(), is_runtime_byte);
    /// A member of a mesh: a control node or a host's agent.
    NodeName, "a node name", "^[a-z0-9][a-z0-9.-]{0,62}$",
        |text| matches(text, 63, is_lower_or_digit, |byte| is_lower_or_digit(byte) || byte == b'.' || byte == b'-');
}

fn is_runtime_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._:-".contains(&byte)
}

/// How a workspace is addressed: `name`, `handle/name` or `artifacts://handle/name`; a snapshot of it with `@snapshot` behind that.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkspaceAddress {
    /// The owner's handle; absent means the caller's own.
    pub handle: Option<Handle>,
    /// The name within that account.
    pub name: WorkspaceName,
    /// Absent: the workspace itself.
    pub snapshot: Option<SnapshotName>,
}

impl FromStr for WorkspaceAddress {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let path = text.strip_prefix("artifacts://").unwrap_or(text);
        let (path, snapshot) = match path.split_once('@') {
            Some((path, snapshot)) => (path, Some(snapshot.parse()?)),
            None => (path, None),
        };
        match path.split_once('/') {
            Some((handle, name)) => Ok(Self { handle: Some(handle.parse()?), name: name.parse()?, snapshot }),
            None if !text.starts_with("artifacts://") => Ok(Self { handle: None, name: path.parse()?, snapshot }),
            None => Err(InvalidName { what: "a workspace address", rule: "name, handle/name or artifacts://handle/name" }),
        }
    }
}

impl fmt::Display for WorkspaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(handle) = &self.handle {
            write!(f, "{handle}/")?;
        }
        write!(f, "{}", self.name)?;
        self.snapshot.as_ref().map_or(Ok(()), |snapshot| write!(f, "@{snapshot}"))
    }
}

impl TryFrom<String> for WorkspaceAddress {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<WorkspaceAddress> for String {
    fn from(address: WorkspaceAddress) -> String {
        address.to_string()
    }
}

/// A directory inside a workspace to which a grant is confined: relative, normal, valid UTF-8.
///
/// `a/b`, never `/a`, `a//b`, `.`, `..` or a component over 255 bytes; at most 4,096 bytes in all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Subpath(String);

impl Subpath {
    /// The directory names from the workspace's root downwards; never empty.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Subpath {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let trimmed = text.strip_suffix('/').unwrap_or(text);
        let good = |part: &str| !part.is_empty() && part.len() <= 255 && part != "." && part != ".." && !part.contains('\0');
        if trimmed.len() <= 4096 && trimmed.split('/').all(good) {
            Ok(Self(trimmed.to_owned()))
        } else {
            Err(InvalidName { what: "a subpath", rule: "a relative path without empty, `.` or `..` components" })
        }
    }
}

impl TryFrom<String> for Subpath {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<Subpath> for String {
    fn from(subpath: Subpath) -> String {
        subpath.0
    }
}

impl fmt::Display for Subpath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn each_rule_at_its_edges() {
        let long = |n: usize| "a".repeat(n);
        for good in ["a", "0", "a-", &long(39)] {
            assert!(good.parse::<Handle>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "A", "a_b", "a/b", "é", &long(40)] {
            assert!(bad.parse::<Handle>().is_err(), "{bad}");
        }
        assert!(long(63).parse::<TenantSlug>().is_ok());
        assert!(long(64).parse::<TenantSlug>().is_err());
        for good in ["task-1", "a:b.c_D", &long(128)] {
            assert_eq!(good.parse::<RuntimeId>().is_ok(), !good.contains(' '), "{good}");
        }
        for bad in ["", "a b", "a/b", &long(129), "é"] {
            assert!(bad.parse::<RuntimeId>().is_err(), "{bad}");
        }
        for good in ["A", "a_b-C", &long(63)] {
            assert!(good.parse::<WorkspaceName>().is_ok(), "{good}");
        }
        for bad in ["", "_a", "a.b", &long(64)] {
            assert!(bad.parse::<WorkspaceName>().is_err(), "{bad}");
        }
        for good in ["a", "0.b:c_D-", &long(128)] {
            assert!(good.parse::<LockName>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-a", "a/b", "a b", &long(129)] {
            assert!(bad.parse::<LockName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_has_three_forms() {
        let own: WorkspaceAddress = "task-1".parse().unwrap();
        assert_eq!(own.handle, None);
        let full: WorkspaceAddress = "artifacts://acme/task-1".parse().unwrap();
        assert_eq!(full, "acme/task-1".parse().unwrap());
        assert_eq!(full.to_string(), "acme/task-1");
        let of_snapshot: WorkspaceAddress = "acme/task-1@v1.0".parse().unwrap();
        assert_eq!((of_snapshot.snapshot.as_ref().unwrap().as_str(), of_snapshot.to_string().as_str()), ("v1.0", "acme/task-1@v1.0"));
        for bad in ["a@", "@a", "a@b@c", "a@b/c", "a@-", "", "/", "a/b/c", "artifacts://a", "http://a/b", "Acme/x"] {
            assert!(bad.parse::<WorkspaceAddress>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_subpath_stays_inside() {
        assert_eq!("a/b/".parse::<Subpath>().unwrap().components().collect::<Vec<_>>(), ["a", "b"]);
        for bad in ["", "/", "/a", "a//b", "..", "a/../b", ".", &"x".repeat(256), &"a/".repeat(3000)] {
            assert!(bad.parse::<Subpath>().is_err(), "{bad}");
        }
    }
}
