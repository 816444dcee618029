//! Every key, page by page, for whoever may see all of them.

use std::collections::HashMap;

use sqlx::AssertSqlSafe;

use super::model::SerialUse;
use super::question::{PIN_COLUMNS, PinRow};
use super::{Registry, RegistryError};
use crate::record::{DeviceIdText, Pin};

/// The most keys of a page.
const PAGE_MAX: i64 = 4_096;

/// Where a page begins: after this key of this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPlace {
    device_id: DeviceIdText,
    generation: i64,
    turn: i64,
}

/// A key with what an export says of it beside the pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// The key.
    pub pin: Pin,
    /// The product's name, where the key was imported with one or the device has a serial of it.
    pub product: Option<String>,
    /// The serial that names the device while this key is trusted, or named it then.
    pub serial: Option<String>,
    /// When it was revoked, in milliseconds since 1970.
    pub revoked_at_ms: Option<u64>,
    /// Where the next page begins, were this the last one of a page.
    pub place: KeyPlace,
}

impl Registry {
    /// A page of keys by device, after the one at `after`; only those that are trusted, unless `all`. At most 4,096.
    ///
    /// # Errors
    /// [`RegistryError::NotAllowed`] where this role sees its own rows only, or where the database can't be reached or is damaged.
    pub async fn keys(
        &self,
        after: Option<KeyPlace>,
        all: bool,
    ) -> Result<Vec<ListedKey>, RegistryError> {
        let state = if all { "" } else { "AND state = 'active'" };
        let sql = format!(
            "SELECT {PIN_COLUMNS} FROM key_state WHERE (device_id, generation, turn) > ($1, $2, $3) {state} \
             ORDER BY device_id, generation, turn LIMIT $4"
        );
        let (device, generation, turn) = after.map_or((Vec::new(), 0, 0), |place| {
            let device = place.device_id.0.as_bytes().to_vec();
            (device, place.generation, place.turn)
        });
        let question = sqlx::query_as(AssertSqlSafe(sql))
            .bind(device)
            .bind(generation)
            .bind(turn)
            .bind(PAGE_MAX);
        let rows: Vec<PinRow> = self.connections.fetch("reading keys", question).await?;
        let devices: Vec<_> = rows.iter().map(|row| row.pin.device_id).collect();
        let mut uses: HashMap<_, Vec<SerialUse>> = HashMap::new();
        for one in self.serials_of(&devices).await? {
            let place = (one.device_id, one.generation);
            uses.entry(place).or_default().push(one);
        }
        let listed = rows.into_iter().map(|row| listed(row, &uses));
        Ok(listed.collect())
    }
}

/// A key with the label of its device.
fn listed(row: PinRow, uses: &HashMap<(DeviceIdText, u64), Vec<SerialUse>>) -> ListedKey {
    let generation = u64::try_from(row.generation).unwrap_or_default();
    let labels = row
        .pin
        .pinned_at_ms
        .and_then(|_| uses.get(&(row.pin.device_id, generation)))
        .map_or(&[][..], Vec::as_slice);
    let of_product = |one: &&SerialUse| {
        let product = row.product_name.as_ref();
        product.is_none_or(|product| *product == one.label.product)
    };
    let label = labels.iter().find(of_product).map(|one| one.label.clone());
    let (product, serial) = label.map_or((None, None), |label| {
        (Some(label.product), Some(label.serial))
    });
    ListedKey {
        place: KeyPlace {
            device_id: row.pin.device_id,
            generation: row.generation,
            turn: row.turn,
        },
        product: row.product_name.or(product),
        serial,
        revoked_at_ms: row.revoked.map(|revoked| revoked.at_ms),
        pin: row.pin,
    }
}
