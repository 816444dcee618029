//! The cloud keys of products by version, and what stations build.
//!
//! A version comes with a signed bundle. On a server it is entered by whoever publishes the bundle, and stations say only of which bundle
//! their ids are; the one station of a file does both.

use std::collections::HashSet;

use sqlx::any::AnyRow;
use sqlx::{AssertSqlSafe, FromRow, Row as _};

use super::address::Engine;
use super::question::{id, undecodable};
use super::store;
use super::{Registry, RegistryError};
use crate::authority::{Bundle, BundleBody, CloudKeyStep, NumberedCloudKey, next_cloud_key};
use crate::record::{ProductId, StationId};

const READING: &str = "reading cloud keys";
const ENTERING: &str = "entering a cloud key";

/// Who enters something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnteredBy {
    /// The station at which it is done; `None` where a person publishes a bundle.
    pub station: Option<StationId>,
    /// The operator's id.
    pub operator: String,
}

/// A version of a product's cloud key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloudKeyVersion {
    /// The product's name.
    pub product: String,
    /// Its number, from 1, as the bundles have it.
    pub version: u32,
    /// SHA-256 of its SPKI DER.
    pub fingerprint: [u8; 32],
    /// Where units find the cloud, as the first bundle with this key says: `HOST:PORT`.
    pub address: String,
    /// SHA-256 of that bundle's text.
    pub bundle: [u8; 32],
    /// Who entered it.
    pub by: EnteredBy,
    /// When, in milliseconds since 1970.
    pub entered_at_ms: u64,
}

impl CloudKeyVersion {
    /// In short.
    #[must_use]
    pub const fn numbered(&self) -> NumberedCloudKey {
        NumberedCloudKey {
            version: self.version,
            fingerprint: self.fingerprint,
        }
    }
}

impl FromRow<'_, AnyRow> for CloudKeyVersion {
    fn from_row(row: &AnyRow) -> Result<Self, sqlx::Error> {
        let hash = |column| store::hash(&row.try_get::<Vec<u8>, _>(column)?).map_err(undecodable);
        let station: Option<Vec<u8>> = row.try_get("station")?;
        let station = station.map(|bytes| id(&bytes).map(StationId::from_bytes));
        let version: i64 = row.try_get("version")?;
        Ok(Self {
            product: row.try_get("product")?,
            version: u32::try_from(version).map_err(|error| sqlx::Error::Decode(error.into()))?,
            fingerprint: hash("fingerprint")?,
            address: row.try_get("address")?,
            bundle: hash("bundle")?,
            by: EnteredBy {
                station: station.transpose()?,
                operator: row.try_get("operator")?,
            },
            entered_at_ms: store::unsigned(row.try_get("entered_at_ms")?).map_err(undecodable)?,
        })
    }
}

/// What became of a product's id that was to be entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildEntry {
    /// The registry knows now of which product and bundle it is.
    Entered,
    /// Nobody has published the bundle yet: the station may not say it by itself.
    Unpublished,
}

