//! The proof: everything in it, by every algorithm, cold from flash.

use keyline_protocol::frame::{Header, Kind};
use keyline_protocol::identity::{Algorithm, KeyPolicy, Platform, fingerprint};
use keyline_protocol::message::{Authenticator, Refusal, Request, Response};
use keyline_protocol::record::RecordContent;
use keyline_protocol::transcript::ProofTranscript;
use keyline_protocol::version;
use keyline_virtual_unit::sim::{AGENT_IMAGE, SimUnit, image_digest};

use crate::client::{Answer, Client, content, flash, prove, unit};
use crate::keys::{StationKey, verify};

/// Checks a proof against what the station knows; gives the kind of its authenticator.
fn check(
    client: &Client,
    answer: &Answer,
    key: &StationKey,
    made: KeyPolicy,
    content: &RecordContent<'_>,
) -> bool {
    let Response::Proof {
        record,
        agent_digest,
        authenticator,
    } = answer.response()
    else {
        panic!("expected a proof, got {answer:?}");
    };
    assert_eq!(agent_digest, image_digest(AGENT_IMAGE));
    let mut message = Vec::new();
    let digest = ProofTranscript {
        version: version::CURRENT,
        algorithm: key.algorithm,
        made,
        key_policy: content.key_policy,
        nonce: &[1; 32],
        device_id: client.unit.device_id(),
        platform: client.unit.with_chip(|chip| chip.options.platform),
        product: &content.product,
        order: &[3; 16],
        run: &[4; 16],
        public_key: &key.public,
        cloud_key_fingerprint: &fingerprint(content.cloud_key),
        cloud_address: content.cloud_address,
        record_sequence: record.sequence,
        record_digest: &record.digest,
        agent_digest: &agent_digest,
        lock_policy: content.lock_policy,
        session_hash: client
            .session
            .as_ref()
            .map(keyline_protocol::session::Session::hash),
        station: &[2; 16],
    }
    .write(|bytes| message.extend_from_slice(bytes));
    match authenticator {
        Authenticator::Signature(signature) => {
            verify(key.algorithm, &key.public, &message, &digest, signature);
            true
        }
        Authenticator::Mac(mac) => {
            let session = client.session.as_ref().expect("an open session");
            assert!(session.verify_mac(&digest, &mac));
            false
        }
    }
}

#[test]
fn every_algorithm_proves_as_far_as_the_chip_can() {
    for (platform, algorithm, signed) in [
        (Platform::Nrf51822, Algorithm::P256, true),
        (Platform::Nrf52832, Algorithm::P256, true),
        (Platform::Nrf52840, Algorithm::Rsa2048, true),
        (Platform::Nrf52840, Algorithm::Rsa3072, true),
        (Platform::Nrf52832, Algorithm::Rsa2048, false),
        (Platform::Nrf52832, Algorithm::Rsa3072, false),
    ] {
        let unit = unit(platform);
        let mut client = Client::new(&unit);
        let key = StationKey::of(algorithm);
        key.import(&mut client);
        assert_eq!(client.sealed(&prove()).refusal(), Refusal::NoRecord);
        let content = RecordContent {
            key_policy: KeyPolicy::Station,
            ..content(&[0xc1; 294])
        };
        client.call(&Request::Inject { content }).injected();
        unit.reset().expect("a cable");
        client.hello();
        let made = KeyPolicy::Station;
        let answer = client.call(&prove());
        if signed {
            assert!(check(&client, &answer, &key, made, &content));
        } else {
            assert_eq!(answer.refusal(), Refusal::SessionRequired);
        }
        client.open_session();
        let answer = client.sealed(&prove());
        assert_eq!(
            check(&client, &answer, &key, made, &content),
            signed,
            "{algorithm:?}"
        );
        if !signed {
            let refusal = client.sealed(&Request::AuthenticateSession).refusal();
            assert_eq!(refusal, Refusal::UnsupportedAlgorithm);
        }
    }
}

#[test]
fn a_proof_shows_what_flash_holds_and_not_what_was_once_sent() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    assert_eq!(client.call(&prove()).refusal(), Refusal::NoKey);
    let public = client.generate_key();
    assert_eq!(client.call(&prove()).refusal(), Refusal::NoRecord);
    let key = StationKey {
        algorithm: Algorithm::P256,
        private: Vec::new(),
        public,
    };
    let content = content(&[0xc1; 91]);
    client.call(&Request::Inject { content }).injected();
    let answer = client.call(&prove());
    assert!(check(&client, &answer, &key, KeyPolicy::OnDevice, &content));

    // The same conversation, the flash changed behind the agent's back: it has nothing cached.
    let address = keyline_agent::layout::NRF51822.records[0];
    unit.with_chip(|chip| chip.flash.tamper(address + 172, &[0]));
    assert_eq!(client.call(&prove()).refusal(), Refusal::NoRecord);
}

#[test]
fn identity_and_proof_change_nothing() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    client.generate_key();
    client
        .call(&Request::Inject {
            content: content(&[0xc1; 91]),
        })
        .injected();
    let before = (flash(&unit), unit.counts().flash_writes);
    client.identity();
    client.call(&prove());
    client.call(&Request::PublicKey);
    unit.power_cycle();
    client.hello();
    assert_eq!((flash(&unit), unit.counts().flash_writes), before);
}

#[test]
fn slow_work_is_announced() {
    let unit: SimUnit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    let frame = client.frame(&crate::client::generate_key());
    let answers = client.exchange(&frame);
    let kinds: Vec<_> = answers.iter().map(|(header, _)| header.kind).collect();
    assert_eq!(kinds, [Kind::Busy, Kind::Response]);
    let (header, payload) = &answers[0];
    assert_eq!(
        *header,
        Header {
            kind: Kind::Busy,
            sequence: client.sequence
        }
    );
    let duration_ms = u32::from_le_bytes(payload[..].try_into().expect("four bytes"));
    assert!(duration_ms > 1_000, "{duration_ms}");
}
