use std::collections::{BTreeMap, BTreeSet, VecDeque};

use artifacts_core::cluster::{Claim, Hosting, Ownership, Shard};
use artifacts_core::protocol::ClientFrame;
use artifacts_core::revocation::{Feed, Following, RevocationRegister, SignedRevocation};

use crate::clock::Clock;
use crate::node::{Node, Todo};
use crate::ring::{HOSTS, Ring};
use crate::store::Part;

/// A node's process: what it knows of the others, and the shards that it has.
pub(super) struct Host {
    pub(super) clock: Clock,
    /// Which life of the process it is.
    pub(super) life: u64,
    pub(super) is_down: bool,
    /// It is to stop in good order, and to start again so much later.
    pub(super) leaves_for_us: Option<u64>,
    pub(super) frozen_until_us: u64,
    pub(super) ring: Ring,
    pub(super) hosting: Hosting,
    pub(super) workspace: Place<Unit>,
    pub(super) account: Place<Account>,
    pub(super) register: RevocationRegister,
    /// What gossip carries.
    pub(super) records: Vec<SignedRevocation>,
    pub(super) following: Following,
    /// Hellos that wait until the workspace is served, or until it is known what was revoked.
    pub(super) waiting: Vec<(usize, u64, bool)>,
    /// Frames that wait until it is known what was revoked, by mount.
    pub(super) backlog: BTreeMap<usize, VecDeque<(u64, ClientFrame)>>,
    pub(super) ticks: u64,
    /// When the object store answered last, and when it was asked first since.
    pub(super) store_asked_ms: Option<u64>,
    /// When the last write arrives at the object store: they keep their order.
    pub(super) last_write_us: u64,
}

/// Where a node is with a shard.
pub(super) enum Place<U> {
    Away,
    /// It has asked whoever has it to let go, and asks the store at this time.
    Yielding {
        ask_at_ms: u64,
    },
    /// It has asked the store.
    Opening {
        asked_ms: u64,
    },
    /// It owns it, and waits until the owner before cannot act any more.
    Waiting {
        epoch: u64,
        ownership: Ownership,
        is_asking: Option<u64>,
    },
    Serving(U),
}

/// The workspace, at its owner.
pub(super) struct Unit {
    /// Never used twice.
    pub(super) number: u64,
    pub(super) epoch: u64,
    pub(super) ownership: Ownership,
    pub(super) node: Node,
    /// What may be told only once the node knows to be the owner still.
    pub(super) outbox: VecDeque<Todo>,
    /// When the store was asked, and has not answered.
    pub(super) asked_ms: Option<u64>,
    /// The number of the flush under way, and when it was sent.
    pub(super) flush_sent: Option<(u64, u64)>,
    /// It is to let go, since then.
    pub(super) closes_since_ms: Option<u64>,
}

/// The account, at its owner.
pub(super) struct Account {
    pub(super) number: u64,
    pub(super) epoch: u64,
    pub(super) ownership: Ownership,
    pub(super) asked_ms: Option<u64>,
    pub(super) feed: Feed,
    /// When each node asked last what is new.
    pub(super) followed_ms: [Option<u64>; HOSTS],
    pub(super) calls: Vec<Call>,
}

/// A call that revokes, once its record is durable.
pub(super) struct Call {
    pub(super) grant: usize,
    /// Who has not said yet that it has enforced the record.
    pub(super) untold: BTreeSet<usize>,
    pub(super) since_ms: u64,
    /// When those who did not answer cannot vouch any more.
    pub(super) until_ms: Option<u64>,
}

impl<U> Place<U> {
    pub(super) const fn serving(&self) -> Option<&U> {
        if let Self::Serving(unit) = self { Some(unit) } else { None }
    }

    pub(super) const fn serving_mut(&mut self) -> Option<&mut U> {
        if let Self::Serving(unit) = self { Some(unit) } else { None }
    }

    pub(super) const fn is_away(&self) -> bool {
        matches!(self, Self::Away)
    }
}

impl Host {
    pub(super) fn new(me: usize, life: u64, clock: Clock, suspect_after_ms: u64, now_us: u64) -> Self {
        Self {
            clock,
            life,
            is_down: false,
            leaves_for_us: None,
            frozen_until_us: 0,
            ring: Ring::new(me, life + 1, suspect_after_ms, clock.ms(now_us)),
            hosting: Hosting::default(),
            workspace: Place::Away,
            account: Place::Away,
            register: RevocationRegister::default(),
            records: Vec::new(),
            following: Following::default(),
            waiting: Vec::new(),
            backlog: BTreeMap::new(),
            ticks: 0,
            store_asked_ms: None,
            last_write_us: 0,
        }
    }

    /// Whether everything that was revoked until `age_ms` ago is known here.
    pub(super) fn is_current(&self, now_ms: u64, age_ms: u64) -> bool {
        match &self.account {
            Place::Serving(account) => matches!(account.ownership.claim(now_ms), Claim::Holds { .. }),
            _ => self.following.is_current(now_ms, age_ms),
        }
    }

    pub(super) fn ownership(&mut self, part: Part) -> Option<(u64, &mut Ownership, &mut Option<u64>)> {
        match part {
            Part::Workspace => of(&mut self.workspace, |unit| (unit.epoch, &mut unit.ownership, &mut unit.asked_ms)),
            Part::Account => of(&mut self.account, |account| (account.epoch, &mut account.ownership, &mut account.asked_ms)),
        }
    }

    pub(super) const fn is_away(&self, part: Part) -> bool {
        match part {
            Part::Workspace => self.workspace.is_away(),
            Part::Account => self.account.is_away(),
        }
    }
}

fn of<'a, U>(
    place: &'a mut Place<U>,
    serving: impl FnOnce(&'a mut U) -> (u64, &'a mut Ownership, &'a mut Option<u64>),
) -> Option<(u64, &'a mut Ownership, &'a mut Option<u64>)> {
    match place {
        Place::Waiting { epoch, ownership, is_asking } => Some((*epoch, ownership, is_asking)),
        Place::Serving(unit) => Some(serving(unit)),
        _ => None,
    }
}

impl Part {
    pub(super) const fn shard(self) -> Shard {
        match self {
            Self::Workspace => Shard(0),
            Self::Account => Shard(1),
        }
    }

    pub(super) const fn of(shard: Shard) -> Self {
        if shard.0 == 0 { Self::Workspace } else { Self::Account }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Account => "account",
        }
    }
}
