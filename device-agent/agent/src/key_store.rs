//! The device key in flash: one page, written once.
//!
//! | offset | size | field |
//! |-|-|-|
//! | 0 | 8 | what every area begins with ([`crate::flash`]) |
//! | 8 | 4 | algorithm, how the key was made, two bytes `ff` |
//! | 12 | 4 | length of the private key, length of the public key |
//! | 16 | 32 | SHA-256 of the area's bytes from 0 to 16 and from 52 on, as far as it was written |
//! | 48 | 4 | the commit word, written last |
//! | 52 | n | the private key (P-256: the scalar; RSA: `RSAPrivateKey` DER), filled up with `ff` to a word |
//! | | m | the public key, SPKI DER, likewise |
//!
//! Without its commit word the area holds nothing: it is erased and begun anew. With it, the area never changes again, except that
//! [`crate::erasure`] erases the whole identity.

use keyline_protocol::identity::{Algorithm, Digest, KeyPolicy, fingerprint};
use keyline_protocol::message::{FlashFault, KeySummary, Refusal};
use keyline_protocol::spki;
use sha2::{Digest as _, Sha256};

use crate::flash::{self, COMMITTED, PREFIX_LENGTH, Writer};
use crate::hal::Hal;

const DIGEST: u32 = 16;
const COMMIT: u32 = 48;
const BODY: u32 = 52;

/// The longest private key in bytes: `RSAPrivateKey` DER with 3,072 bits is at most 1,795.
pub(crate) const PRIVATE_KEY_LENGTH_MAX: usize = 1_808;

/// The longest private key of an algorithm in bytes.
const fn private_length_max(algorithm: Algorithm) -> u16 {
    match algorithm {
        Algorithm::P256 => 32,
        Algorithm::Rsa2048 => 1_216,
        Algorithm::Rsa3072 => 1_808,
    }
}

/// The length of an algorithm's public key as SPKI DER.
const fn public_length(algorithm: Algorithm) -> u16 {
    match algorithm {
        Algorithm::P256 => 91,
        Algorithm::Rsa2048 => 294,
        Algorithm::Rsa3072 => 422,
    }
}

const _: () = assert!(
    private_length_max(Algorithm::Rsa3072) as usize == PRIVATE_KEY_LENGTH_MAX
        && public_length(Algorithm::P256) as usize == spki::P256_LENGTH
        && public_length(Algorithm::Rsa3072) as usize == spki::LENGTH_MAX,
    "the lengths are those of the protocol and of the buffers"
);

/// Bytes up to the next word.
fn padded(length: u16) -> u32 {
    u32::from(length).next_multiple_of(4)
}

/// A committed key whose digest was just checked. Holds nothing secret: the key itself stays in flash.
#[derive(Clone, Copy)]
pub(crate) struct StoredKey {
    /// Its algorithm.
    pub(crate) algorithm: Algorithm,
    /// How it was made.
    pub(crate) made: KeyPolicy,
    private_length: u16,
}

impl StoredKey {
    /// Reads the public key, SPKI DER, to the front of `into`; empty where that is too short.
    pub(crate) fn public<'a>(self, hal: &impl Hal, into: &'a mut [u8]) -> &'a [u8] {
        let at = hal.layout().key + BODY + padded(self.private_length);
        match into.get_mut(..usize::from(public_length(self.algorithm))) {
            Some(bytes) => {
                hal.read(at, bytes);
                bytes
            }
            None => &[],
        }
    }

    /// Reads the private key to the front of `into`; empty where that is too short. The caller wipes it.
    pub(crate) fn private<'a>(self, hal: &impl Hal, into: &'a mut [u8]) -> &'a [u8] {
        match into.get_mut(..usize::from(self.private_length)) {
            Some(bytes) => {
                hal.read(hal.layout().key + BODY, bytes);
                bytes
            }
            None => &[],
        }
    }

    /// The key in short.
    pub(crate) fn summary(self, hal: &impl Hal) -> KeySummary {
        let mut bytes = [0; spki::LENGTH_MAX];
        KeySummary {
            algorithm: self.algorithm,
            made: self.made,
            fingerprint: fingerprint(self.public(hal, &mut bytes)),
        }
    }
}

/// The committed key, if there is one.
///
/// # Errors
/// [`FlashFault::Verify`] where the area was committed and no longer reads as it was written.
pub(crate) fn find(hal: &impl Hal) -> Result<Option<StoredKey>, Refusal> {
    let area = hal.layout().key;
    if !is_committed(hal) {
        return Ok(None);
    }
    let damaged = Refusal::Flash(FlashFault::Verify, area);
    let key = header(hal, area).ok_or(damaged)?;
    let mut written = [0; 32];
    hal.read(area + DIGEST, &mut written);
    if digest(hal, area, key.algorithm, key.private_length) == written {
        Ok(Some(key))
    } else {
        Err(damaged)
    }
}

/// Whether the area's commit word is written.
fn is_committed(hal: &impl Hal) -> bool {
    flash::word(hal, hal.layout().key + COMMIT) == COMMITTED
}

/// Erases what an interrupted writing left: it may be part of a private key.
///
/// # Errors
/// [`FlashFault::Erase`].
pub(crate) fn recover(hal: &mut impl Hal) -> Result<(), Refusal> {
    if is_committed(hal) {
        Ok(())
    } else {
        erase(hal)
    }
}

/// Erases the area, whatever it holds.
///
/// # Errors
/// [`FlashFault::Erase`].
pub(crate) fn erase(hal: &mut impl Hal) -> Result<(), Refusal> {
    let layout = hal.layout();
    flash::erase(hal, layout.key, layout.page_length)
}

