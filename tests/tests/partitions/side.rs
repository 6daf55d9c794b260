use anyhow::Result;
use artifacts_tests::Host;

use crate::fixture::{Cluster, Net};

/// How a node is parted from the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    /// From the other nodes and the object store.
    Off,
    /// From the other nodes alone.
    FromNodes,
    /// It hears neither nodes nor object store, and they hear it.
    Deaf,
    /// Neither nodes nor object store hear it, and it hears them.
    Mute,
}

/// Two machines that are to hear each other, or not.
type Pair<'a> = (&'a Host, &'a Host);

/// One node of a cluster with a client's machine `near` it, and a client's machine `far` from it with all the others.
pub(crate) struct Sides {
    node: usize,
    pub(crate) near: Host,
    pub(crate) far: Host,
}

impl Sides {
    /// With machines of their own for the clients; nothing is cut yet.
    pub(crate) fn around(cluster: &Cluster, node: usize) -> Result<Self> {
        let lan = &cluster.net()?.lan;
        Ok(Self { node, near: lan.host("near")?, far: lan.host("far")? })
    }

    /// The clients of the two sides, and the node and the other side's clients, do not hear each other, whatever the cut.
    fn pairs<'a>(&'a self, net: &'a Net, cut: Cut) -> (Vec<Pair<'a>>, Vec<Pair<'a>>) {
        let node = &net.nodes[self.node];
        let others = net.nodes.iter().enumerate().filter(|(number, _)| *number != self.node).map(|(_, host)| host);
        let store = (cut != Cut::FromNodes).then_some(&net.s3);
        let rest: Vec<&Host> = others.chain(store).collect();
        let clients = rest.iter().map(|host| (&self.near, *host)).chain([(&self.near, &self.far), (node, &self.far)]);
        (clients.collect(), rest.iter().map(|host| (node, *host)).collect())
    }

    /// Parts the two.
    pub(crate) fn part(&self, cluster: &Cluster, cut: Cut) -> Result<()> {
        let net = cluster.net()?;
        let (clients, nodes) = self.pairs(net, cut);
        clients.into_iter().try_for_each(|(one, other)| net.lan.cut(one, other))?;
        nodes.into_iter().try_for_each(|(node, other)| match cut {
            Cut::Off | Cut::FromNodes => net.lan.cut(node, other),
            Cut::Deaf => net.lan.lose(other, node),
            Cut::Mute => net.lan.lose(node, other),
        })
    }

    /// Ends [`Sides::part`].
    pub(crate) fn join(&self, cluster: &Cluster, cut: Cut) -> Result<()> {
        let net = cluster.net()?;
        let (clients, nodes) = self.pairs(net, cut);
        clients.into_iter().try_for_each(|(one, other)| net.lan.restore(one, other))?;
        nodes.into_iter().try_for_each(|(node, other)| match cut {
            Cut::Off | Cut::FromNodes => net.lan.restore(node, other),
            Cut::Deaf => net.lan.find(other, node),
            Cut::Mute => net.lan.find(node, other),
        })
    }
}
