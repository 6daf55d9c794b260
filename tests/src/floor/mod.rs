//! A trivial file system in memory: what a mount through FUSE costs at the least. The benchmarks measure it beside the
//! product.
//!
//! It is served and mounted exactly as the product's mount is under the lease: the same library, as many threads, the same
//! capabilities but those of locks, names and attributes that the kernel may believe for a day, the same ways to open. It keeps everything in
//! memory behind one lock, for nobody else, and loses it at its end. What it can do is what the benchmarks ask for.

mod file_system;
mod mounting;
mod store;

pub use self::mounting::serve;
