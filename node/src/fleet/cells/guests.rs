use std::time::Duration;

use artifacts_core::cluster::Region;
use artifacts_core::hosts::{CellAnswer, GuestBearer, JoinCell, guest_name};
use artifacts_core::mesh::{Admission, Circle, Pass};
use artifacts_core::name::TenantSlug;
use artifacts_core::protocol::Refusal;
use artifacts_core::revocation::Standing;
use artifacts_core::{AccountId, ErrorCode, Timestamp};
use serde::{Deserialize, Serialize};

use crate::config::MeshAdmission;
use crate::fleet::peer::{PeerCall, unavailable};
use crate::fleet::place::Home;
use crate::fleet::{Fleet, Unit};
use crate::records::SessionRight;
use crate::sessions::standing;

/// How long the owner of a workspace may take to say whose a session is, and that of an account to give it a place.
const LIMIT: Duration = Duration::from_secs(3);

/// A session whose agent asks for a cell, by the word of its workspace's owner.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::fleet) struct Guest {
    standing: Standing,
    /// For whom it was opened; none of the account's own.
    tenant: Option<TenantSlug>,
    expires_at: Option<Timestamp>,
    pub(in crate::fleet) account: AccountId,
    /// If it is not that of the workspace.
    account_region: Option<Region>,
}

impl Fleet {
    /// A guest asks this node for its cell. Whoever is no guest costs the owner of the session one look, and that of the account nothing.
    pub(in crate::fleet) async fn join_as_guest(&self, bearer: &GuestBearer, join: &JoinCell) -> Result<CellAnswer, Refusal> {
        self.check_admission()?;
        let shown = bearer.to_string();
        let home = Home::of_session(self.regions(), bearer.session(), &shown);
        let is_abroad = !self.is_here(&home.region);
        if is_abroad {
            self.look_at(&home, &shown)?;
        }
        let asked = self.ask::<Result<Guest, Refusal>>(&home, &PeerCall::Guest(shown.clone()), LIMIT).await;
        let found = asked.unwrap_or_else(|error| Err(unavailable(&error)));
        match &found {
            Ok(_) if is_abroad => self.note_credential(&home, &shown, true),
            Err(refusal) if is_abroad && refusal.code == ErrorCode::Unauthorized => self.note_credential(&home, &shown, false),
            _ => {}
        }
        let guest = found?;
        let account = Home::of(guest.account_region.as_ref().unwrap_or(&home.region), guest.account);
        let call = PeerCall::JoinGuest { guest, join: join.clone() };
        let asked = self.ask::<Result<CellAnswer, Refusal>>(&account, &call, LIMIT).await;
        asked.unwrap_or_else(|error| Err(unavailable(&error)))
    }

    /// Whose session this was made of, by the word of the unit of its workspace.
    pub(in crate::fleet) fn guest_here(&self, unit: &Unit, shown: &str) -> Result<Guest, Refusal> {
        let bearer = shown.parse::<GuestBearer>().ok();
        let handle = bearer.and_then(|bearer| unit.sessions.guest(&bearer)).ok_or_else(unauthorized)?;
        let paced = handle.shared.pace.lock().ask(self.clock().monotonic_ms());
        paced.map_err(|wait_ms| {
            Refusal::new(ErrorCode::RateLimited, format!("the session asks for its cell too often; try again in {wait_ms} ms"))
        })?;
        let record = &handle.record;
        let tenant = match &record.right {
            SessionRight::Ticket { tenant, .. } => Some(tenant.clone()),
            SessionRight::Key { .. } => None,
        };
        Ok(Guest {
            standing: standing(record),
            tenant,
            expires_at: record.expires_at,
            account: record.account,
            account_region: record.account_region.clone(),
        })
    }

    /// Gives a guest its place, by the word of the unit of its account.
    pub(in crate::fleet) fn join_guest(&self, unit: &Unit, guest: &Guest, join: &JoinCell) -> Result<CellAnswer, Refusal> {
        self.check_admission()?;
        let admission = Admission { pass: Pass::Session(guest.standing), expires_at: guest.expires_at };
        if admission.has_ended(&self.common().revocations.read(), self.clock().wall()) {
            return Err(unauthorized());
        }
        if join.host != guest_name(guest.standing.session) {
            return Err(Refusal::new(ErrorCode::InvalidRequest, "a guest has the name that follows from its session, and no other"));
        }
        self.seat_member(unit, guest.account, &Circle::Guests(guest.tenant.clone()), join, admission)
    }

    fn check_admission(&self) -> Result<(), Refusal> {
        let message = "the mesh lets in hosts with a mesh credential only (`mesh.admit`); the mount lives by its two streams";
        let admits_all = self.config().mesh.admit == MeshAdmission::All;
        admits_all.then_some(()).ok_or_else(|| Refusal::new(ErrorCode::Forbidden, message))
    }
}

fn unauthorized() -> Refusal {
    Refusal::new(ErrorCode::Unauthorized, "there is no such session, it has ended, or what is shown is not made of its secret")
}
