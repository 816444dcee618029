//! Which products can work at all. What can't is refused when the product is added, not at the bench.

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};

use super::ProductDraft;
use crate::cloud_key::CloudKeyKind;

/// Why a product can't work. Each message says what was expected, what came, and what would work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InfeasibleProduct {
    /// The chip has no room for the key.
    #[error("expected p256 on {platform}, got {algorithm}: its 1 KiB pages hold no RSA key; use p256, or an nrf52", platform = .platform.name(), algorithm = .algorithm.name())]
    NoRoom {
        /// The chip.
        platform: Platform,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The agent makes no such key.
    #[error("expected p256 for the key policy on-device, got {algorithm}: units make P-256 keys only; use p256, or the key policy station", algorithm = .algorithm.name())]
    NotMadeOnDevice {
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The chip can't sign with a key that only it has, so nobody could ever verify it.
    #[error("expected p256 for the key policy existing on {platform}, got {algorithm}: this chip can't sign with it, and the station doesn't have the key to vouch for it; use p256, or an nrf52840", platform = .platform.name(), algorithm = .algorithm.name())]
    CannotSign {
        /// The chip.
        platform: Platform,
        /// The algorithm.
        algorithm: Algorithm,
    },
    /// The authority signs with P-256.
    #[error("expected a P-256 authority key, got {got}; have the authority make a P-256 key")]
    AuthorityKind {
        /// What came.
        got: CloudKeyKind,
    },
    /// One key for two purposes: whoever has the cloud's key could open every unit.
    #[error(
        "expected an authority key of its own, got the cloud key; have the authority make another key"
    )]
    AuthorityIsCloud,
    /// A unit that is never sealed asks nobody.
    #[error(
        "expected an authority key only where units are sealed, got one with the lock policy open; leave it out, or seal the units"
    )]
    AuthorityWithoutSeal,
    /// The serial format allows no serial.
    #[error("expected a serial format of 1 to {max} letters, digits and - . _ / # @, got {got:?}", max = crate::line::serial_number::LENGTH_MAX)]
    SerialFormat {
        /// What came.
        got: String,
    },
}

/// Whether units of this chip can sign with RSA: the nRF52840's agent has the code and the RAM for it.
const fn signs_rsa(platform: Platform) -> bool {
    matches!(platform, Platform::Nrf52840)
}

/// Checks that units of this product can be made, can prove themselves and can be told apart.
///
/// # Errors
/// [`InfeasibleProduct`].
pub(super) fn check(draft: &ProductDraft) -> Result<(), InfeasibleProduct> {
    let (platform, algorithm) = (draft.platform.0, draft.algorithm.0);
    if algorithm != Algorithm::P256 {
        if platform == Platform::Nrf51822 {
            return Err(InfeasibleProduct::NoRoom {
                platform,
                algorithm,
            });
        }
        match draft.key_policy.0 {
            KeyPolicy::OnDevice => {
                return Err(InfeasibleProduct::NotMadeOnDevice { algorithm });
            }
            KeyPolicy::Existing if !signs_rsa(platform) => {
                return Err(InfeasibleProduct::CannotSign {
                    platform,
                    algorithm,
                });
            }
            KeyPolicy::Existing | KeyPolicy::Station => {}
        }
    }
    check_authority(draft)?;
    check_serial_format(draft.serial_format.as_deref())
}

fn check_authority(draft: &ProductDraft) -> Result<(), InfeasibleProduct> {
    let Some(authority) = &draft.authority_key else {
        return Ok(());
    };
    if authority.kind() != CloudKeyKind::P256 {
        return Err(InfeasibleProduct::AuthorityKind {
            got: authority.kind(),
        });
    }
    if authority.spki() == draft.cloud_key.spki() {
        return Err(InfeasibleProduct::AuthorityIsCloud);
    }
    if draft.lock_policy.0 == LockPolicy::Open {
        return Err(InfeasibleProduct::AuthorityWithoutSeal);
    }
    Ok(())
}

fn check_serial_format(format: Option<&str>) -> Result<(), InfeasibleProduct> {
    let Some(format) = format else {
        return Ok(());
    };
    let length = format.chars().count();
    let good = (1..=crate::line::serial_number::LENGTH_MAX).contains(&length)
        && format
            .chars()
            .all(|found| found.is_ascii_alphanumeric() || "-._/#@".contains(found));
    good.then_some(())
        .ok_or_else(|| InfeasibleProduct::SerialFormat {
            got: format.to_owned(),
        })
}
