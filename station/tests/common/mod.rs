//! A station for tests: a home in a temporary directory, real stores, and units of the caller's choice. Fixtures read as sentences:
//! `Bench::for_product(product().sealed()).run(&unit)`.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "shared by tests; each uses a part"
)]

use std::path::Path;
use std::sync::{Arc, Mutex};

use keyline_protocol::identity::{Algorithm, DeviceId, KeyPolicy, LockPolicy, Platform};
use keyline_station::audit::{CheckpointSigner, FileSigner};
use keyline_station::clock;
use keyline_station::event::{Event, EventSink, Summary, UnitEvent};
use keyline_station::journal::Journal;
use keyline_station::line::{Line, LineError, LineParts, Presented, Slot, UnitSource, provision};
use keyline_station::link::{AgentImage, SimTarget, Target};
use keyline_station::record::{
    Change, DeviceIdText, Order, OrderId, OrderState, Product, ProductId, StationId,
    WhenRegistryUnreachable,
};
use keyline_station::registry::Registry;
use keyline_station::steps::{NoStationKeys, StationKeySource};
use keyline_station::stop::Stop;
use keyline_virtual_unit::sim::{SimOptions, SimUnit};
use tempfile::TempDir;

/// A P-256 public key that no one has the private half of any more.
pub fn cloud_key() -> Vec<u8> {
    use p256::elliptic_curve::Generate as _;
    use p256::pkcs8::EncodePublicKey as _;
    let secret = p256::SecretKey::generate();
    secret.public_key().to_public_key_der().unwrap().into_vec()
}

/// A product to begin with: P-256, made on the device, sealed.
pub fn product() -> Product {
    Product {
        id: ProductId::generate(),
        name: "thermostat".to_owned(),
        customer: "acme".to_owned(),
        platform: Platform::Nrf51822,
        key_policy: KeyPolicy::OnDevice,
        algorithm: Algorithm::P256,
        lock_policy: LockPolicy::Sealed,
        cloud_key: cloud_key(),
        cloud_address: "cloud.example:5684".to_owned(),
        authority_key: None,
        credentials_file: None,
        when_registry_unreachable: WhenRegistryUnreachable::Stop,
        serial_format: None,
        added_at_ms: clock::wall_ms(),
        retired_at_ms: None,
    }
}

/// An order for so many units.
pub fn order(product: &Product, image: &AgentImage, quantity: u32) -> Order {
    Order {
        id: OrderId::generate(),
        name: format!("WO-{}", OrderId::generate()),
        product: product.id,
        quantity,
        rework: false,
        agent_digest: image.digest,
        state: OrderState::Open,
        added_at_ms: clock::wall_ms(),
    }
}

/// Keeps what it is told.
#[derive(Default)]
pub struct Told(Mutex<Vec<Event>>);

impl EventSink for Told {
    fn emit(&self, event: Event) {
        self.0.lock().unwrap().push(event);
    }
}

impl Told {
    /// The last event of each run that ended.
    pub fn ended(&self) -> Vec<UnitEvent> {
        let events = self.0.lock().unwrap();
        let unit_event = |event: &Event| match event {
            Event::Unit(unit) if unit.ended() => Some((**unit).clone()),
            _ => None,
        };
        events.iter().filter_map(unit_event).collect()
    }
}

/// The stores of a station in a temporary home, one product and one order.
pub struct Bench {
    pub home: TempDir,
    pub runtime: tokio::runtime::Runtime,
    pub journal: Journal,
    pub registry: Registry,
    pub station: StationId,
    pub product: Product,
    pub order: Order,
    pub image: AgentImage,
    pub keys: Arc<dyn StationKeySource + Send + Sync>,
}

impl Bench {
    /// A station that builds simulated units of `product`.
    pub fn for_product(product: Product) -> Self {
        let image = AgentImage::simulated(product.platform);
        Self::with_image(product, image)
    }