fn header(hal: &impl Hal, area: u32) -> Option<StoredKey> {
    let [algorithm, made, ..] = flash::word(hal, area + PREFIX_LENGTH).to_le_bytes();
    let algorithm = Algorithm::from_code(algorithm)?;
    let [low, high, public_low, public_high] =
        flash::word(hal, area + PREFIX_LENGTH + 4).to_le_bytes();
    let key = StoredKey {
        algorithm,
        made: KeyPolicy::from_code(made)?,
        private_length: u16::from_le_bytes([low, high]),
    };
    (key.private_length <= private_length_max(algorithm)
        && u16::from_le_bytes([public_low, public_high]) == public_length(algorithm))
    .then_some(key)
}

fn digest(hal: &impl Hal, area: u32, algorithm: Algorithm, private_length: u16) -> Digest {
    let mut hash = Sha256::new();
    flash::hash(hal, &mut hash, area, DIGEST);
    let body = padded(private_length) + padded(public_length(algorithm));
    flash::hash(hal, &mut hash, area + BODY, body);
    hash.finalize().into()
}

/// A key that is being written. Until [`KeyWriter::commit`] it is none.
pub(crate) struct KeyWriter {
    /// Its algorithm.
    pub(crate) algorithm: Algorithm,
    length: u16,
    received: u16,
    writer: Writer,
}

impl KeyWriter {
    /// Erases the area and begins a key whose private part is `length` bytes long.
    ///
    /// # Errors
    /// [`Refusal::KeyExists`] where a key is committed, [`Refusal::InvalidKey`] for a length that no key of the algorithm has,
    /// [`Refusal::Flash`].
    pub(crate) fn begin(
        hal: &mut impl Hal,
        algorithm: Algorithm,
        made: KeyPolicy,
        length: u16,
    ) -> Result<Self, Refusal> {
        let maximum = private_length_max(algorithm);
        if length == 0 || length > maximum || (algorithm == Algorithm::P256 && length != maximum) {
            return Err(Refusal::InvalidKey);
        }
        if find(hal)?.is_some() {
            return Err(Refusal::KeyExists);
        }
        erase(hal)?;
        let area = hal.layout().key;
        flash::write_prefix(hal, area)?;
        let kind = u32::from_le_bytes([algorithm.code(), made.code(), 0xff, 0xff]);
        flash::write_word(hal, area + PREFIX_LENGTH, kind)?;
        let lengths = u32::from(length) | u32::from(public_length(algorithm)) << 16;
        flash::write_word(hal, area + PREFIX_LENGTH + 4, lengths)?;
        Ok(Self {
            algorithm,
            length,
            received: 0,
            writer: Writer::new(area + BODY),
        })
    }

    /// The offset that the next piece has.
    pub(crate) const fn expected(&self) -> u16 {
        self.received
    }

    /// Whether this is the key that was announced.
    pub(crate) fn is_for(&self, algorithm: Algorithm, length: u16) -> bool {
        self.algorithm == algorithm && self.length == length
    }

    /// Whether the private part is whole.
    pub(crate) const fn is_whole(&self) -> bool {
        self.received == self.length
    }

    /// Writes the next piece of the private part.
    ///
    /// # Errors
    /// [`Refusal::KeyTransfer`] where it would be longer than announced, [`Refusal::Flash`].
    pub(crate) fn put(&mut self, hal: &mut impl Hal, bytes: &[u8]) -> Result<(), Refusal> {
        let too_long = Refusal::KeyTransfer {
            expected: self.received,
            got: self.length,
        };
        let received = u16::try_from(bytes.len())
            .ok()
            .and_then(|length| self.received.checked_add(length))
            .filter(|received| *received <= self.length)
            .ok_or(too_long)?;
        self.writer.put(hal, bytes)?;
        self.received = received;
        Ok(())
    }

    /// Reads the private part back from flash to the front of `into`; the caller wipes it.
    pub(crate) fn written<'a>(&self, hal: &impl Hal, into: &'a mut [u8]) -> &'a [u8] {
        match into.get_mut(..usize::from(self.length)) {
            Some(bytes) => {
                hal.read(hal.layout().key + BODY, bytes);
                bytes
            }
            None => &[],
        }
    }

    /// Ends the private part, so that [`KeyWriter::written`] has the whole of it.
    ///
    /// # Errors
    /// [`Refusal::Flash`].
    pub(crate) fn end_private(&mut self, hal: &mut impl Hal) -> Result<(), Refusal> {
        self.writer.align(hal)
    }

    /// Writes the public key, checks all that was written, and commits it. Comes after [`KeyWriter::end_private`].
    ///
    /// # Errors
    /// [`Refusal::Flash`]; [`Refusal::InvalidKey`] where `public` is not as long as the algorithm's keys are.
    pub(crate) fn commit(mut self, hal: &mut impl Hal, public: &[u8]) -> Result<(), Refusal> {
        if public.len() != usize::from(public_length(self.algorithm)) {
            return Err(Refusal::InvalidKey);
        }
        let area = hal.layout().key;
        self.writer.put(hal, public)?;
        self.writer.align(hal)?;
        // Each word was read back as it was written, so what is digested here is what was meant.
        let digest = digest(hal, area, self.algorithm, self.length);
        Writer::new(area + DIGEST).put(hal, &digest)?;
        flash::write_word(hal, area + COMMIT, COMMITTED)
    }
}
