//! The device key: made here, received, shown, and used.

use keyline_protocol::identity::{Algorithm, Digest, KeyPolicy, fingerprint};
use keyline_protocol::message::{KEY_CHUNK_LENGTH_MAX, Refusal, Response};
use keyline_protocol::spki;
use keyline_protocol::transcript::ClaimTranscript;
use zeroize::Zeroizing;

use crate::generator::Purpose;
use crate::hal::{Hal, Work};
use crate::key_store::{self, KeyWriter, PRIVATE_KEY_LENGTH_MAX, StoredKey};
use crate::p256::SecretScalar;
use crate::unit::{Channel, Unit};

impl<H: Hal> Unit<H> {
    /// The committed key.
    ///
    /// # Errors
    /// [`Refusal::NoKey`], [`Refusal::Flash`].
    pub(crate) fn key(&self) -> Result<StoredKey, Refusal> {
        key_store::find(&self.hal)?.ok_or(Refusal::NoKey)
    }

    /// Answers `PublicKey`.
    pub(crate) fn public_key<'b>(&self, bytes: &'b mut [u8]) -> Result<Response<'b>, Refusal> {
        let key = self.key()?;
        Ok(Response::PublicKey {
            algorithm: key.algorithm,
            made: key.made,
            spki: key.public(&self.hal, bytes),
        })
    }

    /// Answers `GenerateKey`. The key is committed before anybody hears of it, so asking again gives the same one.
    pub(crate) fn generate_key<'b>(
        &mut self,
        algorithm: Algorithm,
        station_entropy: &[u8; 32],
        bytes: &'b mut [u8],
    ) -> Result<Response<'b>, Refusal> {
        if algorithm != Algorithm::P256 {
            return Err(Refusal::UnsupportedAlgorithm);
        }
        match key_store::find(&self.hal)? {
            Some(key) if key.made == KeyPolicy::OnDevice && key.algorithm == algorithm => {
                return self.public_key(bytes);
            }
            Some(_) => return Err(Refusal::KeyExists),
            None => {}
        }
        self.import = None;
        self.announce_draw([Work::BasePointMultiplication, Work::ErasePage]);
        let device_id = self.device_id();
        let (scalar, secret) = self.generator.draw_scalar(
            &mut self.hal,
            Purpose::DeviceKey,
            device_id,
            station_entropy,
        )?;
        let public = spki::p256(&scalar.public());
        let mut writer = KeyWriter::begin(&mut self.hal, algorithm, KeyPolicy::OnDevice, 32)?;
        writer.put(&mut self.hal, &*secret)?;
        writer.end_private(&mut self.hal)?;
        writer.commit(&mut self.hal, &public)?;
        self.public_key(bytes)
    }

    /// Answers `ImportKey`: the chunk goes straight to the key area, where nothing counts before the commit.
    pub(crate) fn import_key(
        &mut self,
        channel: Channel,
        algorithm: Algorithm,
        length: u16,
        offset: u16,
        chunk: &[u8],
    ) -> Result<Response<'static>, Refusal> {
        if channel != Channel::Session {
            return Err(Refusal::SessionRequired);
        }
        if !self.holds(algorithm) {
            return Err(Refusal::UnsupportedAlgorithm);
        }
        if key_store::find(&self.hal)?.is_some() {
            return Err(Refusal::KeyExists);
        }
        let expected = match &self.import {
            Some(writer) if offset > 0 && writer.is_for(algorithm, length) => writer.expected(),
            _ => 0,
        };
        let ends = chunk.len().saturating_add(usize::from(offset));
        if offset != expected
            || chunk.is_empty()
            || chunk.len() > KEY_CHUNK_LENGTH_MAX
            || ends > usize::from(length)
        {
            return Err(Refusal::KeyTransfer {
                expected,
                got: offset,
            });
        }
        if offset == 0 {
            self.announce([Work::ErasePage]);
            let made = KeyPolicy::Station;
            // An earlier import has lost its area, even where this one can't begin.
            self.import = None;
            self.import = Some(KeyWriter::begin(&mut self.hal, algorithm, made, length)?);
        }
        let Some(writer) = &mut self.import else {
            return Err(Refusal::KeyTransfer {
                expected: 0,
                got: offset,
            });
        };
        if let Err(refusal) = writer.put(&mut self.hal, chunk) {
            // A word that was written can't be written again: the key must begin anew.
            self.import = None;
            return Err(refusal);
        }
        Ok(Response::Done)
    }

    /// Answers `CommitKey`.
    pub(crate) fn commit_key<'b>(
        &mut self,
        channel: Channel,
        announced: &Digest,
        bytes: &'b mut [u8],
    ) -> Result<Response<'b>, Refusal> {
        if channel != Channel::Session {
            return Err(Refusal::SessionRequired);
        }
        if let Some(key) = key_store::find(&self.hal)? {
            // The answer to an earlier commit may have been lost.
            return if key.made == KeyPolicy::Station
                && key.summary(&self.hal).fingerprint == *announced
            {
                self.public_key(bytes)
            } else {
                Err(Refusal::KeyExists)
            };
        }
        match &self.import {
            Some(writer) if writer.is_whole() => {}
            unfinished => {
                let expected = unfinished.as_ref().map_or(0, KeyWriter::expected);
                return Err(Refusal::KeyTransfer { expected, got: 0 });
            }
        }
        self.announce([Work::BasePointMultiplication]);
        if let Some(writer) = self.import.take()
            && let Err(refusal) = self.commit_import(writer, announced, bytes)
        {
            // It may be somebody's private key: nothing of it stays. Where this fails too, the next boot tries again.
            let _ = key_store::erase(&mut self.hal);
            return Err(refusal);
        }
        self.public_key(bytes)
    }

    fn commit_import(
        &mut self,
        mut writer: KeyWriter,
        announced: &Digest,
        bytes: &mut [u8],
    ) -> Result<(), Refusal> {
        writer.end_private(&mut self.hal)?;
        let public = match writer.algorithm {
            Algorithm::P256 => p256_public(&self.hal, &writer, bytes),
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => rsa_public(&self.hal, &writer, bytes),
        };
        let public = public.ok_or(Refusal::InvalidKey)?;
        if fingerprint(public) != *announced {
            return Err(Refusal::InvalidKey);
        }
        writer.commit(&mut self.hal, public)
    }

    /// Answers `ProvePossession`.
    pub(crate) fn prove_possession<'b>(
        &mut self,
        challenge: &[u8; 32],
        bytes: &'b mut [u8],
    ) -> Result<Response<'b>, Refusal> {
        let key = self.key()?;
        let transcript = ClaimTranscript {
            challenge,
            device_id: self.device_id(),
            algorithm: key.algorithm,
            public_key: key.public(&self.hal, bytes),
        };
        let digest = transcript.digest();
        let signature = self.sign(key, &digest, bytes)?;
        Ok(Response::Signature { signature })
    }

    /// Signs with the device key, to the front of `into`.
    ///
    /// # Errors
    /// [`Refusal::UnsupportedAlgorithm`] where this chip can't, [`Refusal::InvalidKey`] where the key in flash is none.
    pub(crate) fn sign<'b>(
        &mut self,
        key: StoredKey,
        digest: &Digest,
        into: &'b mut [u8],
    ) -> Result<&'b [u8], Refusal> {
        if !self.signs(key.algorithm) {
            return Err(Refusal::UnsupportedAlgorithm);
        }
        self.announce([match key.algorithm {
            Algorithm::P256 => Work::SignP256,
            Algorithm::Rsa2048 => Work::SignRsa2048,
            Algorithm::Rsa3072 => Work::SignRsa3072,
        }]);
        let signature = match key.algorithm {
            Algorithm::P256 => sign_p256(&self.hal, key, digest, into),
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => sign_rsa(&self.hal, key, digest, into),
        };
        signature.ok_or(Refusal::InvalidKey)
    }
}

