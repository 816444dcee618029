//! What can be typed. Nothing here is checked beyond its own form; [`super::lower`] makes a complete [`super::Request`] of it.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

use super::audit_arguments::{AuditCommand, TokenArguments};
use super::authority_arguments::AuthorityCommand;
use super::cloud_key_arguments::CloudKeyCommand;
use super::product_arguments::ProductAdd;
use super::registry_arguments::RegistryCommand;
use super::witness_arguments::WitnessCommand;
use super::{DemoUnit, Name, Permit};
use crate::record::StationId;

/// Make devices that prove who they are.
///
/// Keyline finds a unit over a debug probe, has it make (or receives, or reads) its key pair, pins the public key in the cloud's
/// registry, writes the cloud's public key and address into its flash, makes the unit prove both after a reset, locks it, and records
/// every step so that an auditor need not trust the station.
#[derive(Debug, Parser)]
#[command(
    name = "keyline",
    version,
    propagate_version = true,
    max_term_width = 100,
    after_long_help = "\
EXIT CODES
    0 all good              3 station not ready        6 some units held, none failed
    1 some units failed     4 not allowed            130 interrupted
    2 wrong usage           5 journal or audit log refused

EXAMPLES
    keyline demo                                  see it work on emulated chips
    keyline init --home ~/station                 make a station
    keyline product add --name sensor --platform nrf52840 \\
        --cloud-key cloud.pem --cloud-address mqtt.example.com:8883
    keyline order add --name WO-1001 --product sensor --quantity 500
    keyline provision --order WO-1001 --slot 1 --slot 2 --count 20 --json"
)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: GlobalArguments,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Args, Debug)]
pub(super) struct GlobalArguments {
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        help = "The station's home [default: $XDG_STATE_HOME/keyline, else /var/lib/keyline]"
    )]
    pub(super) home: Option<PathBuf>,
    /// Write JSON Lines to standard output: one event a line, the last one a summary
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Say more on standard error: -v what is done, -vv how, -vvv every detail
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,
    /// The file with the token of whoever acts [default: the one in the configuration]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) operator_token: Option<PathBuf>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the main job on emulated units: no hardware needed
    #[command(
        long_about = "Makes a station, a product and a work order in a new temporary home (or in --home DIR), starts emulated units, and \
provisions them over several slots. The home stays, and every other command works on it.",
        after_help = "EXAMPLES\n    keyline demo\n    keyline demo --units 100 --slots 16 --unit sim --json"
    )]
    Demo {
        /// How many units
        #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        units: u32,
        /// How many slots side by side
        #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
        slots: u16,
        /// Which units [default: qemu where it is installed, else sim]
        #[arg(long, value_enum)]
        unit: Option<DemoUnit>,
        /// The registry [default: a database in the home]
        #[arg(long, value_name = "URL")]
        registry: Option<String>,
    },
    /// Make a station's home: configuration, journal, keys, first operator
    #[command(
        after_help = "EXAMPLES\n    keyline init --home ~/station --slot 1=probe:1366:1015:000683012345\n    keyline init --slot 1=serial:/dev/ttyUSB0 --registry postgres://keyline@db/registry\n    keyline init --audit-token line-7 --audit-module /usr/lib/softhsm/libsofthsm2.so --audit-pin-file /etc/keyline/line-7.pin"
    )]
    Init {
        /// What people call the station; also its audit log's name, for ever
        #[arg(long, value_name = "NAME", default_value = "station-1")]
        name: String,
        /// The first operator's name
        #[arg(long, value_name = "NAME", default_value = "administrator")]
        operator: Name,
        /// The registry: sqlite:PATH or postgres://… [default: a database in the home]
        #[arg(long, value_name = "URL")]
        registry: Option<String>,
        /// A slot and its link: NUMBER=probe:VID:PID:SERIAL, NUMBER=serial:/dev/…, NUMBER=sim
        #[arg(long = "slot", value_name = "NUMBER=LINK")]
        slots: Vec<String>,
        /// Where the audit log's key is kept
        #[command(flatten)]
        token: TokenArguments,
        /// The root policy, whose keys sign what this station believes [default: a demonstration's, its key in the home]
        #[arg(long, value_name = "FILE")]
        authority: Option<PathBuf>,
    },
    /// Check probes, keys, journal, registry, clock, disk, and say what to do
    Doctor,
    /// What is built: chip, key policy, cloud key and address
    #[command(subcommand)]
    Product(ProductCommand),
    /// Work orders: a quantity of a product
    #[command(subcommand)]
    Order(OrderCommand),
    /// Provision units of a work order
    #[command(
        long_about = "Runs units of a work order over one or more slots, side by side. Running it again at any point goes on where it \
stopped: a finished unit stays as it is.",
        after_help = "EXAMPLES\n    keyline provision --order WO-1001\n    keyline provision --order WO-1001 --slot 3 --serial TH-000123 --idempotency-key job-77 --json\n    keyline provision --order WO-1001 --count 200 --max-failures 5\n    keyline provision --order WO-1001 --dry-run"
    )]
    Provision {
        /// The work order: name or id
        #[arg(long, value_name = "ORDER")]
        order: String,
        /// A slot that takes part; may be given several times [default: all]
        #[arg(long = "slot", value_name = "NUMBER")]
        slots: Vec<u16>,
        /// How many units in all [default: one in each slot]
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        count: Option<u32>,
        /// The serial number that was scanned; with one slot and one unit
        #[arg(long)]
        serial: Option<String>,
        /// Check probe, token, stores and policy, and write nothing
        #[arg(long)]
        dry_run: bool,
        /// The same key gives the stored result; with another request it is refused
        #[arg(long, value_name = "KEY")]
        idempotency_key: Option<String>,
        /// Stop after so many failed units
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        max_failures: Option<u32>,
    },
    /// Enter in the registry what was held while it was out of reach
    #[command(
        long_about = "Units that were finished while the registry was out of reach are held: they wait in the home's outbox. This enters their \
keys and proofs, exactly once and in order, and releases them. A unit that the registry refuses is quarantined and does not keep the others. A \
line does the same by itself while it runs. Exit code 0 where nothing waits any more, 1 where some were refused, 3 where the registry was out of \
reach and nothing could be done, 6 where some wait on.",
        after_help = "EXAMPLES\n    keyline sync\n    keyline sync --wait 600 --json"
    )]
    Sync {
        /// How long to wait for a registry that is out of reach, in seconds since a unit was last entered
        #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=604_800))]
        wait: u64,
    },
    /// Units: what the station knows of them, and what becomes of them
    #[command(subcommand)]
    Unit(UnitCommand),
    /// The audit log: checkpoints, dossiers, verification, exports
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Stations
    #[command(subcommand)]
    Station(StationCommand),
    /// Cloud keys: whom units trust, by version, and which units carry which
    #[command(subcommand)]
    CloudKey(CloudKeyCommand),
    /// Pins: which keys the cloud trusts
    #[command(subcommand)]
    Pin(PinCommand),
    /// The registry as a whole: its schema, and fleets that exist already, in and out
    #[command(subcommand)]
    Registry(RegistryCommand),
    /// Who may say yes: root policies, signed products, rosters and enrolments
    #[command(
        subcommand,
        long_about = "A root policy names keys and how many of them must sign. What they sign is a bundle: a product, a roster of operators, a \
station's enrolment, each with a version and an expiry. `init --authority` pins a root in a home. All but `install` and `replace-root` work \
without a home, on a machine that is connected to nothing; docs/CEREMONY.md goes through it."
    )]
    Authority(AuthorityCommand),
    /// A witness: cosigns the checkpoints of audit logs, so that no log can show two histories
    #[command(
        subcommand,
        long_about = "A witness is a process of its own, with its own key and store, meant to stand outside of the factory. Logs show it each new \
checkpoint with a proof that nothing was taken back; it cosigns what follows from what it saw before, and nothing else. It speaks C2SP \
tlog-witness over plain HTTP (all it carries is public and signed); put a TLS proxy in front where one is wanted. It needs no station home."
    )]
    Witness(WitnessCommand),
    /// Print a completion script for a shell
    #[command(
        after_help = "EXAMPLE\n    keyline completions bash > /etc/bash_completion.d/keyline"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    #[command(after_help = "EXAMPLE\n    keyline man | man -l -")]
    Man,
}