impl Registry {
    /// The cloud keys of a product, or of all, by product and version.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn cloud_keys(
        &self,
        product: Option<&str>,
    ) -> Result<Vec<CloudKeyVersion>, RegistryError> {
        let of = if product.is_some() {
            "WHERE product = $1"
        } else {
            ""
        };
        let sql = format!(
            "SELECT product, version, fingerprint, address, bundle, station, operator, entered_at_ms FROM cloud_key {of} \
             ORDER BY product, version"
        );
        let mut question = sqlx::query_as(AssertSqlSafe(sql));
        if let Some(product) = product {
            question = question.bind(product.to_owned());
        }
        self.connections.fetch(READING, question).await
    }

    /// Whether the cloud key of a product's bundle may be entered, and what it does; other bundles have none.
    ///
    /// # Errors
    /// [`RegistryError::Authority`] where it contradicts the versions that are known, or where the database can't be reached.
    pub async fn judge_cloud_key(
        &self,
        bundle: &Bundle,
    ) -> Result<Option<CloudKeyStep>, RegistryError> {
        let BundleBody::Product(product) = bundle.body() else {
            return Ok(None);
        };
        let known = self.cloud_keys(Some(product.name.as_str())).await?;
        let known: Vec<_> = known.iter().map(CloudKeyVersion::numbered).collect();
        // A bundle that is entered once more, while later ones are there, takes nothing back.
        if known.contains(&product.numbered_cloud_key()) {
            return Ok(Some(CloudKeyStep::Kept));
        }
        let step = next_cloud_key(product.name.as_str(), &known, product.numbered_cloud_key());
        step.map(Some)
            .map_err(|error| RegistryError::Authority(Box::new(error)))
    }

    /// Enters the cloud key of a product's bundle as a version; one that is known is left as it is, and other bundles have none.
    ///
    /// # Errors
    /// As [`judge_cloud_key`](Self::judge_cloud_key), or [`RegistryError::NotAllowed`] where this role may not.
    pub async fn enter_cloud_key(
        &self,
        bundle: &Bundle,
        by: &EnteredBy,
    ) -> Result<(), RegistryError> {
        let step = self.judge_cloud_key(bundle).await?;
        let (BundleBody::Product(product), Some(CloudKeyStep::First | CloudKeyStep::Changed(_))) =
            (bundle.body(), step)
        else {
            return Ok(());
        };
        let key = product.numbered_cloud_key();
        let question = sqlx::query_as(
            "INSERT INTO cloud_key (product, version, fingerprint, public_key, address, bundle, station, operator, entered_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING version",
        )
        .bind(product.name.to_string())
        .bind(i64::from(key.version))
        .bind(key.fingerprint.to_vec())
        .bind(product.cloud_key.spki().to_vec())
        .bind(product.cloud_address.to_string())
        .bind(bundle.digest().to_vec())
        .bind(by.station.map(|station| station.as_bytes().to_vec()))
        .bind(by.operator.clone())
        .bind(store::signed(crate::clock::wall_ms()));
        let entered: Vec<(i64,)> = self.connections.fetch(ENTERING, question).await?;
        if entered.is_empty() {
            // Somebody else was faster: with the same key, or with one that forbids this one.
            self.judge_cloud_key(bundle).await?;
        }
        Ok(())
    }

    /// The ids of the products that a station has entered.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn builds_of(&self, station: StationId) -> Result<HashSet<ProductId>, RegistryError> {
        let question = sqlx::query_as("SELECT id FROM product_build WHERE station = $1")
            .bind(station.as_bytes().to_vec());
        let rows: Vec<(Vec<u8>,)> = self.connections.fetch(READING, question).await?;
        let ids = rows
            .iter()
            .map(|(bytes,)| id(bytes).map(ProductId::from_bytes));
        ids.collect::<Result<_, _>>()
            .map_err(super::constraint::explained(READING))
    }

    /// Enters of which bundle a station's product is. On a file it enters the bundle's cloud key too, as nobody else could.
    ///
    /// # Errors
    /// As [`enter_cloud_key`](Self::enter_cloud_key).
    pub async fn enter_build(
        &self,
        product: ProductId,
        bundle: &Bundle,
        station: StationId,
        operator: &str,
    ) -> Result<BuildEntry, RegistryError> {
        match self.connections.engine() {
            Engine::Sqlite => {
                let by = EnteredBy {
                    station: Some(station),
                    operator: operator.to_owned(),
                };
                self.enter_cloud_key(bundle, &by).await?;
            }
            Engine::Postgres if !self.has_bundle(bundle).await? => {
                return Ok(BuildEntry::Unpublished);
            }
            Engine::Postgres => {}
        }
        let question = sqlx::query_as(
            "INSERT INTO product_build (id, product, bundle, station, operator, entered_at_ms) VALUES ($1, $2, $3, $4, $5, $6) \
             ON CONFLICT DO NOTHING RETURNING product",
        )
        .bind(product.as_bytes().to_vec())
        .bind(bundle.subject().to_string())
        .bind(bundle.digest().to_vec())
        .bind(station.as_bytes().to_vec())
        .bind(operator.to_owned())
        .bind(store::signed(crate::clock::wall_ms()));
        let _: Vec<(String,)> = self
            .connections
            .fetch("entering what a station builds", question)
            .await?;
        Ok(BuildEntry::Entered)
    }

    /// Whether this very bundle was published.
    async fn has_bundle(&self, bundle: &Bundle) -> Result<bool, RegistryError> {
        let question = sqlx::query_as("SELECT version FROM authority_bundle WHERE digest = $1")
            .bind(bundle.digest().to_vec());
        let rows: Vec<(i64,)> = self.connections.fetch(READING, question).await?;
        Ok(!rows.is_empty())
    }
}
