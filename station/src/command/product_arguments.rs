//! `keyline product add …`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Name;
use crate::cloud_key::CloudAddress;
use crate::record::{
    AlgorithmName, KeyPolicyName, LockPolicyName, PlatformName, WhenRegistryUnreachable,
};

/// A product, as it is typed.
#[derive(Args, Debug)]
#[command(
    after_help = "EXAMPLES\n    keyline product add --name sensor --platform nrf51822 --cloud-key cloud.pem --cloud-address mqtt.example.com:8883\n    keyline product add --name gateway --platform nrf52840 --key-policy station --algorithm rsa2048 \\\n        --cloud-key cloud.crt --cloud-address '[2001:db8::1]:8883' --lock-policy read-back --serial-format 'GW-######'"
)]
pub(super) struct ProductAdd {
    /// What people call it: 1 to 64 of A-Z a-z 0-9 . _ -
    #[arg(long)]
    pub(super) name: Name,
    /// For whom it is built
    #[arg(long, default_value = "own")]
    pub(super) customer: Name,
    /// The chip: nrf51822, nrf52832 or nrf52840
    #[arg(long)]
    pub(super) platform: PlatformName,
    /// Where the device key comes from: on-device, station or existing
    #[arg(long, default_value = "on-device", value_name = "POLICY")]
    pub(super) key_policy: KeyPolicyName,
    /// The device key's algorithm: p256, rsa2048 or rsa3072
    #[arg(long, default_value = "p256")]
    pub(super) algorithm: AlgorithmName,
    /// How far a finished unit is closed: open, sealed or read-back
    #[arg(long, default_value = "sealed", value_name = "POLICY")]
    pub(super) lock_policy: LockPolicyName,
    /// The cloud's public key: SPKI or X.509 certificate, PEM or DER; P-256 or RSA of at least 2048 bits
    #[arg(long, value_name = "FILE")]
    pub(super) cloud_key: PathBuf,
    /// Where units find the cloud; IPv6 in brackets
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) cloud_address: CloudAddress,
    /// The P-256 public key whose signature a sealed unit obeys
    #[arg(long, value_name = "FILE")]
    pub(super) authority_key: Option<PathBuf>,
    /// The file with network credentials, read for each unit and sent to its flash only
    #[arg(long, value_name = "FILE")]
    pub(super) credentials: Option<PathBuf>,
    /// What the line does while the registry can't be reached
    #[arg(long, value_enum, default_value_t = Unreachable::Stop, value_name = "WHAT")]
    pub(super) when_registry_unreachable: Unreachable,
    /// What a serial number looks like: # for a digit, @ for a capital letter
    #[arg(long, value_name = "FORMAT")]
    pub(super) serial_format: Option<String>,
}

/// [`WhenRegistryUnreachable`], as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Unreachable {
    /// The line stops
    Stop,
    /// Units go on as held: finished, but not trusted and not shippable yet
    Hold,
}

impl From<Unreachable> for WhenRegistryUnreachable {
    fn from(typed: Unreachable) -> Self {
        match typed {
            Unreachable::Stop => Self::Stop,
            Unreachable::Hold => Self::Hold,
        }
    }
}
