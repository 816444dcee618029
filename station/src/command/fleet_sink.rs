//! Between a fleet's file and the registry: rows become claims that stand on an import, and refusals get words.

use std::collections::VecDeque;

use futures_util::Stream;
use futures_util::stream::try_unfold;

use crate::fleet::{ExportedKey, FleetSink, Imported, ImportedKey, RefusalCode, RefusedRow};
use crate::registry::{ImportRow, ImportTerms, KeyPlace, ListedKey, Registry, RegistryError};

/// Enters rows into the registry.
pub(super) struct RegistryFleet {
    pub(super) registry: Registry,
    pub(super) terms: ImportTerms,
}

impl FleetSink for RegistryFleet {
    type Error = RegistryError;

    async fn import(
        &self,
        batch: Vec<ImportedKey>,
    ) -> Result<Vec<Result<Imported, RefusedRow>>, RegistryError> {
        let places: Vec<_> = batch.iter().map(|key| (key.line, key.device_id)).collect();
        let row = |key: ImportedKey| ImportRow {
            device_id: key.device_id,
            algorithm: key.algorithm,
            public_key: key.public_key,
            product: key.product,
            serial: key.serial,
        };
        let rows = batch.into_iter().map(row).collect();
        let answers = self.registry.import(self.terms.clone(), rows).await?;
        let answered = answers.into_iter().zip(places);
        let told = answered.map(|(answer, (line, device_id))| match answer {
            Ok(receipt) => Ok(Imported {
                already: receipt.already,
            }),
            Err(error) => {
                let (code, next) = words(&error);
                Err(RefusedRow {
                    line,
                    device_id: Some(device_id),
                    code,
                    message: error.to_string(),
                    next: next.to_owned(),
                })
            }
        });
        Ok(told.collect())
    }
}

const fn words(error: &RegistryError) -> (RefusalCode, &'static str) {
    match error {
        RegistryError::UnknownProduct(_) => (
            RefusalCode::UnknownProduct,
            "Enter the product's bundle first, or correct the name.",
        ),
        RegistryError::SerialInUse { .. } => (
            RefusalCode::SerialInUse,
            "Find out which of the two devices carries this label: a serial names one living device of its product.",
        ),
        RegistryError::UnitHasAnotherSerial { .. } => (
            RefusalCode::OtherSerial,
            "Find out which serial the device has: an import never changes what the registry knows.",
        ),
        RegistryError::DeviceHasAnotherKey { .. } | RegistryError::BeingMade(_) => (
            RefusalCode::OtherKey,
            "Find out which key the device has: an import never changes what the registry knows.",
        ),
        _ => (
            RefusalCode::ReusedKey,
            "Find out which device has this key: two that share one are clones, and a key that was taken back never returns.",
        ),
    }
}

/// Every key of the registry as an export writes it, page by page; of one product where it is named.
pub(super) fn keys_of(
    registry: Registry,
    all: bool,
    product: Option<String>,
) -> impl Stream<Item = Result<ExportedKey, RegistryError>> {
    let begin: (VecDeque<ListedKey>, Option<KeyPlace>, bool) = (VecDeque::new(), None, false);
    try_unfold(begin, move |(mut page, mut after, mut ended)| {
        let (registry, product) = (registry.clone(), product.clone());
        async move {
            loop {
                if let Some(key) = page.pop_front() {
                    if product.is_none() || key.product == product {
                        return Ok(Some((exported(key), (page, after, ended))));
                    }
                } else if ended {
                    return Ok(None);
                } else {
                    page = registry.keys(after, all).await?.into();
                    after = page.back().map(|key| key.place).or(after);
                    ended = page.is_empty();
                }
            }
        }
    })
}

fn exported(key: ListedKey) -> ExportedKey {
    ExportedKey {
        device_id: key.pin.device_id,
        fingerprint: key.pin.fingerprint,
        algorithm: key.pin.algorithm,
        state: key.pin.state,
        public_key: key.pin.public_key,
        product: key.product,
        serial: key.serial,
        pinned_at_ms: key.pin.pinned_at_ms,
        revoked_at_ms: key.revoked_at_ms,
    }
}
