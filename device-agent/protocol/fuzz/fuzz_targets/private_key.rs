//! A private key that the station sent, as the unit reads it.
#![no_main]

use keyline_protocol::identity::Algorithm;
use keyline_protocol::spki;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for algorithm in Algorithm::ALL {
        if let Some(modulus) = spki::rsa_modulus_of_private_key(algorithm, bytes) {
            let _ = spki::rsa(algorithm, modulus, &mut [0; spki::LENGTH_MAX]);
        }
    }
    let _ = spki::p256_point(bytes);
});
