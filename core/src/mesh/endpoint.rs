use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::envelope::{self, EnvelopeError, Header, NOBODY, Use};
use super::gossip::{DigestEntry, Gossip, GossipError};
use super::inspection::{self, Parties, Violation};
use super::keys::MeshKeys;
use super::reception::Reception;
use super::roster::Roster;
use super::routes::Routes;
use super::senders::{Senders, SendersError};
use super::{Incarnation, MemberId};
use crate::name::NodeName;

/// The first byte of what is sealed.
const GOSSIP: u8 = 0;
const HELLO: u8 = 1;

/// Who a member is, in this life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub name: NodeName,
    /// Its life.
    pub incarnation: Incarnation,
    /// Where others reach it.
    pub address: SocketAddr,
}

/// What came of a datagram that was accepted.
#[derive(Debug, PartialEq, Eq)]
pub enum Opened {
    /// A message, to be answered to this address.
    Gossip {
        /// The sender's own address, whatever the datagram's was.
        from: SocketAddr,
        /// The message, within all bounds.
        message: Gossip,
    },
    /// The sender did not know which life of ours it speaks to. Its message did not count; this tells it.
    Introduce {
        /// Where to send it.
        to: SocketAddr,
        /// The datagram, smaller than the one that it answers.
        datagram: Vec<u8>,
    },
    /// A peer said who it is; the next message to it will count.
    Introduced,
}

