//! Sealed and locked units, the authority, and agents older than what flash holds.

use keyline_agent::AGENT_VERSION;
use keyline_agent::layout::NRF51822;
use keyline_protocol::identity::{Algorithm, LockPolicy, Platform};
use keyline_protocol::message::{AuthorisedCommand, Refusal, Request, Response};
use keyline_protocol::record::RecordContent;
use keyline_protocol::transcript::AuthorityTranscript;
use keyline_virtual_unit::sim::{ProtectionFault, SimError, SimUnit};
use p256::SecretKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};

use crate::client::{
    Client, assert_no_violations, content, flash, generate_key, point_of, prove, unit,
};
use crate::keys::StationKey;

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes(&[byte; 32].into()).expect("a scalar")
}

fn record(cloud_key: &[u8]) -> RecordContent<'_> {
    RecordContent {
        authority: Some(point_of(&key(0x33))),
        ..content(cloud_key)
    }
}

/// A unit that is sealed under a record.
fn sealed(content: RecordContent<'_>) -> (SimUnit, Client) {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    assert_eq!(client.call(&Request::Seal).refusal(), Refusal::NoKey);
    client.generate_key();
    assert_eq!(client.call(&Request::Seal).refusal(), Refusal::NoRecord);
    client.call(&Request::Inject { content }).injected();
    client.call(&Request::Seal).done();
    (unit, client)
}

fn nonce(client: &mut Client) -> [u8; 32] {
    match client.call(&Request::AuthorityNonce).response() {
        Response::AuthorityNonce { nonce } => nonce,
        other => panic!("expected a nonce, got {other:?}"),
    }
}

fn sign(client: &Client, nonce: &[u8; 32], command: AuthorisedCommand, by: u8) -> Vec<u8> {
    let device_id = client.unit.device_id();
    let digest = AuthorityTranscript {
        device_id,
        nonce,
        command,
    }
    .digest();
    let signature: Signature = SigningKey::from(key(by))
        .sign_prehash(&digest)
        .expect("a signature");
    signature.to_bytes().to_vec()
}

fn authorise(client: &mut Client, command: AuthorisedCommand) {
    let nonce = nonce(client);
    let signature = sign(client, &nonce, command, 0x33);
    let signature = &signature;
    client
        .call(&Request::Authorise { command, signature })
        .done();
}

#[test]
fn a_sealed_unit_answers_only_what_it_may() {
    let (unit, mut client) = sealed(record(&[0xc1; 91]));
    let station_key = StationKey::p256();
    let second = Request::Inject {
        content: record(&[0xc2; 91]),
    };
    let challenge = [0; 32];
    let before = flash(&unit);
    for round in 0..2 {
        for request in [
            Request::PublicKey,
            generate_key(),
            Request::ProvePossession { challenge },
            second,
            Request::Seal,
            Request::Lock,
            Request::EraseIdentity,
        ] {
            assert_eq!(
                client.call(&request).refusal(),
                Refusal::Sealed,
                "round {round}"
            );
        }
        client.open_authenticated_session();
        for request in [station_key.chunk(0, 32), station_key.commit(), second] {
            assert_eq!(
                client.sealed(&request).refusal(),
                Refusal::Sealed,
                "round {round}"
            );
        }
        assert!(client.identity().sealed);
        assert!(matches!(
            client.call(&prove()).response(),
            Response::Proof { .. }
        ));
        // The seal is in flash, not in RAM.
        client.call(&Request::Reset).done();
        client.hello();
    }
    assert_eq!(flash(&unit), before);
    assert!(!unit.with_chip(|chip| chip.is_protected()));
}

#[test]
fn the_authority_permits_one_command_once() {
    let (unit, mut client) = sealed(record(&[0xc1; 91]));
    authorise(&mut client, AuthorisedCommand::Inject);
    assert_eq!(
        client.call(&Request::EraseIdentity).refusal(),
        Refusal::Sealed,
        "another command"
    );
    let bad = Request::Inject {
        content: record(&[]),
    };
    assert!(matches!(
        client.call(&bad).refusal(),
        Refusal::InvalidRecord(_)
    ));
    let second = Request::Inject {
        content: record(&[0xc2; 91]),
    };
    let summary = client.call(&second).injected();
    assert_eq!(client.identity().record, Some(summary));
    assert!(client.identity().sealed, "the seal stays");
    assert_eq!(client.call(&second).refusal(), Refusal::Sealed, "once");

    authorise(&mut client, AuthorisedCommand::Inject);
    client.call(&Request::Reset).done();
    client.hello();
    assert_eq!(
        client.call(&second).refusal(),
        Refusal::Sealed,
        "until the next reset"
    );

    authorise(&mut client, AuthorisedCommand::EraseIdentity);
    client.call(&Request::EraseIdentity).done();
    let identity = client.identity();
    assert_eq!(
        (identity.key, identity.record, identity.sealed),
        (None, None, false)
    );
    assert!(flash(&unit).iter().all(|byte| *byte == 0xff));
    assert_no_violations(&unit);
}

