use serde::{Deserialize, Serialize};

use crate::cluster::Region;
use crate::name::{Handle, RuntimeId, Subpath, TenantSlug, WorkspaceName};
use crate::{AccountId, GrantId, TicketId, Timestamp, WorkspaceId};

/// What a grant, a ticket or a session allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Reading only; the control nodes refuse every mutation.
    Ro,
    /// Reading and writing.
    Rw,
}

impl Mode {
    /// Whether someone who holds `self` may hand out `wanted`.
    pub const fn allows(self, wanted: Mode) -> bool {
        matches!((self, wanted), (Mode::Rw, _) | (Mode::Ro, Mode::Ro))
    }

    /// `ro` or `rw`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Mode::Ro => "ro",
            Mode::Rw => "rw",
        }
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Mode {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ro" => Ok(Mode::Ro),
            "rw" => Ok(Mode::Rw),
            _ => Err("a mode is `ro` or `rw`"),
        }
    }
}

/// What the signature covers. Registered claim names follow RFC 7519; times are whole seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TicketClaims {
    /// The ticket.
    pub jti: TicketId,
    /// The account that owns everything named here.
    pub account: AccountId,
    /// The grant this ticket draws on; it never outlives it.
    pub grant: GrantId,
    /// The tenant on whose behalf the runtime mounts.
    pub tenant: TenantSlug,
    /// The runtime the ticket was made for.
    pub runtime: RuntimeId,
    /// The workspace, by id: a name may be given to another workspace later.
    pub workspace: WorkspaceId,
    /// The region that the workspace lives in; absent if that is the region of whoever signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// The workspace's owner as it was called when the ticket was made.
    pub handle: Handle,
    /// The workspace's name at that time.
    pub name: WorkspaceName,
    /// What the mount may do.
    pub mode: Mode,
    /// The directory that the mount sees as its root; absent means the whole workspace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subpath: Option<Subpath>,
    /// Whether a session may go on after `exp` for as long as the grant stands.
    #[serde(default)]
    pub renewable: bool,
    /// Issued at, seconds since the epoch.
    pub iat: u64,
    /// Expires at, seconds since the epoch.
    pub exp: u64,
}

impl TicketClaims {
    /// The instant from which the ticket opens no session any more.
    pub const fn expires_at(&self) -> Timestamp {
        Timestamp::from_unix_ms(self.exp.saturating_mul(1000))
    }
}
