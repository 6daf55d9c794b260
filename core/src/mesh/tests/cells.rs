use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::mesh::{Admission, CELL_HOSTS_MAX, CELL_NODES, CellId, Cells, CellsError, Founding, HOST_GONE_MS, HostEntry, Pass, cell_nodes};
use crate::name::NodeName;
use crate::revocation::Issue;
use crate::{AccountId, KeyId, Timestamp};

/// Names and keys that are never the same twice.
#[derive(Default)]
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn draw(&mut self) -> Founding {
        self.0 += 1;
        let (mut id, mut secret) = ([0; 16], [0; 32]);
        id[..8].copy_from_slice(&(self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes());
        secret[..8].copy_from_slice(&self.0.to_le_bytes());
        Founding { id: CellId(id), secret }
    }
}

pub(super) fn name(number: u16) -> NodeName {
    format!("host-{number:05}").parse().unwrap()
}

pub(super) fn host(credential: u128, seen_ms: u64) -> HostEntry {
    let issue = Issue { account: AccountId::from_bits(1), generation: 0 };
    let admission = Admission { pass: Pass::Credential { id: KeyId::from_bits(credential), issue }, expires_at: None };
    HostEntry { admission, address: ([10, 0, 0, 1], 9).into(), seen_ms }
}

fn credential(admission: &Admission) -> KeyId {
    match admission.pass {
        Pass::Credential { id, .. } => id,
        Pass::Session(_) => panic!("a guest among hosts"),
    }
}

/// Where everybody is.
fn places(cells: &Cells) -> BTreeMap<NodeName, CellId> {
    cells.iter().flat_map(|(id, cell)| cell.hosts().map(move |(name, _)| (name.clone(), id))).collect()
}

fn check(cells: &Cells) -> Result<(), TestCaseError> {
    let mut sizes: Vec<usize> = cells.iter().map(|(_, cell)| cell.hosts().count()).collect();
    sizes.sort_unstable();
    prop_assert!(sizes.iter().all(|size| (1..=CELL_HOSTS_MAX).contains(size)), "{:?}", sizes);
    prop_assert_eq!(sizes.iter().sum::<usize>(), cells.hosts());
    prop_assert_eq!(places(cells).len(), cells.hosts(), "somebody is in two cells");
    let secrets: BTreeSet<_> = cells.iter().map(|(_, cell)| cell.secret()).collect();
    prop_assert_eq!(secrets.len(), sizes.len(), "two cells have one key");
    Ok(())
}

#[derive(Debug, Clone)]
enum Step {
    Join(u16, u8),
    /// All of these ask again; the others are not heard from for long enough to have gone.
    Silence(u8),
    End(u8),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (0u16..200, 0u8..12).prop_map(|(host, credential)| Step::Join(host, credential)),
        1 => any::<u8>().prop_map(Step::Silence),
        1 => (0u8..12).prop_map(Step::End),
    ]
}

