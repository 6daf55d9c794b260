use serde::{Deserialize, Serialize};

use super::{DataPath, FenceReason, InodeRange, PROTOCOL_VERSION};
use crate::name::{Subpath, WorkspaceAddress};
use crate::namespace::Ino;
use crate::ticket::Mode;
use crate::{AccountId, ErrorCode, GrantId, KeyId, SessionId, WorkspaceId};

/// The versions of the session protocol that one side speaks, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionRange {
    /// Oldest.
    pub min: u16,
    /// Newest.
    pub max: u16,
}

impl VersionRange {
    /// What this code speaks.
    pub const OURS: Self = Self { min: PROTOCOL_VERSION, max: PROTOCOL_VERSION };

    /// What a node offers that speaks these versions while others share a ring with it: nothing newer than what each of them
    /// speaks, so that a session which moves to one of them goes on in its version. Its own oldest version it always offers.
    #[must_use]
    pub fn beside(self, others: impl IntoIterator<Item = Self>) -> Self {
        let newest = others.into_iter().map(|other| other.max).fold(self.max, u16::min);
        Self { min: self.min, max: newest.max(self.min) }
    }

    /// The newest version that both sides speak.
    pub fn agree(self, other: Self) -> Option<u16> {
        let newest = self.max.min(other.max);
        (newest >= self.min && newest >= other.min).then_some(newest)
    }
}

/// The first message of a stream, as JSON text. Fields that the node does not know are ignored.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Hello {
    /// Which versions the agent speaks.
    pub protocol: VersionRange,
    /// The agent's name and version, for logs and `session list`.
    pub agent: String,
    /// The machine it runs on, as it calls itself; for people only.
    pub host: String,
    /// By what right the stream is opened.
    pub opening: Opening,
}

/// By what right a stream is opened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "by")]
pub enum Opening {
    /// A new session, with a mount ticket.
    Ticket {
        /// The compact JWS.
        token: String,
    },
    /// A new session of the account's own, with an API key.
    ApiKey {
        /// The secret.
        key: String,
        /// What to mount.
        workspace: WorkspaceAddress,
        /// How.
        mode: Mode,
        /// Which directory is to be the root.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subpath: Option<Subpath>,
    },
    /// The session that this agent has had all along, over a new connection.
    Resume {
        /// Which.
        session: SessionId,
        /// What the welcome to it gave.
        secret: String,
    },
}

/// The node's answer, as JSON text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HelloAnswer {
    /// The session is open.
    Welcome(Welcome),
    /// It is not; the node closes the stream.
    Refused(Refusal),
}

/// What an agent needs to know of its session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Welcome {
    /// The version both sides speak from the next message on.
    pub version: u16,
    /// The session.
    pub session: SessionId,
    /// Proves ownership of the session when resuming and on the data endpoints. Known to agent and node alone.
    pub secret: String,
    /// `handle/name`, for people.
    pub workspace: String,
    /// What the session may do; the node enforces it.
    pub mode: Mode,
    /// The directory that the mount shows as its root.
    pub root: Ino,
    /// How long the node keeps the session for an agent it does not hear from.
    pub lease_ms: u64,
    /// How old the last proof of standing may be before the mount stalls.
    pub proof_ms: u64,
    /// How often to send a heartbeat.
    pub heartbeat_ms: u64,
    /// How long until the session ends whatever happens; absent if it does not.
    pub expires_in_ms: Option<u64>,
    /// Inode numbers for this session's creations.
    pub inodes: InodeRange,
    /// The last op of this session that the node has durably; 0 in a new session.
    pub durable_seq: u64,
    /// Other nodes, `http(s)://…`, of which one may give proofs over a second stream; none if the node is alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<String>,
    /// How data travels; a node that does not say so is one that all of it goes through.
    #[serde(default)]
    pub data_path: DataPath,
    /// Whether the workspace is encrypted at rest: then nothing of it may be kept on the agent's disk.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keep_off_disk: bool,
    /// What the session stands on, for an agent that hears of revocations otherwise; an older node does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stands_on: Option<Box<StandsOn>>,
    /// Whether the session lets its agent into the mesh ([`crate::hosts::JOIN_PATH`]); an agent that is not told so does not ask.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub admits_guests: bool,
    /// Whether the node wants to hear which calls are traced ([`super::ClientFrame::Traced`]); an older node does not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wants_traces: bool,
}

