use std::collections::BTreeMap;

use super::cells::{CELL_HOSTS_MAX, CellEntry, CellId, Cells, CellsError, Founding, HostEntry};
use crate::name::{NodeName, TenantSlug};

/// The most cells of guests of one account. Each costs its nodes the same, however few are in it.
pub const GUEST_CELLS_MAX: usize = 256;
/// The most guests of one tenant: a sixth of what there is place for, so that one that opens sessions without end leaves most of it
/// to others.
pub const TENANT_GUESTS_MAX: usize = GUEST_CELLS_MAX * CELL_HOSTS_MAX / 6;

/// Who may be in a cell with whom: members of a cell learn each other's addresses, and all have its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Circle {
    /// The hosts that the account runs.
    Hosts,
    /// The guests of one tenant, or those that came with API keys of the account itself.
    Guests(Option<TenantSlug>),
}

impl Circle {
    /// Whether its members run in customers' sandboxes, so that what they say of themselves is not believed.
    pub fn is_of_guests(&self) -> bool {
        matches!(self, Self::Guests(_))
    }
}

/// All cells of one account, as the owner of its shard forms them.
///
/// What always holds, besides what does of [`Cells`]:
/// - **no cell has members of two circles**: no guest is in a cell with a host, or with another tenant's;
/// - there are at most [`GUEST_CELLS_MAX`] cells of guests, and at most [`TENANT_GUESTS_MAX`] guests of a tenant. Whoever is too many
///   has no place, and nobody loses theirs for it;
/// - a cell of guests goes on with a key that somebody knew who has gone for [`RENEWED_MS`](super::RENEWED_MS) at the most: nothing is
///   revoked when a session ends by itself, so its end shows by its silence alone.
#[derive(Debug, Clone, Default)]
pub struct Circles(BTreeMap<Circle, Cells>);

impl Circles {
    /// Somebody asks for the cell; see [`Cells::join`].
    ///
    /// # Errors
    /// [`CellsError`].
    pub fn join(
        &mut self,
        circle: &Circle,
        name: &NodeName,
        host: HostEntry,
        found: impl FnOnce() -> Founding,
    ) -> Result<CellId, CellsError> {
        if circle.is_of_guests() {
            self.check_room(circle, name)?;
        }
        self.0.entry(circle.clone()).or_default().join(name, host, found)
    }

    fn check_room(&self, circle: &Circle, name: &NodeName) -> Result<(), CellsError> {
        let cells = self.0.get(circle);
        if cells.is_some_and(|cells| cells.knows(name)) {
            return Ok(());
        }
        let has_room = cells.is_some_and(Cells::has_room) || self.guest_cells() < GUEST_CELLS_MAX;
        let is_within = cells.is_none_or(|cells| cells.hosts() < TENANT_GUESTS_MAX);
        if has_room && is_within { Ok(()) } else { Err(CellsError::GuestsFull) }
    }

    fn guest_cells(&self) -> usize {
        let of_guests = self.0.iter().filter(|(circle, _)| circle.is_of_guests());
        of_guests.map(|(_, cells)| cells.iter().count()).sum()
    }

    /// Takes out who has gone, and gives cells of guests new keys that those knew. Answers which cells were closed.
    pub fn tidy(&mut self, now_ms: u64, mut found: impl FnMut() -> Founding) -> Vec<CellId> {
        let mut closed = Vec::new();
        for (circle, cells) in &mut self.0 {
            cells.tidy(now_ms);
            if circle.is_of_guests() {
                closed.extend(cells.renew(now_ms, &mut found));
            }
        }
        self.0.retain(|_, cells| !cells.is_empty());
        closed
    }

    /// What some came with has ended; see [`Cells::end`].
    pub fn end(&mut self, now_ms: u64, has_ended: impl Fn(&super::Admission) -> bool, mut found: impl FnMut() -> Founding) -> Vec<CellId> {
        self.0.values_mut().flat_map(|cells| cells.end(now_ms, &has_ended, &mut found)).collect()
    }

    /// All cells.
    pub fn iter(&self) -> impl Iterator<Item = (&Circle, CellId, &CellEntry)> {
        self.0.iter().flat_map(|(circle, cells)| cells.iter().map(move |(id, cell)| (circle, id, cell)))
    }

    /// One cell of a circle.
    pub fn get(&self, circle: &Circle, id: CellId) -> Option<&CellEntry> {
        self.0.get(circle)?.get(id)
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(Cells::is_empty)
    }
}
