//! Revocations: calls, records, and the ways in which they spread.

use std::collections::BTreeSet;

use artifacts_core::cluster::Claim;
use artifacts_core::protocol::FenceReason;
use artifacts_core::revocation::{News, Position, RevocationRecord, SignedRevocation, Standing, Target};
use artifacts_core::{AccountId, GrantId, RevocationId, Timestamp, WorkspaceId};

use super::event::{Event, session_of};
use super::host::Call;
use super::world::{CURRENT_MS, PUSH_MS, World};
use crate::ring::HOSTS;

/// The account's one signing key.
pub(super) const KID: &str = "k1";

pub(super) const fn grant_id(grant: usize) -> GrantId {
    GrantId::from_bits(grant as u128 + 1)
}

fn grant_of(target: Target) -> Option<usize> {
    if let Target::Grant(id) = target { usize::try_from(id.bits()).ok()?.checked_sub(1) } else { None }
}

impl World {
    pub(super) fn record(&mut self, grant: usize) -> RevocationRecord {
        self.numbers += 1;
        RevocationRecord {
            id: RevocationId::from_bits(u128::from(self.numbers)),
            account: AccountId::from_bits(1),
            target: Target::Grant(grant_id(grant)),
            revoked_at: Timestamp::from_unix_ms(self.now_us / 1_000),
        }
    }

    /// Whether a grant stands, as a node knows.
    pub(super) fn stands(&self, host: usize, grant: usize) -> bool {
        let standing = Standing {
            session: session_of(usize::MAX - 1),
            grant: Some(grant_id(grant)),
            key: None,
            workspace: WorkspaceId::from_bits(1),
            issue: None,
        };
        self.hosts[host].register.stands(&standing)
    }

    /// A call to revoke a grant comes to whoever serves the account, or is made again.
    pub(super) fn revoke(&mut self, grant: usize) {
        if self.revoked.contains_key(&grant) {
            return;
        }
        self.asked_to_revoke.insert(grant);
        let now_us = self.now_us;
        let serves = |&host: &usize| {
            let of = &self.hosts[host];
            let now_ms = of.clock.ms(now_us);
            let may_act = of.account.serving().is_some_and(|account| matches!(account.ownership.claim(now_ms), Claim::Holds { .. }));
            may_act && !of.is_down && of.frozen_until_us <= now_us
        };
        let owner = (0..HOSTS).find(serves);
        // Until it is answered it is made again.
        self.after(60_000, Event::Revoke(grant));
        let Some(host) = owner else { return };
        let Some(account) = self.hosts[host].account.serving() else { return };
        if account.calls.iter().any(|call| call.grant == grant) {
            return;
        }
        let (number, epoch) = (account.number, account.epoch);
        let record = SignedRevocation::sign(self.record(grant), KID, &self.signing_key);
        // The log's write: the store orders it with everything else.
        if self.store.revoke(epoch, record.clone()) {
            let delay_us = 300 + self.random.below(3_000);
            self.after(delay_us, Event::RecordStored { host, unit: number, record: Box::new(record) });
        }
    }

    /// The record is durable: it is enforced here and pushed to everybody.
    pub(super) fn record_stored(&mut self, host: usize, unit: u64, record: &SignedRevocation) {
        let now_ms = self.hosts[host].clock.ms(self.now_us);
        let Some(grant) = grant_of(record.record.target) else { return };
        let Some(account) = self.hosts[host].account.serving_mut().filter(|account| account.number == unit) else { return };
        account.feed.push(record.clone());
        let untold: BTreeSet<usize> = (0..HOSTS).filter(|&other| other != host).collect();
        account.calls.push(Call { grant, untold: untold.clone(), since_ms: now_ms, until_ms: None });
        self.learn(host, record);
        for to in untold {
            self.datagram(host, to, Event::Push { from: host, to, unit, record: Box::new(record.clone()) });
        }
    }

    pub(super) fn pushed(&mut self, from: usize, to: usize, unit: u64, record: &SignedRevocation) {
        if self.hosts[to].is_down {
            return;
        }
        self.learn(to, record);
        if let Some(grant) = grant_of(record.record.target) {
            self.datagram(to, from, Event::Pushed { host: from, by: to, unit, grant });
        }
    }

