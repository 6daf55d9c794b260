use std::sync::Arc;

use artifacts_core::TenantId;
use ractor::rpc::CallResult;
use ractor::{ActorRef, RpcReplyPort};

use super::asked::{Asked, Asker};
use super::revoker::Revoker;
use super::tenant_actor::{TenantActor, TenantMessage};
use super::{ControlError, DataPlane};
use crate::actors::Family;
use crate::context::SharedContext;
use crate::locks::Locks;
use crate::records::TenantRecord;

/// What all actors of the control plane hold.
pub(super) struct Shared {
    pub(super) context: SharedContext,
    pub(super) data_plane: Arc<dyn DataPlane>,
    pub(super) locks: Locks,
    pub(super) revoker: Revoker,
    pub(super) tenants: Family<TenantId, Asked<TenantMessage>>,
}

impl Shared {
    /// Asks a tenant's actor, which is started if need be.
    pub(super) async fn ask_tenant<T: Send + 'static>(
        &self,
        tenant: &TenantRecord,
        asker: Asker,
        message: impl FnOnce(RpcReplyPort<Result<T, ControlError>>) -> TenantMessage,
    ) -> Result<T, ControlError> {
        let arguments = (self.context.clone(), self.revoker.clone(), tenant.clone());
        let outcome = match self.tenants.get_or_start(tenant.id, TenantActor, arguments).await {
            Ok(actor) => ask(&actor, asker, message).await,
            Err(error) => {
                tracing::warn!(tenant = %tenant.id, %error, "a tenant's actor does not start");
                Err(ControlError::Interrupted)
            }
        };
        if matches!(outcome, Err(ControlError::Interrupted)) {
            // The actor of a tenant that was deleted meanwhile has stopped, or does not start.
            let on_record = self.context.catalog.tenant(tenant.account, &tenant.slug).await?;
            if on_record.is_none_or(|found| found.id != tenant.id) {
                return Err(ControlError::TenantNotFound(tenant.slug.clone()));
            }
        }
        outcome
    }
}

/// Asks an actor and waits for its answer.
pub(super) async fn ask<M: Send + 'static, T: Send + 'static>(
    actor: &ActorRef<Asked<M>>,
    asker: Asker,
    message: impl FnOnce(RpcReplyPort<Result<T, ControlError>>) -> M,
) -> Result<T, ControlError> {
    match actor.call(|reply| Asked { asker, message: message(reply) }, None).await {
        Ok(CallResult::Success(outcome)) => outcome,
        _ => Err(ControlError::Interrupted),
    }
}
