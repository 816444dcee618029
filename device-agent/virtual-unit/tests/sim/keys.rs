//! The device key, by every algorithm and every way it can come to be.

use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature;
use keyline_protocol::identity::{Algorithm, KeyPolicy, Platform, fingerprint};
use keyline_protocol::message::{KEY_CHUNK_LENGTH_MAX, Refusal, Request};
use keyline_protocol::transcript::ClaimTranscript;
use keyline_protocol::{frame, spki};
use keyline_virtual_unit::sim::SimUnit;
use p256::SecretKey;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use p256::ecdsa::{Signature, VerifyingKey};

use crate::client::{Client, assert_no_violations, contains, flash, generate_key, point_of, unit};

/// A private key as a station makes it: its algorithm, what it sends, and the public key.
pub(crate) struct StationKey {
    pub(crate) algorithm: Algorithm,
    pub(crate) private: Vec<u8>,
    pub(crate) public: Vec<u8>,
}

impl StationKey {
    pub(crate) fn p256() -> Self {
        let secret = SecretKey::from_bytes(&[0x42; 32].into()).expect("a scalar");
        Self {
            algorithm: Algorithm::P256,
            private: secret.to_bytes().to_vec(),
            public: spki::p256(&point_of(&secret)).to_vec(),
        }
    }

    pub(crate) fn rsa(algorithm: Algorithm) -> Self {
        let size = match algorithm {
            Algorithm::Rsa3072 => KeySize::Rsa3072,
            _ => KeySize::Rsa2048,
        };
        let pair = KeyPair::generate(size).expect("a key");
        let pkcs8 =
            aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair)
                .expect("an encoding");
        // PKCS #8 puts 26 bytes before an RSA key of these sizes (RFC 5958, 2).
        let private = pkcs8.as_ref()[26..].to_vec();
        let mut public = [0; spki::LENGTH_MAX];
        let modulus = spki::rsa_modulus_of_private_key(algorithm, &private).expect("a modulus");
        let length = spki::rsa(algorithm, modulus, &mut public).expect("a public key");
        Self {
            algorithm,
            private,
            public: public[..length].to_vec(),
        }
    }

    pub(crate) fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::P256 => Self::p256(),
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => Self::rsa(algorithm),
        }
    }

    pub(crate) fn chunk(&self, offset: usize, bytes: usize) -> Request<'_> {
        Request::ImportKey {
            algorithm: self.algorithm,
            length: self.private.len() as u16,
            offset: offset as u16,
            bytes: &self.private[offset..self.private.len().min(offset + bytes)],
        }
    }

    pub(crate) fn commit(&self) -> Request<'static> {
        Request::CommitKey {
            fingerprint: fingerprint(&self.public),
        }
    }

    /// Sends the whole key in a session of its own.
    pub(crate) fn import(&self, client: &mut Client) {
        client.open_session();
        for offset in (0..self.private.len()).step_by(KEY_CHUNK_LENGTH_MAX) {
            client
                .sealed(&self.chunk(offset, KEY_CHUNK_LENGTH_MAX))
                .done();
        }
        let (algorithm, made, public) = client.sealed(&self.commit()).public_key();
        assert_eq!((algorithm, made), (self.algorithm, KeyPolicy::Station));
        assert_eq!(public, self.public);
    }
}

/// Whether `signature` over the claim of this challenge is by the key `public`.
fn verify_claim(unit: &SimUnit, algorithm: Algorithm, public: &[u8], signature: &[u8]) {
    let mut message = Vec::new();
    let digest = ClaimTranscript {
        challenge: &[8; 32],
        device_id: unit.device_id(),
        algorithm,
        public_key: public,
    }
    .write(|bytes| message.extend_from_slice(bytes));
    verify(algorithm, public, &message, &digest, signature);
}

pub(crate) fn verify(
    algorithm: Algorithm,
    public: &[u8],
    message: &[u8],
    digest: &[u8; 32],
    made: &[u8],
) {
    assert_eq!(made.len(), algorithm.signature_length());
    if algorithm == Algorithm::P256 {
        let key = VerifyingKey::from_sec1_bytes(&public[26..]).expect("a public key");
        let made = Signature::from_slice(made).expect("a signature");
        key.verify_prehash(digest, &made).expect("by this key");
    } else {
        // The library reads SPKI DER as well as what is in it.
        signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public)
            .verify(message, made)
            .expect("by this key");
    }
}