    /// A station that builds units of `product` with this agent.
    pub fn with_image(product: Product, image: AgentImage) -> Self {
        let home = TempDir::new().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let order = order(&product, &image, 1000);
        let (journal, registry) = runtime.block_on(open_stores(home.path()));
        let bench = Self {
            home,
            runtime,
            journal,
            registry,
            station: StationId::generate(),
            product,
            order,
            image,
            keys: Arc::new(NoStationKeys),
        };
        bench.commit(vec![
            Change::ProductAdded {
                product: bench.product.clone(),
                operator: "test".to_owned(),
            },
            Change::OrderAdded {
                order: bench.order.clone(),
                operator: "test".to_owned(),
            },
        ]);
        bench
    }

    /// The same station with another order of the same product.
    pub fn another_order(&mut self, change: impl FnOnce(&mut Order)) {
        self.order = order(&self.product, &self.image, 1000);
        change(&mut self.order);
        self.commit(vec![Change::OrderAdded {
            order: self.order.clone(),
            operator: "test".to_owned(),
        }]);
    }

    pub fn commit(&self, changes: Vec<Change>) {
        self.runtime.block_on(self.journal.commit(changes)).unwrap();
    }

    /// Runs one unit after the other in one slot, and gives the end of each run.
    pub fn run_all(
        &self,
        units: Vec<Presented>,
    ) -> (Vec<UnitEvent>, Summary, Result<(), LineError>) {
        let told = Arc::new(Told::default());
        let runs = u32::try_from(units.len()).unwrap();
        let line = self.line(told.clone(), Stop::new());
        let slots = vec![Slot {
            number: 1,
            source: Box::new(InOrder(units.into_iter())),
        }];
        let (summary, result) = provision(&line, slots, runs, None);
        (told.ended(), summary, result)
    }

    /// Runs one unit to its end.
    pub fn run_target(&self, target: Box<dyn Target>, serial: Option<&str>) -> UnitEvent {
        let presented = Presented {
            target,
            serial: serial.map(str::to_owned),
        };
        let (mut ended, _, result) = self.run_all(vec![presented]);
        let event = ended.pop();
        event.unwrap_or_else(|| panic!("the run did not end: {result:?}"))
    }

    /// Runs one simulated unit to its end.
    pub fn run(&self, unit: &SimUnit) -> UnitEvent {
        self.run_target(Box::new(SimTarget::new(unit.clone())), None)
    }

    pub fn line(&self, events: Arc<dyn EventSink>, stop: Stop) -> Line {
        Line::new(LineParts {
            journal: self.journal.clone(),
            registry: self.registry.clone(),
            runtime: self.runtime.handle().clone(),
            station: self.station,
            operator: "test".to_owned(),
            product: self.product.clone(),
            order: self.order.clone(),
            places: self.order.quantity,
            image: self.image.clone(),
            failures_before_quarantine: 3,
            keys: Arc::clone(&self.keys),
            events,
            stop,
        })
    }

    /// The unit's active pin, if it has one.
    pub fn pin(&self, device_id: DeviceId) -> Option<keyline_station::record::Pin> {
        self.runtime
            .block_on(self.registry.pin_of(DeviceIdText(device_id)))
            .unwrap()
    }
}

async fn open_stores(home: &Path) -> (Journal, Registry) {
    let signer = CheckpointSigner::File(FileSigner::generate(&home.join("audit.pem")).unwrap());
    let journal = Journal::open(&home.join("journal.db"), signer, "test.example/line-1")
        .await
        .unwrap();
    let url = format!("sqlite:{}", home.join("registry.db").display());
    let registry = Registry::connect(&url).await.unwrap();
    (journal, registry)
}

struct InOrder(std::vec::IntoIter<Presented>);

impl UnitSource for InOrder {
    fn next(&mut self, _: &Stop) -> Option<Presented> {
        self.0.next()
    }

    fn ended(&mut self, _: Option<DeviceId>) {}
}

/// A fresh simulated unit; `number` is its chip's id.
pub fn unit(platform: Platform, number: u32) -> SimUnit {
    SimUnit::new(SimOptions::seeded(
        platform,
        (number, 0x4b4c),
        u64::from(number),
    ))
}

/// Keys that the station makes when they are asked for.
pub fn station_keys() -> Arc<dyn StationKeySource + Send + Sync> {
    Arc::new(keyline_station::key_pool::KeyPool::new(1).unwrap())
}
