//! Stations with units on serial lines, and the look at the whole station.

use std::sync::Arc;

use keyline_protocol::identity::Platform;
use keyline_station::journal::JournalReader;
use keyline_station::link::AgentImage;
use keyline_virtual_unit::sim::{SimOptions, SimUnit};
use serde_json::Value;

use crate::pty::PtyUnit;
use crate::station::{Ran, Station};

/// A bare simulated unit with the agent of the real chip; `number` is its chip's id.
pub(crate) fn unit(number: u32) -> SimUnit {
    let mut options = SimOptions::seeded(Platform::Nrf51822, (number, 0x0c11), u64::from(number));
    let image = AgentImage::for_platform(Platform::Nrf51822).unwrap();
    options.image = Arc::from(image.bytes.as_slice());
    SimUnit::new(options)
}

/// This unit behind a pseudo-terminal.
pub(crate) fn on_a_line(unit: &SimUnit) -> PtyUnit {
    PtyUnit::new(unit.clone(), Box::new(|_, _| {}))
}

/// How a slot names this line.
pub(crate) fn link(line: &PtyUnit) -> String {
    format!("serial:{}", line.path().display())
}

/// A station with the slots 1, 2, … over these links, the product `sensor` and the order `WO-1` for `quantity` units.
pub(crate) fn station_over(links: &[&str], quantity: u32) -> Station {
    let station = Station::bare();
    let slots: Vec<String> = links
        .iter()
        .enumerate()
        .map(|(index, link)| format!("--slot={}={link}", index + 1))
        .collect();
    let mut arguments = vec!["init"];
    arguments.extend(slots.iter().map(String::as_str));
    station.run(&arguments).good();
    station.add_product("sensor", &[]).good();
    station.add_order("WO-1", quantity).good();
    station
}

/// Points all slots of a station at this link, as somebody does who edits the configuration.
pub(crate) fn point_slots_at(station: &Station, link: &str) {
    edit_config(station, |line| {
        line.starts_with("link = ")
            .then(|| format!("link = \"{link}\""))
    });
}

/// Replaces lines of the configuration.
pub(crate) fn edit_config(station: &Station, change: impl Fn(&str) -> Option<String>) {
    let path = station.home().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<String> = text
        .lines()
        .map(|line| change(line).unwrap_or_else(|| line.to_owned()))
        .collect();
    std::fs::write(path, lines.join("\n") + "\n").unwrap();
}

/// The events that end a unit's run.
pub(crate) fn ended(lines: &[Value]) -> Vec<&Value> {
    lines
        .iter()
        .filter(|line| line["event"] == "unit" && line["state"] != "in-progress")
        .collect()
}

/// The end of the only run.
pub(crate) fn end(ran: &Ran) -> &Value {
    let ended = ended(&ran.lines);
    assert_eq!(ended.len(), 1, "{:?}", ran.lines);
    ended[0]
}

/// Nothing is half-written: no run is open, no unit is in between, and the audit log verifies.
pub(crate) fn assert_whole(station: &Station) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let open = runtime.block_on(async {
        let journal = JournalReader::open(&station.home().join("journal.sqlite")).await;
        journal.unwrap().unfinished_runs().await.unwrap()
    });
    assert!(open.is_empty(), "{} runs are open", open.len());
    let between = station
        .run(&["unit", "list", "--state", "in-progress"])
        .good();
    assert!(between.all("unit-record").is_empty(), "{:?}", between.lines);
    let doctor = station.run(&["doctor"]);
    let journal = doctor
        .all("check")
        .into_iter()
        .find(|check| check["check"] == "journal")
        .unwrap_or_else(|| panic!("the doctor looks at the journal: {:?}", doctor.lines));
    assert_eq!(journal["state"], "ok", "{journal}");
}

/// The device ids of all units that the station lists in this state.
pub(crate) fn listed(station: &Station, state: &str) -> Vec<String> {
    let list = station
        .run(&["unit", "list", "--limit", "100000", "--state", state])
        .good();
    list.all("unit-record")
        .into_iter()
        .map(|unit| unit["device_id"].as_str().unwrap().to_owned())
        .collect()
}

/// The unit has exactly one pin, and the cloud trusts it: its fingerprint.
pub(crate) fn only_pin(station: &Station, device_id: &str) -> String {
    let shown = station.run(&["pin", "show", device_id]).good();
    let pins = shown.all("pin");
    assert_eq!(pins.len(), 1, "{pins:?}");
    assert_eq!(pins[0]["state"], "active", "{pins:?}");
    let kinds: Vec<_> = pins[0]["history"].as_array().unwrap().iter().collect();
    let pinned = kinds.iter().filter(|event| event["kind"] == "pinned");
    assert_eq!(pinned.count(), 1, "one history: {kinds:?}");
    pins[0]["fingerprint"].as_str().unwrap().to_owned()
}