#[test]
fn a_key_made_on_the_unit_stays_the_same_and_signs() {
    for platform in Platform::ALL {
        let unit = unit(platform);
        let mut client = Client::new(&unit);
        assert_eq!(client.call(&Request::PublicKey).refusal(), Refusal::NoKey);
        let challenge = [8; 32];
        let possession = Request::ProvePossession { challenge };
        assert_eq!(client.call(&possession).refusal(), Refusal::NoKey);

        let public = client.generate_key();
        assert_eq!(client.generate_key(), public, "asking again");
        unit.power_cycle();
        client.hello();
        assert_eq!(client.generate_key(), public, "asking after a power cycle");
        assert_eq!(
            client.call(&Request::PublicKey).public_key(),
            (Algorithm::P256, KeyPolicy::OnDevice, public.clone())
        );
        assert!(contains(&flash(&unit), &public), "the SPKI stands in flash");
        let signature = client.call(&possession).signature();
        verify_claim(&unit, Algorithm::P256, &public, &signature);
        assert_no_violations(&unit);
    }
}

#[test]
fn two_units_with_the_same_samples_still_make_two_keys() {
    let key = |low| {
        let options =
            keyline_virtual_unit::sim::SimOptions::seeded(Platform::Nrf51822, (low, 0), 7);
        Client::new(&SimUnit::new(options)).generate_key()
    };
    assert_ne!(key(1), key(2), "the device id goes into the key");
}

#[test]
fn a_key_of_every_algorithm_is_received_held_and_used() {
    for algorithm in Algorithm::ALL {
        for platform in Platform::ALL {
            let unit = unit(platform);
            let mut client = Client::new(&unit);
            let identity = client.identity();
            let bit = 1 << algorithm.code();
            let (holds, signs) = (identity.holds & bit != 0, identity.signs & bit != 0);
            let rsa = algorithm != Algorithm::P256;
            assert_eq!(
                holds,
                !rsa || platform != Platform::Nrf51822,
                "{algorithm:?} {platform:?}"
            );
            assert_eq!(
                signs,
                !rsa || platform == Platform::Nrf52840,
                "{algorithm:?} {platform:?}"
            );

            let key = StationKey::of(algorithm);
            if !holds {
                client.open_session();
                let refusal = client.sealed(&key.chunk(0, 100)).refusal();
                assert_eq!(refusal, Refusal::UnsupportedAlgorithm);
                continue;
            }
            key.import(&mut client);
            let challenge = [8; 32];
            let answer = client.call(&Request::ProvePossession { challenge });
            if signs {
                verify_claim(&unit, algorithm, &key.public, &answer.signature());
            } else {
                assert_eq!(answer.refusal(), Refusal::UnsupportedAlgorithm);
            }
            let made = client.call(&generate_key()).refusal();
            assert_eq!(made, Refusal::KeyExists, "a received key is not replaced");
            assert_no_violations(&unit);
        }
    }
}

#[test]
fn only_p256_is_made_on_the_unit() {
    let mut client = Client::new(&unit(Platform::Nrf52840));
    let algorithm = Algorithm::Rsa2048;
    let station_entropy = [0; 32];
    let request = Request::GenerateKey {
        algorithm,
        station_entropy,
    };
    assert_eq!(
        client.call(&request).refusal(),
        Refusal::UnsupportedAlgorithm
    );
}

#[test]
fn a_private_key_only_comes_in_a_session() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    let key = StationKey::p256();
    assert_eq!(
        client.call(&key.chunk(0, 32)).refusal(),
        Refusal::SessionRequired
    );
    assert_eq!(
        client.call(&key.commit()).refusal(),
        Refusal::SessionRequired
    );
    client.open_session();
    assert_eq!(
        client.call(&key.chunk(0, 32)).refusal(),
        Refusal::SessionRequired
    );
    assert_eq!(unit.counts().flash_writes, 0);
}

#[test]
fn chunks_come_in_order_and_whole() {
    let unit = unit(Platform::Nrf52840);
    let mut client = Client::new(&unit);
    let key = StationKey::rsa(Algorithm::Rsa2048);
    client.open_session();
    let transfer = |expected, got| Refusal::KeyTransfer { expected, got };
    assert_eq!(client.sealed(&key.chunk(4, 100)).refusal(), transfer(0, 4));
    assert_eq!(client.sealed(&key.commit()).refusal(), transfer(0, 0));
    client.sealed(&key.chunk(0, 101)).done();
    assert_eq!(
        client.sealed(&key.chunk(100, 8)).refusal(),
        transfer(101, 100)
    );
    assert_eq!(client.sealed(&key.commit()).refusal(), transfer(101, 0));
    // A fault in the middle does not lose what came before.
    client.sealed(&key.chunk(101, 768)).done();
    assert_eq!(
        client.sealed(&key.chunk(869, 0)).refusal(),
        transfer(869, 869)
    );
    client.sealed(&key.chunk(869, 768)).done();
    assert_eq!(client.sealed(&key.commit()).public_key().2, key.public);
    // The answer may be lost: asking again is fine, announcing another key is not.
    assert_eq!(client.sealed(&key.commit()).public_key().2, key.public);
    let fingerprint = [0; 32];
    let other = client.sealed(&Request::CommitKey { fingerprint });
    assert_eq!(other.refusal(), Refusal::KeyExists);
    assert_eq!(
        client.sealed(&key.chunk(0, 8)).refusal(),
        Refusal::KeyExists
    );
    assert_no_violations(&unit);
}