/// `keyline product …`
#[derive(Debug, Subcommand)]
pub(super) enum ProductCommand {
    /// Add a product
    Add(Box<ProductAdd>),
    /// List the products
    List {
        /// Retired ones too
        #[arg(long)]
        all: bool,
    },
    /// Show a product
    Show {
        /// Name or id
        product: String,
    },
    /// Retire a product: no new orders; its name may be used again
    Retire {
        /// Name or id
        product: String,
    },
}

/// `keyline order …`
#[derive(Debug, Subcommand)]
pub(super) enum OrderCommand {
    /// Add a work order; it keeps today's agent image until it is closed
    Add {
        /// What people call it
        #[arg(long)]
        name: Name,
        /// The product: name or id
        #[arg(long)]
        product: String,
        /// How many units
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
        quantity: u32,
        /// Known units whose pin was revoked may get a new key
        #[arg(long)]
        rework: bool,
    },
    /// List the work orders
    List {
        /// Only the open ones
        #[arg(long)]
        open: bool,
    },
    /// Show a work order and how far it is
    Show {
        /// Name or id
        order: String,
    },
    /// Say which units may leave the building, and record that they do
    #[command(
        long_about = "Ships every unit of a work order that has passed and is under a checkpoint which enough witnesses have cosigned, and says \
of each other one why it stays. Exit code 1 where some stay, 6 where all of those are only held.",
        after_help = "EXAMPLES\n    keyline order ship WO-1001 --list\n    keyline order ship WO-1001 --json"
    )]
    Ship {
        /// Name or id
        order: String,
        /// Only say what may leave and what not, and why; nothing is recorded
        #[arg(long)]
        list: bool,
    },
    /// Close a work order, for ever
    Close {
        /// Name or id
        order: String,
    },
}

