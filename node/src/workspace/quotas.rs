//! Quotas that change while mounts go by them.
//!
//! Ops that a mount has decided by itself were decided under the quotas that it was told, so these hold, also over a restart of
//! the node, until nobody decides any more: what is in effect is on record beside the namespace. A mount that holds the
//! workspace's lease knows its quotas and keeps them; under leases on single inodes nobody decides where there are quotas.

use std::collections::BTreeSet;

use artifacts_core::leases::Wants;
use artifacts_core::namespace::{Errno, Ino, Limits};
use ractor::{ActorRef, RpcReplyPort};

use super::actor::{OUTSIDE, WorkspaceState};
use super::keys::WorkspaceKeys;
use super::message::WorkspaceMessage;
use crate::records::{Quotas, WorkspaceRecord};
use crate::store::{Batch, Durability, Store, StoreError};

/// Quotas as they are stored.
pub(crate) fn encode_quotas(quotas: Quotas) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(&(quotas.bytes, quotas.inodes)).map_err(|error| StoreError::Corrupt { reason: error.to_string() })
}

/// The quotas that are in effect. One that has none on record, a copy that nobody has used yet, goes by its record from now on.
pub(super) async fn in_effect(store: &dyn Store, record: &WorkspaceRecord) -> Result<Quotas, StoreError> {
    match store.get(&WorkspaceKeys(record.id).quotas()).await? {
        Some(stored) => {
            let (bytes, inodes) = postcard::from_bytes(&stored).map_err(|error| StoreError::Corrupt { reason: error.to_string() })?;
            Ok(Quotas { bytes, inodes })
        }
        None => {
            let mut batch = Batch::new();
            batch.put(WorkspaceKeys(record.id).quotas(), encode_quotas(record.quotas())?);
            store.write(batch, Durability::Durable).await?;
            Ok(record.quotas())
        }
    }
}

/// Quotas as the namespace takes them.
pub(super) fn limits(quotas: Quotas) -> Limits {
    Limits { bytes: quotas.bytes, inodes: quotas.inodes, exceeded: Errno::EDQUOT }
}

impl WorkspaceState {
    /// Changes the quotas, once nobody decides by others. The workspace's lease has been given back when this is called.
    pub(super) async fn set_quotas(
        &mut self,
        myself: &ActorRef<WorkspaceMessage>,
        quotas: Quotas,
        reply: Option<RpcReplyPort<Result<(), StoreError>>>,
    ) -> Result<(), StoreError> {
        let reads: BTreeSet<Ino> = if quotas.is_none() { BTreeSet::new() } else { self.inode_leases.table.written().collect() };
        if !reads.is_empty() {
            self.quotas_wait = true;
            self.wait_for_inodes(myself, OUTSIDE, Wants { reads, ..Wants::default() }, WorkspaceMessage::SetQuotas(quotas, reply));
            return Ok(());
        }
        self.quotas_wait = false;
        let mut batch = Batch::new();
        batch.put(self.keys.quotas(), encode_quotas(quotas)?);
        self.context.store.write(batch, Durability::Durable).await?;
        self.limits = limits(quotas);
        if let Some(reply) = reply {
            let _ = reply.send(Ok(()));
        }
        Ok(())
    }
}
