//! Answers to questions, collected until the command ends and shown as one table or in detail.

use super::cloud_key;
use super::human::AnswerStyle;
use super::pin_text::{pin_detail, pin_row, serial_detail};
use super::table::{list, table};
use super::{
    AuthorityView, CloudKeyUnitView, CloudKeyView, Event, LogKeyState, LogKeyView, OrderView,
    PinView, ProductView, RegistryView, RunView, SerialView, ShipmentView, UnitView, WitnessView,
};
use crate::clock::text as time;
use crate::home::LogKeyConfig;
use crate::record::StepPhase;
use crate::registry::EnrolledStation;

/// What was answered so far.
pub(super) struct Answer {
    products: Vec<ProductView>,
    orders: Vec<OrderView>,
    units: Vec<UnitView>,
    pins: Vec<PinView>,
    serials: Vec<SerialView>,
    shipments: Vec<ShipmentView>,
    documents: Vec<String>,
    witnesses: Vec<WitnessView>,
    log_keys: Vec<LogKeyView>,
    stations: Vec<EnrolledStation>,
    cloud_keys: Vec<CloudKeyView>,
    cloud_key_units: Vec<CloudKeyUnitView>,
    authorities: Vec<AuthorityView>,
    registries: Vec<RegistryView>,
}

impl Answer {
    /// Nothing yet.
    pub(super) const fn new() -> Self {
        Self {
            products: Vec::new(),
            orders: Vec::new(),
            units: Vec::new(),
            pins: Vec::new(),
            serials: Vec::new(),
            shipments: Vec::new(),
            documents: Vec::new(),
            witnesses: Vec::new(),
            log_keys: Vec::new(),
            stations: Vec::new(),
            cloud_keys: Vec::new(),
            cloud_key_units: Vec::new(),
            authorities: Vec::new(),
            registries: Vec::new(),
        }
    }

    /// Keeps an event that is an answer; others are not answers and are left out.
    pub(super) fn push(&mut self, event: Event) {
        match event {
            Event::Product(product) => self.products.push(*product),
            Event::Order(order) => self.orders.push(*order),
            Event::UnitRecord(unit) => self.units.push(*unit),
            Event::Pin(pin) => self.pins.push(*pin),
            Event::Serial(serial) => self.serials.push(*serial),
            Event::Shipment(shipment) => self.shipments.push(*shipment),
            Event::Document { text } => self.documents.push(text),
            Event::Witness(witness) => self.witnesses.push(*witness),
            Event::LogKey(key) => self.log_keys.push(*key),
            Event::Station(station) => self.stations.push(*station),
            Event::CloudKey(key) => self.cloud_keys.push(*key),
            Event::CloudKeyUnit(unit) => self.cloud_key_units.push(*unit),
            Event::Authority(authority) => self.authorities.push(*authority),
            Event::Registry(registry) => self.registries.push(*registry),
            _ => {}
        }
    }

    /// Everything, as text.
    pub(super) fn text(&self, style: AnswerStyle) -> String {
        match style {
            AnswerStyle::Table => self.tables(),
            AnswerStyle::Detail => self.details(),
        }
    }

    fn tables(&self) -> String {
        let mut text = String::new();
        if !self.products.is_empty() {
            let rows: Vec<_> = self.products.iter().map(product_row).collect();
            text += &table(
                &[
                    "name",
                    "customer",
                    "chip",
                    "key",
                    "algorithm",
                    "lock",
                    "cloud",
                    "state",
                ],
                &rows,
            );
        }
        if !self.orders.is_empty() {
            let rows: Vec<_> = self.orders.iter().map(order_row).collect();
            text += &table(
                &[
                    "name", "product", "quantity", "passed", "weak", "held", "failed", "state",
                ],
                &rows,
            );
        }
        if !self.units.is_empty() {
            let rows: Vec<_> = self.units.iter().map(unit_row).collect();
            text += &table(&["device id", "serial", "state", "order", "why"], &rows);
        }
        if !self.pins.is_empty() {
            let rows: Vec<_> = self.pins.iter().map(pin_row).collect();
            text += &table(
                &[
                    "device id",
                    "state",
                    "algorithm",
                    "fingerprint",
                    "claimed",
                    "pinned",
                ],
                &rows,
            );
        }
        if !self.stations.is_empty() {
            let rows: Vec<_> = self.stations.iter().map(station_row).collect();
            text += &table(&["name", "id", "signs in as", "enrolled", "state"], &rows);
        }
        if !self.cloud_keys.is_empty() {
            text += &cloud_key::versions(&self.cloud_keys);
        }
        if !self.cloud_key_units.is_empty() {
            text += &cloud_key::units(&self.cloud_key_units);
        }
        if !self.shipments.is_empty() {
            let rows: Vec<_> = self.shipments.iter().map(shipment_row).collect();
            text += &table(&["device id", "serial", "state", "ships", "why not"], &rows);
        }
        if !self.log_keys.is_empty() {
            let rows: Vec<_> = self.log_keys.iter().map(log_key_row).collect();
            text += &table(&["key id", "state", "where", "verifier key"], &rows);
        }
        text
    }

