//! Work orders.

use crate::journal::error::database;
use crate::journal::{JournalError, JournalReader, OrderCounts, row};
use crate::record::{Order, OrderId};

const DOING: &str = "reading orders";

impl JournalReader {
    /// An order by its id, open or closed.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn order(&self, id: OrderId) -> Result<Option<Order>, JournalError> {
        let record: Option<String> =
            sqlx::query_scalar("SELECT record FROM work_order WHERE id = ?1")
                .bind(&id.as_bytes()[..])
                .fetch_optional(&self.pool)
                .await
                .map_err(database(DOING))?;
        record
            .map(|text| row::from_json("an order", &text))
            .transpose()
    }

    /// An order by its name, open or closed.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn order_by_name(&self, name: &str) -> Result<Option<Order>, JournalError> {
        let record: Option<String> =
            sqlx::query_scalar("SELECT record FROM work_order WHERE name = ?1")
                .bind(name)
                .fetch_optional(&self.pool)
                .await
                .map_err(database(DOING))?;
        record
            .map(|text| row::from_json("an order", &text))
            .transpose()
    }

    /// Every order, the oldest first, closed ones included.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn orders(&self) -> Result<Vec<Order>, JournalError> {
        let records: Vec<String> = sqlx::query_scalar("SELECT record FROM work_order ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .map_err(database(DOING))?;
        records
            .iter()
            .map(|text| row::from_json("an order", text))
            .collect()
    }

    /// How far an order is; `None` where there is no such order.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn order_counts(&self, id: OrderId) -> Result<Option<OrderCounts>, JournalError> {
        let counts: Option<(i64, i64, i64, i64, i64)> = sqlx::query_as(
            "SELECT passed, weak, held, failed, failed_unidentified FROM work_order WHERE id = ?1",
        )
        .bind(&id.as_bytes()[..])
        .fetch_optional(&self.pool)
        .await
        .map_err(database(DOING))?;
        counts
            .map(|(passed, weak, held, failed, failed_unidentified)| {
                Ok(OrderCounts {
                    passed: row::count(passed)?,
                    weak: row::count(weak)?,
                    held: row::count(held)?,
                    failed: row::count(failed)?,
                    failed_unidentified: row::count(failed_unidentified)?,
                })
            })
            .transpose()
    }
}
