//! Blocks on disk: a directory that mounts of one user may share and that outlives them.
//!
//! Always true:
//! - what is read from it is checked against the checksum of the block that is wanted, so nothing that happens to the files
//!   can make a read wrong; a file that does not match is removed;
//! - a file holds a block, or a stretch of a segment as it was fetched, with many blocks in it: few large files cost less
//!   than many small ones;
//! - the disk is touched by threads of the cache alone, and nobody waits for them longer than a bound: a disk that is
//!   full, failing, gone or stuck costs its cache for a while and one line in the log;
//! - a file's name tells everything about it, so there is no index on disk that could be wrong;
//! - blocks of a workspace lie in a directory of its own, which goes as a whole when the right to read it ends.

mod breaker;
mod cache_dir;
mod disk_cache;
mod disk_index;
mod files;

pub(crate) use disk_cache::DiskCache;
