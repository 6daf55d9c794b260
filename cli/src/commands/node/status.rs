//! `artifacts node status`

use std::path::PathBuf;

use anyhow::Context as _;
use artifacts_node::config::NodeConfig;
use clap::Args;

use crate::api::{ClusterMember, ClusterStatus, Follower, ShardUnit};
use crate::output::{Format, Output, Table, or_dash};
use crate::settings::Settings;

/// Arguments of `node status`.
#[derive(Debug, Args)]
#[command(after_help = "\
Any node can be asked; TONBO_API_URL says which. HEARD is how long ago it last heard of each. It asks all others in turn: SEES is how many nodes each of them counts as alive.

UNFLUSHED are commits that are not durable yet. FEED LAG is how old what the slowest node knows is of what was revoked in the shard's accounts; above one second that node vouches for no mount of theirs.

Examples:
  artifacts node --data /var/lib/artifacts status
  TONBO_API_URL=https://node2:7700 artifacts node status --admin-token-file F --format json")]
pub(crate) struct StatusArgs {
    /// The admin token of the node that is asked [default: `admin-token` in the data directory]
    #[arg(long, value_name = "FILE")]
    admin_token_file: Option<PathBuf>,
}

/// Does it.
pub(crate) async fn run(args: StatusArgs, config: &NodeConfig, output: Output) -> anyhow::Result<()> {
    let file = args.admin_token_file.unwrap_or_else(|| config.data.join("admin-token"));
    let token = std::fs::read_to_string(&file).with_context(|| format!("cannot read the admin token in {}", file.display()))?;
    let status = Settings::load()?.client_with(token.trim())?.cluster().await?;
    if output.format == Format::Json {
        return output.json(&status);
    }
    let Some(cluster) = &status.cluster else {
        return output.line("This node is alone: it has no ring settings.");
    };
    output.line(&format!("cluster {cluster}, asked {}; ring keys {}", or_dash(status.node.as_ref()), status.ring_keys.join(", ")))?;
    output.line(&members(&status).render(output.style))?;
    output.line("")?;
    if status.regions.len() > 1 {
        output.line(&regions(&status).render(output.style))?;
        output.line("")?;
    }
    let shards = if status.shards.iter().any(|shard| !shard.units.is_empty()) { units(&status) } else { shards(&status) };
    output.line(&shards.render(output.style))
}

/// The regions, where there are several.
fn regions(status: &ClusterStatus) -> Table {
    status.regions.iter().fold(Table::new(["REGION", "NODES", "STATE", "KEEPS HANDLES"], "No regions."), |table, region| {
        let state = if region.live > 0 { "reached" } else { "out of reach" };
        let handles = if region.first { "yes" } else { "no" };
        table.row([region.name.clone(), region.live.to_string(), state.to_owned(), handles.to_owned()])
    })
}

/// Each shard, who should own it, and who has it in hand.
fn units(status: &ClusterStatus) -> Table {
    let headings = ["REGION", "SHARD", "SHOULD OWN", "OWNER", "STATE", "EPOCH", "UNFLUSHED", "FEED LAG"];
    status.shards.iter().fold(Table::new(headings, "No shards."), |table, shard| {
        let row = |owner: &str, unit: Option<&ShardUnit>| {
            let number = |of: Option<u64>| or_dash(of.map(|number| number.to_string()).as_ref());
            [
                shard.region.clone(),
                shard.shard.to_string(),
                or_dash(shard.suggested_owner.as_ref()),
                owner.to_owned(),
                or_dash(unit.map(|unit| &unit.state)),
                number(unit.and_then(|unit| unit.epoch)),
                number(unit.and_then(|unit| unit.unflushed)),
                lag(&shard.followers),
            ]
        };
        if shard.units.is_empty() {
            return table.row(row("nobody", None));
        }
        shard.units.iter().map(|unit| row(&unit.node, Some(unit))).fold(table, Table::row)
    })
}

/// How far behind the slowest follower is.
fn lag(followers: &[Follower]) -> String {
    let slowest = followers.iter().map(|follower| follower.age_ms.unwrap_or(u64::MAX)).max();
    match slowest {
        None => or_dash(None::<&String>),
        Some(u64::MAX) => "unread".to_owned(),
        Some(age_ms) => format!("{age_ms} ms"),
    }
}

fn members(status: &ClusterStatus) -> Table {
    let headings = ["NODE", "STATE", "REGION", "RELEASE", "PROTOCOL", "GENERATION", "HEARD", "SEES", "API"];
    status.members.iter().fold(Table::new(headings, "No nodes."), |table, member| {
        let protocol = member.protocol.as_ref().map(|range| format!("{}-{}", range.min, range.max));
        let sees = match (&member.sees, &member.problem) {
            (_, Some(problem)) => problem.clone(),
            (Some(sees), None) => sees.to_string(),
            (None, None) => or_dash(None::<&String>),
        };
        table.row([
            member.name.clone(),
            state(member).to_owned(),
            or_dash(member.region.as_ref()),
            or_dash(member.release.as_ref()),
            or_dash(protocol.as_ref()),
            member.generation.to_string(),
            or_dash(member.heard_ms.map(|heard_ms| format!("{heard_ms} ms ago")).as_ref()),
            sees,
            or_dash(member.api.as_ref()),
        ])
    })
}

fn state(member: &ClusterMember) -> &str {
    if member.live { member.phase.as_deref().unwrap_or("unknown") } else { "silent" }
}

/// The shards of each region by who should own them, a line a node.
fn shards(status: &ClusterStatus) -> Table {
    let mut owners: Vec<(&str, &str, Vec<String>)> = Vec::new();
    for shard in &status.shards {
        let owner = shard.suggested_owner.as_deref().unwrap_or("nobody");
        match owners.iter_mut().find(|(region, known, _)| *region == shard.region && *known == owner) {
            Some((_, _, shards)) => shards.push(shard.shard.to_string()),
            None => owners.push((&shard.region, owner, vec![shard.shard.to_string()])),
        }
    }
    owners.sort_unstable();
    owners.into_iter().fold(Table::new(["REGION", "SHOULD OWN", "SHARDS"], "No shards."), |table, (region, owner, shards)| {
        table.row([region.to_owned(), owner.to_owned(), shards.join(" ")])
    })
}
