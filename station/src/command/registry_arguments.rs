//! What can be typed after `keyline registry`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::fleet_arguments::FleetCommand;
use crate::registry::RegistryFiles;

/// `keyline registry …`
#[derive(Debug, Subcommand)]
pub(super) enum RegistryCommand {
    /// On its schema.
    #[command(flatten)]
    Schema(SchemaCommand),
    /// On fleets.
    #[command(flatten)]
    Fleet(FleetCommand),
}

/// `keyline registry migrate` and `status`
#[derive(Debug, Subcommand)]
pub(super) enum SchemaCommand {
    /// Make the registry's schema, or bring it up to date
    #[command(
        long_about = "For the owner of the database: on PostgreSQL he needs the right to make roles (CREATEROLE). Each migration is one \
transaction; one that was cut off is done by running the command again. Stations go on meanwhile. A file that is not there is made. Needs no \
station home.",
        after_help = "EXAMPLES\n    keyline registry migrate --registry postgres://keyline_owner@localhost/keyline\n    keyline registry migrate --registry postgres://keyline_owner@db-1.example,db-2.example/keyline --ca-file ca.pem --password-file owner.password"
    )]
    Migrate {
        /// The registry's address: a server as in the examples, with up to eight hosts, or sqlite:PATH
        #[arg(long, value_name = "URL")]
        registry: String,
        #[command(flatten)]
        files: FileArguments,
    },
    /// Show the registry's schema and server, and whom it takes you for
    #[command(
        long_about = "Changes nothing. Without --registry it asks the registry of the station's home, as that station.",
        after_help = "EXAMPLES\n    keyline --home ./bench registry status\n    keyline registry status --registry postgres://audrey@db-1.example/keyline --ca-file ca.pem --certificate-file audrey.pem --key-file audrey.key --json"
    )]
    Status {
        /// The registry's address: a server as in the examples, with up to eight hosts, or sqlite:PATH
        #[arg(long, value_name = "URL")]
        registry: Option<String>,
        #[command(flatten)]
        files: FileArguments,
    },
}

/// How one shows who one is.
#[derive(Debug, Args)]
pub(super) struct FileArguments {
    /// Certificates of the authorities that may have signed the server's, PEM; needed for a server that is not on this machine
    #[arg(long = "ca-file", value_name = "FILE", requires = "registry")]
    ca: Option<PathBuf>,
    /// Your own certificate, PEM
    #[arg(long = "certificate-file", value_name = "FILE", requires_all = ["registry", "ca", "key"])]
    certificate: Option<PathBuf>,
    /// The certificate's private key, PEM (PKCS #8), mode 0600
    #[arg(long = "key-file", value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
    /// The password, the first line of a file of mode 0600
    #[arg(long = "password-file", value_name = "FILE", requires = "registry")]
    password: Option<PathBuf>,
}

impl From<FileArguments> for RegistryFiles {
    fn from(files: FileArguments) -> Self {
        let FileArguments {
            ca,
            certificate,
            key,
            password,
        } = files;
        Self {
            ca,
            certificate,
            key,
            password,
        }
    }
}
