//! Files that were changed after they were written.

use keyline_station::dossier::{Dossier, verify};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::line::{built, policy, prove};

/// How many single-bit changes are tried.
const CHANGES: u32 = 1_000;

/// Every bit of what is proven is bound: only the dossier's own date and the registry's word are not, and say so.
#[test]
fn no_single_bit_of_what_is_proven_can_be_changed() {
    let seed = std::env::var("KEYLINE_SEED").map_or(7, |seed| seed.parse().unwrap());
    let mut random = StdRng::seed_from_u64(seed);
    let (station, ids) = built(1);
    let policy = policy(&station);
    let text = std::fs::read_to_string(prove(&station, &ids[0], "unit.json")).unwrap();
    let proven = text.find("\"checkpoint\"").unwrap()..text.find("\"registry\"").unwrap();
    assert!(verify(&Dossier::parse(&text).unwrap(), &policy).holds());
    let mut refused = 0;
    while refused < CHANGES {
        let place = random.random_range(proven.clone());
        let bit = random.random_range(0..7);
        let mut bytes = text.clone().into_bytes();
        bytes[place] ^= 1 << bit;
        let Ok(changed) = String::from_utf8(bytes) else {
            continue;
        };
        let read = Dossier::parse(&changed);
        let original = Dossier::parse(&text).unwrap();
        let Ok(dossier) = read else {
            refused += 1;
            continue;
        };
        if dossier == original {
            // Blanks between the fields, and the case of hexadecimal digits, say nothing.
            continue;
        }
        let verdict = verify(&dossier, &policy);
        // The name in a signature line by a key that the policy does not know says nothing either; there is none in this file.
        assert!(
            !verdict.holds(),
            "seed {seed}: bit {bit} of byte {place}: {:?}",
            &changed[place.saturating_sub(40)..place + 20]
        );
        refused += 1;
    }
}
