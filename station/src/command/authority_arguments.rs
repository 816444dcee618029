//! What can be typed after `keyline authority`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Name;
use super::product_arguments::Unreachable;
use crate::audit::VerifierKey;
use crate::authority::EnrolmentState;
use crate::cloud_key::CloudAddress;
use crate::export::parse_time;
use crate::operator::Role;
use crate::record::{AlgorithmName, KeyPolicyName, LockPolicyName, PlatformName, StationId};

/// `keyline authority …`
#[derive(Debug, Subcommand)]
pub(super) enum AuthorityCommand {
    /// What works on files alone
    #[command(flatten)]
    Files(FilesCommand),
    /// Install a signed roster or station enrolment in this home
    #[command(after_help = "EXAMPLE\n    keyline authority install acme-2.bundle")]
    Install {
        /// The signed bundle
        file: PathBuf,
    },
    /// Enter a signed root policy or bundle in the registry, from which stations fetch it
    #[command(
        long_about = "The first root policy that a registry gets is the one that it obeys; another one has to be signed by enough keys of both. \
A registry on a server takes no demonstration's.",
        after_help = "EXAMPLES\n    keyline --home ./desk authority publish root.policy\n    keyline --home ./desk authority publish thermostat-2.bundle"
    )]
    Publish {
        /// The signed file
        file: PathBuf,
    },
    /// Install the rosters and enrolments of the registry that are newer than this home's, and tell of newer products
    Fetch,
    /// Pin another root policy in this home, which enough keys of the old and the new one signed
    #[command(after_help = "EXAMPLE\n    keyline authority replace-root root-2.policy")]
    ReplaceRoot {
        /// The signed policy
        file: PathBuf,
    },
}

/// What needs no station home.
#[derive(Debug, Subcommand)]
pub(super) enum FilesCommand {
    /// Make a key pair that signs: a file for its holder, and FILE.pub to hand out
    #[command(
        long_about = "Makes an Ed25519 key pair: FILE (PKCS #8 PEM, mode 0600) stays with its holder, FILE.pub holds the verifier key NAME+KEYID+KEY. \
A key for a roster is named by its operator's id; without --name one is made up.",
        after_help = "EXAMPLES\n    keyline authority key --name acme-root-1 --out root-1.pem\n    keyline authority key --out my-roster-key.pem"
    )]
    Key {
        /// The key's name, which stands beside its signatures [default: a new operator id]
        #[arg(long)]
        name: Option<Name>,
        /// The new file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Make a root policy: whose signatures count, and how many are enough
    #[command(
        after_help = "EXAMPLES\n    keyline authority policy --name acme --threshold 2 --key VKEY1 --key VKEY2 --key VKEY3 --out root.policy\n    keyline authority policy --previous root.policy --name acme --threshold 2 --key VKEY1 --key VKEY2 --key VKEY4 --out root-2.policy"
    )]
    Policy {
        /// What people call it
        #[arg(long)]
        name: Name,
        /// How many of the keys must sign
        #[arg(long, value_name = "M")]
        threshold: usize,
        /// A verifier key, as `keyline authority key` prints it; once for each key, 1 to 16
        #[arg(long = "key", value_name = "VKEY", required = true)]
        keys: Vec<String>,
        /// A demonstration: no production registry takes it
        #[arg(long)]
        demo: bool,
        /// The root policy that it replaces, whose keys then have to sign it
        #[arg(long, value_name = "FILE")]
        previous: Option<PathBuf>,
        /// The new file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Show what files say: root policies, bundles, acts
    #[command(after_help = "EXAMPLE\n    keyline authority show root.policy thermostat-3.bundle")]
    Show {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Make a bundle, which then has to be signed
    #[command(subcommand)]
    Bundle(Box<BundleCommand>),
    /// Sign a file: adds one signature to it
    #[command(
        long_about = "Shows what the file says and adds the key's signature to it. Several people sign one after the other, or each a copy, which \
`keyline authority merge` puts together. Read what is shown before you trust that the right thing was signed.",
        after_help = "EXAMPLE\n    keyline authority sign thermostat-3.bundle --key root-1.pem"
    )]
    Sign {
        /// The file
        file: PathBuf,
        /// The key's file; FILE.pub lies beside it
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
    /// Put the signatures of two copies of one file together
    #[command(
        after_help = "EXAMPLE\n    keyline authority merge from-anna.bundle from-ben.bundle --out thermostat-3.bundle"
    )]
    Merge {
        /// One copy
        first: PathBuf,
        /// The other
        second: PathBuf,
        /// The new file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Check whether a file counts under a root policy
    #[command(
        after_help = "EXAMPLES\n    keyline authority verify thermostat-3.bundle --policy root.policy\n    keyline authority verify revoke.act --policy root.policy --roster acme-2.bundle"
    )]
    Verify {
        /// The file
        file: PathBuf,
        /// The root policy; for a new one, the one that it replaces
        #[arg(long, value_name = "FILE")]
        policy: PathBuf,
        /// The signed roster whose members signed, for an act
        #[arg(long, value_name = "FILE")]
        roster: Option<PathBuf>,
    },
}