#[test]
fn only_the_authoritys_signature_for_this_unit_nonce_and_command_counts() {
    let (_, mut client) = sealed(record(&[0xc1; 91]));
    let inject = AuthorisedCommand::Inject;
    let refused = |client: &mut Client, command, signature: &[u8]| {
        let refusal = client
            .call(&Request::Authorise { command, signature })
            .refusal();
        assert_eq!(refusal, Refusal::NotAuthorised);
        let request = Request::Inject {
            content: record(&[0xc2; 91]),
        };
        assert_eq!(client.call(&request).refusal(), Refusal::Sealed);
    };
    let signature = sign(&client, &[0; 32], inject, 0x33);
    refused(&mut client, inject, &signature);
    let fresh = nonce(&mut client);
    let signature = sign(&client, &fresh, inject, 0x34);
    refused(&mut client, inject, &signature);
    let fresh = nonce(&mut client);
    let signature = sign(&client, &fresh, AuthorisedCommand::Lock, 0x33);
    refused(&mut client, inject, &signature);
    for bad in [&[][..], &[0; 64], &[0xff; 64], &[1; 63], &[1; 65]] {
        nonce(&mut client);
        refused(&mut client, inject, bad);
    }
    // A nonce is used up by one attempt, good or bad.
    let fresh = nonce(&mut client);
    refused(&mut client, inject, &[1; 64]);
    let signature = sign(&client, &fresh, inject, 0x33);
    refused(&mut client, inject, &signature);
}

#[test]
fn a_record_without_an_authority_obeys_nobody() {
    let (_, mut client) = sealed(content(&[0xc1; 91]));
    let command = AuthorisedCommand::Inject;
    let fresh = nonce(&mut client);
    let signature = &sign(&client, &fresh, command, 0x33);
    let refusal = client
        .call(&Request::Authorise { command, signature })
        .refusal();
    assert_eq!(refusal, Refusal::NotAuthorised);
}

#[test]
fn protection_closes_the_probe_and_leaves_the_agent() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    client.call(&Request::Lock).done();
    assert!(client.identity().protected);
    assert!(unit.probe_chip().is_ok(), "it holds from the next reset");
    unit.reset().expect("a cable");
    assert_eq!(unit.probe_chip(), Err(SimError::Protected));
    assert_eq!(unit.probe_image(), Err(SimError::Protected));
    assert_eq!(
        unit.probe_flash(NRF51822.key, &mut [0; 4]),
        Err(SimError::Protected)
    );
    client.hello();
    assert!(client.identity().protected);
}

#[test]
fn protection_that_fails_is_seen() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    unit.with_chip(|chip| chip.options.protection = ProtectionFault::DoesNotTake);
    assert_eq!(
        client.call(&Request::Lock).refusal(),
        Refusal::ProtectionFailed
    );
    unit.with_chip(|chip| chip.options.protection = ProtectionFault::DoesNotHold);
    client.call(&Request::Lock).done();
    unit.power_cycle();
    assert!(unit.probe_chip().is_ok(), "the probe still gets in");
}

#[test]
fn a_sealed_unit_locks_where_its_record_says_so_and_not_otherwise() {
    let lock_policy = LockPolicy::ReadBack;
    let (_, mut client) = sealed(RecordContent {
        lock_policy,
        ..record(&[0xc1; 91])
    });
    client.call(&Request::Lock).done();
    let (_, mut client) = sealed(record(&[0xc1; 91]));
    assert_eq!(client.call(&Request::Lock).refusal(), Refusal::Sealed);
    authorise(&mut client, AuthorisedCommand::Lock);
    client.call(&Request::Lock).done();
}

#[test]
fn an_older_agent_leaves_a_newer_ones_flash_alone() {
    let written = AGENT_VERSION + 1;
    let newer = Refusal::OlderAgent {
        written,
        running: AGENT_VERSION,
    };
    let version = (written | !written << 16).to_le_bytes();
    for area in [
        NRF51822.key,
        NRF51822.seal,
        NRF51822.records[0],
        NRF51822.records[1],
    ] {
        let unit = unit(Platform::Nrf51822);
        let mut client = Client::new(&unit);
        client.generate_key();
        client
            .call(&Request::Inject {
                content: content(&[0xc1; 91]),
            })
            .injected();
        unit.with_chip(|chip| {
            chip.flash.tamper(area, b"KLNE");
            chip.flash.tamper(area + 4, &version);
        });
        let before = flash(&unit);
        unit.power_cycle();
        client.hello();
        let station = point_of(&key(1));
        for request in [
            Request::Identify,
            Request::PublicKey,
            Request::OpenSession { station },
            generate_key(),
            Request::Inject {
                content: content(&[0xc2; 91]),
            },
            prove(),
            Request::Seal,
            Request::Lock,
            Request::EraseIdentity,
        ] {
            assert_eq!(client.call(&request).refusal(), newer);
        }
        client.call(&Request::Reset).done();
        assert_eq!(flash(&unit), before);
    }
}

#[test]
fn an_erased_identity_can_be_made_anew() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    let first = client.generate_key();
    client
        .call(&Request::Inject {
            content: content(&[0xc1; 91]),
        })
        .injected();
    client.call(&Request::EraseIdentity).done();
    assert_eq!(client.identity().key, None);
    assert_ne!(client.generate_key(), first);
    assert_eq!(
        client.call(&Request::PublicKey).public_key().0,
        Algorithm::P256
    );
    assert_no_violations(&unit);
}