    fn details(&self) -> String {
        let products = self.products.iter().map(product_detail);
        let orders = self.orders.iter().map(order_detail);
        let units = self.units.iter().map(unit_detail);
        let pins = self.pins.iter().map(pin_detail);
        let serials = self.serials.iter().map(serial_detail);
        let witnesses = self.witnesses.iter().map(witness_detail);
        let registries = self.registries.iter().map(registry_detail);
        let all = products
            .chain(orders)
            .chain(units)
            .chain(pins)
            .chain(serials)
            .chain(witnesses)
            .chain(registries)
            .chain(self.authorities.iter().map(authority_detail));
        let all: Vec<String> = all.chain(self.documents.iter().cloned()).collect();
        all.join("\n")
    }
}

pub(super) fn name(value: impl Into<String>) -> String {
    value.into()
}

fn product_row(product: &ProductView) -> Vec<String> {
    vec![
        product.name.clone(),
        product.customer.clone(),
        name(product.platform),
        name(product.key_policy),
        name(product.algorithm),
        name(product.lock_policy),
        product.cloud_address.clone(),
        product
            .retired_at_ms
            .map_or("live", |_| "retired")
            .to_owned(),
    ]
}

fn product_detail(product: &ProductView) -> String {
    list(&[
        ("name", product.name.clone()),
        ("id", product.id.to_string()),
        ("customer", product.customer.clone()),
        ("chip", name(product.platform)),
        ("key policy", name(product.key_policy)),
        ("algorithm", name(product.algorithm)),
        ("lock policy", name(product.lock_policy)),
        ("cloud address", product.cloud_address.clone()),
        ("cloud key", hex::encode(product.cloud_key_fingerprint)),
        (
            "credentials",
            if product.has_credentials {
                "from a file, to flash only".to_owned()
            } else {
                "none".to_owned()
            },
        ),
        (
            "serials",
            product
                .serial_format
                .clone()
                .unwrap_or_else(|| "none".to_owned()),
        ),
        ("added", time(product.added_at_ms)),
        (
            "retired",
            product.retired_at_ms.map_or_else(String::new, time),
        ),
    ])
}

fn order_state(order: &OrderView) -> String {
    format!("{:?}", order.order.state).to_lowercase()
}

fn order_row(order: &OrderView) -> Vec<String> {
    vec![
        order.order.name.clone(),
        order.product_name.clone(),
        order.order.quantity.to_string(),
        order.passed.to_string(),
        order.weak.to_string(),
        order.held.to_string(),
        order.failed.to_string(),
        order_state(order),
    ]
}

fn order_detail(order: &OrderView) -> String {
    list(&[
        ("name", order.order.name.clone()),
        ("id", order.order.id.to_string()),
        ("product", order.product_name.clone()),
        ("quantity", order.order.quantity.to_string()),
        ("passed", order.passed.to_string()),
        ("weak", order.weak.to_string()),
        ("held", order.held.to_string()),
        ("failed", order.failed.to_string()),
        (
            "shipped",
            order
                .shipped
                .map_or_else(String::new, |count| count.to_string()),
        ),
        (
            "rework",
            if order.order.rework {
                "yes".to_owned()
            } else {
                "no".to_owned()
            },
        ),
        ("agent digest", hex::encode(order.order.agent_digest)),
        ("state", order_state(order)),
        ("added", time(order.order.added_at_ms)),
    ])
}

fn unit_row(unit: &UnitView) -> Vec<String> {
    vec![
        unit.device_id.0.to_string(),
        unit.serial.clone().unwrap_or_default(),
        unit.state.name().to_owned(),
        unit.order_name.clone().unwrap_or_default(),
        unit.failure
            .as_ref()
            .map_or("", |failure| failure.code.name())
            .to_owned(),
    ]
}

fn unit_detail(unit: &UnitView) -> String {
    let failure = unit.failure.as_ref();
    let mut entries = vec![
        ("device id", unit.device_id.0.to_string()),
        ("serial", unit.serial.clone().unwrap_or_default()),
        ("state", unit.state.name().to_owned()),
        ("order", unit.order_name.clone().unwrap_or_default()),
        (
            "shipped",
            unit.shipped_at
                .map_or_else(String::new, |leaf| format!("yes, leaf {leaf}")),
        ),
        (
            "why",
            failure.map_or_else(String::new, |failure| {
                format!("{}: {}", failure.code.name(), failure.message)
            }),
        ),
        (
            "next",
            failure.map_or_else(String::new, |failure| failure.next.clone()),
        ),
    ];
    if let Some(run) = &unit.last_run {
        entries.extend(run_entries(run));
    }
    let text = list(&entries);
    text + &unit.last_run.as_ref().map_or_else(String::new, run_steps)
}

