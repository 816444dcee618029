//! Opening a probe and the chip behind it, and what probe-rs' errors mean for a unit on a bench.

use std::error::Error as StdError;
use std::io;
use std::sync::LazyLock;

use keyline_protocol::identity::Platform;
use probe_rs::architecture::arm::{ArmError, DapError};
use probe_rs::config::Registry;
use probe_rs::probe::list::Lister;
use probe_rs::probe::{DebugProbeError, DebugProbeSelector, Probe, ProbeCreationError};
use probe_rs::{Error, Permissions, Session};

use crate::link::LinkError;

/// The chips that probe-rs knows; reading them in takes longer than attaching.
static CHIPS: LazyLock<Registry> = LazyLock::new(Registry::from_builtin_families);

/// What probe-rs calls a chip.
const fn target_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Nrf51822 => "nRF51822_xxAA",
        Platform::Nrf52832 => "nRF52832_xxAA",
        Platform::Nrf52840 => "nRF52840_xxAA",
    }
}

/// Opens the probe and attaches to the chip behind it. Nothing is ever erased to get in: the permissions are the default ones.
///
/// # Errors
/// [`LinkError::Protected`] where the chip refuses because of its read-back protection; others as they are.
pub(super) fn session(selector: &str, platform: Platform) -> Result<Session, LinkError> {
    probe(selector)?
        .attach_with_registry(target_name(platform), Permissions::default(), &CHIPS)
        .map_err(|error| attaching(selector, error))
}

fn probe(selector: &str) -> Result<Probe, LinkError> {
    let not_found = |source: Option<Box<dyn StdError + Send + Sync>>| LinkError::ProbeNotFound {
        selector: selector.to_owned(),
        source,
    };
    let parsed: DebugProbeSelector = selector
        .parse()
        .map_err(|source| not_found(Some(Box::new(source))))?;
    // Asking the one driver that lists the probe keeps the complaints of all others out of the error.
    Lister::new()
        .list(Some(&parsed))
        .into_iter()
        .find(|found| {
            found.vendor_id == parsed.vendor_id
                && found.product_id == parsed.product_id
                && found.serial_number == parsed.serial_number
        })
        .ok_or_else(|| not_found(None))?
        .open()
        .map_err(|error| opening(selector, error))
}

fn opening(selector: &str, error: DebugProbeError) -> LinkError {
    let selector = selector.to_owned();
    let busy = match &error {
        // The operating system has the probe, and another process has claimed it.
        DebugProbeError::ProbeCouldNotBeCreated(ProbeCreationError::CouldNotOpen) => true,
        // The emulated probe says so where its name is asked for.
        DebugProbeError::Other(text) => text.contains("probe in use"),
        _ => is_io(&error, &[io::ErrorKind::ResourceBusy]),
    };
    if busy {
        LinkError::Busy { selector }
    } else {
        LinkError::ProbeNotFound {
            selector,
            source: Some(Box::new(error)),
        }
    }
}

fn attaching(selector: &str, error: Error) -> LinkError {
    match error {
        // nRF52: the control access port says that the chip is locked, and erasing it is not permitted.
        Error::MissingPermissions(_) | Error::Arm(ArmError::MissingPermissions(_)) => {
            LinkError::Protected
        }
        error => LinkError::NoUnit {
            selector: selector.to_owned(),
            source: Some(Box::new(error)),
        },
    }
}

/// The connection was there and is gone.
pub(super) fn lost<E: StdError + Send + Sync + 'static>(
    doing: &'static str,
) -> impl FnOnce(E) -> LinkError {
    move |source| LinkError::Lost {
        doing,
        source: Some(Box::new(source)),
    }
}

/// Whether the chip was there and refused the access.
pub(super) fn is_fault(error: &Error) -> bool {
    causes(error).any(|cause| {
        matches!(
            cause.downcast_ref::<DapError>(),
            Some(DapError::FaultResponse)
        )
    })
}

fn is_io(error: &(dyn StdError + 'static), kinds: &[io::ErrorKind]) -> bool {
    causes(error).any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| kinds.contains(&error.kind()))
    })
}

/// An error and its causes.
fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}