/// Why a datagram had no effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not sealed by a member.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Sealed by a member, but not for now.
    #[error(transparent)]
    Sender(#[from] SendersError),
    /// Sealed for another life of this member, or another member.
    #[error("it is addressed to somebody else")]
    Misaddressed,
    /// Under our own name: it came back, or two members have one name.
    #[error("its sender has our name")]
    OurName,
    /// Not a message.
    #[error(transparent)]
    Gossip(#[from] GossipError),
    /// A message that breaks a rule.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// Others remember a later life of ours than this one: begin one that is later still.
    #[error("a later life of ours is remembered: generation {generation}")]
    Outlived {
        /// The generation that they remember.
        generation: u64,
    },
}

/// One member's end of the mesh: seals what chitchat sends and judges what arrives.
///
/// Lives for one [`Incarnation`]. Never fails: a refused datagram changes nothing.
#[derive(Debug)]
pub struct Endpoint {
    mesh: String,
    keys: MeshKeys,
    me: Identity,
    counter: u64,
    senders: Senders,
    routes: Routes,
    roster: Roster,
    reception: Reception,
    /// When somebody was heard last.
    heard_ms: Option<u64>,
}

impl Endpoint {
    /// The end of the member `me` in the mesh of this name. The salt of its incarnation must be new and random.
    pub fn new(mesh: impl Into<String>, keys: MeshKeys, me: Identity) -> Self {
        let (senders, routes, roster, reception) = Default::default();
        Self { mesh: mesh.into(), keys, me, counter: 0, senders, routes, roster, reception, heard_ms: None }
    }

    /// Whether others were heard, and nobody for `limit_ms` now. Such a member must not seem alive to whoever still hears it: it
    /// cannot do its share, and does not know what the others do.
    pub fn is_deaf(&self, now_ms: u64, limit_ms: u64) -> bool {
        self.heard_ms.is_some_and(|heard_ms| now_ms.saturating_sub(heard_ms) >= limit_ms)
    }

    /// Whether the others hear this life of ours, by what they have listed of it within the last `window_ms`: at least half of
    /// those who speak to us do, or nobody speaks to us. One that is not heard has no share of the work, whatever it believes.
    pub fn is_heard(&self, now_ms: u64, window_ms: u64) -> bool {
        self.reception.is_heard(now_ms, window_ms)
    }

    /// Who we are.
    pub fn me(&self) -> &Identity {
        &self.me
    }

    /// A message as a datagram to an address. News that do not fit are left out.
    ///
    /// # Errors
    /// [`GossipError::TooLarge`] if even without news it does not fit.
    pub fn seal(&mut self, to: SocketAddr, message: Gossip) -> Result<Vec<u8>, GossipError> {
        let receiver = self.routes.name(&to).and_then(|name| self.senders.incarnation(name)).map_or(NOBODY, |life| life.salt);
        let mut content = vec![GOSSIP];
        content.extend(message.encode(Use::Datagram.content_max_bytes(&self.me.name) - 1)?);
        let (counter, datagram) = self.envelope(receiver, &content);
        self.routes.sent(counter, to);
        datagram.ok_or(GossipError::TooLarge)
    }

    fn envelope(&mut self, receiver: [u8; 16], content: &[u8]) -> (u64, Option<Vec<u8>>) {
        let counter = self.counter;
        self.counter += 1;
        let key = self.keys.sealing();
        let (sender, incarnation) = (self.me.name.clone(), self.me.incarnation);
        let header = Header { key: key.id(), sender, incarnation, receiver, counter };
        (counter, envelope::seal(key, &self.mesh, Use::Datagram, &header, content))
    }

    /// Judges a datagram that came from `source`.
    ///
    /// # Errors
    /// [`Refusal`]: it had no effect. [`SendersError::Full`] asks for a new life.
    pub fn open(&mut self, source: SocketAddr, datagram: &[u8], now_ms: u64) -> Result<Opened, Refusal> {
        let (header, content) = envelope::open(&self.keys, &self.mesh, Use::Datagram, datagram)?;
        if header.sender == self.me.name {
            return Err(Refusal::OurName);
        }
        let opened = match content.split_first() {
            Some((&GOSSIP, content)) => self.gossip(source, header, content, now_ms),
            Some((&HELLO, content)) => self.hello(&header, content),
            _ => Err(GossipError::Malformed.into()),
        }?;
        // What may have been recorded says nothing about now.
        if !matches!(opened, Opened::Introduce { .. }) {
            self.heard_ms = Some(now_ms);
        }
        Ok(opened)
    }

    fn gossip(&mut self, source: SocketAddr, header: Header, content: &[u8], now_ms: u64) -> Result<Opened, Refusal> {
        let mut message = Gossip::decode(content)?;
        inspection::inspect(&message, self.parties(&header))?;
        let later = |member: &MemberId| member.name == self.me.name && member.generation > self.me.incarnation.generation;
        if let Some(generation) =
            message.digest().iter().map(|entry| &entry.member).filter(|member| later(member)).map(|m| m.generation).max()
        {
            return Err(Refusal::Outlived { generation });
        }
        let of_sender = |member: &MemberId| member.name == header.sender && member.generation == header.incarnation.generation;
        let address = message.digest().iter().map(|entry| &entry.member).find(|member| of_sender(member)).map(|member| member.address);
        if header.receiver != self.me.incarnation.salt {
            return self.introduce(&header, address);
        }
        self.senders.admit(&header.sender, header.incarnation, header.counter)?;
        if let Some(address) = address {
            self.routes.learn(address, &header.sender);
        }
        self.listen(&header, message.digest(), now_ms);
        let (me, roster) = (&self.me, &mut self.roster);
        let is_this_life = |member: &MemberId| member.name == me.name && member.generation == me.incarnation.generation;
        // The last life of each name first: what was over before this member came must not use up what the name may do now.
        let mut newest: BTreeMap<NodeName, MemberId> = BTreeMap::new();
        message.retain(|member| {
            if newest.get(&member.name).is_none_or(|newest| newest.generation < member.generation) {
                newest.insert(member.name.clone(), member.clone());
            }
            true
        });
        for member in newest.values().filter(|member| !is_this_life(member)) {
            let _ = roster.admit(member, now_ms);
        }
        message.retain(|member| if is_this_life(member) { member.address == me.address } else { roster.admit(member, now_ms) });
        Ok(Opened::Gossip { from: address.unwrap_or(source), message })
    }

    /// Takes note of what a member knows of us.
    fn listen(&mut self, header: &Header, digest: &[DigestEntry], now_ms: u64) {
        let listed = |name: &NodeName, generation: u64| {
            let entry = digest.iter().find(|entry| entry.member.name == *name && entry.member.generation == generation)?;
            Some(entry.heartbeat)
        };
        match listed(&header.sender, header.incarnation.generation) {
            // An answer that lists nobody.
            None => {}
            // It keeps its heartbeat to itself: it hears nobody.
            Some(0) => self.reception.forget(&header.sender),
            Some(_) => self.reception.note(&header.sender, listed(&self.me.name, self.me.incarnation.generation), now_ms),
        }
    }

    /// Tells a sender which life of ours it speaks to. Its address is from within the seal: nobody else can be made to
    /// receive this.
    fn introduce(&mut self, header: &Header, address: Option<SocketAddr>) -> Result<Opened, Refusal> {
        let to = address.ok_or(Refusal::Misaddressed)?;
        if self.senders.incarnation(&header.sender).is_some_and(|known| header.incarnation.generation < known.generation) {
            return Err(SendersError::Outdated.into());
        }
        if !self.routes.greet(&header.sender, header.incarnation, header.counter) {
            return Err(SendersError::Replayed.into());
        }
        let mut content = vec![HELLO];
        content.extend(header.counter.to_le_bytes());
        let (_, datagram) = self.envelope(header.incarnation.salt, &content);
        Ok(Opened::Introduce { to, datagram: datagram.ok_or(Refusal::Misaddressed)? })
    }

    fn hello(&mut self, header: &Header, content: &[u8]) -> Result<Opened, Refusal> {
        let counter = content.try_into().map(u64::from_le_bytes).map_err(|_| GossipError::Malformed)?;
        if header.receiver != self.me.incarnation.salt {
            return Err(Refusal::Misaddressed);
        }
        let address = self.routes.answered(counter).ok_or(Refusal::Misaddressed)?;
        self.senders.admit(&header.sender, header.incarnation, header.counter)?;
        self.routes.learn(address, &header.sender);
        Ok(Opened::Introduced)
    }

    fn parties<'a>(&'a self, header: &'a Header) -> Parties<'a> {
        Parties {
            sender: &header.sender,
            sender_generation: header.incarnation.generation,
            receiver: &self.me.name,
            receiver_generation: self.me.incarnation.generation,
        }
    }
}
