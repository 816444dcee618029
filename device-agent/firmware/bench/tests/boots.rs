//! The committed nRF51822 image on an emulated chip: every answer and every byte of flash is checked.

#![allow(clippy::expect_used, reason = "what a test expects, it says")]

use std::path::Path;

use keyline_agent::layout::NRF51822;
use keyline_firmware_bench::job::{CLOUD_ADDRESS, CREDENTIALS, Job, NoWatch, bench_point};
use keyline_firmware_bench::link::{Link, Rtt, Serial};
use keyline_firmware_bench::machine::{Image, Machine};
use keyline_protocol::spki;

fn image() -> Image {
    Image::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../images")).expect("the image")
}

fn holds(flash: &[u8], bytes: &[u8]) -> bool {
    flash.windows(bytes.len()).any(|window| window == bytes)
}

fn provision(machine: &mut Machine, image: &Image, link: impl Link) {
    let mut watch = NoWatch;
    let mut job = Job::new(link, &mut watch);
    let unit = job.provision().expect("a bare unit is provisioned");
    assert_eq!(hex::encode(unit.agent_digest), image.sha256);

    let flash = machine.flash().expect("flash");
    assert_eq!(
        &flash[..image.bytes.len()],
        &image.bytes[..],
        "the image is what was programmed"
    );
    let areas = NRF51822.start() as usize..NRF51822.end() as usize;
    assert!(
        flash[image.bytes.len()..areas.start]
            .iter()
            .chain(&flash[areas.end..])
            .all(|byte| *byte == 0xFF),
        "nothing outside the agent's areas was written"
    );
    let cloud_key = spki::p256(&bench_point().expect("the bench's key"));
    for bytes in [&unit.public_key[..], &cloud_key, CLOUD_ADDRESS.as_bytes()] {
        assert!(holds(&flash[areas.clone()], bytes));
    }

    job.inject_credentials(&unit)
        .expect("a record with credentials");
    assert!(holds(&machine.flash().expect("flash"), CREDENTIALS));
    job.seal_and_authorise(&unit)
        .expect("the authority's permit");
    assert!(
        !holds(&machine.flash().expect("flash"), CREDENTIALS),
        "a record that took another's place leaves no secret behind"
    );
    let (used, length) = machine.stack(image).expect("the stack");
    assert!(used < length, "{used} of {length} bytes of stack were used");
}

#[test]
fn a_bare_unit_is_provisioned_over_its_serial_line() {
    let image = image();
    let mut machine = Machine::start(&image, false).expect("a machine");
    let link = Serial::open(&machine).expect("a serial line");
    provision(&mut machine, &image, link);
}

#[test]
fn a_bare_unit_is_provisioned_through_rtt() {
    let image = image();
    let mut machine = Machine::start(&image, false).expect("a machine");
    let link = Rtt::open(&machine, &image).expect("a test channel");
    provision(&mut machine, &image, link);
}
