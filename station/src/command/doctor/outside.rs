//! What lies outside of the home: registry, probes, ports, clock, memory limits, emulator.

use std::path::Path;
use std::time::Duration;

use keyline_virtual_unit::qemu;

use super::super::chain;
use super::{fail, ok, warn};
use crate::app::{AppError, REGISTRY_MISSING_NEXT};
use crate::clock::wall_ms;
use crate::event::CheckResult;
use crate::home::{Config, LinkSelector, SlotConfig, missing_registry_file};
use crate::journal::JournalReader;
use crate::key_pool::KeyPool;
use crate::registry::Registry;

/// How long a registry may take to answer.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(10);

/// 2026-01-01, before this program was written: a clock before that was never set.
const EARLIEST_PLAUSIBLE_MS: u64 = 1_767_225_600_000;

/// 2126-01-01: a clock after that is broken.
const LATEST_PLAUSIBLE_MS: u64 = 4_922_899_200_000;

pub(super) async fn registry(home: &Path, config: &Config) -> CheckResult {
    if let Some(path) = missing_registry_file(home, &config.registry.url) {
        return match pinned(home, config).await {
            0 => ok(
                "registry",
                format!("{} is made when it is first needed", path.display()),
            ),
            pinned => fail(
                "registry",
                AppError::RegistryMissing { path, pinned }.to_string(),
                REGISTRY_MISSING_NEXT,
            ),
        };
    }
    let next = "Check the network and the registry's address in the configuration.";
    let asked = tokio::time::timeout(REGISTRY_TIMEOUT, async {
        let registry = Registry::open(config.registry.address(home)?).await?;
        registry.ping().await?;
        registry.close().await;
        Ok::<_, crate::registry::RegistryError>(())
    });
    match asked.await {
        Ok(Ok(())) => ok("registry", "it answers".to_owned()),
        Ok(Err(error)) => fail("registry", chain(&error), next),
        Err(_) => fail(
            "registry",
            format!("no answer within {} s", REGISTRY_TIMEOUT.as_secs()),
            next,
        ),
    }
}

/// How many keys the log says are pinned. What is wrong with a journal that can't say, its own check tells.
async fn pinned(home: &Path, config: &Config) -> u64 {
    let read = async {
        let journal = JournalReader::open(&home.join(&config.journal.path)).await?;
        journal.pinned_count().await
    };
    read.await.unwrap_or(0)
}

pub(super) async fn slot(slot: &SlotConfig) -> CheckResult {
    let check = format!("slot-{}", slot.number);
    match &slot.link {
        LinkSelector::Sim => ok(&check, "simulated units".to_owned()),
        LinkSelector::Serial(path) => {
            if path.exists() {
                ok(&check, format!("{} is there", path.display()))
            } else {
                fail(
                    &check,
                    format!("expected a serial port at {}, found none", path.display()),
                    "Check the cable, or correct the slot's link in the configuration.",
                )
            }
        }
        LinkSelector::Probe(selector) if selector.contains(":tcp:") => ok(
            &check,
            format!("{selector} is reached over the network; it is tried when a unit is"),
        ),
        LinkSelector::Probe(selector) => {
            let listed = probe_selectors().await;
            if listed
                .iter()
                .any(|known| known.eq_ignore_ascii_case(selector))
            {
                ok(&check, format!("probe {selector} is there"))
            } else {
                fail(
                    &check,
                    format!("expected the probe {selector}, found {}", found(&listed)),
                    "Check the probe's USB cable, its udev rule, and the slot's link in the configuration.",
                )
            }
        }
    }
}

fn found(listed: &[String]) -> String {
    if listed.is_empty() {
        "no probe".to_owned()
    } else {
        listed.join(", ")
    }
}

/// The selectors of all probes, as the configuration writes them.
async fn probe_selectors() -> Vec<String> {
    let listed = tokio::task::spawn_blocking(|| probe_rs::probe::list::Lister::new().list_all());
    let listed = listed.await.unwrap_or_default();
    listed
        .into_iter()
        .map(|probe| {
            format!(
                "{:04x}:{:04x}:{}",
                probe.vendor_id,
                probe.product_id,
                probe.serial_number.unwrap_or_default()
            )
        })
        .collect()
}

pub(super) async fn probes() -> CheckResult {
    let listed = probe_selectors().await;
    if listed.is_empty() {
        warn(
            "probes",
            "no debug probe on USB".to_owned(),
            "Connect one for real units; a demonstration needs none.",
        )
    } else {
        ok("probes", listed.join(", "))
    }
}

pub(super) fn serial_ports() -> CheckResult {
    match serialport::available_ports() {
        Ok(ports) if ports.is_empty() => ok("serial", "no serial port".to_owned()),
        Ok(ports) => {
            let names: Vec<_> = ports.into_iter().map(|port| port.port_name).collect();
            ok("serial", names.join(", "))
        }
        Err(error) => warn(
            "serial",
            format!("the serial ports can't be listed: {error}"),
            "Only slots with a serial link need them.",
        ),
    }
}

pub(super) fn clock() -> CheckResult {
    let now_ms = wall_ms();
    if (EARLIEST_PLAUSIBLE_MS..LATEST_PLAUSIBLE_MS).contains(&now_ms) {
        ok("clock", "plausible".to_owned())
    } else {
        fail(
            "clock",
            format!("the clock stands {now_ms} ms after 1970, which can't be"),
            "Set the clock: every leaf of the audit log carries the time.",
        )
    }
}

/// Whether station-made keys would be safe from swap space.
pub(super) fn secrets() -> CheckResult {
    match KeyPool::new(1) {
        Ok(pool) if pool.locked() => ok("memory", "keys are locked in memory".to_owned()),
        Ok(_) => warn(
            "memory",
            "the limit of locked memory is too small for the pool of station-made keys".to_owned(),
            "Raise it to 4 MiB (`ulimit -l 4096`), or have units make their keys themselves.",
        ),
        Err(error) => fail("memory", chain(&error), "Give the process more memory."),
    }
}

pub(super) fn emulator() -> CheckResult {
    match qemu::available() {
        Ok(version) => ok("emulator", format!("QEMU {version}")),
        Err(error) => warn(
            "emulator",
            chain(&error),
            "Only `keyline demo --unit qemu` needs it (Debian: `apt-get install qemu-system-arm`).",
        ),
    }
}
