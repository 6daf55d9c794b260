//! Files over HTTP: as whole as they were put, and the same files that mounts see.

mod coherence;
mod http;
