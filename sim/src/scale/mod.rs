//! Revocation at full size: how soon access ends for thousands of agents, and what a member of a mesh costs.
//!
//! chitchat itself gossips in the ring of nodes and in each cell of host agents, behind the seal and the judge of
//! [`artifacts_core::mesh`]; nodes and agents decide by `Evidence`, `RevocationRegister`, `Following` and `Standing`. The network,
//! the time and the choice of whom to speak to are the simulation's. What always holds:
//!
//! - **A seed determines what is found.** chitchat draws its partners from randomness of the process, out of maps whose order the
//!   process draws. So its own rounds are turned off, and every exchange is begun here, by the same rule (`mesh`). One thing
//!   happens at a time, and no decision depends on a clock of the machine. Only costs in processor time differ from run to run.
//! - **A cell hears of the world through its two nodes, and nothing goes back.** So the ring is simulated first, and then each cell
//!   by itself: on all cores, in the memory of one cell a core.
//! - **Four grants are revoked at once in each round**, one for each [`Case`]: by all ways, and by each way alone.
//!
//! `docs/design/0018-simulation.md` tells what is simplified.

mod agent;
mod authority;
mod case;
mod cell;
mod chart;
mod cost;
mod distribution;
mod font;
mod mesh;
mod node_log;
mod plan;
mod port;
mod report;
mod ring;
mod run;
mod settings;
mod traffic;
mod weather;

#[cfg(test)]
mod tests;

pub use case::{Case, Way};
pub use cost::{Cost, peak_memory_bytes};
pub use distribution::Distribution;
pub use report::{Ended, Report};
pub use run::run;
pub use settings::{Settings, Unusable};