fn run_entries(run: &RunView) -> [(&'static str, String); 6] {
    [
        ("last run", run.id.to_string()),
        ("slot", run.slot.to_string()),
        (
            "result",
            run.result
                .map_or("not ended", |result| result.name())
                .to_owned(),
        ),
        (
            "reached",
            run.reached.map_or("", |step| step.name()).to_owned(),
        ),
        ("began", time(run.started_at_ms)),
        ("ended", run.ended_at_ms.map_or_else(String::new, time)),
    ]
}

fn run_steps(run: &RunView) -> String {
    let rows: Vec<_> = run
        .steps
        .iter()
        .filter(|step| step.phase == StepPhase::Done)
        .map(|step| vec![step.step.name().to_owned(), time(step.at_ms)])
        .collect();
    table(&["step", "done at"], &rows)
}

fn log_key_row(key: &LogKeyView) -> Vec<String> {
    vec![
        key.key_id.clone(),
        match key.state {
            LogKeyState::Configured => "configured, does not sign",
            LogKeyState::InForce => "in force",
            LogKeyState::Retired => "retired",
        }
        .to_owned(),
        match &key.place {
            Some(LogKeyConfig::File { path }) => format!("file {}", path.display()),
            Some(LogKeyConfig::Token { token, label, .. }) => format!("token {token}, {label}"),
            None => "not in the configuration".to_owned(),
        },
        key.key.clone(),
    ]
}

fn station_row(station: &EnrolledStation) -> Vec<String> {
    let state = match (station.retired_at_ms, &station.retired_for) {
        (None, _) => "enrolled".to_owned(),
        (Some(at_ms), why) => {
            let why = why.as_deref().unwrap_or_default();
            format!("retired {}: {why}", time(at_ms))
        }
    };
    vec![
        station.name.clone(),
        station.id.to_string(),
        station.login.clone(),
        time(station.enrolled_at_ms),
        state,
    ]
}

fn shipment_row(shipment: &ShipmentView) -> Vec<String> {
    vec![
        shipment.device_id.0.to_string(),
        shipment.serial.clone().unwrap_or_default(),
        shipment.state.name().to_owned(),
        if shipment.ships { "yes" } else { "NO" }.to_owned(),
        shipment.why.clone().unwrap_or_default(),
    ]
}

fn witness_detail(witness: &WitnessView) -> String {
    let text = list(&[
        ("name", witness.name.clone()),
        ("key", witness.key.clone()),
        ("evidence", witness.evidence.to_string()),
    ]);
    witness.logs.iter().fold(text, |text, log| {
        let keys = log.keys.iter().map(|key| ("trusted key", key.clone()));
        let mut entries = vec![
            ("log", log.origin.clone()),
            ("size", log.size.to_string()),
            ("root", log.root.clone().unwrap_or_default()),
            (
                "cosigned",
                log.cosigned_at_ms.map_or_else(|| "never".to_owned(), time),
            ),
        ];
        entries.extend(keys);
        text + "\n" + &list(&entries)
    })
}

fn authority_detail(view: &AuthorityView) -> String {
    let mut entries = vec![
        ("file", view.file.display().to_string()),
        ("what", view.what.clone()),
        ("digest", hex::encode(view.digest)),
    ];
    entries.extend(view.lines.iter().map(|line| ("says", line.clone())));
    let by = if view.verified {
        "counts by"
    } else {
        "signed by"
    };
    entries.extend(view.signed_by.iter().map(|name| (by, name.clone())));
    list(&entries)
}

fn registry_detail(registry: &RegistryView) -> String {
    let status = &registry.status;
    let was = match registry.schema_before {
        None => String::new(),
        Some(0) => " (made now)".to_owned(),
        before if before == status.schema => " (as before)".to_owned(),
        Some(before) => format!(" (was {before})"),
    };
    let schema = status.schema.map_or_else(
        || "none".to_owned(),
        |schema| format!("{schema}{was}, clients from version {}", status.min_client),
    );
    let station = status.station.as_ref().map(|station| {
        let retired = station
            .retired_at_ms
            .map_or_else(String::new, |at_ms| format!(", retired {}", time(at_ms)));
        format!("{} ({}){retired}", station.name, station.id)
    });
    list(&[
        ("address", registry.address.clone()),
        (
            "database",
            format!("{} {}", status.engine, status.server_version),
        ),
        ("server", status.server.clone().unwrap_or_default()),
        ("schema", schema),
        (
            "this keyline",
            format!(
                "client version {}, needs schema {} or newer",
                status.client, status.schema_min
            ),
        ),
        ("role", status.role.clone().unwrap_or_default()),
        ("rights", status.rights.join(", ")),
        ("station", station.unwrap_or_default()),
    ])
}
