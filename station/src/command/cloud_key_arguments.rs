//! What can be typed after `keyline cloud-key`.

use std::path::PathBuf;

use clap::Subcommand;

use super::Name;

/// `keyline cloud-key …`
#[derive(Debug, Subcommand)]
pub(super) enum CloudKeyCommand {
    /// List the versions of products' cloud keys, and how many units carry each
    #[command(
        long_about = "A version comes with a signed bundle (`product add --bundle`) and never changes; the latest one is in force. A unit carries \
the version that it showed in its newest proof, as long as it is trusted. On a shared registry this takes a role that may see all units.",
        after_help = "EXAMPLES\n    keyline cloud-key list\n    keyline cloud-key list --product thermostat --json"
    )]
    List {
        /// Only those of this product
        #[arg(long, value_name = "NAME")]
        product: Option<Name>,
    },
    /// List the units that carry a version: with --outdated those that have to be provisioned again
    #[command(
        disable_version_flag = true,
        long_about = "Lists the trusted units of a product by device id: the version that each carries, when and where it has proven that, and how \
it gets another one. `run`: in a work order with --rework it keeps its device key. `erase-and-rework`: it is sealed, and takes a new record only \
after a full erase of its chip and `unit rework`, with a new device key. docs/OPERATIONS.md goes through it.",
        after_help = "EXAMPLES\n    keyline cloud-key units --product thermostat --outdated\n    keyline cloud-key units --product thermostat --version 1 --limit 1000000 --json\n    keyline cloud-key units --product thermostat --outdated --out outdated.csv"
    )]
    Units {
        /// The product
        #[arg(long, value_name = "NAME")]
        product: Name,
        /// Only units that carry this version
        #[arg(long, value_name = "N", conflicts_with = "outdated", value_parser = clap::value_parser!(u32).range(1..))]
        version: Option<u32>,
        /// Only units that have not shown that they carry the latest version
        #[arg(long)]
        outdated: bool,
        /// Show at most so many
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
        limit: u32,
        /// Write all of them to a new CSV file instead; the audit log says that they were handed out
        #[arg(long, value_name = "FILE", conflicts_with = "limit")]
        out: Option<PathBuf>,
    },
}
