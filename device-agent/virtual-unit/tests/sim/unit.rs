//! The simulator itself: strict flash, planned faults, handles, what outlives a process.

use keyline_agent::hal::Hal;
use keyline_agent::layout::NRF51822;
use keyline_protocol::frame::{Kind, Receiver};
use keyline_protocol::identity::Platform;
use keyline_protocol::message::{Refusal, Request};
use keyline_virtual_unit::sim::{
    AGENT_IMAGE, Direction, FrameFaultKind, SimError, SimOptions, SimUnit, Violation,
};

use crate::client::{Client, content, flash, unit};

#[test]
fn flash_remembers_what_silicon_would_not_do() {
    let unit = unit(Platform::Nrf51822);
    let key = NRF51822.key;
    unit.with_chip(|chip| {
        chip.write_word(key, 0xffff_0000);
        chip.write_word(key, 0x0000_ffff);
        chip.write_word(key + 2, 0);
        chip.write_word(0x1000, 0);
        chip.erase_page(key + 4);
        assert_eq!(
            chip.flash.violations(),
            [
                Violation::SetsBits {
                    address: key,
                    old: 0xffff_0000,
                    new: 0x0000_ffff
                },
                Violation::WrittenTwice(key),
                Violation::Misaligned(key + 2),
                Violation::OutOfArea(0x1000),
                Violation::Misaligned(key + 4),
            ]
        );
        let mut word = [1; 4];
        chip.read(key, &mut word);
        assert_eq!(word, [0; 4], "bits only clear");
        chip.erase_page(key);
        chip.read(key, &mut word);
        assert_eq!(word, [0xff; 4]);
    });
}

#[test]
fn a_cut_word_lies_between_the_old_and_the_new() {
    for seed in 0..50 {
        let unit = SimUnit::new(SimOptions::seeded(Platform::Nrf51822, (1, 1), seed));
        let key = NRF51822.key;
        unit.with_chip(|chip| {
            chip.flash.cut_power_at(2);
            chip.write_word(key, 0x1234_5678);
            chip.write_word(key + 4, 0x0f0f_0f0f);
            chip.write_word(key + 8, 0);
            let mut words = [0; 12];
            chip.read(key, &mut words);
            assert_eq!(words[..4], 0x1234_5678_u32.to_le_bytes());
            assert!(
                words[4..8].iter().all(|byte| byte & 0x0f == 0x0f),
                "seed {seed}"
            );
            assert_eq!(words[8..], [0xff; 4], "nothing happens without power");
            assert!(!chip.flash.is_powered());
        });
    }
}

/// Every frame that came, or what is wrong with it.
fn frames(bytes: &[u8]) -> Vec<Result<Kind, ()>> {
    let mut receiver = Receiver::new();
    bytes
        .iter()
        .filter_map(|byte| {
            Some(
                receiver
                    .push(*byte)?
                    .map(|frame| frame.header.kind)
                    .map_err(drop),
            )
        })
        .collect()
}

#[test]
fn each_planned_fault_hits_its_frame_and_no_other() {
    let (good, bad) = (Ok(Kind::Response), Err(()));
    let rejected = Ok(Kind::Rejected);
    for (direction, kind, expected) in [
        (Direction::ToUnit, FrameFaultKind::Corrupt, vec![rejected]),
        (Direction::ToUnit, FrameFaultKind::Truncate, vec![rejected]),
        (
            Direction::ToUnit,
            FrameFaultKind::Oversize,
            vec![rejected, good],
        ),
        (
            Direction::ToUnit,
            FrameFaultKind::Duplicate,
            vec![good, good],
        ),
        (Direction::ToUnit, FrameFaultKind::Drop, vec![]),
        (Direction::ToUnit, FrameFaultKind::Replay, vec![good, good]),
        (Direction::ToStation, FrameFaultKind::Corrupt, vec![bad]),
        (Direction::ToStation, FrameFaultKind::Truncate, vec![bad]),
        (
            Direction::ToStation,
            FrameFaultKind::Oversize,
            vec![bad, good],
        ),
        (
            Direction::ToStation,
            FrameFaultKind::Duplicate,
            vec![good, good],
        ),
        (Direction::ToStation, FrameFaultKind::Drop, vec![]),
        (
            Direction::ToStation,
            FrameFaultKind::Replay,
            vec![good, good],
        ),
    ] {
        let unit = unit(Platform::Nrf52840);
        let mut client = Client::new(&unit);
        unit.fault(direction, 2, kind);
        client.call(&Request::PublicKey);
        let frame = client.frame(&Request::PublicKey);
        let mut came = Vec::new();
        unit.write(&frame).expect("a cable");
        unit.read(&mut came).expect("a cable");
        assert_eq!(frames(&came), expected, "{direction:?} {kind:?}");
        client.call(&Request::PublicKey);
    }
}

