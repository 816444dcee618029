//! The encrypted session in which every secret travels.
//!
//! Ephemeral P-256 ECDH, HKDF-SHA-256, ChaCha20-Poly1305. It is anonymous until the device key has signed the session hash
//! ([`transcript::session_authentication_digest`]): before that it keeps out who
//! only listens, not who sits in between.
//!
//! HKDF takes the shared x coordinate as its input, the session hash as its salt and [`KEY_LABEL`] as its info, and gives 96 bytes:
//! the key towards the unit, the key towards the station, the key of a weak proof's MAC. A nonce is ten zeros and the frame's sequence
//! number, big-endian; the frame's header is authenticated with the payload. Each direction seals and opens a sequence number at most
//! once, so no nonce is used twice and no frame can be replayed.

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::frame::Header;
use crate::identity::{DeviceId, Digest};
use crate::message::Point;
use crate::transcript;

/// The info of the key derivation.
pub const KEY_LABEL: &[u8] = b"keyline/session-keys/v1";

/// The bytes that sealing adds.
pub const TAG_LENGTH: usize = 16;

/// Which end of the session this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Seals towards the unit.
    Station,
    /// Seals towards the station.
    Unit,
}

/// Why a sealed message was not made or not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionFault {
    /// The buffer is too short for the message and its tag.
    #[error("the message does not fit its buffer together with its tag")]
    TooLong,
    /// Wrong key, wrong header or changed bytes.
    #[error("the sealed message was not authentic")]
    NotAuthentic,
    /// This sequence number or a later one was already used in this direction.
    #[error("sequence number {got} came after {last} in one session")]
    SequenceReused {
        /// The last number that was used.
        last: u16,
        /// The number that was asked for.
        got: u16,
    },
}

/// One end of an open session. Its keys are wiped when it is dropped.
pub struct Session {
    seal_key: [u8; 32],
    open_key: [u8; 32],
    mac_key: [u8; 32],
    hash: Digest,
    last_sealed: Option<u16>,
    last_opened: Option<u16>,
    /// Whether the device key has signed the session hash.
    pub authenticated: bool,
}

impl Drop for Session {
    fn drop(&mut self) {
        self.seal_key.zeroize();
        self.open_key.zeroize();
        self.mac_key.zeroize();
    }
}

impl Session {
    /// One end of the session between these two ephemeral keys; `shared` is the x coordinate that ECDH gave.
    #[must_use]
    pub fn new(
        side: Side,
        version: u16,
        device_id: DeviceId,
        station: &Point,
        unit: &Point,
        shared: &[u8; 32],
    ) -> Self {
        let hash = transcript::session_hash(version, device_id, station, unit);
        let mut keys = Zeroizing::new([[0; 32]; 3]);
        let expanded =
            Hkdf::<Sha256>::new(Some(&hash), shared).expand(KEY_LABEL, keys.as_flattened_mut());
        debug_assert!(
            expanded.is_ok(),
            "96 bytes are within what HKDF gives (RFC 5869, 2.3)"
        );
        let [to_unit, to_station, mac_key] = *keys;
        let (seal_key, open_key) = match side {
            Side::Station => (to_unit, to_station),
            Side::Unit => (to_station, to_unit),
        };
        Self {
            seal_key,
            open_key,
            mac_key,
            hash,
            last_sealed: None,
            last_opened: None,
            authenticated: false,
        }
    }

    /// The hash that binds the session to both ephemeral keys and the unit.
    #[must_use]
    pub const fn hash(&self) -> &Digest {
        &self.hash
    }

    /// HMAC-SHA-256 under the session: what a chip that can't sign answers to a proof.
    #[must_use]
    pub fn mac(&self, digest: &Digest) -> [u8; 32] {
        self.hmac(digest).finalize().into_bytes().into()
    }

    /// Whether `mac` is [`Session::mac`] of `digest`, in constant time.
    #[must_use]
    pub fn verify_mac(&self, digest: &Digest, mac: &[u8; 32]) -> bool {
        self.hmac(digest).verify_slice(mac).is_ok()
    }

    fn hmac(&self, digest: &Digest) -> Hmac<Sha256> {
        // HMAC pads a short key with zeros to the hash's block (RFC 2104, 2); a whole block can't have the wrong length.
        let mut block = Zeroizing::new([0; 64]);
        block[..32].copy_from_slice(&self.mac_key);
        let mut hmac = <Hmac<Sha256> as hmac::KeyInit>::new((&*block).into());
        hmac.update(digest);
        hmac
    }

    /// Seals the first `length` bytes of `buffer` in place and gives the sealed length.
    ///
    /// # Errors
    /// [`SessionFault::TooLong`] without room for the tag, [`SessionFault::SequenceReused`] for a number that is not above the last.
    pub fn seal(
        &mut self,
        header: Header,
        buffer: &mut [u8],
        length: usize,
    ) -> Result<usize, SessionFault> {
        let sealed = length + TAG_LENGTH;
        let (message, tag_place) = buffer
            .get_mut(..sealed)
            .and_then(|bytes| bytes.split_at_mut_checked(length))
            .ok_or(SessionFault::TooLong)?;
        advance(&mut self.last_sealed, header.sequence)?;
        let tag = ChaCha20Poly1305::new(&self.seal_key.into())
            .encrypt_inout_detached(&nonce(header), &header.to_bytes(), message.into())
            .map_err(|_| SessionFault::TooLong)?;
        tag_place.copy_from_slice(&tag);
        Ok(sealed)
    }

    /// Opens a sealed payload in place and gives the message in it.
    ///
    /// # Errors
    /// [`SessionFault::NotAuthentic`], or [`SessionFault::SequenceReused`] for a frame that was opened before.
    pub fn open<'a>(
        &mut self,
        header: Header,
        payload: &'a mut [u8],
    ) -> Result<&'a mut [u8], SessionFault> {
        let (message, tag) = payload
            .split_last_chunk_mut::<TAG_LENGTH>()
            .ok_or(SessionFault::NotAuthentic)?;
        let mut last_opened = self.last_opened;
        advance(&mut last_opened, header.sequence)?;
        ChaCha20Poly1305::new(&self.open_key.into())
            .decrypt_inout_detached(
                &nonce(header),
                &header.to_bytes(),
                (&mut *message).into(),
                &Tag::from(*tag),
            )
            .map_err(|_| SessionFault::NotAuthentic)?;
        // Only an authentic frame uses its number up: a forged one must not lock the true one out.
        self.last_opened = last_opened;
        Ok(message)
    }
}

fn advance(last: &mut Option<u16>, got: u16) -> Result<(), SessionFault> {
    match *last {
        Some(last) if got <= last => Err(SessionFault::SequenceReused { last, got }),
        _ => {
            *last = Some(got);
            Ok(())
        }
    }
}

fn nonce(header: Header) -> Nonce {
    let mut nonce = [0; 12];
    nonce[10..].copy_from_slice(&header.sequence.to_be_bytes());
    nonce.into()
}
