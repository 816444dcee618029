//! The power is cut in the middle of every single flash operation, and again in the middle of every operation of the boot that follows.

use keyline_agent::hal::Hal;
use keyline_protocol::identity::{KeyPolicy, Platform, fingerprint};
use keyline_protocol::message::{AuthorisedCommand, Identity, Request, Response};
use keyline_protocol::record::RecordContent;
use keyline_protocol::transcript::AuthorityTranscript;
use keyline_virtual_unit::sim::{SimOptions, SimUnit};
use p256::SecretKey;
use p256::ecdsa::signature::hazmat::PrehashSigner;
use p256::ecdsa::{Signature, SigningKey};

use crate::client::{
    CHIP_ID, Client, assert_no_violations, contains, content, flash, generate_key, point_of, unit,
};

const OLD_SECRET: &[u8] = b"the old network password";
const NEW_SECRET: &[u8] = b"another network password";

/// Does `act` to copies of `start`, cutting the power in each flash operation in turn, until one copy gets through.
///
/// After each cut it boots, also with the power cut in each operation of the boot, and hands what booted to `check`.
fn cut_everywhere(start: &SimUnit, act: impl Fn(&SimUnit), check: impl Fn(&SimUnit, &str)) {
    for first in 1.. {
        let unit = copy(start, first);
        unit.with_chip(|chip| chip.flash.cut_power_at(first));
        act(&unit);
        if unit.is_powered() {
            assert!(first > 2, "the act does write to flash");
            return;
        }
        for second in 1.. {
            let again = copy(&unit, first << 16 | second);
            // The copy booted whole; what is wanted is one whose boot is cut.
            again.power_off();
            again.with_chip(|chip| {
                let bytes = unit.with_chip(|cut| cut.flash.bytes().to_vec());
                chip.flash.tamper(chip.layout().start(), &bytes);
                chip.flash.cut_power_at(second);
            });
            again.power_on();
            let whole = again.is_powered();
            again.with_chip(|chip| chip.flash.cancel_power_cut());
            again.power_cycle();
            check(&again, &format!("cut at {first}, boot cut at {second}"));
            assert_no_violations(&again);
            if whole {
                break;
            }
        }
    }
}

/// A unit with the same flash, whose cuts leave other bits.
fn copy(unit: &SimUnit, seed: u64) -> SimUnit {
    SimUnit::with_flash_of(unit, SimOptions::seeded(Platform::Nrf51822, CHIP_ID, seed))
}

fn authority() -> SecretKey {
    SecretKey::from_bytes(&[0x33; 32].into()).expect("a scalar")
}

fn with_secret<'a>(cloud_key: &'a [u8], secret: &'a [u8]) -> RecordContent<'a> {
    RecordContent {
        credentials: Some(secret),
        authority: Some(point_of(&authority())),
        ..content(cloud_key)
    }
}

/// Injects in a signed session; whether an answer came.
fn inject(unit: &SimUnit, content: &RecordContent<'_>) -> bool {
    let mut client = Client::new(unit);
    client.open_authenticated_session();
    let answer = client.try_sealed(&Request::Inject { content: *content });
    answer.is_some_and(|answer| {
        answer.injected();
        true
    })
}

fn keyed() -> SimUnit {
    let unit = unit(Platform::Nrf51822);
    Client::new(&unit).generate_key();
    unit
}

/// Everything outside the area of the record that counts, and the key's and the seal's, is erased.
fn assert_other_areas_blank(unit: &SimUnit, name: &str) {
    let bytes = flash(unit);
    unit.with_chip(|chip| {
        let layout = chip.layout();
        let written = layout.records.iter().filter(|area| {
            let at = (**area - layout.start()) as usize;
            let length = (layout.record_pages * layout.page_length) as usize;
            bytes[at..at + length].iter().any(|byte| *byte != 0xff)
        });
        assert!(written.count() <= 1, "{name}: two areas hold something");
    });
}

#[test]
fn a_first_injection_leaves_nothing_or_the_record() {
    let new = with_secret(&[0xc1; 91], NEW_SECRET);
    cut_everywhere(
        &keyed(),
        |unit| {
            inject(unit, &new);
        },
        |unit, name| {
            let record = Client::new(unit).identity().record;
            assert_eq!(
                record.is_some(),
                contains(&flash(unit), NEW_SECRET),
                "{name}: the secret is there with its record, and only with it"
            );
            assert_other_areas_blank(unit, name);
            assert!(inject(unit, &new), "{name}: the next run completes");
            assert_other_areas_blank(unit, name);
        },
    );
}

