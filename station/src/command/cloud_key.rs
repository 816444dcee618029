//! `keyline cloud-key`: the versions of products' cloud keys, and the units that carry them.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use keyline_protocol::identity::LockPolicy;
use serde::{Deserialize, Serialize};

use super::cloud_key_arguments::CloudKeyCommand;
use super::lower::absolute;
use super::read::unknown;
use super::{CommandError, Name, Request, export};
use crate::app::App;
use crate::clock;
use crate::error_text::counted;
use crate::event::{CloudKeyRemedy, CloudKeyUnitView, CloudKeyView, Event, EventSink};
use crate::export::file_digest;
use crate::journal::JournalReader;
use crate::operator::Principal;
use crate::record::{DeviceIdText, StationId};
use crate::registry::{Carrier, CarrierFilter, CloudKeyVersion, Registry};

/// The units of a product by the cloud key that they carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudKeyUnitsRequest {
    /// The product's name.
    pub product: Name,
    /// Only those that carry this version.
    pub version: Option<u32>,
    /// Only those that have not shown that they carry the latest version.
    pub outdated: bool,
    /// The most that are shown.
    pub limit: u32,
    /// A new CSV file for all of them, an absolute path.
    pub out: Option<PathBuf>,
}

/// Makes a request of what was typed.
pub(super) fn lower(command: CloudKeyCommand) -> Result<Request, CommandError> {
    Ok(match command {
        CloudKeyCommand::List { product } => Request::CloudKeyList { product },
        CloudKeyCommand::Units {
            product,
            version,
            outdated,
            limit,
            out,
        } => Request::CloudKeyUnits(Box::new(CloudKeyUnitsRequest {
            product,
            version,
            outdated,
            limit,
            out: out.as_deref().map(absolute).transpose()?,
        })),
    })
}

/// Tells the registry what this station builds, and people of what could not be told.
pub(super) async fn tell_builds(
    app: &App,
    registry: &Registry,
    operator: &str,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    for untold in app.tell_builds(registry, operator).await? {
        sink.emit(Event::Warning {
            message: untold.message,
            next: untold.next,
        });
    }
    Ok(())
}

/// Lists the versions.
pub(super) async fn list(
    registry: &Registry,
    product: Option<&str>,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let keys = registry.cloud_keys(product).await?;
    if keys.is_empty() {
        let of = product.map_or_else(String::new, |name| format!(" of product {name}"));
        sink.emit(Event::Notice {
            message: format!(
                "The registry knows no cloud key{of}: one comes with a product's bundle (`keyline product add`; on a shared registry `keyline authority publish`)."
            ),
        });
        return Ok(());
    }
    for versions in keys.chunk_by(|one, other| one.product == other.product) {
        list_product(registry, versions, sink).await?;
    }
    Ok(())
}

async fn list_product(
    registry: &Registry,
    versions: &[CloudKeyVersion],
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let Some(latest) = versions.last() else {
        return Ok(());
    };
    let mut counts = registry.count_carriers(&latest.product).await?;
    for key in versions {
        sink.emit(Event::CloudKey(Box::new(CloudKeyView {
            product: key.product.clone(),
            version: key.version,
            fingerprint: key.fingerprint,
            address: key.address.clone(),
            since_ms: key.entered_at_ms,
            operator: key.by.operator.clone(),
            station: key.by.station,
            bundle: key.bundle,
            in_force: key.version == latest.version,
            units: counts.remove(&Some(key.fingerprint)).unwrap_or_default(),
        })));
    }
    let never = counts.remove(&None).unwrap_or_default();
    let others: u64 = counts.values().sum();
    for (count, words) in [
        (
            never,
            "never proved before a station which cloud key they carry",
        ),
        (others, "carry a cloud key that is none of these"),
    ] {
        if count > 0 {
            sink.emit(Event::Notice {
                message: format!(
                    "{} of product {} {words}.",
                    counted(count, "unit", "units"),
                    latest.product
                ),
            });
        }
    }
    Ok(())
}

