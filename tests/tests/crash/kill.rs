use std::fmt;

/// What is killed, with SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kill {
    /// The agent; with two mounts, of one of them.
    Agent,
    /// The node. The agents live and send again what was not durable.
    Node,
    /// The node and all agents at once.
    Both,
    /// The node, and the agents before they can reconnect.
    NodeThenAgents,
}

impl Kill {
    /// In turn.
    pub(crate) const ALL: [Self; 4] = [Self::Both, Self::Agent, Self::NodeThenAgents, Self::Node];

    /// Which one a round does.
    pub(crate) fn of_round(number: u64) -> Self {
        Self::ALL[(number % Self::ALL.len() as u64) as usize]
    }
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Agent => "agent",
            Self::Node => "node",
            Self::Both => "both",
            Self::NodeThenAgents => "node, then agents",
        })
    }
}