/// `keyline station …`
#[derive(Debug, Subcommand)]
pub(super) enum StationCommand {
    /// Enrol a station in the registry: it may enter pins from then on
    #[command(
        long_about = "Enters the station's id and name, and makes a role of its own in the database. The station shows who it is by a \
certificate whose common name is that role. Run it in a home whose registry role may administer (`keyline_key_administrator`).",
        after_help = "EXAMPLE\n    keyline --home ./desk station enroll 0190c2a6e5b17c3f8d1e5a7b9c0d1e2f --name line-7 --certificate line-7.pem"
    )]
    Enroll {
        /// The station's id: station.id in its own configuration
        #[arg(value_name = "STATION")]
        station: StationId,
        /// Its name in its own configuration, which is also its log's; unique, for ever
        #[arg(long)]
        name: String,
        /// The certificate that it will show, PEM
        #[arg(long, value_name = "FILE")]
        certificate: Option<PathBuf>,
    },
    /// List the stations of the registry
    List,
    /// Retire a station: the registry takes nothing more from it
    #[command(
        after_help = "EXAMPLE\n    keyline --home ./desk station retire 0190c2a6e5b17c3f8d1e5a7b9c0d1e2f --reason 'line was sold' --permit retire-station"
    )]
    Retire {
        /// The station's id
        #[arg(value_name = "STATION")]
        station: StationId,
        /// The station that takes its place; enrolled before
        #[arg(long, value_name = "STATION")]
        successor: Option<StationId>,
        /// Why
        #[arg(long)]
        reason: String,
        /// Allow this destructive act, this time: `--permit retire-station`
        #[arg(long, value_enum, value_name = "ACT")]
        permit: Vec<Permit>,
    },
    /// Put a new station in the place of one whose log can't be continued
    #[command(
        long_about = "Makes a new station with an id, a log and keys of its own in the place of one whose home was put back from an old copy, or \
whose log's key is lost. The old home stays read-only for ever. Products and operators come along; work orders do not, because the old home no \
longer knows how many of their units were built: add them again for what is left.",
        after_help = "EXAMPLE\n    keyline --home ./old station replace --to ./new --name line-7b --reason 'disk failed, restored from Monday' \\\n        --permit replace-station"
    )]
    Replace {
        /// Where the new home is made
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
        /// The new station's name, which is its audit log's: not the old one's
        #[arg(long)]
        name: String,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        token: TokenArguments,
        /// Allow this destructive act, this time: `--permit replace-station`
        #[arg(long, value_enum, value_name = "ACT")]
        permit: Vec<Permit>,
    },
}

