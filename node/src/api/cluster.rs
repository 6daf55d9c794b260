use std::collections::BTreeSet;
use std::time::Duration;

use artifacts_core::cluster::{Regions, ShardMap};
use artifacts_core::mesh::Member;
use artifacts_core::name::NodeName;
use artifacts_core::protocol::VersionRange;
use axum::Json;
use axum::extract::State;
use futures_util::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;

use super::ApiState;
use crate::ring::{Holdings, Ring, STATUS_PATH, StatusAnswer};

/// How long another node may take to say how it is.
const ASK_LIMIT: Duration = Duration::from_secs(2);

/// The cluster as this node knows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClusterStatus {
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
    /// All regions of the cluster.
    regions: Vec<RegionStatus>,
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
    /// `joining`, `serving`, `stranded` or `leaving`; only who serves should own shards. Absent like the rest until it has said so.
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
    /// How old is what the node that answers knows of it, in milliseconds.
    heard_ms: Option<u64>,
    /// How many nodes it counts as alive itself; absent when it does not answer.
    sees: Option<usize>,
    /// Why it does not answer, or that the others do not hear it: then it has no part in the ring.
    problem: Option<String>,
}

/// One region.
#[derive(Debug, Serialize, ToSchema)]
struct RegionStatus {
    /// Its name.
    name: String,
    /// How many of its nodes are heard; if none is, it is out of reach.
    live: usize,
    /// Whether it keeps the handles of all accounts.
    first: bool,
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
    /// The nodes that have it in hand, and where each is with it; in peace one, which serves it.
    units: Vec<ShardUnit>,
    /// The nodes that follow what is revoked in its accounts, because they serve workspaces of these.
    followers: Vec<Follower>,
}

/// How far behind a node is with what is revoked.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct Follower {
    /// The node.
    #[schema(value_type = String)]
    node: NodeName,
    /// How old what it knows is, in milliseconds; above 1000 it vouches for no session of these accounts. Absent before it has read
    /// all of it.
    age_ms: Option<u64>,
}

/// Where one node is with a shard.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct ShardUnit {
    /// The node.
    #[schema(value_type = String)]
    node: NodeName,
    /// `opening`, `serving`, `closing`, or `due` if it waits for its turn.
    state: String,
    /// Which opening of the shard this is; grows with every owner.
    epoch: Option<u64>,
    /// How many commits are not durable yet.
    unflushed: Option<u64>,
}

/// What a node sees of its cluster.
pub(crate) struct ClusterSight<'a> {
    /// The ring.
    pub(crate) ring: &'a Ring,
    /// The regions that there should be.
    pub(crate) regions: &'a Regions,
    /// How many shards a region has that does not say so.
    pub(crate) shards: u16,
    /// What this node has in hand.
    pub(crate) holdings: Holdings,
}

/// Shows the ring of nodes: who is there, what each says of itself when it is asked now, and who should own which shard. Takes
/// the admin token.
#[utoipa::path(get, path = "/v1/cluster", tag = "cluster", operation_id = "show_cluster", responses(
    (status = 200, description = "The cluster", body = ClusterStatus),
))]
pub(super) async fn show(State(state): State<ApiState>) -> Json<ClusterStatus> {
    let region = state.context().config.region.clone();
    let Some(ring) = state.ring() else {
        let (ring_keys, members, regions, shards) = Default::default();
        return Json(ClusterStatus { cluster: None, node: None, region, ring_keys, members, regions, shards });
    };
    let (regions, shards) = (&state.context().regions, state.context().config.cluster.shards);
    Json(describe(&ClusterSight { ring, regions, shards, holdings: Holdings::default() }).await)
}

/// The cluster as this node sees it; each node is asked how it is.
pub(crate) async fn describe(sight: &ClusterSight<'_>) -> ClusterStatus {
    let ClusterSight { ring, regions: listed, shards: count, holdings } = sight;
    let view = ring.view();
    let (members, known): (Vec<_>, Vec<_>) =
        join_all(view.members.iter().map(|member| status(ring, member, holdings))).await.into_iter().unzip();
    let of_shard = |region: &str, shard: u16| {
        let of_member = |(member, known): (&MemberStatus, &Holdings)| {
            let here = member.region.as_deref() == Some(region);
            let unit = known.units.iter().find(|unit| here && unit.shard == shard)?;
            Some(ShardUnit { node: member.name.clone(), state: unit.state.clone(), epoch: unit.epoch, unflushed: unit.unflushed })
        };
        members.iter().zip(&known).filter_map(of_member).collect()
    };
    let followers = |region: &str, shard: u16| {
        let of_member = |(member, known): (&MemberStatus, &Holdings)| {
            let feed = known.feeds.iter().find(|feed| feed.region == region && feed.shard == shard)?;
            Some(Follower { node: member.name.clone(), age_ms: feed.age_ms })
        };
        members.iter().zip(&known).filter_map(of_member).collect()
    };
    let facts = || view.members.iter().filter_map(|member| Some((member.live, member.facts.as_ref()?)));
    let seen: BTreeSet<_> = facts().map(|(_, facts)| facts.region.clone()).collect();
    let known: BTreeSet<_> = seen.iter().cloned().chain(listed.all().iter().map(ToString::to_string)).collect();
    let regions = known.into_iter().map(|name| RegionStatus {
        live: facts().filter(|(live, facts)| *live && facts.region == name).count(),
        first: *listed.first().as_str() == name,
        name,
    });
    let mut shards = Vec::new();
    for region in seen {
        let placement = view.placement(&region);
        let told = facts().find_map(|(_, facts)| facts.shards.filter(|_| facts.region == region));
        shards.extend((0..told.map_or(*count, ShardMap::len)).map(|shard| ShardStatus {
            units: of_shard(&region, shard),
            followers: followers(&region, shard),
            region: region.clone(),
            shard,
            suggested_owner: placement.owner(shard).cloned(),
        }));
    }
    ClusterStatus {
        cluster: Some(ring.cluster().to_owned()),
        node: Some(ring.me().clone()),
        region: ring.region().to_owned(),
        ring_keys: ring.keys().ids().map(|id| id.to_string()).collect(),
        members,
        regions: regions.collect(),
        shards,
    }
}

async fn status(ring: &Ring, member: &Member, own: &Holdings) -> (MemberStatus, Holdings) {
    let asked = if member.live { ask(ring, member, own).await } else { Err("it is not heard".to_owned()) };
    let (sees, holdings, problem) = match asked {
        Ok(Sight { live, is_heard, holdings }) => (Some(live), holdings, (!is_heard).then(|| "the other nodes do not hear it".to_owned())),
        Err(problem) => (None, Holdings::default(), Some(problem)),
    };
    let facts = member.facts.as_ref();
    let status = MemberStatus {
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
        heard_ms: ring.silence_ms(&member.id.name),
        sees,
        problem,
    };
    (status, holdings)
}

/// How a node sees the ring.
struct Sight {
    live: usize,
    is_heard: bool,
    holdings: Holdings,
}

async fn ask(ring: &Ring, member: &Member, own: &Holdings) -> Result<Sight, String> {
    if member.id.name == *ring.me() {
        let view = ring.view();
        let live = view.members.iter().filter(|member| member.live).count();
        return Ok(Sight { live, is_heard: view.is_heard, holdings: own.clone() });
    }
    let answer = ring.caller().call(member, STATUS_PATH, b"", ASK_LIMIT).await.map_err(|error| error.to_string())?;
    let StatusAnswer { live, is_heard, holdings, .. } = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    Ok(Sight { live, is_heard, holdings })
}
