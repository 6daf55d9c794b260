use artifacts_core::AccountId;
use artifacts_core::mesh::{CELL_HOSTS_MAX, CellId};
use artifacts_core::name::NodeName;
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::scope::{Action, Subject};
use super::{ApiError, ApiState};

/// What the owner of an account's shard knows of the mesh of its hosts.
pub(crate) trait CellSight: Send + Sync + 'static {
    /// The cells of this account, and of no other.
    fn of(&self, account: AccountId) -> AccountCells;
}

/// The cells in which the hosts of an account gossip, and the nodes of their region.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct AccountCells {
    /// The region of the account.
    pub(crate) region: String,
    /// The nodes of the region that are known; none of a node that is alone.
    pub(crate) nodes: Vec<RegionNode>,
    /// The most hosts of a cell.
    pub(crate) hosts_max: usize,
    /// The cells; none while no host is in the mesh. A new owner of the account's shard founds them anew within some ten seconds.
    pub(crate) cells: Vec<AccountCell>,
}

/// A node, as all accounts may know it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegionNode {
    /// Its name.
    #[schema(value_type = String)]
    pub(crate) name: NodeName,
    /// `joining`, `serving`, `stranded` or `leaving`; `silent` if it is not heard, `unknown` until it has said so.
    pub(crate) state: &'static str,
}

/// A cell: hosts of one account, and up to two nodes, that gossip with each other.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountCell {
    /// `cell-…`; a cell whose key has changed is another one.
    #[schema(value_type = String, pattern = "^cell-[0-9a-f]{32}$")]
    pub(crate) id: CellId,
    /// How many hosts are in it.
    pub(crate) hosts: usize,
    /// The nodes that are to take part in it.
    pub(crate) nodes: Vec<CellPart>,
    /// How long ago the host that was heard last asked for its cell, in milliseconds. Hosts ask every ten seconds.
    pub(crate) latest_ms: u64,
    /// The same of the host that has been silent longest. After a minute a host has gone.
    pub(crate) longest_ms: u64,
}

/// A node of a cell.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CellPart {
    /// Its name.
    #[schema(value_type = String)]
    pub(crate) name: NodeName,
    /// Whether it has said that it takes part.
    pub(crate) takes_part: bool,
}

/// Shows the cells in which the account's hosts gossip: how large each is, which nodes take part, and how lately its hosts were heard.
///
/// Of the nodes it tells names and states, of hosts only how many there are.
#[utoipa::path(get, path = "/v1/mesh/cells", tag = "mesh-credentials", operation_id = "show_cells", responses(
    (status = 200, description = "The cells", body = AccountCells),
))]
pub(super) async fn show(State(state): State<ApiState>, caller: Caller) -> Result<Json<AccountCells>, ApiError> {
    // Hosts belong to no workspace and to no tenant.
    caller.may(Action::Read(Subject::default()))?;
    let seen = state.cells().map(|cells| cells.of(caller.account().id)).unwrap_or_default();
    let region = state.context().config.region.clone();
    Ok(Json(AccountCells { region, hosts_max: CELL_HOSTS_MAX, ..seen }))
}
