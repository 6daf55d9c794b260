//! What people do with a file system, done on a mount: repositories, archives, builds, databases; and what is left
//! of it after mounts, agents and nodes have come and gone.

mod alone;
mod coherence;
mod crashes;
mod database;
mod faults;
mod mapping;
mod programs;
mod sharing;
mod workload;
