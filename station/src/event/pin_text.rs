//! Pins and serials for people: a row of a table, and everything of one.

use super::answer::name;
use super::table::{list, table};
use super::{PinView, SerialView};
use crate::clock::text as time;
use crate::registry::{PinEvent, SerialUse};

/// A pin as a row of a table.
pub(super) fn pin_row(pin: &PinView) -> Vec<String> {
    let pin = &pin.pin;
    vec![
        pin.device_id.0.to_string(),
        if pin.weak {
            format!("{} (weak)", pin.state)
        } else {
            pin.state.clone()
        },
        name(pin.algorithm),
        hex::encode(pin.fingerprint),
        time(pin.claimed_at_ms),
        pin.pinned_at_ms.map_or_else(String::new, time),
    ]
}

/// A pin with everything, and its history below it.
pub(super) fn pin_detail(pin: &PinView) -> String {
    let history: Vec<_> = pin.history.iter().map(history_row).collect();
    let pin = &pin.pin;
    let text = list(&[
        ("device id", pin.device_id.0.to_string()),
        ("state", pin.state.clone()),
        (
            "proof",
            if pin.weak {
                "weak (a MAC that only the station could check)".to_owned()
            } else if pin.station.is_none() {
                "none here: imported, or given by two people".to_owned()
            } else {
                "signed by the device key".to_owned()
            },
        ),
        ("algorithm", name(pin.algorithm)),
        ("fingerprint", hex::encode(pin.fingerprint)),
        ("public key", hex::encode(&pin.public_key)),
        ("product", shown(pin.product.as_ref())),
        ("station", shown(pin.station.as_ref())),
        ("claimed", time(pin.claimed_at_ms)),
        ("pinned", pin.pinned_at_ms.map_or_else(String::new, time)),
    ]);
    if history.is_empty() {
        return text;
    }
    text + "\n" + &table(&["when", "what", "fingerprint", "why"], &history)
}

/// A value, or nothing where there is none.
fn shown(value: Option<&impl ToString>) -> String {
    value.map_or_else(String::new, ToString::to_string)
}

fn history_row(event: &PinEvent) -> Vec<String> {
    vec![
        time(event.at_ms),
        event.kind.name().to_owned(),
        hex::encode(event.fingerprint),
        event.reason.clone().unwrap_or_default(),
    ]
}

/// A serial with every unit that it names and named.
pub(super) fn serial_detail(serial: &SerialView) -> String {
    let rows: Vec<_> = serial.uses.iter().map(use_row).collect();
    format!(
        "serial {} of product {}, by the registry\n{}",
        serial.serial,
        serial.product,
        table(&["device id", "since", "until", "entered by"], &rows)
    )
}

fn use_row(one: &SerialUse) -> Vec<String> {
    vec![
        one.device_id.0.to_string(),
        time(one.used_at_ms),
        one.released_at_ms.map_or_else(|| "now".to_owned(), time),
        one.station.map_or_else(
            || "people".to_owned(),
            |station| format!("station {station}"),
        ),
    ]
}
