use chacha20poly1305::aead::{Aead as _, Payload};

use super::Incarnation;
use super::envelope::{self, EnvelopeError, Header, Use};
use super::keys::MeshKeys;
use super::limits::CALL_MAX_BYTES;
use super::senders::{Senders, SendersError};
use crate::name::NodeName;

const ANSWER_CONTEXT: &str = "artifacts mesh answer v1";

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
/// Calls are confidential and bound to sender, receiver, both their lives, and path; each counts once. Answers are bound to
/// their call. No clock is involved.
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
    /// What to send.
    pub bytes: Vec<u8>,
    answer_key: [u8; 32],
    counter: u64,
}

/// A call that counts.
#[derive(Debug)]
pub struct OpenedCall {
    /// Who calls.
    pub sender: NodeName,
    /// What it says.
    pub body: Vec<u8>,
    answer_key: [u8; 32],
    counter: u64,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The outcome, as an HTTP status.
    pub status: u16,
    /// What comes with it.
    pub body: Vec<u8>,
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
        let bytes = envelope::seal(key, &self.mesh, Use::Call(path), &header, body).ok_or(CallError::TooLarge)?;
        let answer_key = key.derive(ANSWER_CONTEXT, &self.mesh, &self.name, &self.incarnation);
        Ok(SealedCall { bytes, answer_key, counter })
    }

    /// Judges a call that came to this path.
    ///
    /// # Errors
    /// [`CallError`]; it had no effect.
    pub fn open(&mut self, path: &str, bytes: &[u8]) -> Result<OpenedCall, CallError> {
        let (header, body) = envelope::open(&self.keys, &self.mesh, Use::Call(path), bytes)?;
        if header.receiver != self.incarnation.salt {
            return Err(CallError::Misaddressed);
        }
        self.senders.admit(&header.sender, header.incarnation, header.counter)?;
        let key = self.keys.get(header.key).ok_or(EnvelopeError::UnknownKey)?;
        let answer_key = key.derive(ANSWER_CONTEXT, &self.mesh, &header.sender, &header.incarnation);
        Ok(OpenedCall { sender: header.sender, body, answer_key, counter: header.counter })
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
        if content.len() > CALL_MAX_BYTES {
            return Err(CallError::TooLarge);
        }
        // The key belongs to the caller's life and the counter to the call, which counts once: this pair is used once.
        let payload = Payload { msg: &content, aad: &[] };
        envelope::cipher(self.answer_key).encrypt(&envelope::nonce(self.counter), payload).map_err(|_| CallError::TooLarge)
    }
}

impl SealedCall {
    /// Reads the answer.
    ///
    /// # Errors
    /// [`EnvelopeError::Forged`] unless it is the called node's answer to this very call.
    pub fn open_answer(&self, bytes: &[u8]) -> Result<Answer, CallError> {
        let payload = Payload { msg: bytes, aad: &[] };
        let opened = envelope::cipher(self.answer_key).decrypt(&envelope::nonce(self.counter), payload);
        let content = opened.map_err(|_| EnvelopeError::Forged)?;
        let (status, body) = content.split_first_chunk().ok_or(EnvelopeError::Malformed)?;
        Ok(Answer { status: u16::from_le_bytes(*status), body: body.to_vec() })
    }
}
