//! Random sequences of claims, proofs and revocations, held against a small model after each act.

use std::collections::{HashMap, HashSet};

use keyline_station::registry::{PinEvent, Registry};
use proptest::prelude::*;

use crate::fixture::{Key, Place, claim, device, fingerprint, proof, revoke};

const DEVICES: u32 = 3;
const KEYS: usize = 5;

#[derive(Clone, Copy, Debug)]
enum Act {
    Claim {
        device: u32,
        key: usize,
        rework: bool,
    },
    Pin {
        device: u32,
        key: usize,
    },
    Revoke {
        device: u32,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..DEVICES, 0..KEYS, any::<bool>())
            .prop_map(|(device, key, rework)| Act::Claim { device, key, rework }),
        4 => (0..DEVICES, 0..KEYS).prop_map(|(device, key)| Act::Pin { device, key }),
        1 => (0..DEVICES).prop_map(|device| Act::Revoke { device }),
    ]
}

/// What must hold, whatever was done.
#[derive(Default)]
struct Promises {
    owners: HashMap<[u8; 32], u32>,
    gone: HashSet<[u8; 32]>,
    proven: HashSet<(u32, [u8; 32])>,
    histories: HashMap<u32, Vec<PinEvent>>,
}

impl Promises {
    async fn check(&mut self, registry: &Registry) {
        for n in 0..DEVICES {
            let keys = registry.keys_of(device(n)).await.unwrap();
            let count = |state: &str| keys.iter().filter(|pin| pin.state == state).count();
            assert!(count("active") <= 1 && count("pending") <= 1, "{keys:?}");
            for pin in &keys {
                let owner = *self.owners.entry(pin.fingerprint).or_insert(n);
                assert_eq!(owner, n, "a key changed hands");
                let gone = matches!(pin.state.as_str(), "superseded" | "revoked");
                assert!(
                    gone || !self.gone.contains(&pin.fingerprint),
                    "a key returned"
                );
                if gone {
                    self.gone.insert(pin.fingerprint);
                }
                let trusted = pin.state == "active";
                assert!(
                    !trusted || self.proven.contains(&(n, pin.fingerprint)),
                    "trusted unproven"
                );
            }
            let history = registry.history(device(n)).await.unwrap();
            let before = self
                .histories
                .insert(n, history.clone())
                .unwrap_or_default();
            assert!(history.starts_with(&before), "history was rewritten");
        }
    }
}

async fn play(acts: Vec<Act>, keys: &[Key]) {
    let place = Place::sqlite();
    let registry = place.open().await;
    let mut promises = Promises::default();
    for act in acts {
        // Most of these are refused: the promises hold either way.
        match act {
            Act::Claim {
                device,
                key,
                rework,
            } => {
                let mut claim = claim(device, &keys[key]);
                claim.rework = rework;
                let _ = registry.claim(claim).await;
            }
            Act::Pin { device, key } => {
                promises.proven.insert((device, fingerprint(&keys[key])));
                let _ = registry.pin(proof(device, &keys[key])).await;
            }
            Act::Revoke { device: n } => {
                let _ = revoke(&registry, n, "test").await;
            }
        }
        promises.check(&registry).await;
    }
}

proptest! {
    // The failing sequence is printed, made small.
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_breaks_a_promise(acts in proptest::collection::vec(act(), 1..40)) {
        let keys: Vec<_> = (0..KEYS).map(|_| Key::p256()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(acts, &keys));
    }
}
