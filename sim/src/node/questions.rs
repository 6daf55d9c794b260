use artifacts_core::SessionId;
use artifacts_core::leases::{Asked, Kind, Lease, Wants};
use artifacts_core::namespace::{self, Errno, Ino, Key, Record, Stop, View as _};
use artifacts_core::protocol::{Answer, ClientFrame, Request, ServerFrame};
use artifacts_core::replica::{Fetch, Records};

use super::node::{Message, Node};
use super::noting::Noting;

/// The most rows of one fetch: few, so that several are needed.
const ROWS_MAX: usize = 3;

impl Node {
    /// Answers a question, or lets it wait for leases that are in its way.
    pub(super) fn request(&mut self, session: SessionId, id: u32, request: Request) {
        let answer = match &request {
            Request::Learn { .. } | Request::Acquire { .. } => self.answer_with_lease(session, &request),
            _ => self.answer(session, &request),
        };
        match answer {
            Ok(result) => self.send(session, ServerFrame::Reply { id, result }),
            Err(in_the_way) => {
                self.counts.waits += 1;
                let message = Message::Frame(session, ClientFrame::Request { id, request });
                let effects = self.desk.wait(session, in_the_way, message, self.now_ms);
                self.perform_on_inodes(effects);
            }
        }
    }

    fn answer(&mut self, session: SessionId, request: &Request) -> Result<Result<Answer, Errno>, Wants> {
        let view = Noting::new(&self.view);
        let answer = match request {
            Request::Lookup { parent, name } => namespace::lookup(&view, *parent, name).map(Answer::Attr),
            Request::Attr { ino } | Request::Open { ino } => namespace::attr(&view, *ino).map(Answer::Attr),
            Request::ReadDir { dir, after, limit } => {
                namespace::read_dir(&view, *dir, after.as_ref(), *limit as usize).map(Answer::Entries)
            }
            Request::Pieces { ino, offset, len } => {
                let read = namespace::pieces(&view, *ino, *offset, *len, usize::MAX);
                read.map(|(attr, pieces)| Answer::Pieces { attr, pieces, more: false })
            }
            Request::Fetch(fetch) => return Ok(self.fetch(session, fetch)),
            _ => return Ok(Err(Errno::EINVAL)),
        };
        let wants = Wants { reads: view.into_noted(), ..Wants::default() };
        self.desk.table.used(session, &wants, self.now_ms);
        if !self.desk.table.is_free(session, &wants) {
            return Err(wants);
        }
        if let (Request::Open { ino }, Ok(_)) = (request, &answer) {
            self.open.open(session, *ino);
        }
        Ok(answer.map_err(|stop| if let Stop::Refused(errno) = stop { errno } else { Errno::EIO }))
    }

    fn fetch(&self, session: SessionId, fetch: &Fetch) -> Result<Answer, Errno> {
        if self.lease.holder() != Some(session) {
            return Err(Errno::EPERM);
        }
        let mut records = self.records(fetch)?;
        for ino in named(&records) {
            self.add_inode(&mut records, ino);
        }
        let along = if let Fetch::Range { along, .. } = fetch { along.as_slice() } else { &[] };
        for &ino in along {
            if let Some(rows) = Records::extents_of(&self.view, ino).map_err(|_| Errno::EIO)? {
                records.rows.extend(rows);
                records.whole.push(ino);
            }
        }
        Ok(Answer::Records(records))
    }

    fn answer_with_lease(&mut self, session: SessionId, request: &Request) -> Result<Result<Answer, Errno>, Wants> {
        self.forget_readers(session, request);
        let is_held = self.lease.holder().is_some();
        let leases = match self.desk.ask(session, request, Some(Kind::Write), is_held, self.now_ms) {
            Asked::Never => return Ok(Err(Errno::EPERM)),
            Asked::Wait(wants) => return Err(wants),
            Asked::Got(leases) => leases,
        };
        self.granted(session, &leases);
        let (Request::Learn { fetch, .. }, Some(&lease)) = (request, leases.first()) else {
            let nothing = |leases| Answer::Learnt { leases, records: Records::default() };
            let is_learn = matches!(request, Request::Learn { .. });
            return Ok(Ok(if is_learn { nothing(leases) } else { Answer::Leases(leases) }));
        };
        let mut records = match self.records(fetch) {
            Ok(records) => records,
            Err(errno) => return Ok(Err(errno)),
        };
        let key = bytes::Bytes::from(Key::Inode(lease.ino).encode());
        if !records.rows.iter().any(|(row, _)| *row == key) {
            self.add_inode(&mut records, lease.ino);
        }
        let mut leases = vec![lease];
        let named = self.desk.ask_named(session, named(&records), self.now_ms);
        self.granted(session, &named);
        for lease in named {
            leases.push(lease);
            self.add_inode(&mut records, lease.ino);
        }
        Ok(Ok(Answer::Learnt { leases, records }))
    }

    fn granted(&mut self, session: SessionId, leases: &[Lease]) {
        self.counts.inode_grants += leases.len() as u64;
        if self.faults.forgets_readers {
            let reading = leases.iter().filter(|lease| lease.kind == Kind::Read);
            self.readers.extend(reading.map(|lease| ((session, lease.ino), *lease)));
        }
    }

    /// The fault that must be found: who only believes is not asked when somebody else wants to decide, but taken to have
    /// answered.
    fn forget_readers(&mut self, session: SessionId, request: &Request) {
        let wanted: Vec<Ino> = match request {
            _ if !self.faults.forgets_readers => return,
            Request::Learn { fetch, kind: Kind::Write } => fetch.owner().into_iter().collect(),
            Request::Acquire { inodes } => inodes.clone(),
            _ => return,
        };
        let (desk, now_ms) = (&mut self.desk, self.now_ms);
        self.readers.retain(|&(reader, ino), lease| {
            let is_forgotten = reader != session && wanted.contains(&ino);
            if is_forgotten {
                let _ = desk.give_back(reader, &[*lease], false, now_ms);
            }
            !is_forgotten
        });
    }

    fn records(&self, fetch: &Fetch) -> Result<Records, Errno> {
        match fetch {
            Fetch::Key(encoded) => {
                let key = Key::decode(encoded).ok_or(Errno::EINVAL)?;
                let record = self.view.get(&key).map_err(|_| Errno::EIO)?;
                Ok(Records { rows: record.map(|record| (encoded.clone(), record)).into_iter().collect(), ..Records::default() })
            }
            Fetch::Range { start, prefix, limit, .. } => {
                let limit = (*limit as usize).clamp(1, ROWS_MAX);
                Records::of(&self.view, start, prefix, limit).map_err(|_| Errno::EIO)
            }
        }
    }

    fn add_inode(&self, records: &mut Records, ino: Ino) {
        let key = Key::Inode(ino);
        if let Ok(Some(record)) = self.view.get(&key) {
            records.rows.push((key.encode().into(), record));
        }
    }
}

/// The inodes that entries among these records name.
fn named(records: &Records) -> Vec<Ino> {
    records.rows.iter().filter_map(|(_, record)| if let Record::Dentry(ino, _) = record { Some(*ino) } else { None }).collect()
}
