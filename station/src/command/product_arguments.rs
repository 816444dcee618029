//! `keyline product add …`

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Name;
use super::authority_arguments::ProductOptions;
use crate::cloud_key::CloudAddress;
use crate::record::{PlatformName, WhenRegistryUnreachable};

/// A product, as it is typed: signed, or, where the authority is a demonstration's, described.
#[derive(Args, Debug)]
#[command(
    after_help = "EXAMPLES\n    keyline product add --bundle thermostat-3.bundle\n    keyline product add --bundle thermostat-3.bundle --credentials wifi.txt\n\n  in a home whose authority is a demonstration's:\n    keyline product add --name sensor --platform nrf51822 --cloud-key cloud.pem --cloud-address mqtt.example.com:8883\n    keyline product add --name gateway --platform nrf52840 --key-policy station --algorithm rsa2048 \\\n        --cloud-key cloud.crt --cloud-address '[2001:db8::1]:8883' --lock-policy read-back --serial-format 'GW-######'"
)]
pub(super) struct ProductAdd {
    /// The signed bundle that says all but the credentials; it takes the place of an earlier version
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "name", "platform", "cloud_key", "cloud_address", "customer", "key_policy", "algorithm", "lock_policy",
            "authority_key", "when_registry_unreachable", "serial_format"
        ]
    )]
    pub(super) bundle: Option<PathBuf>,
    /// What people call it: 1 to 64 of A-Z a-z 0-9 . _ -
    #[arg(long, required_unless_present = "bundle")]
    pub(super) name: Option<Name>,
    /// The chip: nrf51822, nrf52832 or nrf52840
    #[arg(long, required_unless_present = "bundle")]
    pub(super) platform: Option<PlatformName>,
    /// The cloud's public key: SPKI or X.509 certificate, PEM or DER; P-256 or RSA of at least 2048 bits
    #[arg(long, value_name = "FILE", required_unless_present = "bundle")]
    pub(super) cloud_key: Option<PathBuf>,
    /// Where units find the cloud; IPv6 in brackets
    #[arg(long, value_name = "HOST:PORT", required_unless_present = "bundle")]
    pub(super) cloud_address: Option<CloudAddress>,
    /// The file with network credentials, read for each unit and sent to its flash only
    #[arg(long, value_name = "FILE")]
    pub(super) credentials: Option<PathBuf>,
    #[command(flatten)]
    pub(super) options: ProductOptions,
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
