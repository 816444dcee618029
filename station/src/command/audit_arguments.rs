//! What can be typed after `keyline audit`.

use clap::Subcommand;

use super::export_arguments::{ABOUT, ExportArguments};

/// `keyline audit …`
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Take units or the audit log away as files, with a manifest signed by the log's key
    #[command(long_about = ABOUT)]
    Export(Box<ExportArguments>),
}
