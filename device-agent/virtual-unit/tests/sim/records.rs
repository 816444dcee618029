//! The identity record: what it takes, what stands in flash, what is refused.

use keyline_agent::layout::NRF51822;
use keyline_protocol::identity::{KeyPolicy, LockPolicy, Platform};
use keyline_protocol::message::{Point, RecordFault, Refusal, Request};
use keyline_protocol::record::{
    self, CLOUD_ADDRESS_LENGTH_MAX, CLOUD_KEY_LENGTH_MAX, CREDENTIALS_LENGTH_MAX, RecordContent,
};
use keyline_virtual_unit::sim::{SimOptions, SimUnit};

use crate::client::{CHIP_ID, Client, assert_no_violations, contains, content, flash, unit};
use crate::keys::StationKey;

#[test]
fn a_record_stands_in_flash_as_it_was_sent() {
    for platform in Platform::ALL {
        let unit = unit(platform);
        let mut client = Client::new(&unit);
        client.generate_key();
        assert_eq!(client.identity().record, None);
        let cloud_key = [0xc1; 91];
        let content = content(&cloud_key);
        for sequence in 1..5 {
            let summary = client.call(&Request::Inject { content }).injected();
            assert_eq!(summary.sequence, sequence);
            assert_eq!(summary.digest, record::digest(&content, sequence, &[0; 32]));
            assert_eq!(summary.credentials_commitment, [0; 32]);
            assert_eq!(client.identity().record, Some(summary));
            unit.power_cycle();
            client.hello();
            assert_eq!(client.identity().record, Some(summary));
        }
        let bytes = flash(&unit);
        assert!(contains(&bytes, &cloud_key));
        assert!(contains(&bytes, content.cloud_address.as_bytes()));
        assert_no_violations(&unit);
    }
}

#[test]
fn the_longest_record_fits() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    client.generate_key();
    client.open_authenticated_session();
    let address = "a".repeat(CLOUD_ADDRESS_LENGTH_MAX);
    let authority = crate::client::point_of(
        &p256::SecretKey::from_bytes(&[0x33; 32].into()).expect("a scalar"),
    );
    let content = RecordContent {
        cloud_address: &address,
        authority: Some(authority),
        credentials: Some(&[0x77; CREDENTIALS_LENGTH_MAX]),
        ..content(&[0xc1; CLOUD_KEY_LENGTH_MAX])
    };
    for _ in 0..2 {
        let summary = client.sealed(&Request::Inject { content }).injected();
        assert_eq!(client.identity().record, Some(summary));
    }
    assert_no_violations(&unit);
}

#[test]
fn what_is_out_of_limits_or_contradicts_the_key_changes_nothing() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    let key = [0xc1; CLOUD_KEY_LENGTH_MAX + 1];
    let sound = content(&key[..91]);
    assert_eq!(
        client.call(&Request::Inject { content: sound }).refusal(),
        Refusal::NoKey
    );
    client.generate_key();
    client.open_authenticated_session();
    let address = "a".repeat(CLOUD_ADDRESS_LENGTH_MAX + 1);
    let credentials = [1; CREDENTIALS_LENGTH_MAX + 1];
    let nowhere = Point {
        x: [1; 32],
        y: [1; 32],
    };
    let before = flash(&unit);
    for (fault, content) in [
        (
            RecordFault::CloudKey,
            RecordContent {
                cloud_key: &[],
                ..sound
            },
        ),
        (
            RecordFault::CloudKey,
            RecordContent {
                cloud_key: &key,
                ..sound
            },
        ),
        (
            RecordFault::CloudAddress,
            RecordContent {
                cloud_address: "",
                ..sound
            },
        ),
        (
            RecordFault::CloudAddress,
            RecordContent {
                cloud_address: &address,
                ..sound
            },
        ),
        (
            RecordFault::Credentials,
            RecordContent {
                credentials: Some(&[]),
                ..sound
            },
        ),
        (
            RecordFault::Credentials,
            RecordContent {
                credentials: Some(&credentials),
                ..sound
            },
        ),
        (
            RecordFault::Authority,
            RecordContent {
                authority: Some(nowhere),
                ..sound
            },
        ),
        (
            RecordFault::KeyPolicy,
            RecordContent {
                key_policy: KeyPolicy::Station,
                ..sound
            },
        ),
    ] {
        let refusal = client.sealed(&Request::Inject { content }).refusal();
        assert_eq!(refusal, Refusal::InvalidRecord(fault));
    }
    assert_eq!(flash(&unit), before);
}

#[test]
fn a_policy_accepts_the_keys_that_it_names() {
    for policy in KeyPolicy::ALL {
        for made in [KeyPolicy::OnDevice, KeyPolicy::Station] {
            let mut client = Client::new(&unit(Platform::Nrf51822));
            match made {
                KeyPolicy::Station => StationKey::p256().import(&mut client),
                _ => drop(client.generate_key()),
            }
            let content = RecordContent {
                key_policy: policy,
                ..content(&[0xc1; 91])
            };
            let answer = client.call(&Request::Inject { content });
            if policy == KeyPolicy::Existing || policy == made {
                answer.injected();
            } else {
                assert_eq!(
                    answer.refusal(),
                    Refusal::InvalidRecord(RecordFault::KeyPolicy)
                );
            }
        }
    }
}