#[test]
fn an_injection_over_another_leaves_the_old_record_or_the_new() {
    let start = keyed();
    assert!(inject(&start, &with_secret(&[0xc0; 550], OLD_SECRET)));
    let old = Client::new(&start).identity().record.expect("a record");
    let new = with_secret(&[0xc1; 91], NEW_SECRET);
    cut_everywhere(
        &start,
        |unit| {
            inject(unit, &new);
        },
        |unit, name| {
            let record = Client::new(unit).identity().record;
            let record = record.unwrap_or_else(|| panic!("{name}: neither the old nor the new"));
            let (stays, goes) = if record == old {
                (OLD_SECRET, NEW_SECRET)
            } else {
                assert_eq!(record.sequence, old.sequence + 1, "{name}");
                (NEW_SECRET, OLD_SECRET)
            };
            assert!(contains(&flash(unit), stays), "{name}");
            assert!(!contains(&flash(unit), goes), "{name}");
            assert_other_areas_blank(unit, name);

            assert!(inject(unit, &new), "{name}: the next run completes");
            assert!(contains(&flash(unit), NEW_SECRET), "{name}");
            assert!(!contains(&flash(unit), OLD_SECRET), "{name}");
            assert_other_areas_blank(unit, name);
        },
    );
}

#[test]
fn a_key_is_made_whole_or_not_at_all() {
    cut_everywhere(
        &unit(Platform::Nrf51822),
        |unit| {
            Client::new(unit).try_call(&generate_key());
        },
        |unit, name| {
            let mut client = Client::new(unit);
            let before = client.identity().key;
            if before.is_none() {
                let blank = flash(unit).iter().all(|byte| *byte == 0xff);
                assert!(blank, "{name}: half a key is left");
            }
            let spki = client.generate_key();
            if let Some(before) = before {
                assert_eq!(
                    fingerprint(&spki),
                    before.fingerprint,
                    "{name}: another key"
                );
            }
        },
    );
}

#[test]
fn a_key_is_imported_whole_or_not_at_all() {
    let secret = SecretKey::from_bytes(&[0x42; 32].into()).expect("a scalar");
    let spki = keyline_protocol::spki::p256(&point_of(&secret));
    let import = |unit: &SimUnit| {
        let mut client = Client::new(unit);
        client.open_session();
        let bytes = secret.to_bytes();
        let chunks = [(0, &bytes[..13]), (13, &bytes[13..])];
        for (offset, bytes) in chunks {
            client.try_sealed(&Request::ImportKey {
                algorithm: keyline_protocol::identity::Algorithm::P256,
                length: 32,
                offset,
                bytes,
            })?;
        }
        let fingerprint = fingerprint(&spki);
        Some(
            client
                .try_sealed(&Request::CommitKey { fingerprint })?
                .public_key(),
        )
    };
    cut_everywhere(
        &unit(Platform::Nrf51822),
        |unit| {
            import(unit);
        },
        |unit, name| {
            let key = Client::new(unit).identity().key;
            assert_eq!(
                key.is_some(),
                contains(&flash(unit), &secret.to_bytes()),
                "{name}: the key is there with its commit, and only with it"
            );
            match key {
                Some(key) => assert_eq!(key.made, KeyPolicy::Station, "{name}"),
                None => assert!(import(unit).is_some(), "{name}: the next run completes"),
            }
        },
    );
}

fn state(identity: &Identity) -> (bool, bool, bool) {
    let Identity {
        key,
        record,
        sealed,
        ..
    } = identity;
    (key.is_some(), record.is_some(), *sealed)
}

#[test]
fn a_unit_is_sealed_or_not_and_keeps_its_identity() {
    let start = keyed();
    assert!(inject(&start, &with_secret(&[0xc0; 91], OLD_SECRET)));
    let before = Client::new(&start).identity();
    cut_everywhere(
        &start,
        |unit| {
            Client::new(unit).try_call(&Request::Seal);
        },
        |unit, name| {
            let mut client = Client::new(unit);
            let after = client.identity();
            assert_eq!(
                (after.key, after.record),
                (before.key, before.record),
                "{name}"
            );
            if !after.sealed {
                client.call(&Request::Seal).done();
                assert!(client.identity().sealed, "{name}: the next run completes");
            }
        },
    );
}

#[test]
fn an_identity_is_erased_whole_or_not_at_all() {
    let start = keyed();
    assert!(inject(&start, &with_secret(&[0xc0; 91], OLD_SECRET)));
    Client::new(&start).call(&Request::Seal).done();
    let erase = |unit: &SimUnit| {
        let mut client = Client::new(unit);
        let answer = client.call(&Request::AuthorityNonce);
        let Response::AuthorityNonce { nonce } = answer.response() else {
            panic!("expected a nonce, got {answer:?}");
        };
        let command = AuthorisedCommand::EraseIdentity;
        let digest = AuthorityTranscript {
            device_id: unit.device_id(),
            nonce: &nonce,
            command,
        }
        .digest();
        let key = SigningKey::from(authority());
        let signature: Signature = key.sign_prehash(&digest).expect("a signature");
        let signature = &signature.to_bytes()[..];
        client
            .call(&Request::Authorise { command, signature })
            .done();
        client.try_call(&Request::EraseIdentity).is_some()
    };
    cut_everywhere(
        &start,
        |unit| {
            erase(unit);
        },
        |unit, name| {
            match state(&Client::new(unit).identity()) {
                (true, true, true) => assert!(erase(unit), "{name}: the next run completes"),
                (false, false, false) => {}
                other => panic!("{name}: key, record, seal = {other:?}"),
            }
            assert_eq!(state(&Client::new(unit).identity()), (false, false, false));
            let blank = flash(unit).iter().all(|byte| *byte == 0xff);
            assert!(blank, "{name}: something is left");
        },
    );
}
