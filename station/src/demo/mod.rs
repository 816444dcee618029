//! A demonstration: what a factory brings along (a product, an order, units in fixtures), made up. Everything else is the real thing.

mod fixture;
mod simulated;

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::EncodePublicKey as _;

use crate::clock;
use crate::command::DemoUnit;
use crate::line::{Slot, UnitSource};
use crate::link::AgentImage;
use crate::record::{Order, OrderId, OrderState, Product, ProductId, WhenRegistryUnreachable};
use fixture::{QemuFixture, SimFixture, Tray};

/// The chip that is demonstrated: the one that QEMU has.
pub const PLATFORM: Platform = Platform::Nrf51822;

/// The cloud's key can't be made.
#[derive(Debug, thiserror::Error)]
#[error("expected a new cloud key, the library failed to encode it")]
pub struct DemoKeyError(#[source] p256::pkcs8::spki::Error);

/// A product whose cloud's private key exists for no longer than it takes to compute its public key: this cloud will never speak.
///
/// # Errors
/// [`DemoKeyError`].
pub fn product() -> Result<Product, DemoKeyError> {
    let cloud = p256::SecretKey::generate();
    let cloud_key = cloud
        .public_key()
        .to_public_key_der()
        .map_err(DemoKeyError)?
        .into_vec();
    let id = ProductId::generate();
    Ok(Product {
        name: format!("demo-{}", short(&id.to_string())),
        id,
        customer: "demo".to_owned(),
        platform: PLATFORM,
        key_policy: KeyPolicy::OnDevice,
        algorithm: Algorithm::P256,
        lock_policy: LockPolicy::Sealed,
        cloud_key,
        cloud_address: "cloud.example:5684".to_owned(),
        authority_key: None,
        credentials_file: None,
        when_registry_unreachable: WhenRegistryUnreachable::Stop,
        serial_format: Some(fixture::SERIAL_FORMAT.to_owned()),
        added_at_ms: clock::wall_ms(),
        retired_at_ms: None,
    })
}

/// An order for `quantity` units of it.
#[must_use]
pub fn order(product: &Product, image: &AgentImage, quantity: u32) -> Order {
    let id = OrderId::generate();
    Order {
        name: format!("DEMO-{}", short(&id.to_string())),
        id,
        product: product.id,
        quantity,
        rework: false,
        agent_digest: image.digest,
        state: OrderState::Open,
        added_at_ms: clock::wall_ms(),
    }
}

/// The random end of an id: its beginning is the time, which two ids of one minute share.
fn short(id: &str) -> &str {
    id.get(id.len() - 6..).unwrap_or(id)
}

/// `count` fixtures that take `units` bare units from one tray.
#[must_use]
pub fn slots(kind: DemoUnit, units: u32, count: u16) -> Vec<Slot> {
    let tray = Tray::new(units);
    let slot = |number| Slot {
        number,
        source: match kind {
            DemoUnit::Sim => Box::new(SimFixture::new(tray.clone(), PLATFORM)) as Box<_>,
            DemoUnit::Qemu => Box::new(QemuFixture::new(tray.clone())),
        },
    };
    (1..=count).map(slot).collect()
}

/// The units of a slot whose link is `sim`; `serial` is what was scanned for the first one. Where the product's units carry labels, so
/// do the simulated ones.
#[must_use]
pub fn simulated(
    image: &AgentImage,
    product: &Product,
    serial: Option<String>,
) -> Box<dyn UnitSource> {
    Box::new(simulated::Simulated::new(
        image,
        product.serial_format.clone(),
        serial,
    ))
}