#[test]
fn credentials_come_only_in_a_session_that_the_key_has_signed() {
    let secret = b"the network password";
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    client.generate_key();
    let content = RecordContent {
        credentials: Some(secret),
        ..content(&[0xc1; 91])
    };
    let inject = Request::Inject { content };
    assert_eq!(client.call(&inject).refusal(), Refusal::SessionRequired);
    client.open_session();
    assert_eq!(client.call(&inject).refusal(), Refusal::SessionRequired);
    assert_eq!(
        client.sealed(&inject).refusal(),
        Refusal::AuthenticationRequired
    );
    assert_eq!(
        client.call(&Request::AuthenticateSession).refusal(),
        Refusal::SessionRequired
    );
    assert!(!contains(&flash(&unit), secret));

    client.sealed(&Request::AuthenticateSession).signature();
    assert_eq!(
        client.call(&inject).refusal(),
        Refusal::SessionRequired,
        "not in the clear"
    );
    let first = client.sealed(&inject).injected();
    assert!(contains(&flash(&unit), secret));
    assert_ne!(first.credentials_commitment, [0; 32]);
    let second = client.sealed(&inject).injected();
    assert_ne!(
        first.credentials_commitment, second.credentials_commitment,
        "a fresh salt each time: equal passwords don't show"
    );
    let digest = record::digest(&content, second.sequence, &second.credentials_commitment);
    assert_eq!(second.digest, digest);

    let plain = RecordContent {
        credentials: None,
        ..content
    };
    client.call(&Request::Inject { content: plain }).injected();
    assert!(!contains(&flash(&unit), secret), "the old secret is gone");
    assert_no_violations(&unit);
}

#[test]
fn flash_that_does_not_take_a_bit_keeps_the_old_record() {
    let secret = b"the network password";
    let start = unit(Platform::Nrf51822);
    let mut client = Client::new(&start);
    client.generate_key();
    let old = content(&[0xc0; 91]);
    client.call(&Request::Inject { content: old }).injected();
    let old = client.identity().record;
    let new = RecordContent {
        credentials: Some(secret),
        ..content(&[0xc1; 91])
    };
    let inject = Request::Inject { content: new };
    for write in 1.. {
        let unit = SimUnit::with_flash_of(
            &start,
            SimOptions::seeded(Platform::Nrf51822, CHIP_ID, write),
        );
        let mut client = Client::new(&unit);
        client.open_authenticated_session();
        unit.with_chip(|chip| chip.flash.fail_bit_at(write));
        let answer = client.sealed(&inject);
        if unit.counts().flash_writes < write {
            answer.injected();
            assert!(write > 50, "a record is many words");
            return;
        }
        let refusal = answer.refusal();
        assert!(
            matches!(refusal, Refusal::Flash(..)),
            "write {write}: {refusal:?}"
        );
        assert_eq!(client.identity().record, old, "write {write}");
        assert!(!contains(&flash(&unit), secret), "write {write}");
        client.sealed(&inject).injected();
        assert_no_violations(&unit);
    }
}

#[test]
fn a_record_that_reads_otherwise_than_it_was_written_does_not_count() {
    let start = unit(Platform::Nrf51822);
    let mut client = Client::new(&start);
    client.generate_key();
    let content = content(&[0xc1; 91]);
    client.call(&Request::Inject { content }).injected();
    let written = 172 + 92 + 20;
    for offset in 0..written {
        let unit =
            SimUnit::with_flash_of(&start, SimOptions::seeded(Platform::Nrf51822, CHIP_ID, 1));
        unit.with_chip(|chip| {
            let address = NRF51822.records[0] + offset;
            let mut byte = [0];
            keyline_agent::hal::Hal::read(chip, address, &mut byte);
            chip.flash.tamper(address, &[byte[0] ^ 0x10]);
        });
        let record = Client::new(&unit).identity().record;
        assert_eq!(record, None, "byte {offset}");
    }
}

#[test]
fn a_lock_policy_reads_back() {
    for lock_policy in LockPolicy::ALL {
        let mut client = Client::new(&unit(Platform::Nrf51822));
        client.generate_key();
        let content = RecordContent {
            lock_policy,
            ..content(&[0xc1; 91])
        };
        let summary = client.call(&Request::Inject { content }).injected();
        assert_eq!(summary.digest, record::digest(&content, 1, &[0; 32]));
        assert_eq!(client.identity().record, Some(summary));
    }
}

#[test]
fn of_two_valid_records_the_newer_counts_and_the_other_is_erased() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    client.generate_key();
    let length = NRF51822.record_pages * NRF51822.page_length;
    let area = |unit: &SimUnit, area: u32| {
        let mut bytes = vec![0; length as usize];
        unit.probe_flash(area, &mut bytes).expect("a cable");
        bytes
    };
    let mut stale = None;
    // Each round writes the other area.
    for round in 0..4 {
        let cloud_key = [round; 91];
        let content = content(&cloud_key);
        let newer = client.call(&Request::Inject { content }).injected();
        let [used, other] = match round % 2 {
            0 => NRF51822.records,
            _ => [NRF51822.records[1], NRF51822.records[0]],
        };
        let written = area(&unit, used);
        if let Some(stale) = stale.replace(written) {
            unit.with_chip(|chip| chip.flash.tamper(other, &stale));
            assert_eq!(client.identity().record, Some(newer), "round {round}");
            unit.power_cycle();
            client.hello();
            assert_eq!(client.identity().record, Some(newer), "round {round}");
            let erased = area(&unit, other).iter().all(|byte| *byte == 0xff);
            assert!(
                erased,
                "round {round}: the stale record goes at the next boot"
            );
        }
    }
}