/// What is wanted of a product's units, and what is known around them.
struct Wanted<'a> {
    journal: &'a JournalReader,
    registry: &'a Registry,
    product: String,
    versions: Vec<CloudKeyVersion>,
    latest: CloudKeyVersion,
    filter: CarrierFilter,
    station_names: HashMap<StationId, String>,
}

impl<'a> Wanted<'a> {
    async fn of(
        journal: &'a JournalReader,
        registry: &'a Registry,
        request: &CloudKeyUnitsRequest,
    ) -> Result<Self, CommandError> {
        let product = request.product.to_string();
        let versions = registry.cloud_keys(Some(&product)).await?;
        let latest = versions
            .last()
            .cloned()
            .ok_or_else(|| unknown("cloud key", &format!("any version of product {product}")))?;
        let filter = match (request.version, request.outdated) {
            (Some(number), _) => {
                let version = versions.iter().find(|key| key.version == number);
                let version = version.ok_or_else(|| {
                    unknown(
                        "cloud key",
                        &format!("version {number} of product {product}"),
                    )
                })?;
                CarrierFilter::With(version.fingerprint)
            }
            (None, true) => CarrierFilter::Without(latest.fingerprint),
            (None, false) => CarrierFilter::All,
        };
        let stations = registry.stations().await?.into_iter();
        Ok(Self {
            journal,
            registry,
            product,
            versions,
            latest,
            filter,
            station_names: stations.map(|one| (one.id, one.name)).collect(),
        })
    }

    /// The page after a device.
    async fn page(
        &self,
        after: Option<DeviceIdText>,
    ) -> Result<Vec<CloudKeyUnitView>, CommandError> {
        let carriers = self.registry.carriers(&self.product, self.filter, after);
        let mut views = Vec::new();
        for carrier in carriers.await? {
            views.push(self.view(carrier).await?);
        }
        Ok(views)
    }

    async fn view(&self, carrier: Carrier) -> Result<CloudKeyUnitView, CommandError> {
        let unit = self.journal.unit(carrier.device_id).await?;
        let carried = carrier.carried;
        let fingerprint = carried.as_ref().map(|carried| carried.fingerprint);
        let version = self
            .versions
            .iter()
            .find(|key| Some(key.fingerprint) == fingerprint);
        let lock_policy = carried.as_ref().map(|carried| carried.proof.lock_policy);
        let station = carried.as_ref().map(|carried| carried.station);
        Ok(CloudKeyUnitView {
            device_id: carrier.device_id,
            serial: unit.and_then(|unit| unit.serial),
            product: self.product.clone(),
            version: version.map(|key| key.version),
            cloud_key: fingerprint.map(hex::encode),
            address: carried
                .as_ref()
                .map(|carried| carried.proof.cloud_address.clone()),
            proven_at_ms: carried.as_ref().map(|carried| carried.proven_at_ms),
            station,
            station_name: station.and_then(|id| self.station_names.get(&id).cloned()),
            lock_policy,
            remedy: match lock_policy.map(|policy| policy.0) {
                _ if fingerprint == Some(self.latest.fingerprint) => CloudKeyRemedy::Nothing,
                Some(LockPolicy::Open) => CloudKeyRemedy::Run,
                Some(LockPolicy::Sealed | LockPolicy::ReadBack) => CloudKeyRemedy::EraseAndRework,
                None => CloudKeyRemedy::Unknown,
            },
        })
    }
}

/// How many of the units need what.
#[derive(Default)]
struct Remedies {
    units: u64,
    runs: u64,
    erasures: u64,
}

impl Remedies {
    fn count(&mut self, unit: &CloudKeyUnitView) {
        self.units += 1;
        match unit.remedy {
            CloudKeyRemedy::Nothing => {}
            CloudKeyRemedy::Run | CloudKeyRemedy::Unknown => self.runs += 1,
            CloudKeyRemedy::EraseAndRework => self.erasures += 1,
        }
    }

