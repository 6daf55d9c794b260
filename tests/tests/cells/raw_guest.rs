use anyhow::{Context as _, Result, ensure};
use artifacts_core::hosts::{CellAnswer, CellPlace, GuestBearer, JOIN_PATH, guest_name};
use artifacts_core::protocol::Welcome;
use artifacts_tests::{Api, RawStream, Reply};
use serde_json::{Value, json};

use crate::fixture::Cluster;
use crate::site::Site;

/// Datagrams go nowhere from there.
pub(crate) const NOWHERE: &str = "127.0.0.1:9";

/// A session without a mount, whose agent asks for whatever a test wants.
pub(crate) struct RawGuest {
    _stream: RawStream,
    pub(crate) welcome: Welcome,
}

impl RawGuest {
    /// For one runtime of a tenant, at the node that owns the workspace.
    pub(crate) fn open(cluster: &Cluster, site: &Site, tenant: &str, runtime: &str) -> Result<Self> {
        let ticket = site.ticket(cluster, tenant, runtime)?;
        let (stream, welcome) = RawStream::open_with_ticket(cluster.nodes[2].address().port(), &ticket)?;
        Ok(Self { _stream: stream, welcome })
    }

    /// What it shows.
    pub(crate) fn bearer(&self) -> String {
        GuestBearer::new(self.welcome.session, &self.welcome.secret).to_string()
    }

    /// Asks a node for its cell in good form.
    pub(crate) fn ask(&self, cluster: &Cluster, node: usize) -> Result<Reply> {
        ask(&cluster.api(node, &self.bearer())?, guest_name(self.welcome.session).as_str(), NOWHERE)
    }

    /// The place that it is given.
    pub(crate) fn place(&self, cluster: &Cluster, node: usize) -> Result<CellPlace> {
        place(&self.ask(cluster, node)?)
    }
}

/// Asks for a cell, in any form.
pub(crate) fn ask(api: &Api, host: &str, address: &str) -> Result<Reply> {
    api.send("POST", JOIN_PATH, Some(&json!({ "host": host, "address": address })))
}

/// The place in an answer.
pub(crate) fn place(reply: &Reply) -> Result<CellPlace> {
    ensure!(reply.status == 200, "{}: {}", reply.status, reply.text);
    let answer: CellAnswer = serde_json::from_value(reply.body.clone())?;
    answer.place.context("no place")
}

/// The code of a refusal.
pub(crate) fn code(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.body["code"].as_str().unwrap_or(""))
}

/// The secret in a credential file.
pub(crate) fn secret(file: &str) -> Result<String> {
    let file: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    Ok(file["secret"].as_str().context("no secret")?.to_owned())
}
