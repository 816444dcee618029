//! How a product's cloud keys are numbered: one number, one key; one key, one number; and no way back.
//!
//! A key that was left does not return. It was left because it is lost, stolen or too old, and a bundle that brings it back would turn
//! devices round that have the new one. And what a proof shows is the key, not its number: with two numbers for one key nobody could say
//! which version a device carries.

use super::AuthorityError;

/// A cloud key, as a product's bundle numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NumberedCloudKey {
    /// Its number, from 1.
    pub version: u32,
    /// SHA-256 of its SPKI DER.
    pub fingerprint: [u8; 32],
}

/// What a bundle does to its product's cloud key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudKeyStep {
    /// It is the first one.
    First,
    /// It is the one in force.
    Kept,
    /// It takes the place of this one.
    Changed(NumberedCloudKey),
}

/// Holds the cloud key of `product`'s next bundle against those of the earlier ones, in any order.
///
/// # Errors
/// [`AuthorityError::CloudKeyNumberTaken`], [`AuthorityError::CloudKeyReturns`], [`AuthorityError::CloudKeyRolledBack`].
pub fn next_cloud_key(
    product: &str,
    known: &[NumberedCloudKey],
    next: NumberedCloudKey,
) -> Result<CloudKeyStep, AuthorityError> {
    let Some(latest) = known.iter().max_by_key(|key| key.version) else {
        return Ok(CloudKeyStep::First);
    };
    if let Some(taken) = known
        .iter()
        .find(|key| key.version == next.version && key.fingerprint != next.fingerprint)
    {
        return Err(AuthorityError::CloudKeyNumberTaken {
            product: product.to_owned(),
            version: next.version,
            known: hex::encode(taken.fingerprint),
            got: hex::encode(next.fingerprint),
        });
    }
    if let Some(before) = known
        .iter()
        .find(|key| key.fingerprint == next.fingerprint && key.version != next.version)
    {
        return Err(AuthorityError::CloudKeyReturns {
            product: product.to_owned(),
            fingerprint: hex::encode(next.fingerprint),
            known: before.version,
            got: next.version,
        });
    }
    match next.version.cmp(&latest.version) {
        std::cmp::Ordering::Equal => Ok(CloudKeyStep::Kept),
        std::cmp::Ordering::Greater => Ok(CloudKeyStep::Changed(*latest)),
        std::cmp::Ordering::Less => Err(AuthorityError::CloudKeyRolledBack {
            product: product.to_owned(),
            known: latest.version,
            got: next.version,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(version: u32, byte: u8) -> NumberedCloudKey {
        NumberedCloudKey {
            version,
            fingerprint: [byte; 32],
        }
    }

    #[test]
    fn a_key_keeps_its_number_and_a_new_one_takes_a_later_one() {
        let known = [key(2, 0xb0), key(1, 0xa0)];
        let next = |key| next_cloud_key("sensor", &known, key);
        assert!(matches!(
            next_cloud_key("sensor", &[], key(7, 1)),
            Ok(CloudKeyStep::First)
        ));
        assert!(matches!(next(key(2, 0xb0)), Ok(CloudKeyStep::Kept)));
        let Ok(CloudKeyStep::Changed(before)) = next(key(4, 0xc0)) else {
            panic!("expected a change");
        };
        assert_eq!(before, key(2, 0xb0));
    }

    #[test]
    fn what_would_make_a_number_or_a_key_mean_two_things_is_refused_in_words() {
        let known = [key(1, 0xa0), key(2, 0xb0)];
        let words = |key| {
            let refused = next_cloud_key("sensor", &known, key);
            refused.err().map(|error| error.to_string())
        };
        let (old, new, other) = ("a0".repeat(32), "b0".repeat(32), "c0".repeat(32));
        assert_eq!(
            words(key(2, 0xc0)).as_deref(),
            Some(&*format!(
                "expected a later version for another cloud key of sensor: version 2 is the key {new}, got {other}"
            ))
        );
        // Back to the first key, under a new number; and the present key under a second one.
        assert_eq!(
            words(key(3, 0xa0)).as_deref(),
            Some(&*format!(
                "the cloud key {old} of sensor is its version 1 for ever, got it as version 3"
            ))
        );
        assert!(words(key(3, 0xb0)).is_some());
        assert_eq!(
            words(key(1, 0xa0)).as_deref(),
            Some(
                "expected version 2 of the cloud key of sensor or a later one, got 1: an old cloud key does not come back"
            )
        );
    }
}