    fn tell(&self, wanted: &Wanted<'_>, sink: &dyn EventSink) {
        let say = |message| sink.emit(Event::Notice { message });
        let (product, latest) = (&wanted.product, wanted.latest.version);
        if self.units == 0 {
            say(format!("No unit of product {product} is to be listed."));
        }
        if self.runs > 0 {
            say(format!(
                "{} to run again for version {latest}: `keyline order add --product {product} --rework …`, then `keyline provision`. They keep their device keys.",
                counted(self.runs, "unit is", "units are")
            ));
        }
        if self.erasures > 0 {
            say(format!(
                "{} sealed and can't take version {latest} by a run alone: erase the whole chip over its probe, `keyline unit rework UNIT --permit revoke`, then run it in a work order with --rework. It gets a new device key too.",
                counted(self.erasures, "unit is", "units are")
            ));
        }
    }
}

/// Lists units.
pub(super) async fn units(
    journal: &JournalReader,
    registry: &Registry,
    request: &CloudKeyUnitsRequest,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let wanted = Wanted::of(journal, registry, request).await?;
    let mut remedies = Remedies::default();
    let mut after = None;
    let limit = u64::from(request.limit);
    loop {
        let page = wanted.page(after).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.device_id);
        for unit in page {
            if remedies.units == limit {
                sink.emit(Event::Notice {
                    message: format!(
                        "There are more than {limit} units: give --limit, or --out for all of them."
                    ),
                });
                remedies.tell(&wanted, sink);
                return Ok(());
            }
            remedies.count(&unit);
            sink.emit(Event::CloudKeyUnit(Box::new(unit)));
        }
    }
    remedies.tell(&wanted, sink);
    Ok(())
}

const COLUMNS: [&str; 9] = [
    "device_id",
    "serial",
    "product",
    "version",
    "cloud_key",
    "cloud_address",
    "proven_at",
    "station",
    "what_to_do",
];

fn record(unit: &CloudKeyUnitView) -> [String; 9] {
    [
        unit.device_id.into(),
        unit.serial.clone().unwrap_or_default(),
        unit.product.clone(),
        unit.version
            .as_ref()
            .map_or_else(String::new, u32::to_string),
        unit.cloud_key.clone().unwrap_or_default(),
        unit.address.clone().unwrap_or_default(),
        unit.proven_at_ms.map_or_else(String::new, clock::text),
        unit.station_text(),
        unit.remedy.name().to_owned(),
    ]
}

/// Writes all units to a new file, which appears whole, after the log says that it was handed out.
pub(super) async fn write(
    app: &App,
    principal: &Principal,
    request: &CloudKeyUnitsRequest,
    out: &Path,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let failed = |source| CommandError::Output {
        path: out.to_owned(),
        source,
    };
    let registry = app.registry().await?;
    let wanted = Wanted::of(app.journal(), &registry, request).await?;
    if out.exists() {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
    }
    let directory = out.parent().unwrap_or_else(|| Path::new("/"));
    let file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    let mut rows = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(std::io::BufWriter::new(file));
    let unwritten = |error: csv::Error| failed(std::io::Error::other(error));
    rows.write_record(COLUMNS).map_err(unwritten)?;
    let mut remedies = Remedies::default();
    let mut after = None;
    loop {
        let page = wanted.page(after).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.device_id);
        for unit in &page {
            remedies.count(unit);
            rows.write_record(record(unit)).map_err(unwritten)?;
        }
    }
    let buffered = rows
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    let mut file = buffered
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    file.flush().map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    let digest = file_digest(file.path()).map_err(failed)?;
    export::tell(app, principal, digest, filter_words(request)).await?;
    file.persist_noclobber(out)
        .map_err(|error| failed(error.error))?;
    sink.emit(Event::Notice {
        message: format!(
            "Wrote {} to {}.",
            counted(remedies.units, "unit", "units"),
            out.display()
        ),
    });
    remedies.tell(&wanted, sink);
    Ok(())
}

/// What was asked for, as the log has it.
fn filter_words(request: &CloudKeyUnitsRequest) -> String {
    let which = match (request.version, request.outdated) {
        (Some(version), _) => format!(", version {version}"),
        (None, true) => ", outdated".to_owned(),
        (None, false) => String::new(),
    };
    format!("cloud-key units, product {}{which}", request.product)
}
