//! `keyline audit report`.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::super::CommandError;
use super::super::read::order_named;
use super::open::OpenLog;
use super::prove::write_new;
use super::warn::{warn_of_more, warn_of_quorum};
use crate::event::{Event, EventSink};
use crate::report::{self, Window};

/// Makes an order's lot report and writes it.
pub(super) async fn run(
    log: &OpenLog,
    order: &str,
    window: Window,
    out: &Path,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let order = order_named(&log.journal, order).await?;
    let report = report::make(&log.journal, &log.log, order.id, window).await?;
    let page = report::render(&report)?;
    warn_of_more(log, None, sink).await?;
    warn_of_quorum(log, &report.checkpoint, sink).await?;
    write_new(out, &page)?;
    sink.emit(Event::Notice {
        message: format!(
            "Wrote the report of order {} with {} leaves to {}.\nSHA-256 {}\nCheck it anywhere: keyline audit verify {} --policy FILE",
            order.name,
            report.entries.len(),
            out.display(),
            hex::encode(Sha256::digest(&page)),
            out.display()
        ),
    });
    Ok(())
}
