//! What a sealed segment is, and that it opens as what it is and in no other way.

use chacha20poly1305::aead::{Aead as _, KeyInit as _};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use proptest::prelude::*;
use std::ops::Range;

use super::*;
use crate::encryption::SegmentCipher;
use crate::encryption::sealed_segment::{chunks_of, open, plain_len, seal, sealed_len};

const SEGMENT: SegmentId = SegmentId::from_bits(11);
const CHUNK: usize = 65_536;
const SEALED_CHUNK: usize = CHUNK + 16;
const SECRET: [u8; 32] = [9; 32];

/// As workspaces are sealed that are made now, and as those are that an earlier version made.
fn data_key(secret: &[u8], is_new: bool) -> DataKey {
    let prefix: &[u8] = if is_new { &[2] } else { &[] };
    DataKey::of(WORKSPACE, &[prefix, secret].concat()).unwrap()
}

fn cipher(is_new: bool) -> SegmentCipher {
    data_key(&SECRET, is_new).segment(WORKSPACE, SEGMENT).unwrap()
}

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at / 5) as u8).collect()
}

fn sealed_text(len: usize, is_new: bool) -> Vec<u8> {
    seal(&cipher(is_new), &text(len)).unwrap().to_vec()
}

/// What a range of an object gives, read as the node reads it.
fn read(cipher: &SegmentCipher, object: &[u8], range: Range<u64>) -> Option<Bytes> {
    let len = object.len() as u64;
    let chunks = chunks_of(&range, len);
    open(cipher, &range, len, Bytes::copy_from_slice(&object[chunks.start as usize..chunks.end as usize]))
}

