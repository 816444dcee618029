//! Units that are not what the order expects.

use std::time::Instant;

use keyline_protocol::identity::Platform;
use keyline_protocol::message::Refusal;
use keyline_station::link::{AgentImage, AgentStart, Attachment, LinkError, SimTarget, Target};
use keyline_station::record::FailureCode;
use keyline_station::session::SessionError;
use keyline_station::steps::StepError;
use keyline_virtual_unit::sim::SimUnit;

use crate::bench::Job;

#[test]
fn another_chip_is_refused_before_anything_is_written() {
    let job = Job::usual();
    let mut options = job.options(1);
    options.platform = Platform::Nrf52840;
    let unit = SimUnit::new(options);
    let boots = unit.counts().boots;
    let failed = job.run(&unit).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::WrongChip);
    assert_eq!(unit.counts().flash_writes, 0);
    assert_eq!(unit.counts().boots, boots, "it was not even reset");

    let over_serial = Box::new(SimTarget::over_serial(unit.clone()));
    let failed = job.run_over(over_serial, None).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::WrongChip);
    assert_eq!(unit.counts().flash_writes, 0);
}

#[test]
fn an_agent_with_another_digest_is_refused_over_either_link() {
    let job = Job::usual();
    let mut options = job.options(2);
    options.image = (*b"somebody else's agent").into();
    let unit = SimUnit::new(options);
    let targets: [Box<dyn Target>; 2] = [
        Box::new(SimTarget::new(unit.clone())),
        Box::new(SimTarget::over_serial(unit.clone())),
    ];
    for target in targets {
        let failed = job.run_over(target, None).unwrap_err();
        assert_eq!(failed.error.code(), FailureCode::AgentDigest);
    }
    assert_eq!(unit.counts().flash_writes, 0);
}

#[test]
fn a_unit_whose_agent_reads_another_id_than_the_probe_is_refused() {
    let job = Job::usual();
    let mut options = job.options(3);
    options.agent_chip_id = Some((99, 7));
    let failed = job.run(&SimUnit::new(options)).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::DeviceIdMismatch);
}

#[test]
fn an_agent_that_speaks_only_newer_versions_is_told_apart() {
    let job = Job::usual();
    let mut options = job.options(4);
    options.newer_protocol = Some((7, 9));
    let failed = job.run(&SimUnit::new(options)).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::ProtocolVersion);
    let StepError::Session(SessionError::Refused { refusal, .. }) = &*failed.error else {
        panic!("{failed:?}");
    };
    assert_eq!(
        *refusal,
        Refusal::UnsupportedVersion {
            minimum: 7,
            maximum: 9
        }
    );
    let message = failed.error.failure().message;
    assert!(message.contains("versions 7 to 9"), "{message}");
}

#[test]
fn a_bench_without_a_unit_says_so() {
    let job = Job::usual();
    let unit = job.unit(5);
    unit.set_cable(false);
    let failed = job.run(&unit).unwrap_err();
    assert_eq!(failed.error.code(), FailureCode::UnitNotConnected);
}

/// A target in which a test changes one thing.
struct Altered {
    inner: SimTarget,
    bootloader_address: Option<u32>,
    softdevice_end: Option<u32>,
    /// What stands in the fixture after the next reset.
    swapped_for: Option<SimUnit>,
}

impl Altered {
    fn new(unit: &SimUnit) -> Self {
        Self {
            inner: SimTarget::new(unit.clone()),
            bootloader_address: None,
            softdevice_end: None,
            swapped_for: None,
        }
    }
}

impl Target for Altered {
    fn describe(&self) -> String {
        self.inner.describe()
    }
    fn attach(&mut self, expected: Platform) -> Result<Attachment, LinkError> {
        let mut attachment = self.inner.attach(expected)?;
        if let Some(facts) = &mut attachment.probe {
            facts.bootloader_address = self.bootloader_address;
            facts.softdevice_end = self.softdevice_end;
        }
        Ok(attachment)
    }
    fn start_agent(&mut self, image: &AgentImage) -> Result<AgentStart, LinkError> {
        self.inner.start_agent(image)
    }
    fn send(&mut self, frame: &[u8]) -> Result<(), LinkError> {
        self.inner.send(frame)
    }
    fn receive(&mut self, deadline: Instant, into: &mut Vec<u8>) -> Result<(), LinkError> {
        self.inner.receive(deadline, into)
    }
    fn reset(&mut self) -> Result<(), LinkError> {
        if let Some(other) = self.swapped_for.take() {
            self.inner = SimTarget::new(other);
        }
        self.inner.reset()
    }
    fn resets_by_itself(&self) -> bool {
        true
    }
    fn read_memory(&mut self, address: u32, length: usize) -> Result<Option<Vec<u8>>, LinkError> {
        self.inner.read_memory(address, length)
    }
    fn probe_protection(&mut self) -> Result<Option<bool>, LinkError> {
        self.inner.probe_protection()
    }
    fn detach(&mut self) {
        self.inner.detach();
    }
}

#[test]
fn somebody_else_s_code_in_the_agent_s_pages_is_left_alone() {
    let job = Job::usual();
    let unit = job.unit(6);
    for (bootloader_address, softdevice_end, refused) in [
        (Some(0x3_C000), None, false),
        (Some(0x3_A000), None, true),
        (None, Some(0x1_8000), true),
    ] {
        let mut target = Altered::new(&unit);
        target.bootloader_address = bootloader_address;
        target.softdevice_end = softdevice_end;
        let writes = unit.counts().flash_writes;
        match job.run_over(Box::new(target), None) {
            Ok(_) => assert!(!refused, "{bootloader_address:x?} {softdevice_end:x?}"),
            Err(failed) => {
                assert!(refused, "{failed:?}");
                assert_eq!(failed.error.code(), FailureCode::LayoutConflict);
                assert_eq!(unit.counts().flash_writes, writes);
            }
        }
        assert!(refused || unit.counts().flash_writes > writes);
    }
}

#[test]
fn a_board_that_is_swapped_during_the_reset_does_not_pass_for_the_first() {
    let job = Job::usual();
    let [unit, other] = [job.unit(7), job.unit(8)];
    let mut target = Altered::new(&unit);
    target.swapped_for = Some(other.clone());
    let failed = job.run_over(Box::new(target), None).unwrap_err();
    // The other unit is bare, so it can't prove anything.
    assert_eq!(failed.error.code(), FailureCode::KeyMissing, "{failed:?}");

    job.run(&other).unwrap();
    let unit = job.unit(9);
    let mut target = Altered::new(&unit);
    target.swapped_for = Some(other);
    let failed = job.run_over(Box::new(target), None).unwrap_err();
    assert_eq!(
        failed.error.code(),
        FailureCode::DeviceIdMismatch,
        "{failed:?}"
    );
}
