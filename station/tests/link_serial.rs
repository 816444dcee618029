//! The serial link on a pseudo-terminal: what is told apart before any unit answers.
#![allow(
    clippy::unwrap_used,
    reason = "helpers of tests end a test by panicking, as the tests do"
)]

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use keyline_protocol::identity::Platform;
use keyline_station::link::{LinkError, SerialTarget, Target};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

/// The unit's end of a serial line, and the path of the station's.
fn line() -> (OwnedFd, String) {
    let unit = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&unit).unwrap();
    unlockpt(&unit).unwrap();
    let path = ptsname(&unit, Vec::new()).unwrap();
    (unit, path.into_string().unwrap())
}

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(20)
}

#[test]
fn bytes_go_both_ways_as_they_are() {
    let (unit, path) = line();
    let mut target = SerialTarget::new(path);
    let attachment = target.attach(Platform::Nrf51822).unwrap();
    assert_eq!(attachment.probe, None);
    let every_byte: Vec<u8> = (0..=255).collect();
    target.send(&every_byte).unwrap();
    let mut got = Vec::new();
    while got.len() < every_byte.len() {
        let mut buffer = [0; 256];
        let length = rustix::io::read(&unit, &mut buffer[..]).unwrap();
        got.extend_from_slice(&buffer[..length]);
    }
    assert_eq!(got, every_byte);

    rustix::io::write(&unit, &every_byte).unwrap();
    let mut got = Vec::new();
    while got.len() < every_byte.len() {
        let deadline = Instant::now() + Duration::from_secs(10);
        target.receive(deadline, &mut got).unwrap();
    }
    assert_eq!(got, every_byte);
}

#[test]
fn a_silent_line_times_out() {
    let (_unit, path) = line();
    let mut target = SerialTarget::new(path);
    target.attach(Platform::Nrf51822).unwrap();
    let error = target.receive(soon(), &mut Vec::new()).unwrap_err();
    assert!(matches!(error, LinkError::Timeout { .. }), "{error:?}");
}

#[test]
fn a_port_has_one_user() {
    let (_unit, path) = line();
    let mut first = SerialTarget::new(path.clone());
    let mut second = SerialTarget::new(path);
    first.attach(Platform::Nrf51822).unwrap();
    let error = second.attach(Platform::Nrf51822).unwrap_err();
    assert!(matches!(error, LinkError::Busy { .. }), "{error:?}");
    first.detach();
    second.attach(Platform::Nrf51822).unwrap();
}

#[test]
fn a_port_that_is_none_is_not_found() {
    for path in ["/dev/none-such", "/dev/null"] {
        let error = SerialTarget::new(path)
            .attach(Platform::Nrf51822)
            .unwrap_err();
        assert!(
            matches!(error, LinkError::ProbeNotFound { .. }),
            "{error:?}"
        );
    }
}

#[test]
fn a_line_whose_other_end_is_gone_is_lost() {
    let (unit, path) = line();
    let mut target = SerialTarget::new(path);
    target.attach(Platform::Nrf51822).unwrap();
    drop(unit);
    let deadline = Instant::now() + Duration::from_secs(10);
    let error = target.receive(deadline, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, LinkError::Lost { .. }), "{error:?}");
}
