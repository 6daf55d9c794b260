use std::fmt;

use anyhow::Result;
use artifacts_tests::Host;
use artifacts_tests::crash::Random;
use artifacts_tests::time::{Duration, sleep};

use crate::site::{CAMPS, NODES, Site};

/// How long a node is cut off, in milliseconds.
const CUT_MS: std::ops::RangeInclusive<u64> = 6_000..=15_000;

/// Something that happens to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) what: What,
    whom: Whom,
}

/// To which node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whom {
    /// The one that serves the workspace.
    OwnerOfWorkspace,
    /// The one that says whose rights stand.
    OwnerOfAccount,
    Any(usize),
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// `kill -9`. Started again at once, or when the others serve its shards.
    Kill { at_once: bool },
    /// Cut off for a while.
    Cut { from: Cut, lasts_ms: u64 },
}

/// From whom a node is cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// From everybody.
    Everybody,
    /// From the other nodes and the object store. Mounts reach it, and everybody else.
    Cluster,
    /// Nobody hears it; it hears everybody.
    Mute,
    /// It hears nobody; everybody hears it.
    Deaf,
    /// From everybody but the mounts of one machine, which reach nobody else.
    Island { camp: usize },
}

/// How the pauses of an event are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    Kill,
    Cut,
    /// Some mounts can reach nobody but the node that is cut off. They wait until the end of that, and the others for the end of their
    /// leases.
    Island,
}

impl Event {
    /// So many of each, in an order by chance.
    pub(crate) fn draw(kills: usize, cuts: usize, random: &mut Random) -> Vec<Self> {
        let mut events: Vec<Self> = (0..kills).map(|_| Self::kill(random)).collect();
        events.extend((0..cuts).map(|number| Self::cut(number, random)));
        for index in (1..events.len()).rev() {
            events.swap(index, random.below(index as u64 + 1) as usize);
        }
        events
    }

    fn kill(random: &mut Random) -> Self {
        Self { what: What::Kill { at_once: random.below(3) == 0 }, whom: Whom::draw(random) }
    }

    /// Each kind of cut has its turn.
    fn cut(number: usize, random: &mut Random) -> Self {
        let from = match number % 5 {
            0 => Cut::Cluster,
            1 => Cut::Everybody,
            2 => Cut::Island { camp: random.below(CAMPS as u64) as usize },
            3 => Cut::Mute,
            _ => Cut::Deaf,
        };
        let lasts_ms = CUT_MS.start() + random.below(CUT_MS.end() - CUT_MS.start() + 1);
        Self { what: What::Cut { from, lasts_ms }, whom: Whom::draw(random) }
    }

    /// How its pauses are counted.
    pub(crate) fn class(self) -> Class {
        match self.what {
            What::Kill { .. } => Class::Kill,
            What::Cut { from: Cut::Island { .. }, .. } => Class::Island,
            What::Cut { .. } => Class::Cut,
        }
    }

    /// Which node it happens to.
    pub(crate) fn node(self, site: &Site) -> Result<usize> {
        match self.whom {
            Whom::OwnerOfWorkspace => site.owner_of_workspace(),
            Whom::OwnerOfAccount => site.owner_of_account(),
            Whom::Any(node) => Ok(node),
        }
    }

    /// Lets it happen, and returns when all nodes serve again.
    pub(crate) fn happen(self, site: &mut Site) -> Result<()> {
        let node = self.node(site)?;
        match self.what {
            What::Kill { at_once } => {
                site.nodes[node].kill()?;
                if !at_once {
                    let others: Vec<usize> = (0..NODES).filter(|other| *other != node).collect();
                    site.wait_settled(&others)?;
                }
                site.nodes[node].start_again()?;
            }
            What::Cut { from, lasts_ms } => {
                let lost = from.losses(site, node);
                lost.iter().try_for_each(|(from, to)| site.network.lan.lose(from, to))?;
                sleep(Duration::from_millis(lasts_ms));
                lost.iter().try_for_each(|(from, to)| site.network.lan.find(from, to))?;
            }
        }
        site.wait_settled(&[0, 1, 2]).map(drop)
    }
}

impl Whom {
    fn draw(random: &mut Random) -> Self {
        match random.below(10) {
            0..6 => Self::OwnerOfWorkspace,
            6..8 => Self::OwnerOfAccount,
            _ => Self::Any(random.below(NODES as u64) as usize),
        }
    }
}

impl Cut {
    /// What is sent from whom to whom is lost.
    fn losses(self, site: &Site, node: usize) -> Vec<(Host, Host)> {
        let network = &site.network;
        let here = &network.nodes[node];
        let others = network.nodes.iter().filter(|other| *other != here);
        let cluster: Vec<&Host> = others.chain([&network.store]).collect();
        let all: Vec<&Host> = cluster.iter().copied().chain(&network.camps).collect();
        let between = |one: &Host, many: &[&Host], out: bool, back: bool| {
            let sent = many.iter().filter(|_| out).map(|other| (one.clone(), (*other).clone()));
            let heard = many.iter().filter(|_| back).map(|other| ((*other).clone(), one.clone()));
            sent.chain(heard).collect::<Vec<_>>()
        };
        match self {
            Self::Everybody => between(here, &all, true, true),
            Self::Cluster => between(here, &cluster, true, true),
            Self::Mute => between(here, &all, true, false),
            Self::Deaf => between(here, &all, false, true),
            Self::Island { camp } => {
                let camp = &network.camps[camp];
                let far: Vec<&Host> = all.into_iter().filter(|other| *other != camp).collect();
                let mut lost = between(here, &far, true, true);
                lost.extend(between(camp, &cluster, true, true));
                lost
            }
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            What::Kill { at_once: true } => write!(f, "{:?} killed and started at once", self.whom),
            What::Kill { at_once: false } => write!(f, "{:?} killed", self.whom),
            What::Cut { from, lasts_ms } => write!(f, "{:?} cut off ({from:?}) for {lasts_ms} ms", self.whom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_events_and_every_kind_of_cut_occurs() {
        let draw = || Event::draw(50, 20, &mut Random::new(7));
        let events = draw();
        assert_eq!(events, draw());
        let count = |class: Class| events.iter().filter(|event| event.class() == class).count();
        assert_eq!([Class::Kill, Class::Cut, Class::Island].map(count), [50, 16, 4]);
        assert!(events.iter().any(|event| event.what == What::Kill { at_once: true }));
    }
}
