//! The units of a work order, also those that a later order has taken over: what a lot report lists.

use crate::journal::error::database;
use crate::journal::{JournalError, JournalReader, row};
use crate::record::{DeviceIdText, OrderId, RunId};

/// A run of an order on a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LotRun {
    /// The unit.
    pub device_id: DeviceIdText,
    /// The run and when it began, in milliseconds since 1970; `None` for a unit that was set apart before a run was on it.
    pub run: Option<(RunId, u64)>,
}

type Columns = (Vec<u8>, Option<Vec<u8>>, Option<i64>);

fn lot_run((device_id, run, started): Columns) -> Result<LotRun, JournalError> {
    let run = run.map(|run| row::id(&run).map(RunId::from_bytes));
    let started = started.map(row::unsigned);
    Ok(LotRun {
        device_id: row::device_id(&device_id)?,
        run: run.transpose()?.zip(started.transpose()?),
    })
}

impl JournalReader {
    /// The runs of an order that were on a unit, by device id, the newest first; at most `limit`. Of runs without an end only the last
    /// one of each unit is among them.
    ///
    /// It walks the table of runs: an index for reports alone would cost every unit on the line.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn runs_of_order(
        &self,
        order: OrderId,
        limit: u32,
    ) -> Result<Vec<LotRun>, JournalError> {
        let rows: Vec<Columns> = sqlx::query_as(
            "SELECT device_id, id, started_at_ms FROM run WHERE order_id = ?1 AND device_id IS NOT NULL \
             UNION SELECT unit.device_id, run.id, run.started_at_ms FROM unit LEFT JOIN run ON run.id = unit.last_run \
             WHERE unit.order_id = ?1 ORDER BY 1, 2 DESC LIMIT ?2",
        )
        .bind(&order.as_bytes()[..])
        .bind(limit)
        .fetch_all(&self.pool)
        .await
        .map_err(database("reading the runs of an order"))?;
        rows.into_iter().map(lot_run).collect()
    }
}
