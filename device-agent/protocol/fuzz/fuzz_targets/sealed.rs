//! A sealed payload from somebody who does not have the session's keys: it never opens.
#![no_main]

use keyline_protocol::frame::{Header, Kind};
use keyline_protocol::identity::DeviceId;
use keyline_protocol::message::Point;
use keyline_protocol::session::{Session, Side};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let point = Point { x: [1; 32], y: [2; 32] };
    let mut session = Session::new(Side::Unit, 1, DeviceId::from_bytes([7; 12]), &point, &point, &[9; 32]);
    let header = Header { kind: Kind::SealedRequest, sequence: 1 };
    assert!(session.open(header, &mut bytes.to_vec()).is_err());
});
