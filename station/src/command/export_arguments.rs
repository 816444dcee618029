//! `keyline audit export …`

use std::path::PathBuf;

use clap::Args;

use super::Name;
use crate::export::{Format, Rows, parse_time};

/// What `keyline audit export --help` says of the whole.
pub(super) const ABOUT: &str = "\
Writes units, or the leaves of the audit log, into a new directory, with the log's checkpoint and a manifest that is signed by the log's \
key: who holds the log's public key sees that nothing is missing and nothing was changed. Filters hold all at once. Every export is \
itself a leaf of the audit log. It works while a line is running.

With --seal-to only one file leaves, export.cms: a tar archive of all that, encrypted to a person's public key (RSA of 2048 to 4096 bits, \
or P-256). He opens it with plain OpenSSL 3; the examples show how. What OpenSSL wrote counts only if it ended without an error.

In CSV a text that a spreadsheet would take for a formula has a ' before it, and so has a text that begins with '.";

const EXAMPLES: &str = "\
EXAMPLES
    keyline audit export --out /media/stick/WO-1001 --order WO-1001
    keyline audit export --out november --customer acme --from 2026-11-01 --to 2026-12-01 \\
        --format csv --format parquet
    keyline audit export --out log --rows leaves --format jsonl
    keyline audit export --out for-ada --customer acme --seal-to ada.pem
    openssl cms -decrypt -binary -inform DER -in for-ada/export.cms -inkey KEY.pem \\
        -out export.tar && mkdir opened && tar -xf export.tar -C opened";

/// What is to be taken away, as it is typed.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExportArguments {
    /// The directory to make; it must be empty or not there yet
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Only this work order: name or id
    #[arg(long, value_name = "ORDER")]
    pub(super) order: Option<Name>,
    /// Only this product: id, or the name that it has or had
    #[arg(long, value_name = "PRODUCT")]
    pub(super) product: Option<Name>,
    /// Only what is built for this customer; nothing of another one's appears
    #[arg(long, value_name = "CUSTOMER")]
    pub(super) customer: Option<Name>,
    /// Only from then on: a date (its first moment, UTC) or a moment such as 2026-11-24T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(super) from: Option<u64>,
    /// Only before then; the moment itself is left out
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(super) to: Option<u64>,
    /// Rows of what
    #[arg(long, value_enum, default_value_t = Rows::Units)]
    pub(super) rows: Rows,
    /// The format; may be given several times
    #[arg(long = "format", value_enum, default_value = "csv")]
    pub(super) formats: Vec<Format>,
    /// Seal it to the public key or certificate in this file, PEM or DER
    #[arg(long, value_name = "FILE")]
    pub(super) seal_to: Option<PathBuf>,
}
