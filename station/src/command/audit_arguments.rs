//! What can be typed after `keyline audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Permit;
use super::export_arguments::{ABOUT, ExportArguments};
use crate::export::parse_time;

/// `keyline audit …`
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Print the log's latest checkpoint: a C2SP signed note
    #[command(after_help = "EXAMPLE\n    keyline audit checkpoint --witnessed > checkpoint.txt")]
    Checkpoint {
        /// The latest one that has the cosignatures which the configuration asks for
        #[arg(long)]
        witnessed: bool,
    },
    /// Print what an auditor has to trust: the log's keys, its witnesses and the quorum, as a C2SP policy
    #[command(
        long_about = "Prints a C2SP trust policy: the keys that sign this log, its witnesses, and how many of them have to cosign. Hand it to the \
auditor by a way that nobody on the bench controls: what he trusts is what stands in it.",
        after_help = "EXAMPLE\n    keyline audit policy > line-7.policy"
    )]
    Policy,
    /// Write a unit's dossier: all that is known of it in one file, which is checked offline
    #[command(
        long_about = "Writes everything that is known of a unit into one file: its leaves with their bodies, the proofs that they stand in the \
log, the checkpoint with its cosignatures, product, order, agent digest, and what the registry says of its keys. `keyline audit verify` checks it \
on a machine that has nothing but the file and the public keys.",
        after_help = "EXAMPLES\n    keyline audit prove 4b4c51220000000312345678 --out unit.json\n    keyline audit prove TH-000123 --out unit.json --tlog-proofs proofs/"
    )]
    Prove {
        /// Device id (24 hexadecimal digits) or serial
        unit: String,
        /// The file to write; it must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// And a C2SP proof file with its leaf for each entry, for tools from elsewhere, into this new directory
        #[arg(long, value_name = "DIR")]
        tlog_proofs: Option<PathBuf>,
    },
    /// Write a work order's lot report: one HTML page to read and print, which is checked offline
    #[command(
        long_about = "Writes a work order's lot report: one HTML page without scripts that a person reads and prints. It holds the log's entries \
that it was made from with their proofs, so that `keyline audit verify` checks it on a machine that has nothing but the file and the public keys, \
and finds every changed byte. It holds at most 10,000 units; of a larger order make several, each of a time.",
        after_help = "EXAMPLES\n    keyline audit report --order WO-1001 --out WO-1001.html\n    keyline audit report --order WO-1001 --from 2026-11-01 --to 2026-11-15 --out WO-1001-first.html\n    keyline audit verify WO-1001.html --policy line-7.policy"
    )]
    Report {
        /// The work order: name or id
        #[arg(long, value_name = "ORDER")]
        order: String,
        /// The file to write; it must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Only units whose last run in the order began then or later: a date (its first moment, UTC) or a moment such as 2026-11-24T08:00:00Z
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        from: Option<u64>,
        /// Only units whose last run in the order began before then
        #[arg(long, value_name = "TIME", value_parser = parse_time)]
        to: Option<u64>,
    },
    /// Check dossiers, reports, proofs and exports offline, or with --deep the whole station
    #[command(
        long_about = "Checks files on a machine that has nothing but them and the public keys: dossiers (`audit prove`), C2SP proof files beside \
their leaves, exports and lot reports. With --deep, and a home, it recomputes the whole log instead, holds it against the journal's tables, the \
registry and the witnesses, and explains every gap. Exit code 5 where something does not hold.",
        after_help = "EXAMPLES\n    keyline audit verify unit.json --policy line-7.policy\n    keyline audit verify export/ --log-key 'line-7+1f3a5c7e+AQ…'\n    keyline --home /var/lib/keyline audit verify --deep --policy line-7.policy"
    )]
    Verify(Verify),
    /// Take units or the audit log away as files, with a manifest signed by the log's key
    #[command(long_about = ABOUT)]
    Export(Box<ExportArguments>),
    /// The keys that sign the audit log
    #[command(
        subcommand,
        long_about = "The keys that sign the audit log's checkpoints. The configuration ([[audit.key]]) says which keys are at hand; the log \
itself says which of them sign. A new key joins with `add`, signs beside the old one for as long as you like, and the old one leaves with \
`retire`. The checkpoints that cover these two steps carry both signatures: whoever trusts one key comes to trust the other.",
        after_help = "A ROLL-OVER, FROM A FILE TO A TOKEN
    keyline audit key make --module /usr/lib/softhsm/libsofthsm2.so --token line-7 \\
        --label audit-2 --pin-file /etc/keyline/line-7.pin
    (add the [[audit.key]] that it prints to the configuration; end the process that owns the home)
    keyline audit key add audit-2
    keyline audit key list
    keyline audit key retire 1f3a5c7e --reason 'moved into the token' --permit retire-key
    (remove the old [[audit.key]], and destroy its file)"
    )]
    Key(KeyCommand),
}

