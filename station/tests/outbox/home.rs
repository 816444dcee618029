//! A home made by the program, with units that were held while its registry was out of reach.

use std::sync::Arc;

use keyline_station::audit::{CheckpointSigner, FileSigner};
use keyline_station::journal::{Journal, JournalReader};
use keyline_station::line::{Line, LineParts, Slot, provision};
use keyline_station::link::AgentImage;
use keyline_station::record::{Order, StationId};
use keyline_station::registry::Registry;
use keyline_station::steps::NoStationKeys;
use keyline_station::stop::Stop;

use crate::common::Told;
use crate::held::Stack;
use crate::station::Station;
use crate::support::edit_config;

/// A home with one simulated slot and the order `WO-1` of the product `sensor`, whose line holds; `more` goes to `init`.
pub(crate) fn holding_home(more: &[&str]) -> Station {
    let station = Station::bare();
    let arguments = [&["init", "--slot", "1=sim"], more].concat();
    station.run(&arguments).good();
    let hold = ["--when-registry-unreachable", "hold"];
    station.add_product("sensor", &hold).good();
    station.add_order("WO-1", 100_000).good();
    station
}

/// And with so many held units.
pub(crate) fn held_home(units: u32) -> Station {
    let station = holding_home(&[]);
    hold(&station, units);
    station
}

/// Runs so many units while the registry is out of reach.
pub(crate) fn hold(station: &Station, units: u32) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (journal, registry) = runtime.block_on(async {
        let key = FileSigner::open(&station.home().join("keys/audit.pem")).unwrap();
        let signer = CheckpointSigner::File(key);
        let path = station.home().join("journal.sqlite");
        let journal = Journal::open(&path, signer, "station-1").await.unwrap();
        let url = format!("sqlite:{}", station.directory().join("none").display());
        let registry = Registry::connect(&url).await.unwrap();
        registry.clone().close().await;
        (journal, registry)
    });
    let order = runtime.block_on(order(&journal));
    let product = runtime.block_on(journal.product(order.product)).unwrap();
    let product = product.unwrap();
    let image = AgentImage::for_platform(product.platform).unwrap();
    let line = Line::new(LineParts {
        journal: journal.clone(),
        registry,
        runtime: runtime.handle().clone(),
        station: station_id(station),
        operator: "test".to_owned(),
        places: order.quantity,
        product,
        order,
        image: image.clone(),
        failures_before_quarantine: 3,
        keys: Arc::new(NoStationKeys),
        events: Arc::new(Told::default()),
        stop: Stop::new(),
    });
    let slots = (1..=4).map(|number| Slot {
        number,
        source: Box::new(Stack::new(number, image.clone())),
    });
    let (summary, result) = provision(&line, slots.collect(), units, None);
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(summary.held, u64::from(units), "{summary:?}");
    runtime.block_on(journal.close()).unwrap();
}

/// The order `WO-1`.
pub(crate) async fn order(journal: &JournalReader) -> Order {
    journal.order_by_name("WO-1").await.unwrap().unwrap()
}

/// The id in the home's configuration.
fn station_id(station: &Station) -> StationId {
    let config = std::fs::read_to_string(station.home().join("config.toml")).unwrap();
    let line = config.lines().find(|line| line.starts_with("id = "));
    let id = line.unwrap().trim_start_matches("id = ").trim_matches('"');
    id.parse().unwrap()
}

/// Points the home at another registry.
pub(crate) fn registry_at(station: &Station, url: &str) {
    edit_config(station, |line| {
        line.starts_with("url = ")
            .then(|| format!("url = \"{url}\""))
    });
}