fn sign_p256<'b>(
    hal: &impl Hal,
    key: StoredKey,
    digest: &Digest,
    into: &'b mut [u8],
) -> Option<&'b [u8]> {
    let mut secret = Zeroizing::new([0; 32]);
    key.private(hal, &mut *secret);
    let signature = SecretScalar::from_bytes(&secret)?.sign(digest)?;
    let place = into.get_mut(..signature.len())?;
    place.copy_from_slice(&signature);
    Some(place)
}

/// Kept out of line: its buffer would lie on the stack of every signature.
#[cfg(feature = "rsa")]
#[inline(never)]
fn sign_rsa<'b>(
    hal: &impl Hal,
    key: StoredKey,
    digest: &Digest,
    into: &'b mut [u8],
) -> Option<&'b [u8]> {
    let mut der = Zeroizing::new([0; PRIVATE_KEY_LENGTH_MAX]);
    crate::rsa::sign(key.private(hal, &mut *der), digest, into)
}

/// An agent without RSA never comes here: it says so before.
#[cfg(not(feature = "rsa"))]
fn sign_rsa<'b>(_: &impl Hal, _: StoredKey, _: &Digest, _: &'b mut [u8]) -> Option<&'b [u8]> {
    None
}

/// The public key, SPKI DER, of the P-256 key that is being imported; `None` where it is none.
fn p256_public<'b>(hal: &impl Hal, writer: &KeyWriter, into: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut secret = Zeroizing::new([0; 32]);
    writer.written(hal, &mut *secret);
    let public = spki::p256(&SecretScalar::from_bytes(&secret)?.public());
    let place = into.get_mut(..public.len())?;
    place.copy_from_slice(&public);
    Some(place)
}

/// The public key, SPKI DER, of the RSA key that is being imported; `None` where it is none.
///
/// Kept out of line, as its buffer would lie on the stack of every import.
#[inline(never)]
fn rsa_public<'b>(hal: &impl Hal, writer: &KeyWriter, into: &'b mut [u8]) -> Option<&'b [u8]> {
    let mut der = Zeroizing::new([0; PRIVATE_KEY_LENGTH_MAX]);
    let der = writer.written(hal, &mut *der);
    let modulus = spki::rsa_modulus_of_private_key(writer.algorithm, der)?;
    let length = spki::rsa(writer.algorithm, modulus, into)?;
    into.get(..length)
}
