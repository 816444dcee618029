//! The cloud keys of this station's products: whether a bundle may bring another one, and that the registry hears of each.

use std::time::Duration;

use super::{App, AppError};
use crate::audit::SignedNote;
use crate::authority::{
    AcceptedBundle, AuthorityError, Bundle, BundleKind, CloudKeyStep, ProductBundle, next_cloud_key,
};
use crate::error_text::chain;
use crate::record::Product;
use crate::registry::{BuildEntry, Registry, RegistryError};

/// How long a line may be kept waiting for a registry that is only to hear what is built.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the registry was not told, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untold {
    /// What it does not know, and why.
    pub message: String,
    /// What to do.
    pub next: String,
}

impl App {
    /// What a product's bundle does to its cloud key, beside those that this station accepted before.
    ///
    /// # Errors
    /// [`AppError::Authority`] where the number or the key contradicts them.
    pub async fn cloud_key_step(
        &self,
        accepted: &AcceptedBundle,
    ) -> Result<CloudKeyStep, AppError> {
        let product = accepted.product()?;
        let earlier = self.product_bundles(product.name.as_str()).await?;
        let known: Vec<_> = earlier
            .iter()
            .filter(|bundle| bundle.digest() != accepted.bundle().digest())
            .filter_map(said)
            .map(ProductBundle::numbered_cloud_key)
            .collect();
        let step = next_cloud_key(product.name.as_str(), &known, product.numbered_cloud_key());
        Ok(step?)
    }

    /// The number of a demonstration's next cloud key: a key that is known keeps its own.
    pub(super) async fn demo_cloud_key_version(
        &self,
        product: &ProductBundle,
    ) -> Result<u32, AppError> {
        let earlier = self.product_bundles(product.name.as_str()).await?;
        let fingerprint = product.numbered_cloud_key().fingerprint;
        let known = earlier.iter().filter_map(said);
        let mut latest = 0;
        for key in known.map(ProductBundle::numbered_cloud_key) {
            if key.fingerprint == fingerprint {
                return Ok(key.version);
            }
            latest = latest.max(key.version);
        }
        Ok(latest.saturating_add(1))
    }

    /// Tells the registry of which bundle each product of this station is, retired ones too, where it does not know yet. Gives what could
    /// not be told; a registry that is out of reach hears it when a line next begins.
    ///
    /// # Errors
    /// [`AppError::Journal`] where the journal can't be read.
    pub async fn tell_builds(
        &self,
        registry: &Registry,
        operator: &str,
    ) -> Result<Vec<Untold>, AppError> {
        let told = tokio::time::timeout(PATIENCE, self.tell_all_builds(registry, operator)).await;
        match told {
            Ok(told) => told,
            Err(_) => Ok(Vec::new()),
        }
    }

    async fn tell_all_builds(
        &self,
        registry: &Registry,
        operator: &str,
    ) -> Result<Vec<Untold>, AppError> {
        let station = self.home().station();
        let known = match registry.builds_of(station).await {
            Ok(known) => known,
            Err(error) => return Ok(untold("the products of this station", &error)),
        };
        let mut unpublished = Vec::new();
        let mut left = Vec::new();
        for product in self.journal().products().await? {
            if known.contains(&product.id) {
                continue;
            }
            let Some(bundle) = self.bundle_of(&product).await? else {
                continue;
            };
            let entered = registry.enter_build(product.id, &bundle, station, operator);
            match entered.await {
                Ok(BuildEntry::Unpublished) if product.retired_at_ms.is_none() => {
                    unpublished.push(Untold {
                        message: format!(
                            "the registry does not have the {}: which units carry its cloud key is not listed",
                            bundle.words()
                        ),
                        next: "Have a key administrator publish it, from a home with his role: authority publish FILE.".to_owned(),
                    });
                }
                Ok(BuildEntry::Entered | BuildEntry::Unpublished) => {}
                Err(error) => left.extend(untold(&bundle.words(), &error)),
            }
        }
        // Where the registry obeys no root, nothing can be published.
        if !unpublished.is_empty() && matches!(registry.root_policy().await, Ok(Some(_))) {
            left.append(&mut unpublished);
        }
        Ok(left)
    }

    /// The latest bundle that says what the product's record says; none where the home is older than bundles.
    async fn bundle_of(&self, product: &Product) -> Result<Option<Bundle>, AppError> {
        let bundles = self.product_bundles(&product.name).await?;
        let same = |bundle: &Bundle| {
            said(bundle).is_some_and(|said| {
                said.cloud_key.spki() == product.cloud_key
                    && said.cloud_address.to_string() == product.cloud_address
            })
        };
        Ok(bundles.into_iter().find(same))
    }

    /// Every bundle of a product that was accepted here, the latest first. Their signatures were checked then.
    async fn product_bundles(&self, name: &str) -> Result<Vec<Bundle>, AppError> {
        let stored = self
            .journal()
            .bundles_of(BundleKind::Product.name(), name)
            .await?;
        let read = |note: &str| {
            let note = SignedNote::parse(note).map_err(AuthorityError::Note)?;
            Ok(Bundle::parse(&note.text)?)
        };
        stored.iter().map(|stored| read(&stored.note)).collect()
    }
}

fn said(bundle: &Bundle) -> Option<&ProductBundle> {
    match bundle.body() {
        crate::authority::BundleBody::Product(product) => Some(product),
        _ => None,
    }
}

/// One that is out of reach is no news to a line, which finds out by itself.
fn untold(what: &str, error: &RegistryError) -> Vec<Untold> {
    if error.is_temporary() {
        tracing::debug!(registry.error = %chain(error), "the registry was not told what is built");
        return Vec::new();
    }
    vec![Untold {
        message: format!("the registry was not told of {what}: {}", chain(error)),
        next: error.next().to_owned(),
    }]
}
