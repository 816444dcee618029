//! A quantity of a product.

use serde::{Deserialize, Serialize};

use super::{OrderId, ProductId};

/// Whether units may still be built for an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderState {
    /// They may.
    Open,
    /// They may not, and never again.
    Closed,
}

/// A work order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// What people call it, such as `WO-1001`; unique on a station.
    pub name: String,
    /// The product.
    pub product: ProductId,
    /// How many units.
    pub quantity: u32,
    /// Whether this order may give a known device a new key whose old pin is revoked.
    pub rework: bool,
    /// SHA-256 of the agent image that every unit of this order gets, fixed when the order was added.
    #[serde(with = "hex::serde")]
    pub agent_digest: [u8; 32],
    /// Open or closed.
    pub state: OrderState,
    /// When it was added, in milliseconds since 1970.
    pub added_at_ms: u64,
}
