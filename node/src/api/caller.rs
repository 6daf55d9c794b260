use std::sync::Arc;

use artifacts_core::ErrorCode;
use artifacts_core::name::{Handle, WorkspaceAddress, WorkspaceName};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::ApiError;
use super::scope::{self, Action};
use crate::control::ControlError;
use crate::records::{AccountRecord, KeyRecord};

/// Who makes the request: an account, through one of its keys.
#[derive(Clone)]
pub(super) struct Caller(Arc<(AccountRecord, KeyRecord)>);

impl Caller {
    /// The account of a key that was found good.
    pub(super) fn new(account: AccountRecord, key: KeyRecord) -> Self {
        Self(Arc::new((account, key)))
    }

    /// The account.
    pub(super) fn account(&self) -> &AccountRecord {
        &self.0.0
    }

    /// The key.
    pub(super) fn key(&self) -> &KeyRecord {
        &self.0.1
    }

    /// Whether the key's scope allows it.
    pub(super) fn sees(&self, action: Action<'_>) -> bool {
        scope::allows(&self.key().scope, action)
    }

    /// Refuses what is outside the key's scope.
    ///
    /// # Errors
    /// `forbidden`.
    pub(super) fn may(&self, action: Action<'_>) -> Result<(), ApiError> {
        if self.sees(action) {
            return Ok(());
        }
        let error = ApiError::new(ErrorCode::Forbidden, "the scope of this API key does not allow this; use a key with a wider scope");
        Err(match action {
            Action::ManageKeys => error.with_hint("API keys are managed with a key that has no scope"),
            _ => error,
        })
    }

    /// The name of a workspace of the caller's own. One under another handle does not exist for the caller, whether or
    /// not it does for its owner.
    ///
    /// # Errors
    /// `workspace_not_found`.
    pub(super) fn own<'a>(&self, handle: Option<&Handle>, name: &'a WorkspaceName) -> Result<&'a WorkspaceName, ApiError> {
        match handle {
            Some(handle) if *handle != self.account().handle => Err(ControlError::WorkspaceNotFound(format!("{handle}/{name}")).into()),
            _ => Ok(name),
        }
    }

    /// As [`Caller::own`], for an address.
    ///
    /// # Errors
    /// `workspace_not_found`; `invalid_request` for a snapshot.
    pub(super) fn own_address<'a>(&self, address: &'a WorkspaceAddress) -> Result<&'a WorkspaceName, ApiError> {
        if address.snapshot.is_some() {
            return Err(ApiError::invalid("workspace", "must be a workspace, not a snapshot of one"));
        }
        self.own(address.handle.as_ref(), &address.name)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        // The gate put it there; a route without the gate is a mistake of ours.
        parts.extensions.get::<Caller>().cloned().ok_or_else(ApiError::internal)
    }
}
