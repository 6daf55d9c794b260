use std::sync::Arc;

use tokio::runtime::Handle;

use super::member::{Member, Part};
use super::{GuestMesh, Mesh, membership};
use crate::session::MountSession;

/// Lets a mount take part in the mesh with its session, for as long as its runtime lives; nothing if it is not to. Until a node says that
/// guests are let in, that is a task which waits for the next stream.
pub(crate) fn begin(session: &Arc<MountSession>, options: &GuestMesh, http: &reqwest::Client, runtime: &Handle) -> Option<Arc<Mesh>> {
    if !options.enabled {
        return None;
    }
    let mesh = Mesh::new(session.clock.clone());
    mesh.add(session);
    let member = Member::Guest(Arc::clone(session));
    let part = Part { member, http: http.clone(), listen: options.listen, advertise: options.advertise };
    runtime.spawn(keep(mesh.clone(), Arc::clone(session), part));
    Some(mesh)
}

async fn keep(mesh: Arc<Mesh>, session: Arc<MountSession>, part: Part) {
    let mut relinks = session.relinks();
    while session.gate.fenced().is_none() {
        if session.admits_guests() {
            membership::keep(mesh.clone(), session.clock.clone(), part.clone()).await;
        } else if relinks.changed().await.is_err() {
            return;
        }
    }
}