    pub(super) fn push_answered(&mut self, host: usize, by: usize, unit: u64, grant: usize) {
        let Some(account) = self.hosts[host].account.serving_mut().filter(|account| account.number == unit) else { return };
        if let Some(call) = account.calls.iter_mut().find(|call| call.grant == grant) {
            call.untold.remove(&by);
        }
        self.go_on_calls(host);
    }

    /// Answers the calls that may be answered: everybody was told, or cannot vouch for anybody on the strength of what it knew
    /// before.
    pub(super) fn go_on_calls(&mut self, host: usize) {
        let now_ms = self.hosts[host].clock.ms(self.now_us);
        let Some(account) = self.hosts[host].account.serving_mut() else { return };
        if !matches!(account.ownership.claim(now_ms), Claim::Holds { .. }) {
            return;
        }
        let followed_ms = account.followed_ms;
        for call in account.calls.iter_mut().filter(|call| call.until_ms.is_none() && now_ms >= call.since_ms + PUSH_MS) {
            let followed_ms = call.untold.iter().filter_map(|&other| followed_ms[other]).max();
            call.until_ms = Some(followed_ms.map_or(0, |at_ms| at_ms + CURRENT_MS));
        }
        let is_outlasted = |call: &Call| call.untold.is_empty() || call.until_ms.is_some_and(|until_ms| now_ms >= until_ms);
        let (over, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut account.calls).into_iter().partition(is_outlasted);
        account.calls = rest;
        for call in over {
            self.tally.revocations += 1;
            self.says(|| format!("the call that revokes grant {} returns", call.grant));
            self.revoked.insert(call.grant, self.now_us);
        }
    }

    /// A record has come to a node, by whatever way.
    pub(super) fn learn(&mut self, host: usize, signed: &SignedRevocation) {
        let target = signed.record.target;
        if self.hosts[host].is_down || self.hosts[host].register.revoked(target).is_some() {
            return;
        }
        let is_news = if self.accepts_unsigned {
            self.hosts[host].register.admit(signed.record.clone())
        } else {
            self.hosts[host].register.merge(signed, &self.keys)
        };
        if !is_news {
            self.tally.forgeries += 1;
            return;
        }
        self.hosts[host].records.push(signed.clone());
        if let Some(grant) = grant_of(target) {
            self.says(|| format!("node {host} learns that grant {grant} is revoked"));
            self.enforce(host, grant);
        }
    }

    /// Ends the sessions of a grant at a node.
    pub(super) fn enforce(&mut self, host: usize, grant: usize) {
        let concerned: Vec<usize> = self.recent().filter(|&life| self.lives[life].grant == grant).collect();
        let Some(unit) = self.hosts[host].workspace.serving_mut() else { return };
        for life in concerned {
            unit.node.end(session_of(life), FenceReason::Revoked);
        }
        self.pump_unit(host);
    }

    /// The owner of the workspace asks whoever should serve the account what is new.
    pub(super) fn ask_news(&mut self, host: usize) {
        let of = &self.hosts[host];
        if of.workspace.is_away() || of.account.serving().is_some() {
            return;
        }
        let asked_ms = of.clock.ms(self.now_us);
        let position = of.following.position();
        let Some(to) = of.ring.owner(crate::store::Part::Account, self.first, asked_ms).filter(|&to| to != host) else { return };
        self.datagram(host, to, Event::AsksNews { from: host, to, asked_ms, position });
    }

    pub(super) fn answer_news(&mut self, from: usize, to: usize, asked_ms: u64, position: Position) {
        let now_ms = self.hosts[to].clock.ms(self.now_us);
        let Some(account) = self.hosts[to].account.serving_mut() else { return };
        if !matches!(account.ownership.claim(now_ms), Claim::Holds { .. }) {
            return;
        }
        account.followed_ms[from] = Some(now_ms);
        let news = account.feed.news(position);
        self.datagram(to, from, Event::News { host: from, news: Box::new(news), asked_ms });
    }

    /// The news of a feed come from a member of the ring, under its seal: they bear no signatures.
    pub(super) fn take_news(&mut self, host: usize, news: &News, asked_ms: u64) {
        if self.hosts[host].is_down {
            return;
        }
        for record in &news.records {
            let is_news = self.hosts[host].register.admit(record.clone());
            if let Some(grant) = grant_of(record.target).filter(|_| is_news) {
                self.says(|| format!("node {host} reads that grant {grant} is revoked"));
                self.enforce(host, grant);
            }
        }
        self.hosts[host].following.take(news, asked_ms);
        self.serve_waiting(host);
    }
}
