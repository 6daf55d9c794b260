//! What a platform and its operator rely on beside mounts: hard quotas, revoking everything at once, encryption at rest.

mod encryption;
mod everything;
mod going;
mod quotas;