/// What a session stands on besides itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandsOn {
    /// Whose right it is.
    pub account: AccountId,
    /// The workspace.
    pub workspace: WorkspaceId,
    /// The grant, for a session opened with a ticket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    /// The API key, for a session opened with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyId>,
    /// Of which generation of the account's rights grant or key are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u64>,
}

/// The answer of a node that is to give proofs for a session which another node serves, as JSON text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProofsAnswer {
    /// It answers heartbeats from now on, while it can.
    Proving {
        /// The version both sides speak from the next message on.
        version: u16,
    },
    /// It does not; the node closes the stream.
    Refused(Refusal),
}

/// Why a stream was not opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// For programs.
    pub code: ErrorCode,
    /// For people.
    pub message: String,
    /// Set when the session that was to be resumed has been fenced: it never comes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fenced: Option<FenceReason>,
    /// Where to go instead, `http(s)://…`: the node that owns the workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
}

impl Refusal {
    /// A refusal that says nothing but why.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), fenced: None, owner: None }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_agree_on_the_newest_common_one() {
        let range = |min, max| VersionRange { min, max };
        for (ours, theirs, agreed) in [
            (range(1, 1), range(1, 1), Some(1)),
            (range(1, 3), range(2, 5), Some(3)),
            (range(1, 1), range(2, 2), None),
            (range(4, 5), range(1, 3), None),
            (range(1, 1), range(1, 0), None),
        ] {
            assert_eq!(ours.agree(theirs), agreed);
            assert_eq!(theirs.agree(ours), agreed);
        }
    }

    #[test]
    fn a_node_offers_what_every_node_beside_it_speaks() {
        let range = |min, max| VersionRange { min, max };
        assert_eq!(range(3, 4).beside([]), range(3, 4));
        assert_eq!(range(3, 4).beside([range(3, 4), range(2, 3)]), range(3, 3));
        assert_eq!(range(3, 4).beside([range(4, 9)]), range(3, 4));
        assert_eq!(range(3, 4).beside([range(1, 2)]), range(3, 3), "what is older than its oldest it does not speak");
    }

    #[test]
    fn a_welcome_of_an_older_node_means_the_proxied_path() {
        let old = r#"{"welcome":{"version":1,"session":"ses_0000000000000000000000001a","secret":"s","workspace":"a/b","mode":"rw","root":1,
            "lease_ms":1,"proof_ms":1,"heartbeat_ms":1,"expires_in_ms":null,"inodes":{"first":2,"count":1},"durable_seq":0}}"#;
        let HelloAnswer::Welcome(welcome) = serde_json::from_str(old).unwrap() else { panic!() };
        assert_eq!((welcome.data_path, welcome.peers.len()), (DataPath::Proxied, 0));
        assert_eq!((welcome.wants_traces, welcome.admits_guests), (false, false));
        assert!(!serde_json::to_string(&welcome).unwrap().contains("admits_guests"), "an agent of an earlier version need not know");
        let newer = old.replace(r#""durable_seq":0"#, r#""durable_seq":0,"data_path":"direct""#);
        let HelloAnswer::Welcome(welcome) = serde_json::from_str(&newer).unwrap() else { panic!() };
        assert_eq!(welcome.data_path, DataPath::Direct);
    }

    #[test]
    fn a_newer_hello_with_unknown_fields_is_readable() {
        let hello: Hello = serde_json::from_str(
            r#"{"protocol":{"min":7,"max":9,"x":1},"agent":"a","host":"h","opening":{"by":"ticket","token":"t","proof":"p"},"new":[]}"#,
        )
        .unwrap();
        assert_eq!(VersionRange::OURS.agree(hello.protocol), None);
    }
}
