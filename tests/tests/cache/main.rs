//! The mount's cache of blocks on disk, on real mounts: what it saves, and that nothing that happens to it harms anybody.

mod disk;
mod files;
mod revocation;
