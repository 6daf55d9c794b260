use chacha20poly1305::aead::{Aead as _, Payload};

use super::Incarnation;
use super::envelope::{self, EnvelopeError, Header, Use};
use super::keys::{MeshKey, MeshKeys};
use super::limits::CALL_MAX_BYTES;
use super::senders::{Senders, SendersError};
use crate::name::NodeName;

const BODY_CONTEXT: &str = "artifacts mesh call body v1";
const ANSWER_CONTEXT: &str = "artifacts mesh answer v1";
const TAG_BYTES: usize = 16;

/// Why a call or its answer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Not sealed by a member, or not for this path.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// Sealed by a member, but not for now.
    #[error(transparent)]
    Sender(#[from] SendersError),
    /// For another node, or for this one before it was started again.
    #[error("it is addressed to another node, or to an earlier process of this one")]
    Misaddressed,
    /// Over [`CALL_MAX_BYTES`].
    #[error("it is over {CALL_MAX_BYTES} bytes")]
    TooLarge,
}

/// A node's part in calls between nodes: it seals its own and judges those of others.
///
/// A call has a head, which proves who calls what, and how long the body is, before any of the body is read; and a
/// sealed body. Both are bound to sender, receiver, both their lives, and path, and count once. The answer is bound to
/// the call. No clock is involved.
#[derive(Debug)]
pub struct CallSeat {
    mesh: String,
    keys: MeshKeys,
    name: NodeName,
    incarnation: Incarnation,
    counter: u64,
    senders: Senders,
}

/// A call on its way.
#[derive(Debug)]
pub struct SealedCall {
    /// What to send ahead.
    pub head: Vec<u8>,
    /// What to send.
    pub body: Vec<u8>,
    keys: CallKeys,
}

/// A call that counts, of which the head has come.
#[derive(Debug)]
pub struct IncomingCall {
    /// Who calls.
    pub sender: NodeName,
    /// How long the body is as it is sent; at most [`CALL_MAX_BYTES`].
    pub body_bytes: usize,
    keys: CallKeys,
}

/// A call that has come.
#[derive(Debug)]
pub struct OpenedCall {
    /// Who calls.
    pub sender: NodeName,
    /// What it says.
    pub body: Vec<u8>,
    keys: CallKeys,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The outcome, as an HTTP status.
    pub status: u16,
    /// What comes with it.
    pub body: Vec<u8>,
}

/// Keys of the caller's life, and the counter of one call of it: together they are used once each way.
struct CallKeys {
    body: [u8; 32],
    answer: [u8; 32],
    counter: u64,
}

impl CallKeys {
    fn new(key: &MeshKey, mesh: &str, header: &Header) -> Self {
        let of = |context| key.derive(context, mesh, &header.sender, &header.incarnation);
        Self { body: of(BODY_CONTEXT), answer: of(ANSWER_CONTEXT), counter: header.counter }
    }

    fn seal(&self, key: [u8; 32], content: &[u8]) -> Result<Vec<u8>, CallError> {
        if content.len() + TAG_BYTES > CALL_MAX_BYTES {
            return Err(CallError::TooLarge);
        }
        let payload = Payload { msg: content, aad: &[] };
        envelope::cipher(key).encrypt(&envelope::nonce(self.counter), payload).map_err(|_| CallError::TooLarge)
    }

    fn open(&self, key: [u8; 32], sealed: &[u8]) -> Result<Vec<u8>, CallError> {
        if sealed.len() > CALL_MAX_BYTES {
            return Err(CallError::TooLarge);
        }
        let payload = Payload { msg: sealed, aad: &[] };
        Ok(envelope::cipher(key).decrypt(&envelope::nonce(self.counter), payload).map_err(|_| EnvelopeError::Forged)?)
    }
}

impl std::fmt::Debug for CallKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CallKeys({})", self.counter)
    }
}

impl CallSeat {
    /// The seat of a node in the mesh of this name. The salt of its incarnation must be new and random.
    pub fn new(mesh: impl Into<String>, keys: MeshKeys, name: NodeName, incarnation: Incarnation) -> Self {
        Self { mesh: mesh.into(), keys, name, incarnation, counter: 0, senders: Senders::default() }
    }

    /// The life to which calls to this node are to be addressed.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Begins a new life, later than the one before, to which no earlier call is addressed: so all who called may be forgotten.
    /// That is how a seat goes on after [`SendersError::Full`].
    pub fn renew(&mut self, incarnation: Incarnation) {
        (self.incarnation, self.counter, self.senders) = (incarnation, 0, Senders::default());
    }

    /// Seals a call for one life of another node.
    ///
    /// # Errors
    /// [`CallError::TooLarge`].
    pub fn seal(&mut self, receiver: Incarnation, path: &str, body: &[u8]) -> Result<SealedCall, CallError> {
        let counter = self.counter;
        self.counter += 1;
        let key = self.keys.sealing();
        let (sender, incarnation) = (self.name.clone(), self.incarnation);
        let header = Header { key: key.id(), sender, incarnation, receiver: receiver.salt, counter };
        let keys = CallKeys::new(key, &self.mesh, &header);
        let body = keys.seal(keys.body, body)?;
        let length = (body.len() as u64).to_le_bytes();
        let head = envelope::seal(key, &self.mesh, Use::Call(path), &header, &length).ok_or(CallError::TooLarge)?;
        Ok(SealedCall { head, body, keys })
    }

    /// Judges the head of a call that came to this path.
    ///
    /// # Errors
    /// [`CallError`]; it had no effect.
    pub fn open(&mut self, path: &str, head: &[u8]) -> Result<IncomingCall, CallError> {
        let (header, length) = envelope::open(&self.keys, &self.mesh, Use::Call(path), head)?;
        if header.receiver != self.incarnation.salt {
            return Err(CallError::Misaddressed);
        }
        let length = length.try_into().map(u64::from_le_bytes).map_err(|_| EnvelopeError::Malformed)?;
        let body_bytes = usize::try_from(length).ok().filter(|length| *length <= CALL_MAX_BYTES).ok_or(CallError::TooLarge)?;
        let key = self.keys.get(header.key).ok_or(EnvelopeError::UnknownKey)?;
        let keys = CallKeys::new(key, &self.mesh, &header);
        self.senders.admit(&header.sender, header.incarnation, header.counter)?;
        Ok(IncomingCall { sender: header.sender, body_bytes, keys })
    }
}

impl IncomingCall {
    /// Opens the body.
    ///
    /// # Errors
    /// [`EnvelopeError::Forged`] unless it is the body of this very call.
    pub fn open_body(self, sealed: &[u8]) -> Result<OpenedCall, CallError> {
        let body = self.keys.open(self.keys.body, sealed)?;
        Ok(OpenedCall { sender: self.sender, body, keys: self.keys })
    }
}

impl OpenedCall {
    /// Seals the one answer to this call.
    ///
    /// # Errors
    /// [`CallError::TooLarge`].
    pub fn answer(self, answer: &Answer) -> Result<Vec<u8>, CallError> {
        let mut content = answer.status.to_le_bytes().to_vec();
        content.extend(&answer.body);
        self.keys.seal(self.keys.answer, &content)
    }
}

impl SealedCall {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`EnvelopeError::Forged`] unless it is the called node's answer to this very call.
    pub fn open_answer(&self, sealed: &[u8]) -> Result<Answer, CallError> {
        let content = self.keys.open(self.keys.answer, sealed)?;
        let (status, body) = content.split_first_chunk().ok_or(EnvelopeError::Malformed)?;
        Ok(Answer { status: u16::from_le_bytes(*status), body: body.to_vec() })
    }
}
