//! Which of the two record areas counts, and how a new record takes the place of the old.
//!
//! The newer valid one wins. A record goes to the other area, its commit word last, and only then is the stale area erased, so a power
//! cut leaves the old record or the new one. What a cut left over (a half-written record, or a stale one) is erased at the next boot:
//! it may hold network credentials. An area that was committed and no longer reads as it was written stays until it is written over.

use keyline_protocol::message::{FlashFault, RecordFault, RecordSummary, Refusal};
use keyline_protocol::record::{
    CLOUD_ADDRESS_LENGTH_MAX, CLOUD_KEY_LENGTH_MAX, CREDENTIALS_LENGTH_MAX, RecordContent,
};

use crate::flash;
use crate::hal::Hal;
use crate::p256;
use crate::record_layout::{self, Record};

/// The area that counts, and what is known of it.
#[derive(Clone, Copy)]
struct Current {
    area: u32,
    sequence: u32,
}

/// The area of the newer valid record.
fn current(hal: &impl Hal, body: &mut [u8]) -> Option<Current> {
    let [first, second] = hal.layout().records.map(|area| {
        let sequence = record_layout::read(hal, area, body)?.summary.sequence;
        Some(Current { area, sequence })
    });
    match (first, second) {
        (Some(first), Some(second)) => {
            // Sequences grow by one and may, in theory, run over: the newer one is less than half the circle ahead.
            let ahead = second.sequence.wrapping_sub(first.sequence);
            Some(if (1..=u32::MAX / 2).contains(&ahead) {
                second
            } else {
                first
            })
        }
        (first, second) => first.or(second),
    }
}

/// Reads the record that counts, cold from flash, its body into `body`.
pub(crate) fn find<'a>(hal: &impl Hal, body: &'a mut [u8]) -> Option<Record<'a>> {
    let area = current(hal, body)?.area;
    record_layout::read(hal, area, body)
}

fn area_length(hal: &impl Hal) -> u32 {
    hal.layout().record_pages * hal.layout().page_length
}

/// Erases what an interrupted writing left.
///
/// # Errors
/// [`FlashFault::Erase`].
pub(crate) fn recover(hal: &mut impl Hal, body: &mut [u8]) -> Result<(), Refusal> {
    let current = current(hal, body).map(|current| current.area);
    for area in hal.layout().records {
        let superseded = current.is_some_and(|current| current != area);
        if superseded || !record_layout::is_committed(hal, area) {
            flash::erase(hal, area, area_length(hal))?;
        }
    }
    Ok(())
}

/// Erases both areas, whatever they hold.
///
/// # Errors
/// [`FlashFault::Erase`].
pub(crate) fn erase(hal: &mut impl Hal) -> Result<(), Refusal> {
    for area in hal.layout().records {
        flash::erase(hal, area, area_length(hal))?;
    }
    Ok(())
}

/// Checks a record's limits.
///
/// # Errors
/// [`Refusal::InvalidRecord`].
pub(crate) fn check(content: &RecordContent<'_>) -> Result<(), Refusal> {
    let fault = if !(1..=CLOUD_KEY_LENGTH_MAX).contains(&content.cloud_key.len()) {
        RecordFault::CloudKey
    } else if !(1..=CLOUD_ADDRESS_LENGTH_MAX).contains(&content.cloud_address.len()) {
        RecordFault::CloudAddress
    } else if content
        .credentials
        .is_some_and(|credentials| !(1..=CREDENTIALS_LENGTH_MAX).contains(&credentials.len()))
    {
        RecordFault::Credentials
    } else if content
        .authority
        .is_some_and(|authority| !p256::is_on_curve(&authority))
    {
        RecordFault::Authority
    } else {
        return Ok(());
    };
    Err(Refusal::InvalidRecord(fault))
}

/// Makes `content`, which was checked, the record that counts. `body` is room for reading records.
///
/// # Errors
/// [`Refusal::Flash`]: before the commit the old record still counts, after it the new one does.
pub(crate) fn write(
    hal: &mut impl Hal,
    content: &RecordContent<'_>,
    salt: &[u8; 32],
    body: &mut [u8],
) -> Result<RecordSummary, Refusal> {
    let [first, second] = hal.layout().records;
    let (area, stale, sequence) = match current(hal, body) {
        Some(current) if current.area == first => (second, first, current.sequence.wrapping_add(1)),
        Some(current) => (first, second, current.sequence.wrapping_add(1)),
        None => (first, second, 1),
    };
    let length = area_length(hal);
    flash::erase(hal, area, length)?;
    let written = record_layout::write(hal, area, content, sequence, salt)
        .and_then(|summary| record_layout::commit(hal, area).map(|()| summary));
    if written.is_err() {
        // The area may hold part of the credentials. Where this fails too, the next boot tries again.
        let _ = flash::erase(hal, area, length);
    }
    let summary = written?;
    flash::erase(hal, stale, length)?;
    match record_layout::read(hal, area, body) {
        Some(record) if record.summary == summary => Ok(summary),
        _ => Err(Refusal::Flash(FlashFault::Verify, area)),
    }
}
