//! What can be typed after `keyline audit`.

use clap::Subcommand;

use super::export_arguments::ExportArguments;

/// `keyline audit …`
#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Take units or the audit log away as files, with a manifest signed by the log's key
    Export(Box<ExportArguments>),
}
