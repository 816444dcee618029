//! A payload that a unit sent, as the station reads it.
#![no_main]

use keyline_protocol::frame::{PAYLOAD_LENGTH_MAX, decode_message, encode_message};
use keyline_protocol::message::Response;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(response) = decode_message::<Response<'_>>(bytes) {
        let mut out = [0; 2 * PAYLOAD_LENGTH_MAX];
        if let Ok(length) = encode_message(&response, &mut out) {
            assert_eq!(decode_message::<Response<'_>>(&out[..length]), Ok(response));
        }
    }
});
