//! Products.

use crate::journal::error::database;
use crate::journal::{JournalError, JournalReader, row};
use crate::record::{Product, ProductId};

const DOING: &str = "reading products";

impl JournalReader {
    /// A product by its id, retired or not.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn product(&self, id: ProductId) -> Result<Option<Product>, JournalError> {
        let record: Option<String> = sqlx::query_scalar("SELECT record FROM product WHERE id = ?1")
            .bind(&id.as_bytes()[..])
            .fetch_optional(&self.pool)
            .await
            .map_err(database(DOING))?;
        record
            .map(|text| row::from_json("a product", &text))
            .transpose()
    }

    /// The product of this name that is not retired.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn product_by_name(&self, name: &str) -> Result<Option<Product>, JournalError> {
        let record: Option<String> =
            sqlx::query_scalar("SELECT record FROM product WHERE name = ?1 AND retired = 0")
                .bind(name)
                .fetch_optional(&self.pool)
                .await
                .map_err(database(DOING))?;
        record
            .map(|text| row::from_json("a product", &text))
            .transpose()
    }

    /// Every product, the oldest first, retired ones included.
    ///
    /// # Errors
    /// [`JournalError`] where the database fails or is damaged.
    pub async fn products(&self) -> Result<Vec<Product>, JournalError> {
        let records: Vec<String> = sqlx::query_scalar("SELECT record FROM product ORDER BY id")
            .fetch_all(&self.pool)
            .await
            .map_err(database(DOING))?;
        records
            .iter()
            .map(|text| row::from_json("a product", text))
            .collect()
    }
}
