//! The station's RSA keys share no factor.

use std::thread;

use keyline_protocol::identity::Algorithm;
use keyline_station::key_pool::{Library, generate};
use keyline_station::secret::Arena;
use num_bigint::BigUint;
use rsa::pkcs1::RsaPrivateKey;
use x509_cert::der::asn1::UintRef;

use crate::batch_gcd::sharing;
use crate::number_from;

/// A modulus, and one of its primes: the second integer and the fifth of an `RSAPrivateKey` (RFC 8017, A.1.2).
struct Generated {
    modulus: BigUint,
    prime: BigUint,
}

/// Keys by the generator that the station's pool uses, on every processor.
fn generated(count: usize) -> Vec<Generated> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let each = count.div_ceil(threads);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|worker| {
                let part = each.min(count - (worker * each).min(count));
                scope.spawn(move || {
                    let arena = Arena::new(2_048, 1).unwrap();
                    (0..part).map(|_| one(&arena)).collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    })
}

fn one(arena: &Arena) -> Generated {
    let algorithm = Algorithm::Rsa2048;
    let key = generate(algorithm, Library::fastest(algorithm), arena).unwrap();
    let private: RsaPrivateKey<UintRef<'_>> = key.private().try_into().unwrap();
    Generated {
        modulus: BigUint::from_bytes_be(private.modulus.as_bytes()),
        prime: BigUint::from_bytes_be(private.prime1.as_bytes()),
    }
}

/// `KEYLINE_RSA_KEYS` asks for more keys; `make soak` for 10,000.
#[test]
fn generated_moduli_share_no_factor_and_a_planted_one_is_found() {
    let keys = generated(number_from("KEYLINE_RSA_KEYS", 40));
    let mut moduli: Vec<BigUint> = keys.iter().map(|key| key.modulus.clone()).collect();
    assert!(moduli.iter().all(|modulus| modulus.bits() == 2_048));
    assert_eq!(sharing(&moduli), [] as [usize; 0]);
    let (first, last) = (0, keys.len() - 1);
    moduli[last] = &keys[first].prime * &keys[last].prime;
    assert_eq!(sharing(&moduli), [first, last]);
}
