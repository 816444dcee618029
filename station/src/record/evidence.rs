//! What each step leaves behind: enough for an auditor to check the step without trusting the station's word.

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use serde::{Deserialize, Serialize};

use super::DeviceIdText;

/// How the agent's digest was learnt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentDigestSource {
    /// The station read the image back over the probe.
    Measured,
    /// The unit said so.
    Claimed,
}

/// How strongly a chip's read-back protection holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProtectionStrength {
    /// Published bypasses exist: a hindrance, never protection of a key.
    Bypassable,
    /// No bypass without special equipment is published for this revision.
    DebugPortClosed,
}

impl ProtectionStrength {
    /// How strongly the protection of this chip holds. nRF51: published bypasses step through instructions and read registers. nRF52: the
    /// debug port is closed by APPROTECT; glitching bypasses are published for the older revisions.
    #[must_use]
    pub const fn of(platform: Platform) -> Self {
        match platform {
            Platform::Nrf51822 => Self::Bypassable,
            Platform::Nrf52832 | Platform::Nrf52840 => Self::DebugPortClosed,
        }
    }
}

/// What the probe read by itself, before any agent ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeReading {
    /// The device id in the chip's factory registers; `None` where protection keeps the probe from reading it.
    pub device_id: Option<DeviceIdText>,
    /// Whether read-back protection was set.
    pub protected: bool,
}

/// Evidence, one variant a step. Digests, keys and signatures are hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Evidence {
    /// The link is open.
    Attached {
        /// `probe`, `serial` or `sim`, and which.
        link: String,
        /// What the probe read; `None` over a serial link.
        probe: Option<ProbeReading>,
    },
    /// Who the unit says that it is.
    Identified {
        /// The device id, by the agent (and by the probe, where there is one: they were compared).
        device_id: DeviceIdText,
        /// The chip.
        platform: PlatformName,
        /// The agent's version.
        agent_version: u32,
        /// SHA-256 of the agent's image.
        #[serde(with = "hex::serde")]
        agent_digest: [u8; 32],
        /// Measured or claimed.
        agent_digest_source: AgentDigestSource,
        /// The protocol version agreed on.
        protocol_version: u16,
    },
    /// The unit holds a key and has signed with it.
    Keyed {
        /// The key's algorithm.
        algorithm: AlgorithmName,
        /// How the key was made.
        made: KeyPolicyName,
        /// SPKI DER.
        #[serde(with = "hex::serde")]
        public_key: Vec<u8>,
        /// The station's challenge.
        #[serde(with = "hex::serde")]
        challenge: [u8; 32],
        /// The unit's signature over the claim transcript (the station's own, made before it wiped the key, where the chip can't sign).
        #[serde(with = "hex::serde")]
        signature: Vec<u8>,
        /// Whether the unit itself signed.
        signed_by_unit: bool,
        /// The key travelled in an anonymous session: first contact, by nature.
        first_contact: bool,
    },
    /// The claim is entered.
    Claimed {
        /// SHA-256 of the public key's SPKI DER.
        #[serde(with = "hex::serde")]
        fingerprint: [u8; 32],
        /// Whether the registry already had this very claim or pin.
        already: bool,
    },
    /// The record is committed.
    Injected {
        /// The record's sequence.
        sequence: u32,
        /// The record's digest.
        #[serde(with = "hex::serde")]
        record_digest: [u8; 32],
        /// SHA-256(salt ‖ credentials), the salt unknown to all but the unit; zeros without credentials.
        #[serde(with = "hex::serde")]
        credentials_commitment: [u8; 32],
        /// The record was already there and not written again.
        already: bool,
    },
    /// The unit has proven itself.
    Proven {
        /// The transcript that was signed, whole.
        #[serde(with = "hex::serde")]
        transcript: Vec<u8>,
        /// The signature, or the MAC of a weak proof.
        #[serde(with = "hex::serde")]
        authenticator: Vec<u8>,
        /// `true` where it is a MAC.
        weak: bool,
        /// The random half of the nonce: nonce = SHA-256(checkpoint ‖ this).
        #[serde(with = "hex::serde")]
        nonce_random: [u8; 32],
        /// SHA-256 of the checkpoint text in the nonce.
        #[serde(with = "hex::serde")]
        nonce_checkpoint_digest: [u8; 32],
    },
    /// The registry trusts the key.
    Pinned {
        /// SHA-256 of the public key's SPKI DER.
        #[serde(with = "hex::serde")]
        fingerprint: [u8; 32],
        /// The pin was already active.
        already: bool,
    },
    /// The agent is sealed.
    Sealed {
        /// It was sealed before this run.
        already: bool,
    },
    /// The unit is closed as far as the product says.
    Locked {
        /// The product's policy.
        lock_policy: LockPolicyName,
        /// Whether a probe was refused afterwards; `None` where the policy sets no protection or there is no probe.
        seen_to_hold: Option<bool>,
        /// How strongly it holds, where it was set.
        strength: Option<ProtectionStrength>,
    },
}

macro_rules! by_name {
    ($($(#[$documentation:meta])+ $name:ident($inner:ty);)+) => {$(
        $(#[$documentation])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(into = "String", try_from = "String")]
        pub struct $name(pub $inner);

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0.name().to_owned()
            }
        }

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                <$inner>::ALL.into_iter().find(|known| known.name() == text).map(Self).ok_or_else(|| {
                    let known: Vec<_> = <$inner>::ALL.iter().map(|known| known.name()).collect();
                    format!("expected one of {}, got \"{text}\"", known.join(", "))
                })
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::try_from(text.to_owned())
            }
        }
    )+};
}

by_name! {
    /// A platform, written by its name.
    PlatformName(Platform);
    /// An algorithm, written by its name.
    AlgorithmName(Algorithm);
    /// A key policy, written by its name.
    KeyPolicyName(KeyPolicy);
    /// A lock policy, written by its name.
    LockPolicyName(LockPolicy);
}
