//! A harness for tests on the real thing: node and agent run as processes of their own, on loopback, with a real
//! mount between them.
//!
//! Always true: whatever a test starts lives under one [`Scratch`] directory and carries its mark; when the test
//! ends, however it ends, the scratch directory takes down every mount and every process that belongs to it, and
//! nothing else. A test that needs FUSE on a machine without it fails and says so; it is never skipped.

mod api;
mod backend;
mod binary;
mod floor;
mod forge;
mod fuse;
mod hammer;
mod hand_off;
mod host_agent;
mod lab;
mod lan;
mod mapping;
mod mount;
mod node;
mod peak_memory;
mod process;
mod raw_stream;
mod relay;
mod report;
mod s3_server;
mod scenario;
mod scratch;
mod sdk;
mod shard_owners;
mod shell;
mod source_tree;
mod terminal;
mod tools;
mod tree;
mod type_script_program;
mod wire;

pub mod crash;
pub mod linearizability;
pub mod time;

pub use api::{Api, Reply, http_client};
pub use backend::Backend;
pub use binary::artifacts_binary;
pub use floor::serve as serve_floor;
pub use forge::Forge;
pub use fuse::require_fuse;
pub use hammer::{Hammer, Kind, THREADS, Trace, late_successes};
pub use hand_off::hand_off;
pub use host_agent::HostAgent;
pub use lab::Lab;
pub use lan::{Host, Lan};
pub use mapping::Mapping;
pub use mount::{Credential, EXIT_CONFLICT, Mount};
pub use node::{NodeOptions, NodeProcess, free_port, free_udp_address};
pub use peak_memory::PeakMemory;
pub use process::Process;
pub use raw_stream::{Closed, Heard, RawStream};
pub use relay::{Network, Relay};
pub use report::{Table, millis, percentile};
pub use s3_server::S3Server;
pub use scenario::{greedy, local, mounted};
pub use scratch::Scratch;
pub use sdk::Sdk;
pub use shard_owners::{ShardOwners, shard_owners, wait_settled};
pub use shell::Shell;
pub use source_tree::SourceTree;
pub use terminal::Terminal;
pub use tools::{Tool, target_dir};
pub use tree::Tree;
pub use type_script_program::TypeScriptProgram;
pub use wire::{Weather, Wire};