#[test]
fn a_cable_can_be_pulled_and_power_cut_in_the_middle() {
    let unit = unit(Platform::Nrf52840);
    let mut client = Client::new(&unit);
    unit.fault(Direction::ToUnit, 1, FrameFaultKind::PullCable);
    assert!(client.try_call(&Request::Identify).is_none());
    assert_eq!(unit.write(&[0]), Err(SimError::CablePulled));
    assert_eq!(unit.read(&mut Vec::new()), Err(SimError::CablePulled));
    assert_eq!(unit.reset(), Err(SimError::CablePulled));
    assert_eq!(unit.probe_chip(), Err(SimError::CablePulled));
    unit.set_cable(true);
    client.identity();

    unit.fault(Direction::ToStation, 1, FrameFaultKind::CutPower);
    assert!(client.try_call(&Request::Identify).is_none());
    assert!(!unit.is_powered());
    assert_eq!(unit.probe_chip(), Err(SimError::NoPower));
    assert!(client.try_call(&Request::Identify).is_none());
    unit.power_on();
    assert_eq!(client.call(&Request::Identify).refusal(), Refusal::NoHello);
}

#[test]
fn a_saved_unit_comes_back_as_it_was() {
    let unit = unit(Platform::Nrf51822);
    let mut client = Client::new(&unit);
    client.generate_key();
    client
        .call(&Request::Inject {
            content: content(&[0xc1; 91]),
        })
        .injected();
    client.call(&Request::Lock).done();
    let saved = unit.save();
    let text = serde_json::to_string(&saved).expect("text");
    let restored = SimUnit::restored(&serde_json::from_str(&text).expect("a unit"));
    assert_eq!(flash(&restored), flash(&unit));
    assert_eq!(restored.device_id(), unit.device_id());
    assert_eq!(restored.probe_chip(), Err(SimError::Protected));
    assert_eq!(Client::new(&restored).identity(), client.identity());
}

#[test]
fn a_clone_shows_the_same_key_under_another_name() {
    let first = unit(Platform::Nrf51822);
    let key = Client::new(&first).generate_key();
    let clone = SimUnit::with_flash_of(&first, SimOptions::seeded(Platform::Nrf51822, (9, 9), 1));
    assert_ne!(clone.device_id(), first.device_id());
    assert_eq!(Client::new(&clone).generate_key(), key);
}

#[test]
fn a_probe_and_the_agent_can_disagree() {
    let mut options = SimOptions::seeded(Platform::Nrf51822, (1, 1), 1);
    options.agent_chip_id = Some((2, 2));
    let unit = SimUnit::new(options);
    let identity = Client::new(&unit).identity();
    assert_ne!(identity.device_id, unit.device_id());
    assert_eq!(unit.probe_chip(), Ok((Platform::Nrf51822, (1, 1))));
    assert_eq!(unit.probe_image().expect("a cable"), AGENT_IMAGE);
}

#[test]
fn an_agent_of_a_newer_protocol_refuses_in_frozen_words() {
    let mut options = SimOptions::seeded(Platform::Nrf51822, (1, 1), 1);
    options.newer_protocol = Some((2, 3));
    let unit = SimUnit::new(options);
    let mut client = Client {
        unit,
        sequence: 0,
        session: None,
    };
    let hello = Request::Hello {
        minimum: 1,
        maximum: 1,
    };
    let refusal = Refusal::UnsupportedVersion {
        minimum: 2,
        maximum: 3,
    };
    assert_eq!(client.call(&hello).refusal(), refusal);
}