/// `keyline authority bundle …`
#[derive(Debug, Subcommand)]
pub(super) enum BundleCommand {
    /// A product: chip, keys, cloud key and address, agents
    #[command(
        disable_version_flag = true,
        after_help = "EXAMPLE\n    keyline authority bundle product --name thermostat --platform nrf52840 --cloud-key cloud.pem --cloud-address mqtt.example.com:8883 \\\n        --version 3 --expires 2027-06-30 --policy root.policy --out thermostat-3.bundle"
    )]
    Product(Box<ProductTyped>),
    /// A roster: who may sign acts
    #[command(
        disable_version_flag = true,
        after_help = "EXAMPLE\n    keyline authority bundle roster --subject acme --member key-administrator=VKEY1 --member administrator=VKEY2 \\\n        --version 2 --expires 2027-06-30 --policy root.policy --out acme-2.bundle"
    )]
    Roster {
        /// The customer or site
        #[arg(long)]
        subject: Name,
        /// A member: his role and his verifier key, which is named by his operator id
        #[arg(long = "member", value_name = "ROLE=VKEY", required = true, value_parser = member)]
        members: Vec<(Role, VerifierKey)>,
        #[command(flatten)]
        terms: TermsTyped,
    },
    /// A station that may build, or may not any more
    #[command(
        disable_version_flag = true,
        after_help = "EXAMPLE\n    keyline authority bundle station --station 0190c2… --name line-7 --log-key VKEY --version 1 --expires 2027-06-30 \\\n        --policy root.policy --out line-7.bundle"
    )]
    Station {
        /// The station's id, as `keyline init` prints it
        #[arg(long, value_name = "ID")]
        station: StationId,
        /// Its name, which is its audit log's
        #[arg(long)]
        name: String,
        /// A key that signs its audit log
        #[arg(long = "log-key", value_name = "VKEY", required = true)]
        log_keys: Vec<String>,
        /// SHA-256 of the certificate with which it connects to the registry
        #[arg(long, value_name = "HEX")]
        certificate_sha256: Option<String>,
        /// Whether it may build
        #[arg(long, value_enum, default_value_t = StateTyped::Enrolled)]
        state: StateTyped,
        /// The station whose place it takes
        #[arg(long, value_name = "ID")]
        replaces: Option<StationId>,
        #[command(flatten)]
        terms: TermsTyped,
    },
}

/// What every bundle has.
#[derive(Args, Debug)]
pub(super) struct TermsTyped {
    /// The bundle's version: higher than that of the one before
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) version: u64,
    /// Until when it counts: a date or a moment in UTC
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(super) expires: u64,
    /// The root policy whose keys will sign it
    #[arg(long, value_name = "FILE")]
    pub(super) policy: PathBuf,
    /// The new file
    #[arg(long, value_name = "FILE")]
    pub(super) out: PathBuf,
}

/// A product, as it is typed for a bundle.
#[derive(Args, Debug)]
pub(super) struct ProductTyped {
    /// What people call it: 1 to 64 of A-Z a-z 0-9 . _ -
    #[arg(long)]
    pub(super) name: Name,
    /// The chip: nrf51822, nrf52832 or nrf52840
    #[arg(long)]
    pub(super) platform: PlatformName,
    /// The cloud's public key: SPKI or X.509 certificate, PEM or DER
    #[arg(long, value_name = "FILE")]
    pub(super) cloud_key: PathBuf,
    /// Counts the cloud's keys
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) cloud_key_version: u32,
    /// Where units find the cloud; IPv6 in brackets
    #[arg(long, value_name = "HOST:PORT")]
    pub(super) cloud_address: CloudAddress,
    /// SHA-256 of an agent image that may be used; may be given several times [default: any that a station has]
    #[arg(long = "agent-digest", value_name = "HEX")]
    pub(super) agent_digests: Vec<String>,
    #[command(flatten)]
    pub(super) options: ProductOptions,
    #[command(flatten)]
    pub(super) terms: TermsTyped,
}

/// What has a default, signed or not.
#[derive(Args, Debug)]
pub(super) struct ProductOptions {
    /// For whom it is built
    #[arg(long, default_value = "own")]
    pub(super) customer: Name,
    /// Where the device key comes from: on-device, station or existing
    #[arg(long, default_value = "on-device", value_name = "POLICY")]
    pub(super) key_policy: KeyPolicyName,
    /// The device key's algorithm: p256, rsa2048 or rsa3072
    #[arg(long, default_value = "p256")]
    pub(super) algorithm: AlgorithmName,
    /// How far a finished unit is closed: open, sealed or read-back
    #[arg(long, default_value = "sealed", value_name = "POLICY")]
    pub(super) lock_policy: LockPolicyName,
    /// The P-256 public key whose signature a sealed unit obeys
    #[arg(long, value_name = "FILE")]
    pub(super) authority_key: Option<PathBuf>,
    /// What the line does while the registry can't be reached
    #[arg(long, value_enum, default_value_t = Unreachable::Stop, value_name = "WHAT")]
    pub(super) when_registry_unreachable: Unreachable,
    /// What a serial number looks like: # for a digit, @ for a capital letter
    #[arg(long, value_name = "FORMAT")]
    pub(super) serial_format: Option<String>,
}

/// [`EnrolmentState`], as it is typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum StateTyped {
    /// It may build
    Enrolled,
    /// It may not any more
    Retired,
}

impl From<StateTyped> for EnrolmentState {
    fn from(typed: StateTyped) -> Self {
        match typed {
            StateTyped::Enrolled => Self::Enrolled,
            StateTyped::Retired => Self::Retired,
        }
    }
}

/// Reads `ROLE=VKEY`.
fn member(text: &str) -> Result<(Role, VerifierKey), String> {
    let (role, key) = text
        .split_once('=')
        .ok_or_else(|| "expected ROLE=VKEY".to_owned())?;
    let role = Role::from_name(role).ok_or_else(|| {
        let known: Vec<_> = Role::ALL.iter().map(|role| role.name()).collect();
        format!("expected a role of {}, got \"{role}\"", known.join(", "))
    })?;
    let key = VerifierKey::parse(key).map_err(|error| error.to_string())?;
    Ok((role, key))
}
