//! Maps and sets whose order is determined by what was done to them: the ambient ones draw a number for each process, and a machine that
//! goes through one of these would not do the same thing twice.

use std::collections::hash_map::DefaultHasher;
use std::hash::BuildHasherDefault;

/// A map by hash.
pub(crate) type HashMap<K, V> = std::collections::HashMap<K, V, BuildHasherDefault<DefaultHasher>>;
/// A set by hash.
pub(crate) type HashSet<K> = std::collections::HashSet<K, BuildHasherDefault<DefaultHasher>>;
