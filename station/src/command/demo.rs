//! `keyline demo`: a station of its own, a product, an order, and emulated units in its fixtures.

use std::path::PathBuf;
use std::sync::Arc;

use keyline_virtual_unit::qemu;

use super::authority_act::demo_product;
use super::cloud_key::tell_builds;
use super::run::serve_while;
use super::{CommandError, chain, log, provision};
use crate::app::{self, App, InitOptions};
use crate::demo;
use crate::event::{Event, EventSink, Summary};
use crate::home::{CONFIG_FILE, LinkSelector, SlotConfig};
use crate::link::AgentImage;
use crate::operator::{Permission, Token};
use crate::record::{Change, Order};
use crate::stop::Stop;

/// Which emulated units a demonstration uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DemoUnit {
    /// The real firmware on an emulated nRF51822, reached by probe-rs.
    Qemu,
    /// The agent library in this process.
    Sim,
}

/// A demonstration on emulated units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DemoRequest {
    /// How many units.
    pub units: u32,
    /// How many slots side by side.
    pub slots: u16,
    /// Which units; `None` for `qemu` where it is installed, else `sim`.
    pub unit: Option<DemoUnit>,
    /// The registry's URL; `None` for a database in the home.
    pub registry: Option<String>,
    /// The home, made if it isn't there; `None` for a new temporary one that is kept.
    pub home: Option<PathBuf>,
}

/// Runs a demonstration. Its home stays, and every other command works on it.
pub(super) async fn run(
    request: DemoRequest,
    verbose: u8,
    sink: &Arc<dyn EventSink>,
    stop: &Stop,
) -> Result<Summary, CommandError> {
    let kind = kind(request.unit, sink.as_ref())?;
    let app = Arc::new(open(&request).await?);
    log::start(verbose, Some(app.home().path()));
    let work = conduct(&app, &request, kind, sink, stop);
    let mut summary = serve_while(&app, stop, work).await??;
    summary.home = Some(app.home().path().to_owned());
    summary.checkpoint = Some(app.journal().checkpoint().to_string());
    Ok(super::run::close(app, summary, sink.as_ref()).await)
}

/// Emulated chips where the emulator is installed, else simulated ones; what was asked for is never replaced silently.
fn kind(wanted: Option<DemoUnit>, sink: &dyn EventSink) -> Result<DemoUnit, CommandError> {
    if wanted == Some(DemoUnit::Sim) {
        return Ok(DemoUnit::Sim);
    }
    match (qemu::available(), wanted) {
        (Ok(_), _) => Ok(DemoUnit::Qemu),
        (Err(error), Some(_)) => Err(CommandError::NotReady {
            message: format!("expected QEMU for emulated chips: {}", chain(&error)),
            next: "Install it (Debian: `apt-get install qemu-system-arm`), or use --unit sim."
                .to_owned(),
        }),
        (Err(error), None) => {
            sink.emit(Event::Warning {
                message: format!("QEMU can't be used, so units are simulated in this process: {}", chain(&error)),
                next: "Install it to see the real firmware run (Debian: `apt-get install qemu-system-arm`).".to_owned(),
            });
            Ok(DemoUnit::Sim)
        }
    }
}

/// The home that was named, made where there is none; else a new one that stays.
async fn open(request: &DemoRequest) -> Result<App, CommandError> {
    let path = match &request.home {
        Some(path) => path.clone(),
        None => temporary_home()?,
    };
    if path.join(CONFIG_FILE).exists() {
        if request.registry.is_some() {
            return Err(CommandError::Usage {
                message: "expected --registry for a new home only: the home that is there has its registry in its configuration".to_owned(),
            });
        }
        return Ok(App::open(&path).await?);
    }
    let slots = (1..=request.slots).map(|number| SlotConfig {
        number,
        link: LinkSelector::Sim,
    });
    let options = InitOptions {
        // A log's name is its for ever: two demonstrations on one registry are two logs.
        station_name: format!("demo-{}", hex::encode(rand::random::<[u8; 4]>())),
        registry_url: request.registry.clone(),
        slots: slots.collect(),
        ..InitOptions::default()
    };
    Ok(app::init(&path, options).await?.app)
}

fn temporary_home() -> Result<PathBuf, CommandError> {
    tempfile::Builder::new()
        .prefix("keyline-demo-")
        .tempdir()
        .map(tempfile::TempDir::keep)
        .map_err(|source| CommandError::System {
            doing: "make a temporary home",
            source,
        })
}

async fn conduct(
    app: &Arc<App>,
    request: &DemoRequest,
    kind: DemoUnit,
    sink: &Arc<dyn EventSink>,
    stop: &Stop,
) -> Result<Summary, CommandError> {
    let token = Token::read(&app.home().resolve(&app.home().config().operator.token_file))?;
    let principal = app
        .authorise(Some(&token), Permission::Provision, "provision")
        .await?;
    let order = add_order(app, kind, request.units, &principal.operator).await?;
    sink.emit(Event::Notice {
        message: format!(
            "{} bare {} units over {} slots, order {}.",
            request.units,
            match kind {
                DemoUnit::Qemu =>
                    "emulated nRF51822 (real firmware in QEMU, reached through probe-rs)",
                DemoUnit::Sim => "simulated",
            },
            request.slots,
            order.name
        ),
    });
    let numbers: Vec<u16> = (1..=request.slots).collect();
    let guard = provision::take_slots(app, &numbers)?;
    let line = provision::line_of(app, &principal, order, Arc::clone(sink), stop.clone()).await?;
    tell_builds(app, &line.registry, &principal.operator, sink.as_ref()).await?;
    let slots = demo::slots(kind, request.units, request.slots);
    let summary = provision::drive(line, slots, request.units, None, guard, sink).await?;
    sink.emit(Event::Notice {
        message: epilogue(app),
    });
    Ok(summary)
}

async fn add_order(
    app: &App,
    kind: DemoUnit,
    units: u32,
    operator: &str,
) -> Result<Order, CommandError> {
    let product = demo::product().map_err(|error| CommandError::NotReady {
        message: chain(&error),
        next: "Run `keyline doctor`.".to_owned(),
    })?;
    let image = match kind {
        DemoUnit::Qemu => AgentImage::for_platform(product.platform)?,
        DemoUnit::Sim => AgentImage::simulated(product.platform),
    };
    let order = demo::order(&product, &image, units);
    let mut changes = demo_product(app, product, operator).await?;
    changes.push(Change::OrderAdded {
        order: order.clone(),
        operator: operator.to_owned(),
    });
    app.journal().commit(changes).await?;
    Ok(order)
}

fn epilogue(app: &App) -> String {
    let home = app.home();
    let path = home.path().display();
    format!(
        "\njournal   {}\nregistry  {}\n\nTry next:\n  keyline --home {path} unit list\n  keyline --home {path} unit show DEVICE-ID\n  keyline --home {path} pin show DEVICE-ID\n  keyline --home {path} order list",
        home.resolve(&home.config().journal.path).display(),
        home.registry_url(),
    )
}