fn read_all(cipher: &SegmentCipher, object: &[u8]) -> Option<Bytes> {
    read(cipher, object, 0..plain_len(object.len() as u64)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The figures are another implementation's: HKDF-Expand and AES-256-GCM of OpenSSL.
#[test]
fn a_segment_is_sealed_as_others_would_by_the_same_standards() {
    let sealed = sealed_text(CHUNK + 100, true);
    assert_eq!(hex(&sealed[..8]), "32dbe9c06ab07b86");
    assert_eq!(hex(&sealed[CHUNK..SEALED_CHUNK]), "ada8520456eb39d91888565866f283e1");
    assert_eq!(hex(&sealed[SEALED_CHUNK + 100..]), "a7899e25158d7472e0dae969004ff8fa");
}

#[test]
fn nothing_but_its_own_key_opens_a_segment() {
    for is_new in [false, true] {
        let sealed = sealed_text(100_000, is_new);
        assert_eq!(read_all(&cipher(is_new), &sealed).unwrap(), text(100_000));
        let key = data_key(&SECRET, is_new);
        let others = [
            data_key(&[8; 32], is_new).segment(WORKSPACE, SEGMENT),
            key.segment(WORKSPACE, SegmentId::from_bits(12)),
            data_key(&SECRET, !is_new).segment(WORKSPACE, SEGMENT),
        ];
        assert!(others.into_iter().all(|other| read_all(&other.unwrap(), &sealed).is_none()), "{is_new}");
    }
    let elsewhere = data_key(&SECRET, true).segment(WorkspaceId::from_bits(8), SEGMENT).unwrap();
    assert!(read_all(&elsewhere, &sealed_text(100_000, true)).is_none());
}

#[test]
fn what_was_wrapped_is_a_key_or_none() {
    for bytes in [&[][..], &[9; 31], &[9; 33], &[2; 34], &[2]] {
        assert!(DataKey::of(WORKSPACE, bytes).is_none(), "{bytes:?}");
    }
    let drawn = DataKey::draw(&entropy());
    assert!(DataKey::of(WORKSPACE, &drawn).is_some() && drawn != DataKey::draw(&entropy()));
}

/// Whatever lies below: an object without its end gives what is there, or an error, and never other bytes.
#[tokio::test]
async fn a_segment_that_was_cut_off_is_not_taken_for_a_shorter_one() {
    let raw = Arc::new(MemoryStore::new());
    let keys = keys_over(&raw, Some(KEY));
    store_over(&raw, &keys).await;
    let (object, plain) = (segment_key(WORKSPACE, SEGMENT).unwrap(), Bytes::from(text(3 * CHUNK)));
    let inner = Arc::new(MemoryBlobs::new());
    SealedBlobs::new(inner.clone(), keys.clone()).put(&object, plain.clone()).await.unwrap();
    let stored = inner.get(&object, 0..3 * SEALED_CHUNK as u64).await.unwrap();

    let cut = Arc::new(MemoryBlobs::new());
    cut.put(&object, stored.slice(..2 * SEALED_CHUNK)).await.unwrap();
    let blobs = SealedBlobs::new(cut, keys);
    let (first, last) = (0..CHUNK as u64, CHUNK as u64..2 * CHUNK as u64);
    assert_eq!(blobs.get(&object, first).await.unwrap(), plain[..CHUNK]);
    assert!(matches!(blobs.get(&object, last).await, Err(BlobError::Unavailable { .. })), "it is not the last");
    assert!(matches!(blobs.get(&object, 0..3 * CHUNK as u64).await, Err(BlobError::OutOfRange { .. })));
}

#[tokio::test]
async fn a_workspace_that_an_earlier_version_made_is_read_and_written_as_it_was() {
    let raw = Arc::new(MemoryStore::new());
    let wrapped = ClusterKeys::parse(KEY).unwrap().wrap(WORKSPACE, &SECRET, &entropy()).unwrap();
    let mut batch = Batch::new();
    batch.put(WorkspaceKeys(WORKSPACE).data_key(), wrapped);
    raw.write(batch, Durability::Durable).await.unwrap();
    let keys = keys_over(&raw, Some(KEY));

    // As that version did it.
    let (key, plain) = (XChaCha20Poly1305::new(&SECRET.into()), text(CHUNK + 100));
    let mut earlier = Vec::new();
    for (number, chunk) in (0_u64..).zip(plain.chunks(CHUNK)) {
        let nonce = [&SEGMENT.bits().to_be_bytes()[..], &number.to_be_bytes()].concat();
        earlier.extend(key.encrypt(XNonce::from_slice(&nonce), chunk).unwrap());
    }
    let (inner, object) = (Arc::new(MemoryBlobs::new()), segment_key(WORKSPACE, SEGMENT).unwrap());
    inner.put(&object, earlier.into()).await.unwrap();
    let blobs = SealedBlobs::new(inner, keys.clone());
    assert_eq!(blobs.get(&object, 0..plain.len() as u64).await.unwrap(), plain);
    blobs.put(&object, plain.into()).await.expect("the same bytes give the same object");

    let extent = row(&Key::Extent(Ino(5), 9));
    let store = SealedStore::new(raw.clone(), keys, entropy());
    let mut batch = Batch::new();
    batch.put(extent.clone(), PLAIN);
    store.write(batch, Durability::Durable).await.unwrap();
    let sealed = raw.get(&extent).await.unwrap().unwrap();
    let payload = chacha20poly1305::aead::Payload { msg: &sealed[24..], aad: &extent };
    assert_eq!(key.decrypt(XNonce::from_slice(&sealed[..24]), payload).unwrap(), PLAIN);
}

/// What somebody may do to an object whose key they do not have.
#[derive(Debug, Clone)]
enum Tampering {
    Flip(usize),
    Cut(usize),
    Extend(usize),
    CutAfter(usize),
    Exchange(usize, usize),
    Repeat(usize),
    Remove(usize),
}

impl Tampering {
    fn done_to(&self, object: &[u8]) -> Vec<u8> {
        let mut chunks: Vec<Vec<u8>> = object.chunks(SEALED_CHUNK).map(<[u8]>::to_vec).collect();
        let (len, count) = (object.len(), chunks.len());
        match *self {
            Self::Flip(at) => {
                let mut object = object.to_vec();
                object[at / 8 % len] ^= 1 << (at % 8);
                return object;
            }
            Self::Cut(at) => return object[..at % len].to_vec(),
            Self::Extend(by) => return [object, &object[..by % len]].concat(),
            Self::CutAfter(chunk) => chunks.truncate(chunk % count),
            Self::Exchange(one, other) => chunks.swap(one % count, other % count),
            Self::Repeat(chunk) => chunks.insert(chunk % count, chunks[chunk % count].clone()),
            Self::Remove(chunk) => drop(chunks.remove(chunk % count)),
        }
        chunks.concat()
    }
}

fn tampering() -> impl Strategy<Value = Tampering> {
    let any = || any::<usize>();
    prop_oneof![
        any().prop_map(Tampering::Flip),
        any().prop_map(Tampering::Cut),
        any().prop_map(Tampering::Extend),
        any().prop_map(Tampering::CutAfter),
        (any(), any()).prop_map(|(one, other)| Tampering::Exchange(one, other)),
        any().prop_map(Tampering::Repeat),
        any().prop_map(Tampering::Remove),
    ]
}

proptest! {
    #[test]
    fn every_range_of_every_length_comes_out_as_it_went_in(
        len in 1..300_000_u64, a in 0..300_000_u64, b in 0..300_000_u64, is_new in any::<bool>(), is_shared in any::<bool>(),
    ) {
        let (cipher, plain) = (cipher(is_new), text(len as usize));
        let range = { let (a, b) = (a % len, b % len); a.min(b)..a.max(b) + 1 };
        let sealed = seal(&cipher, &plain).unwrap();
        prop_assert_eq!(sealed.len() as u64, sealed_len(len));
        prop_assert_eq!(plain_len(sealed.len() as u64), Some(len));
        let chunks = chunks_of(&range, sealed.len() as u64);
        let chunks = Bytes::copy_from_slice(&sealed[chunks.start as usize..chunks.end as usize]);
        // Whoever else holds the sealed bytes keeps them.
        let held = is_shared.then(|| (chunks.clone(), chunks.to_vec()));
        let opened = open(&cipher, &range, sealed.len() as u64, chunks).unwrap();
        prop_assert_eq!(&opened[..], &plain[range.start as usize..range.end as usize]);
        prop_assert!(held.is_none_or(|(held, before)| held == before));
    }

    #[test]
    fn an_object_that_somebody_changed_never_opens_as_another(len in 1..300_000_usize, a in any::<u64>(), b in any::<u64>(), tampering in tampering()) {
        let object = sealed_text(len, true);
        let changed = tampering.done_to(&object);
        prop_assume!(changed != object && !changed.is_empty());
        prop_assert!(read_all(&cipher(true), &changed).is_none());

        // Of a part that was left as it was the bytes may still come, and no others.
        let plain_len = plain_len(changed.len() as u64);
        prop_assume!(plain_len.is_some());
        let range = { let (a, b) = (a % plain_len.unwrap(), b % plain_len.unwrap()); a.min(b)..a.max(b) + 1 };
        if let Some(opened) = read(&cipher(true), &changed, range.clone()) {
            let plain = text(len);
            prop_assert_eq!(Some(&opened[..]), plain.get(range.start as usize..range.end as usize));
        }
    }
}
