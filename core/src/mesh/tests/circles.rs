use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::cells::{Draws, host, name};
use crate::mesh::{
    Admission, CELL_HOSTS_MAX, CellId, CellsError, Circle, Circles, GUEST_CELLS_MAX, HOST_GONE_MS, HostEntry, Pass, RENEWED_MS,
    TENANT_GUESTS_MAX,
};
use crate::revocation::{Issue, RevocationRecord, RevocationRegister, Standing, Target};
use crate::{AccountId, GrantId, KeyId, RevocationId, SessionId, Timestamp, WorkspaceId};

const NOW: Timestamp = Timestamp::from_unix_ms(1_800_000_000_000);

fn tenant(number: u8) -> Circle {
    Circle::Guests(Some(format!("tenant-{number}").parse().unwrap()))
}

/// One of four: hosts, guests of two tenants, and guests of the account itself.
fn circle(number: u8) -> Circle {
    match number {
        0 => Circle::Hosts,
        1 => Circle::Guests(None),
        number => tenant(number),
    }
}

fn issue(generation: u64) -> Issue {
    Issue { account: AccountId::from_bits(1), generation }
}

fn standing(session: u16) -> Standing {
    Standing {
        session: SessionId::from_bits(session.into()),
        grant: Some(GrantId::from_bits(u128::from(session) / 4)),
        key: None,
        workspace: WorkspaceId::from_bits(9),
        issue: Some(issue(3)),
    }
}

fn guest(session: u16, seen_ms: u64) -> HostEntry {
    HostEntry { admission: Admission { pass: Pass::Session(standing(session)), expires_at: None }, ..host(0, seen_ms) }
}

fn session(admission: &Admission) -> Option<SessionId> {
    match admission.pass {
        Pass::Session(standing) => Some(standing.session),
        Pass::Credential { .. } => None,
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// Somebody asks. A session is always of the same circle.
    Ask(u16),
    Pass(u64),
    /// One session is over, as its record says.
    End(u16),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        40 => (0u16..160).prop_map(Step::Ask),
        3 => (1_000u64..40_000).prop_map(Step::Pass),
        1 => (0u16..160).prop_map(Step::End),
    ]
}

proptest! {
    /// Whoever comes, goes and is thrown out: nobody shares a cell with another circle, and no key is in use that somebody knows who is
    /// out, or has been gone for too long.
    #[test]
    fn circles_share_no_cell_and_keys_do_not_outlive_those_who_knew_them(steps in prop::collection::vec(any_step(), 1..300)) {
        let (mut circles, mut draws, mut now_ms) = (Circles::default(), Draws::default(), 0);
        let mut register = RevocationRegister::default();
        // Which keys each was told, when each asked last, and which circle a key is of.
        let mut told: BTreeMap<u16, BTreeSet<[u8; 32]>> = BTreeMap::new();
        let mut asked: BTreeMap<u16, u64> = BTreeMap::new();
        let mut of_circle: BTreeMap<[u8; 32], Circle> = BTreeMap::new();
        let mut ended: BTreeSet<u16> = BTreeSet::new();
        for step in steps {
            match step {
                Step::Ask(who) => {
                    let circle = circle((who % 4) as u8);
                    let entry = if circle == Circle::Hosts { host(who.into(), now_ms) } else { guest(who, now_ms) };
                    if ended.contains(&who) {
                        continue;
                    }
                    let id = circles.join(&circle, &name(who), entry, || draws.draw()).unwrap();
                    asked.insert(who, now_ms);
                    told.entry(who).or_default().insert(circles.get(&circle, id).unwrap().secret());
                }
                Step::Pass(ms) => now_ms += ms,
                Step::End(who) if who % 4 != 0 => {
                    ended.insert(who);
                    let target = Target::Session(SessionId::from_bits(who.into()));
                    register.admit(RevocationRecord { id: RevocationId::from_bits(who.into()), account: AccountId::from_bits(1), target, revoked_at: NOW });
                }
                Step::End(_) => {}
            }
            circles.end(now_ms, |admission| admission.has_ended(&register, NOW), || draws.draw());
            circles.tidy(now_ms, || draws.draw());
            let mut names = BTreeSet::new();
            for (circle, id, cell) in circles.iter() {
                let size = cell.hosts().count();
                prop_assert!((1..=CELL_HOSTS_MAX).contains(&size), "{size} in {id}");
                prop_assert_eq!(of_circle.entry(cell.secret()).or_insert_with(|| circle.clone()), circle, "one key in two circles");
                for (name, host) in cell.hosts() {
                    prop_assert!(names.insert(name.clone()), "{} is in two cells", name);
                    prop_assert_eq!(session(&host.admission).is_some(), circle.is_of_guests(), "a guest among hosts");
                    prop_assert!(!host.admission.has_ended(&register, NOW), "a session that is over has a place");
                }
                let knows = |who: &u16| told.get(who).is_some_and(|secrets| secrets.contains(&cell.secret()));
                prop_assert!(!ended.iter().any(knows), "a key goes on that whoever is out knows");
                let is_long_gone = |who: &u16| now_ms - asked[who] >= HOST_GONE_MS + RENEWED_MS;
                prop_assert!(!circle.is_of_guests() || !told.keys().any(|who| knows(who) && is_long_gone(who)), "a key outlives a guest");
            }
        }
    }
}