/// `keyline unit …`
#[derive(Debug, Subcommand)]
pub(super) enum UnitCommand {
    /// List units
    List {
        /// Only those of this work order: name or id
        #[arg(long)]
        order: Option<String>,
        /// Only those in this state
        #[arg(long, value_parser = ["in-progress", "passed", "weak", "held", "failed", "quarantined", "scrapped"])]
        state: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        limit: u32,
    },
    /// Show a unit, its last run and its evidence, and by the registry whom its serial names and named
    #[command(
        long_about = "Shows a unit, its last run and its evidence, from this station's journal. Where the registry is within reach, it says which \
units of all stations its serials name and named, the oldest first; else that is told."
    )]
    Show {
        /// Device id (24 hexadecimal digits) or serial
        unit: String,
    },
    /// Take a unit out of quarantine
    Release {
        /// Device id or serial
        unit: String,
        /// Why
        #[arg(long)]
        reason: String,
    },
    /// Take a unit out for good
    #[command(
        after_help = "EXAMPLE\n    keyline unit scrap TH-000123 --reason 'broken antenna' --permit scrap"
    )]
    Scrap {
        /// Device id or serial
        unit: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// Allow this destructive act, this time: `--permit scrap`
        #[arg(long, value_enum, value_name = "ACT")]
        permit: Vec<Permit>,
    },
    /// Take back a unit that a customer sent in: two people revoke its pin, and a rework order may give it a new key
    #[command(
        after_help = "EXAMPLE\n    keyline unit return TH-000123 --reason 'came back from the field' --out return.act\n    keyline authority sign return.act --key ann.key\n    keyline authority sign return.act --key ben.key\n    keyline unit return TH-000123 --act return.act --roster acme"
    )]
    Return(ActArguments),
    /// Revoke a unit's pin, so that a rework order may give it a new key
    #[command(
        after_help = "EXAMPLE\n    keyline unit rework TH-000123 --reason 'board replaced' --permit revoke"
    )]
    Rework {
        /// Device id or serial
        unit: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// Allow this destructive act, this time: `--permit revoke`
        #[arg(long, value_enum, value_name = "ACT")]
        permit: Vec<Permit>,
    },
}

/// `keyline pin …`
#[derive(Debug, Subcommand)]
pub(super) enum PinCommand {
    /// Show a unit's pin, its history and its serials in the registry
    Show {
        /// Device id, serial, or key fingerprint (64 hexadecimal digits)
        unit: String,
    },
    /// Revoke a unit's pin: the cloud trusts its key no more, for ever. Two people of a roster sign it
    #[command(
        long_about = "First writes the act (--reason, --out), which two members of the roster sign (`keyline authority sign`), then carries out \
the signed one (--act, --roster). An act counts for a day, and once; nobody agrees with himself.",
        after_help = "EXAMPLE\n    keyline pin revoke TH-000123 --reason 'stolen from the lorry' --out revoke.act\n    keyline authority sign revoke.act --key ann.key\n    keyline authority sign revoke.act --key ben.key\n    keyline pin revoke TH-000123 --act revoke.act --roster acme"
    )]
    Revoke(ActArguments),
    /// Give a unit's pin another key, whose holder shows that he has it. Two people of a roster sign it
    #[command(
        long_about = "First writes the act (--reason, --out), which the new key signs as it is and two members of the roster sign after that, then \
carries out the signed one (--act, --roster, --possession). The old key is kept in the history and never returns.",
        after_help = "EXAMPLE\n    keyline pin rotate TH-000123 --new-key new.pem --reason 'yearly' --out rotate.act\n    openssl dgst -sha256 -sign new.private -out possession.sig rotate.act\n    keyline authority sign rotate.act --key ann.key\n    keyline authority sign rotate.act --key ben.key\n    keyline pin rotate TH-000123 --new-key new.pem --possession possession.sig --act rotate.act --roster acme"
    )]
    Rotate {
        #[command(flatten)]
        act: ActArguments,
        /// The new public key, PEM
        #[arg(long, value_name = "FILE")]
        new_key: PathBuf,
        /// The new key's signature over the act's text, before anybody signed it
        #[arg(long, value_name = "FILE")]
        possession: Option<PathBuf>,
    },
}

/// What an act of two people is made from, or carried out with.
#[derive(Debug, Args)]
pub(super) struct ActArguments {
    /// Device id or serial
    pub(super) unit: String,
    /// Why; the act is written, and nothing is changed
    #[arg(long, requires = "out", conflicts_with = "act")]
    pub(super) reason: Option<String>,
    /// The new file for the act
    #[arg(long, value_name = "FILE", requires = "reason")]
    pub(super) out: Option<PathBuf>,
    /// The act that two people signed; it is carried out
    #[arg(long, value_name = "FILE", requires = "roster")]
    pub(super) act: Option<PathBuf>,
    /// The roster in which the two people are
    #[arg(long, value_name = "NAME", requires = "act")]
    pub(super) roster: Option<Name>,
}
