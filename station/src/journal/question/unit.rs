//! Units, and what befell them.

use crate::audit::Leaf;
use crate::journal::error::database;
use crate::journal::{Alarm, JournalError, JournalReader, Unit, UnitFilter, row};
use crate::record::{DeviceIdText, OrderId, ProductId, RunId, UnitState};

const DOING: &str = "reading units";

/// The most rows that one page has.
const PAGE_MAX: u32 = 1_000;

/// A unit's columns, in the order of [`SELECT`].
pub(in crate::journal) type UnitColumns = (
    Vec<u8>,
    Option<String>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    String,
    i64,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    i64,
);

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT device_id, serial, product_id, order_id, state, consecutive_failures, last_run, lock_intended, changed_at_ms \
             FROM unit WHERE ",
            $condition
        )
    };
}

/// The unit in these columns.
pub(in crate::journal) fn unit_of(columns: UnitColumns) -> Result<Unit, JournalError> {
    let (device_id, serial, product, order, state, failures, last_run, lock_intended, changed) =
        columns;
    let id = |bytes: Option<Vec<u8>>| bytes.map(|bytes| row::id(&bytes)).transpose();
    Ok(Unit {
        device_id: row::device_id(&device_id)?,
        serial,
        product: id(product)?.map(ProductId::from_bytes),
        order: id(order)?.map(OrderId::from_bytes),
        state: row::named(&state)?,
        consecutive_failures: row::count(failures)?,
        last_run: id(last_run)?.map(RunId::from_bytes),
        lock_intended: id(lock_intended)?.map(RunId::from_bytes),
        changed_at_ms: row::unsigned(changed)?,
    })
}

impl JournalReader {
    /// A unit by its device id.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn unit(&self, device_id: DeviceIdText) -> Result<Option<Unit>, JournalError> {
        sqlx::query_as(select!("device_id = ?1"))
            .bind(&device_id.0.as_bytes()[..])
            .fetch_optional(&self.pool)
            .await
            .map_err(database(DOING))?
            .map(unit_of)
            .transpose()
    }

    /// The living unit of a product with this serial.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn unit_by_serial(
        &self,
        product: ProductId,
        serial: &str,
    ) -> Result<Option<Unit>, JournalError> {
        sqlx::query_as(select!(
            "serial = ?1 AND product_id = ?2 AND serial IS NOT NULL AND state <> 'scrapped'"
        ))
        .bind(serial)
        .bind(&product.as_bytes()[..])
        .fetch_optional(&self.pool)
        .await
        .map_err(database(DOING))?
        .map(unit_of)
        .transpose()
    }

    /// The living units of all products with this serial.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn units_by_serial(&self, serial: &str) -> Result<Vec<Unit>, JournalError> {
        let rows: Vec<UnitColumns> = sqlx::query_as(select!(
            "serial = ?1 AND serial IS NOT NULL AND state <> 'scrapped' LIMIT 1000"
        ))
        .bind(serial)
        .fetch_all(&self.pool)
        .await
        .map_err(database(DOING))?;
        rows.into_iter().map(unit_of).collect()
    }

    /// A page of units, by device id; at most 1,000. The next page is the one after the last unit's device id.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn units(&self, filter: &UnitFilter, limit: u32) -> Result<Vec<Unit>, JournalError> {
        let finished = matches!(filter.state, Some(UnitState::Passed | UnitState::Weak));
        // Each filter has an index only where its column is compared plainly, so each combination is a statement of its own. Most
        // units are `passed`: a page of those is found by walking the table.
        let sql = match (filter.order.is_some(), filter.state.is_some(), finished) {
            (false, false, _) => select!("device_id > ?1 ORDER BY device_id LIMIT ?2"),
            (true, false, _) => {
                select!("device_id > ?1 AND order_id = ?3 ORDER BY device_id LIMIT ?2")
            }
            (true, true, _) => {
                select!(
                    "device_id > ?1 AND order_id = ?3 AND state = ?4 ORDER BY device_id LIMIT ?2"
                )
            }
            (false, true, true) => {
                select!("device_id > ?1 AND state = ?4 ORDER BY device_id LIMIT ?2")
            }
            (false, true, false) => select!(
                "device_id > ?1 AND state = ?4 AND state NOT IN ('passed', 'weak') ORDER BY device_id LIMIT ?2"
            ),
        };
        let after = filter.after.map(|id| id.0.as_bytes().to_vec());
        let rows: Vec<UnitColumns> = sqlx::query_as(sql)
            .bind(after.unwrap_or_default())
            .bind(limit.min(PAGE_MAX))
            .bind(filter.order.map(|id| id.as_bytes().to_vec()))
            .bind(filter.state.map(UnitState::name))
            .fetch_all(&self.pool)
            .await
            .map_err(database(DOING))?;
        rows.into_iter().map(unit_of).collect()
    }

    /// The latest clone alarms and quarantines, the newest first; at most 1,000.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn alarms(&self, limit: u32) -> Result<Vec<Alarm>, JournalError> {
        let rows: Vec<(i64, Vec<u8>, String)> = sqlx::query_as(
            "SELECT entry.leaf_index, entry.leaf, entry.body FROM unit_event JOIN entry USING (leaf_index) \
             WHERE unit_event.kind IN ('clone-alarm', 'unit-quarantined') ORDER BY unit_event.leaf_index DESC LIMIT ?1",
        )
        .bind(limit.min(PAGE_MAX))
        .fetch_all(&self.pool)
        .await
        .map_err(database("reading alarms"))?;
        rows.into_iter().map(alarm).collect()
    }

    /// Everything that befell a unit outside of its runs' steps, the oldest first: alarms, quarantines, releases, scrapping.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn unit_events(&self, device_id: DeviceIdText) -> Result<Vec<Alarm>, JournalError> {
        let rows: Vec<(i64, Vec<u8>, String)> = sqlx::query_as(
            "SELECT entry.leaf_index, entry.leaf, entry.body FROM unit_event JOIN entry USING (leaf_index) \
             WHERE unit_event.device_id = ?1 ORDER BY unit_event.leaf_index LIMIT 1000",
        )
        .bind(&device_id.0.as_bytes()[..])
        .fetch_all(&self.pool)
        .await
        .map_err(database("reading a unit's events"))?;
        rows.into_iter().map(alarm).collect()
    }
}

fn alarm((index, leaf, body): (i64, Vec<u8>, String)) -> Result<Alarm, JournalError> {
    let leaf = Leaf::decode(&leaf)?;
    let device_id = leaf
        .device_id
        .ok_or_else(|| row::damaged("an alarm", "a device id", "none"))?;
    Ok(Alarm {
        leaf: row::unsigned(index)?,
        at_ms: leaf.wall_ms,
        kind: leaf.kind.to_owned(),
        device_id,
        run: leaf.run,
        change: row::from_json("an alarm", &body)?,
    })
}