/// `keyline audit verify …`
#[derive(Args, Debug)]
pub(super) struct Verify {
    /// The files and directories to check
    #[arg(value_name = "PATH", required_unless_present = "deep")]
    pub(super) paths: Vec<PathBuf>,
    /// Whom to trust: a C2SP policy, as `audit policy` prints it
    #[arg(long, value_name = "FILE", conflicts_with = "log_key")]
    pub(super) policy: Option<PathBuf>,
    /// Whom to trust: a verifier key of the log, without any witness; may be given several times
    #[arg(long, value_name = "KEY")]
    pub(super) log_key: Vec<String>,
    /// Check the whole station: log, journal, registry and witnesses against each other
    #[arg(long, conflicts_with = "paths")]
    pub(super) deep: bool,
    /// With --deep: leave the registry and the witnesses out
    #[arg(long, requires = "deep")]
    pub(super) offline: bool,
}

/// `keyline audit key …`
#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// List the keys: which sign, which wait, which are retired
    #[command(after_help = "EXAMPLE\n    keyline audit key list --json")]
    List,
    /// Make a key pair in a token (sensitive, not extractable), or in a file, and print what to configure
    #[command(
        after_help = "EXAMPLES\n    keyline audit key make --module /usr/lib/softhsm/libsofthsm2.so --token line-7 --label audit-2 --pin-file line-7.pin\n    keyline audit key make --file keys/audit-2.pem"
    )]
    Make(Box<KeyMake>),
    /// Have a further configured key sign every checkpoint from now on
    #[command(after_help = "EXAMPLE\n    keyline audit key add audit-2")]
    Add {
        /// Its key id (8 hexadecimal digits), its label in the token, or its file as the configuration names it
        key: String,
    },
    /// Have a key sign for the last time; it never returns
    #[command(
        after_help = "EXAMPLE\n    keyline audit key retire 1f3a5c7e --reason 'moved into the token' --permit retire-key"
    )]
    Retire {
        /// Its key id (8 hexadecimal digits), its label in the token, or its file as the configuration names it
        key: String,
        /// Why
        #[arg(long)]
        reason: String,
        /// Allow this destructive act, this time: `--permit retire-key`
        #[arg(long, value_enum, value_name = "ACT")]
        permit: Vec<Permit>,
    },
}

/// `keyline audit key make …`
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
pub(super) struct KeyMake {
    /// Make it in this new file: for demonstrations; relative to the home
    #[arg(long, value_name = "FILE", conflicts_with_all = ["module", "token", "label", "pin_file"])]
    pub(super) file: Option<PathBuf>,
    /// The token's PKCS #11 module
    #[arg(long, value_name = "FILE", requires_all = ["token", "label", "pin_file"])]
    pub(super) module: Option<PathBuf>,
    /// The token's label
    #[arg(long, value_name = "LABEL", requires = "module")]
    pub(super) token: Option<String>,
    /// The new key's label
    #[arg(long, value_name = "LABEL", requires = "module")]
    pub(super) label: Option<String>,
    /// The file with the token's PIN: one line, mode 0600
    #[arg(long, value_name = "FILE", requires = "module")]
    pub(super) pin_file: Option<PathBuf>,
}

/// Where `keyline init` puts the audit log's key.
#[derive(Args, Debug)]
pub(super) struct TokenArguments {
    /// Keep the audit log's key in this PKCS #11 token: its label [default: a file in the home, for demonstrations only]
    #[arg(long = "audit-token", value_name = "LABEL", requires_all = ["module", "pin_file"])]
    pub(super) token: Option<String>,
    /// That token's PKCS #11 module
    #[arg(long = "audit-module", value_name = "FILE", requires = "token")]
    pub(super) module: Option<PathBuf>,
    /// The file with that token's PIN: one line, mode 0600
    #[arg(long = "audit-pin-file", value_name = "FILE", requires = "token")]
    pub(super) pin_file: Option<PathBuf>,
    /// The key's label; a key that is there already is used [default: a new key with a label of the station's own]
    #[arg(long = "audit-key-label", value_name = "LABEL", requires = "token")]
    pub(super) label: Option<String>,
}