#[test]
fn what_is_no_key_leaves_nothing() {
    let unit = unit(Platform::Nrf52840);
    let mut client = Client::new(&unit);
    let mut short = StationKey::p256();
    short.private.pop();
    let mut zero = StationKey::p256();
    zero.private.fill(0);
    let mut other = StationKey::p256();
    other.private[0] ^= 1;
    let mut broken = StationKey::rsa(Algorithm::Rsa2048);
    broken.private[0] = 0x31;
    let mut wrong_size = StationKey::rsa(Algorithm::Rsa2048);
    wrong_size.algorithm = Algorithm::Rsa3072;
    let mut endless = StationKey::rsa(Algorithm::Rsa3072);
    endless.private.resize(4_000, 0);

    client.open_session();
    for impossible in [short, endless] {
        assert_eq!(
            client.sealed(&impossible.chunk(0, 16)).refusal(),
            Refusal::InvalidKey
        );
    }
    for bad in [zero, other, broken, wrong_size] {
        for offset in (0..bad.private.len()).step_by(700) {
            client.sealed(&bad.chunk(offset, 700)).done();
        }
        assert_eq!(client.sealed(&bad.commit()).refusal(), Refusal::InvalidKey);
        let blank = flash(&unit).iter().all(|byte| *byte == 0xff);
        assert!(blank, "nothing of a refused key stays in flash");
    }
    StationKey::p256().import(&mut client);
    assert_no_violations(&unit);
}

#[test]
fn an_import_ends_with_its_session() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    let key = StationKey::p256();
    client.open_session();
    client.sealed(&key.chunk(0, 20)).done();
    client.open_session();
    let refusal = client.sealed(&key.chunk(20, 12)).refusal();
    assert_eq!(
        refusal,
        Refusal::KeyTransfer {
            expected: 0,
            got: 20
        }
    );
    key.import(&mut client);
}

#[test]
fn a_damaged_key_is_seen() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    client.generate_key();
    unit.with_chip(|chip| {
        let address = keyline_agent::layout::NRF51822.key;
        let mut word = [0; 4];
        keyline_agent::hal::Hal::read(chip, address + 60, &mut word);
        chip.flash.tamper(address + 60, &[word[0] ^ 1]);
    });
    let damaged = Refusal::Flash(
        keyline_protocol::message::FlashFault::Verify,
        keyline_agent::layout::NRF51822.key,
    );
    assert_eq!(client.call(&Request::PublicKey).refusal(), damaged);
    assert_eq!(
        client.call(&generate_key()).refusal(),
        damaged,
        "never silently another key"
    );
    client.call(&Request::EraseIdentity).done();
    client.generate_key();
}

#[test]
fn flash_that_does_not_take_a_bit_makes_no_key() {
    let sound = unit(Platform::Nrf51822);
    Client::new(&sound).generate_key();
    for write in 1..=sound.counts().flash_writes {
        let unit = unit(Platform::Nrf51822);
        let mut client = Client::new(&unit);
        unit.with_chip(|chip| chip.flash.fail_bit_at(write));
        let refusal = client.call(&generate_key()).refusal();
        assert!(
            matches!(refusal, Refusal::Flash(..)),
            "write {write}: {refusal:?}"
        );
        assert_eq!(client.identity().key, None, "write {write}");
        client.generate_key();
        assert_no_violations(&unit);
    }
}

#[test]
fn the_frames_limits_hold_the_longest_messages() {
    // Every longest message fits a payload, sealed.
    let chunk = [0xff; KEY_CHUNK_LENGTH_MAX];
    let mut payload = [0; frame::PAYLOAD_LENGTH_MAX - keyline_protocol::session::TAG_LENGTH];
    let request = Request::ImportKey {
        algorithm: Algorithm::Rsa3072,
        length: u16::MAX,
        offset: u16::MAX,
        bytes: &chunk,
    };
    frame::encode_message(&request, &mut payload).expect("fits");
}

#[test]
fn an_import_that_can_not_begin_ends_the_one_before() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    let key = StationKey::p256();
    client.open_session();
    client.sealed(&key.chunk(0, 20)).done();
    // The first write of the new beginning fails: the area is erased, and holds nothing to go on with.
    unit.with_chip(|chip| chip.flash.fail_bit_at(1));
    let refusal = client.sealed(&key.chunk(0, 20)).refusal();
    assert!(matches!(refusal, Refusal::Flash(..)), "{refusal:?}");
    let refusal = client.sealed(&key.chunk(20, 12)).refusal();
    let transfer = Refusal::KeyTransfer {
        expected: 0,
        got: 20,
    };
    assert_eq!(refusal, transfer);
    key.import(&mut client);
    assert_no_violations(&unit);
}
