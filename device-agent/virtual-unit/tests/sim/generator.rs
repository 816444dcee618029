//! A hardware generator that fails makes no key and opens no session.

use keyline_agent::START_UP_SAMPLES;
use keyline_protocol::identity::Platform;
use keyline_protocol::message::{HealthTest, Refusal, Request};
use keyline_virtual_unit::sim::GeneratorFault;

use crate::client::{Client, generate_key, unit};

#[test]
fn each_fault_is_caught_by_its_test_and_nothing_is_written() {
    for (fault, test) in [
        (GeneratorFault::Stuck(0x00), HealthTest::RepetitionCount),
        (GeneratorFault::Stuck(0x5a), HealthTest::RepetitionCount),
        (
            GeneratorFault::StuckAfter(1_000),
            HealthTest::RepetitionCount,
        ),
        // After the start-up samples: the tests go on with every sample.
        (
            GeneratorFault::StuckAfter(START_UP_SAMPLES + 20),
            HealthTest::RepetitionCount,
        ),
        (GeneratorFault::Stalled, HealthTest::Stalled),
        (GeneratorFault::Biased, HealthTest::AdaptiveProportion),
    ] {
        let unit = unit(Platform::Nrf51822);
        unit.with_chip(|chip| chip.options.generator = fault);
        let mut client = Client::new(&unit);
        let unhealthy = Refusal::GeneratorUnhealthy(test);
        assert_eq!(
            client.call(&generate_key()).refusal(),
            unhealthy,
            "{fault:?}"
        );
        let counts = unit.counts();
        assert_eq!(
            (counts.flash_writes, counts.flash_erases),
            (0, 0),
            "{fault:?}"
        );
        assert_eq!(client.identity().key, None, "{fault:?}");
        // A bias shows only in those windows that begin with the frequent byte, so the next draw may pass.
        if fault != GeneratorFault::Biased {
            let refusal = client.call(&Request::AuthorityNonce).refusal();
            assert_eq!(refusal, unhealthy, "{fault:?}");
        }

        unit.with_chip(|chip| chip.options.generator = GeneratorFault::None);
        let before = unit.counts().samples;
        client.generate_key();
        let taken = unit.counts().samples - before;
        assert!(
            taken > u64::from(START_UP_SAMPLES),
            "{fault:?}: started up anew"
        );
    }
}

#[test]
fn start_up_samples_are_taken_once_a_boot_and_only_before_a_draw() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    client.identity();
    assert_eq!(unit.counts().samples, 0, "no draw, no samples");
    client.generate_key();
    let key = unit.counts().samples;
    assert!(key > u64::from(START_UP_SAMPLES));
    client.open_session();
    assert!(unit.counts().samples - key < u64::from(START_UP_SAMPLES));
}

#[test]
fn the_stations_entropy_goes_into_the_key() {
    let key = |station_entropy| {
        let algorithm = keyline_protocol::identity::Algorithm::P256;
        let request = Request::GenerateKey {
            algorithm,
            station_entropy,
        };
        Client::new(&unit(Platform::Nrf51822))
            .call(&request)
            .public_key()
            .2
    };
    assert_eq!(
        key([1; 32]),
        key([1; 32]),
        "the simulated samples are the same"
    );
    assert_ne!(key([1; 32]), key([2; 32]));
}

#[test]
fn no_nonce_comes_twice() {
    let mut client = Client::new(&unit(Platform::Nrf51822));
    let mut nonce = || format!("{:?}", client.call(&Request::AuthorityNonce).response());
    assert_ne!(nonce(), nonce());
}
