//! What can be typed after `keyline registry` about fleets.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::Name;
use crate::fleet::{FleetFormat, KeyForm};

/// `keyline registry import` and `export`
#[derive(Debug, Subcommand)]
pub(super) enum FleetCommand {
    /// Take in devices that exist already, from CSV or JSON Lines
    #[command(
        long_about = "Reads device ids and public keys (PEM, base64 or hexadecimal DER, JWK) row by row, in little memory, however long the \
file is. A row that is refused is told with its line, a code and the reason, and the next one is read. Rows that are in already stay as they are: \
importing a file twice changes nothing. Exit code 1 where rows were refused.",
        after_help = "EXAMPLES\n    keyline registry import fleet.csv --dry-run\n    keyline registry import fleet.csv --product thermostat --report refused.csv --state fleet.state\n    keyline registry import fleet.csv --product thermostat --report refused.csv --state fleet.state --resume"
    )]
    Import {
        /// The file
        file: PathBuf,
        /// How it is written
        #[arg(long, value_enum, default_value = "auto")]
        format: FormatChoice,
        /// The product of rows that name none
        #[arg(long, value_name = "NAME")]
        product: Option<Name>,
        /// A new file for the refused rows: CSV where its name ends so, else JSON Lines
        #[arg(long, value_name = "FILE")]
        report: Option<PathBuf>,
        /// A file that says how far the import is
        #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
        state: Option<PathBuf>,
        /// Go on where the state file says that it stopped
        #[arg(long, requires = "state")]
        resume: bool,
        /// Check every row, and change nothing; needs no registry
        #[arg(long)]
        dry_run: bool,
    },
    /// Write the devices and their keys to a file that an import takes
    #[command(
        after_help = "EXAMPLE\n    keyline registry export --out fleet.csv --product thermostat"
    )]
    Export {
        /// The file to write; it must not exist
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// How it is written
        #[arg(long, value_enum, default_value = "auto")]
        format: FormatChoice,
        /// How keys are written
        #[arg(long, value_enum, default_value = "base64")]
        keys: KeyChoice,
        /// Only devices of this product
        #[arg(long, value_name = "NAME")]
        product: Option<Name>,
        /// Keys that are not in force, too
        #[arg(long)]
        all: bool,
    },
}

/// A fleet's format, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FormatChoice {
    /// By the file's name, else by its first byte
    Auto,
    /// CSV with a header
    Csv,
    /// One JSON object a line
    Jsonl,
}

impl FormatChoice {
    /// The format, where one was asked for.
    pub(super) const fn format(self) -> Option<FleetFormat> {
        match self {
            Self::Auto => None,
            Self::Csv => Some(FleetFormat::Csv),
            Self::Jsonl => Some(FleetFormat::Jsonl),
        }
    }
}

/// A key's form, as it is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum KeyChoice {
    /// DER in base64, on one line
    Base64,
    /// PEM, on several lines
    Pem,
}

impl From<KeyChoice> for KeyForm {
    fn from(choice: KeyChoice) -> Self {
        match choice {
            KeyChoice::Base64 => Self::Base64,
            KeyChoice::Pem => Self::Pem,
        }
    }
}