#[test]
fn an_admission_ends_with_all_that_it_stands_on_and_with_its_time() {
    let on = standing(5);
    let guest = Admission { pass: Pass::Session(on), expires_at: Some(Timestamp::from_unix_ms(NOW.unix_ms() + 1)) };
    let host = Admission { pass: Pass::Credential { id: KeyId::from_bits(7), issue: issue(3) }, expires_at: None };
    let other = KeyId::from_bits(8);
    for (target, ends_guest, ends_host) in [
        (Target::Session(on.session), true, false),
        (Target::Session(SessionId::from_bits(6)), false, false),
        (Target::Grant(on.grant.unwrap()), true, false),
        (Target::Workspace(on.workspace), true, false),
        (Target::Account(issue(3)), true, true),
        (Target::Account(issue(2)), false, false),
        (Target::Key(KeyId::from_bits(7)), false, true),
        (Target::Key(other), false, false),
    ] {
        let mut register = RevocationRegister::default();
        register.admit(RevocationRecord { id: RevocationId::from_bits(1), account: AccountId::from_bits(1), target, revoked_at: NOW });
        assert_eq!((guest.has_ended(&register, NOW), host.has_ended(&register, NOW)), (ends_guest, ends_host), "{target:?}");
    }
    let none = RevocationRegister::default();
    assert!(guest.has_ended(&none, guest.expires_at.unwrap()) && !host.has_ended(&none, guest.expires_at.unwrap()));
}

#[test]
fn a_tenant_that_opens_sessions_without_end_leaves_places_to_others() {
    let (mut circles, mut draws, mut number) = (Circles::default(), Draws::default(), 0);
    let mut fill = |circles: &mut Circles, circle: &Circle, many: usize| -> usize {
        let mut placed = 0;
        for _ in 0..many {
            number += 1;
            placed += usize::from(circles.join(circle, &name(number), guest(number, 0), || draws.draw()).is_ok());
        }
        placed
    };
    assert_eq!(fill(&mut circles, &tenant(2), TENANT_GUESTS_MAX + 100), TENANT_GUESTS_MAX);
    assert_eq!(fill(&mut circles, &tenant(3), 100), 100);
    // Cells that hold one guest each cost as much as full ones.
    let places = (4..=u8::MAX).map(|number| fill(&mut circles, &tenant(number), 1)).sum::<usize>();
    let cells: BTreeSet<CellId> = circles.iter().map(|(_, id, _)| id).collect();
    assert_eq!((cells.len(), places), (GUEST_CELLS_MAX, GUEST_CELLS_MAX - TENANT_GUESTS_MAX.div_ceil(CELL_HOSTS_MAX) - 3));
    let mut draws = Draws::default();
    let mut ask = |circles: &mut Circles, circle: &Circle, number: u16, entry| circles.join(circle, &name(number), entry, || draws.draw());
    assert_eq!(ask(&mut circles, &tenant(255), 9_999, guest(9_999, 0)), Err(CellsError::GuestsFull));
    assert!(ask(&mut circles, &tenant(3), 9_999, guest(9_999, 0)).is_ok(), "there is room in a cell of its tenant");
    assert!(ask(&mut circles, &tenant(2), 1, guest(1, 5)).is_ok(), "nobody loses a place");
    assert!(ask(&mut circles, &Circle::Hosts, 1, host(1, 0)).is_ok(), "guests take no place of hosts");
}

#[test]
fn a_guest_that_has_gone_costs_its_cell_one_move_at_the_most_a_minute() {
    let (mut circles, mut draws, all) = (Circles::default(), Draws::default(), tenant(2));
    let mut now_ms = 0;
    let ask = |circles: &mut Circles, draws: &mut Draws, who: u16, now_ms| {
        circles.join(&all, &name(who), guest(who, now_ms), || draws.draw()).unwrap()
    };
    // Two stay; each second another comes, and goes at once.
    let (mut moves, mut at) = (0, ask(&mut circles, &mut draws, 0, 0));
    for second in 1..=600u16 {
        now_ms += 1_000;
        ask(&mut circles, &mut draws, 1, now_ms);
        let now_at = ask(&mut circles, &mut draws, 0, now_ms);
        moves += u32::from(now_at != at);
        at = now_at;
        ask(&mut circles, &mut draws, 1_000 + second, now_ms);
        circles.tidy(now_ms, || draws.draw());
    }
    assert!((5..=10).contains(&moves), "{moves} moves in ten minutes");
}
