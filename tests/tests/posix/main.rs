//! What POSIX and Linux promise of a file system, asked of real mounts.

mod access_times;
mod acls;
mod copying;
mod directories;
mod files;
mod orphans;
mod quotas;
mod user;
