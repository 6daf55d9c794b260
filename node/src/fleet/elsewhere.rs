use std::sync::Weak;

use artifacts_core::ErrorCode;
use artifacts_core::cluster::Shard;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use super::Fleet;
use super::forward::Parcel;
use super::handle::Inner;
use crate::api::{ApiError, Attested, Elsewhere};
use crate::records::WorkspaceRecord;

/// Passes calls about locks on to the owners of their workspaces.
pub(super) struct ToOwner {
    fleet: Weak<Inner>,
    shard: Shard,
}

impl ToOwner {
    pub(super) fn new(fleet: &Fleet, shard: Shard) -> Self {
        Self { fleet: fleet.weak(), shard }
    }
}

impl Elsewhere for ToOwner {
    fn is_here(&self, workspace: &WorkspaceRecord) -> bool {
        !workspace.abroad && self.fleet.upgrade().map(Fleet).is_some_and(|fleet| fleet.map().of(workspace.id) == self.shard)
    }

    fn pass_on(&self, attested: Attested, request: Request) -> BoxFuture<'static, Response> {
        let fleet = self.fleet.upgrade().map(Fleet);
        async move {
            let Some(fleet) = fleet else {
                return ApiError::new(ErrorCode::Unavailable, "the node is stopping; try again").into_response();
            };
            match Parcel::read(request).await {
                Ok(parcel) => fleet.deliver(&fleet.home_of(attested.workspace()), parcel.attested(attested)).await,
                Err(error) => error.into_response(),
            }
        }
        .boxed()
    }
}
