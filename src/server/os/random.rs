//! Numbers that nobody can foresee.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

/// One of them. Each hasher starts from the system's randomness.
pub(in crate::server) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