proptest! {
    /// Whoever comes, goes and is thrown out: the bounds hold, nobody is moved without need, and no key is known to whom it should
    /// not be.
    #[test]
    fn cells_keep_their_bounds_and_their_hosts(steps in prop::collection::vec(any_step(), 1..400)) {
        let (mut cells, mut draws, mut now_ms) = (Cells::default(), Draws::default(), 0);
        // Which secrets each credential has been shown.
        let mut shown: BTreeMap<KeyId, BTreeSet<[u8; 32]>> = BTreeMap::new();
        let mut ended: BTreeSet<KeyId> = BTreeSet::new();
        for step in steps {
            let before = places(&cells);
            match step {
                Step::Join(number, by) => {
                    let (name, host) = (name(number), host(by.into(), now_ms));
                    if ended.contains(&credential(&host.admission)) {
                        continue;
                    }
                    match cells.join(&name, host, || draws.draw()) {
                        Ok(id) => {
                            prop_assert!(before.get(&name).is_none_or(|known| *known == id));
                            let after: BTreeMap<_, _> = places(&cells).into_iter().filter(|(other, _)| *other != name).collect();
                            let before: BTreeMap<_, _> = before.into_iter().filter(|(other, _)| *other != name).collect();
                            prop_assert_eq!(after, before, "somebody was moved for a newcomer");
                        }
                        Err(error) => {
                            prop_assert_eq!(error, CellsError::NameTaken);
                            prop_assert!(before.contains_key(&name));
                        }
                    }
                }
                Step::Silence(some) => {
                    let staying: Vec<_> = before.keys().filter(|name| name.as_str().bytes().last() != Some(b'0' + some % 10)).collect();
                    now_ms += HOST_GONE_MS;
                    for name in &staying {
                        let by = cells.iter().flat_map(|(_, cell)| cell.hosts()).find(|(other, _)| other == name).unwrap().1.admission;
                        cells.join(name, host(credential(&by).bits(), now_ms), || draws.draw()).unwrap();
                    }
                    cells.tidy(now_ms);
                    let left = places(&cells);
                    prop_assert_eq!(left.keys().collect::<Vec<_>>(), staying);
                    let mut sizes: Vec<usize> = cells.iter().map(|(_, cell)| cell.hosts().count()).collect();
                    sizes.sort_unstable();
                    prop_assert!(sizes.len() < 2 || sizes[0] + sizes[1] > CELL_HOSTS_MAX / 2, "two could be one: {:?}", sizes);
                }
                Step::End(by) => {
                    let by = KeyId::from_bits(by.into());
                    ended.insert(by);
                    let closed = cells.end(now_ms, |admission| credential(admission) == by, || draws.draw());
                    prop_assert!(closed.iter().all(|id| cells.get(*id).is_none()));
                }
            }
            for (_, cell) in cells.iter() {
                for (_, host) in cell.hosts() {
                    shown.entry(credential(&host.admission)).or_default().insert(cell.secret());
                    prop_assert!(!ended.contains(&credential(&host.admission)), "an ended credential has a place");
                }
                let known = ended.iter().any(|credential| shown.get(credential).is_some_and(|secrets| secrets.contains(&cell.secret())));
                prop_assert!(!known, "a cell goes on with a key that whoever was thrown out knows");
            }
            check(&cells)?;
        }
    }

    #[test]
    fn a_cell_has_its_owner_and_another_and_few_cells_change_when_a_node_goes(count in 1usize..9, gone in 0usize..9) {
        let nodes: BTreeSet<NodeName> = (0..count).map(|number| format!("n{number}").parse().unwrap()).collect();
        let owner: NodeName = "n0".parse().unwrap();
        let mut left = nodes.clone();
        left.remove(&format!("n{}", gone.max(1)).parse::<NodeName>().unwrap());
        for number in 0..50u8 {
            let cell = CellId([number; 16]);
            let chosen = cell_nodes(cell, &owner, &nodes);
            prop_assert_eq!(chosen.len(), count.min(CELL_NODES));
            prop_assert_eq!(&chosen[0], &owner);
            prop_assert_eq!(chosen.iter().collect::<BTreeSet<_>>().len(), chosen.len());
            if chosen.iter().all(|node| left.contains(node)) {
                prop_assert_eq!(cell_nodes(cell, &owner, &left), chosen);
            }
        }
    }
}

#[test]
fn a_full_cell_is_left_as_it_is_and_another_is_founded() {
    let (mut cells, mut draws) = (Cells::default(), Draws::default());
    let placed: Vec<CellId> = (0..100).map(|number| cells.join(&name(number), host(1, 0), || draws.draw()).unwrap()).collect();
    assert!(placed[..48].iter().all(|id| *id == placed[0]) && placed[48..96].iter().all(|id| *id == placed[48]));
    assert_eq!((cells.iter().count(), placed[0] != placed[48], placed[96] != placed[48]), (3, true, true));
}

#[test]
fn a_name_belongs_to_the_credential_that_it_came_with() {
    let (mut cells, mut draws) = (Cells::default(), Draws::default());
    cells.join(&name(1), host(1, 0), || draws.draw()).unwrap();
    assert_eq!(cells.join(&name(1), host(2, 0), || draws.draw()), Err(CellsError::NameTaken));
    let mut expired = host(1, 3);
    expired.admission.expires_at = Some(Timestamp::from_unix_ms(5));
    cells.join(&name(1), expired, || draws.draw()).unwrap();
    assert_eq!(places(&cells).len(), 1);
    let closed = cells.end(3, |admission| admission.expires_at.is_some(), || draws.draw());
    assert_eq!((closed.len(), cells.is_empty()), (1, true));
}

#[test]
fn names_of_cells_are_read_as_they_are_written() {
    let id = CellId([0xab; 16]);
    assert_eq!(id.to_string().parse(), Ok(id));
    assert_eq!(serde_json::from_str::<CellId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
    for bad in ["", "cell-", "cell-ab", &format!("cell-{}", "g".repeat(32)), &format!("cell-+{}", "0".repeat(31)), &"0".repeat(32)] {
        assert!(bad.parse::<CellId>().is_err(), "{bad}");
    }
}
