//! What a cluster does while its machines do not hear each other, while its nodes die or hang under locks, and while the object
//! store is slow, fails or is away.

mod agents;
mod cut_off;
mod events;
mod fault_clients;
mod faults;
#[path = "../cluster/fixture.rs"]
#[allow(dead_code, reason = "shared with the tests of clusters")]
mod fixture;
#[path = "../cluster/load.rs"]
mod load;
#[path = "../locks/locker.rs"]
#[allow(dead_code, reason = "shared with the tests of locks")]
mod locker;
mod mesh;
mod object_store;
mod owners;
mod probe;
mod side;
mod stranded;
