//! What a run is to do with its unit.

use std::io;
use std::path::{Path, PathBuf};

use keyline_protocol::identity::Id;
use keyline_protocol::record::{CREDENTIALS_LENGTH_MAX, RecordContent};
use keyline_protocol::spki;
use zeroize::Zeroizing;

use crate::link::AgentImage;
use crate::record::{OrderId, Product, RunId, StationId};

/// Where a product's network credentials come from. They are read for each unit and go to flash only.
pub trait CredentialsSource: Sync {
    /// Reads the credentials.
    ///
    /// # Errors
    /// Whatever keeps them from being read.
    fn read(&self) -> io::Result<Zeroizing<Vec<u8>>>;
}

/// A file with the credentials, as bytes.
impl CredentialsSource for PathBuf {
    fn read(&self) -> io::Result<Zeroizing<Vec<u8>>> {
        read_credentials(self)
    }
}

fn read_credentials(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    use std::io::Read as _;

    // One byte more than is allowed tells a file that is too long; the capacity keeps the bytes from being moved and left behind.
    let most = CREDENTIALS_LENGTH_MAX + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(most + 1));
    std::fs::File::open(path)?
        .take(most as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What a run is to do with its unit.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    /// What is built.
    pub product: &'a Product,
    /// The work order.
    pub order: OrderId,
    /// Whether the order is a rework.
    pub rework: bool,
    /// The run.
    pub run: RunId,
    /// The station.
    pub station: StationId,
    /// The agent image that the order fixed.
    pub image: &'a AgentImage,
    /// Where the product's credentials come from; `None` where it has none.
    pub credentials: Option<&'a dyn CredentialsSource>,
}

impl Plan<'_> {
    /// The record that the unit is to hold.
    pub(super) fn record<'r>(&'r self, credentials: Option<&'r [u8]>) -> RecordContent<'r> {
        RecordContent {
            product: *self.product.id.as_bytes(),
            key_policy: self.product.key_policy,
            lock_policy: self.product.lock_policy,
            cloud_key: &self.product.cloud_key,
            cloud_address: &self.product.cloud_address,
            authority: self
                .product
                .authority_key
                .as_deref()
                .and_then(spki::p256_point),
            credentials,
        }
    }

    pub(super) fn order_id(&self) -> Id {
        *self.order.as_bytes()
    }

    pub(super) fn run_id(&self) -> Id {
        *self.run.as_bytes()
    }

    pub(super) fn station_id(&self) -> Id {
        *self.station.as_bytes()
    }
}
