use std::collections::BTreeSet;
use std::time::Duration;

use artifacts_core::mesh::Member;
use artifacts_core::name::NodeName;
use artifacts_core::protocol::VersionRange;
use axum::Json;
use axum::extract::State;
use futures_util::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use crate::ring::{Ring, STATUS_PATH, StatusAnswer};

/// How long another node may take to say how it is.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// The cluster as this node knows it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ClusterStatus {
    /// The cluster's name; absent when the node is alone.
    cluster: Option<String>,
    /// The node that answers; absent when it is alone.
    #[schema(value_type = Option<String>)]
    node: Option<NodeName>,
    /// Its region.
    region: String,
    /// The names of the ring's keys that count at this node, the one that it seals with first.
    ring_keys: Vec<String>,
    /// All nodes that are known.
    members: Vec<MemberStatus>,
    /// Who should own which shard, by placement.
    shards: Vec<ShardStatus>,
}

/// One node.
#[derive(Debug, Serialize, ToSchema)]
struct MemberStatus {
    /// Its name.
    #[schema(value_type = String)]
    name: NodeName,
    /// Its current life: grows whenever it joins anew.
    generation: u64,
    /// Where it receives gossip.
    gossip: String,
    /// Whether it is heard.
    live: bool,
    /// `joining`, `serving` or `leaving`; only who serves should own shards. Absent like the rest until it has said so.
    phase: Option<&'static str>,
    /// Its region.
    region: Option<String>,
    /// The version of its program.
    release: Option<String>,
    /// The versions of the session protocol that it speaks.
    protocol: Option<ProtocolRange>,
    /// Where other nodes reach it.
    api: Option<String>,
    /// Where agents connect to.
    stream: Option<String>,
    /// How many nodes it counts as alive itself; absent when it does not answer.
    sees: Option<usize>,
    /// Why it does not answer.
    problem: Option<String>,
}

/// Both ends included.
#[derive(Debug, Serialize, ToSchema)]
struct ProtocolRange {
    /// Oldest.
    min: u16,
    /// Newest.
    max: u16,
}

impl From<VersionRange> for ProtocolRange {
    fn from(range: VersionRange) -> Self {
        Self { min: range.min, max: range.max }
    }
}

/// One shard of one region.
#[derive(Debug, Serialize, ToSchema)]
struct ShardStatus {
    /// The region.
    region: String,
    /// Which shard.
    shard: u16,
    /// Who should own it; absent when no node can.
    #[schema(value_type = Option<String>)]
    suggested_owner: Option<NodeName>,
}

/// Shows the ring of nodes: who is there, what each says of itself when it is asked now, and who should own which shard. Takes
/// the admin token.
#[utoipa::path(get, path = "/v1/cluster", tag = "cluster", operation_id = "show_cluster", responses(
    (status = 200, description = "The cluster", body = ClusterStatus),
))]
pub(super) async fn show(State(state): State<ApiState>) -> Json<ClusterStatus> {
    let region = state.context().config.region.clone();
    let Some(ring) = state.ring() else {
        let (ring_keys, members, shards) = Default::default();
        return Json(ClusterStatus { cluster: None, node: None, region, ring_keys, members, shards });
    };
    let view = ring.view();
    let members = join_all(view.members.iter().map(|member| status(ring, member))).await;
    let regions: BTreeSet<_> = view.members.iter().filter_map(|member| member.facts.as_ref()).map(|facts| facts.region.clone()).collect();
    let mut shards = Vec::new();
    for region in regions {
        let placement = view.placement(&region);
        shards.extend((0..ring.shards()).map(|shard| ShardStatus {
            region: region.clone(),
            shard,
            suggested_owner: placement.owner(shard).cloned(),
        }));
    }
    Json(ClusterStatus {
        cluster: Some(ring.cluster().to_owned()),
        node: Some(ring.me().clone()),
        region,
        ring_keys: ring.keys().ids().map(|id| id.to_string()).collect(),
        members,
        shards,
    })
}

async fn status(ring: &Ring, member: &Member) -> MemberStatus {
    let asked = if member.live { ask(ring, member).await } else { Err("it is not heard".to_owned()) };
    let (sees, problem) = match asked {
        Ok(sees) => (Some(sees), None),
        Err(problem) => (None, Some(problem)),
    };
    let facts = member.facts.as_ref();
    MemberStatus {
        name: member.id.name.clone(),
        generation: member.id.generation,
        gossip: member.id.address.to_string(),
        live: member.live,
        phase: facts.map(|facts| facts.phase.as_str()),
        region: facts.map(|facts| facts.region.clone()),
        release: facts.map(|facts| facts.release.clone()),
        protocol: facts.map(|facts| facts.protocol.into()),
        api: facts.map(|facts| facts.api.clone()),
        stream: facts.map(|facts| facts.stream.clone()),
        sees,
        problem,
    }
}

async fn ask(ring: &Ring, member: &Member) -> Result<usize, String> {
    if member.id.name == *ring.me() {
        return Ok(ring.view().members.iter().filter(|member| member.live).count());
    }
    let answer = ring.caller().call(member, STATUS_PATH, b"", ASK_LIMIT).await.map_err(|error| error.to_string())?;
    let answer: StatusAnswer = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    Ok(answer.live)
}
