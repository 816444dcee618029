//! What a station takes in because the root's keys signed it: products, rosters, enrolments, another root.

use super::act::Act;
use super::authority_bundle::{bundle_of, bundle_of_product, draft_of};
use super::{CommandError, ProductBundleRequest, ProductDraft, feasible};
use crate::app::{App, bundle_accepted};
use crate::authority::{AcceptedBundle, BundleKind, CloudKeyStep, NumberedCloudKey, ProductBundle};
use crate::clock::wall_ms;
use crate::cloud_key::CloudKey;
use crate::event::{Event, ProductView};
use crate::record::{Change, Product, ProductId};

impl Act<'_> {
    /// A product as it was described: a demonstration signs it and takes it in as any other. Elsewhere only signed ones count.
    pub(super) async fn add_product(&self, draft: ProductDraft) -> Result<(), CommandError> {
        feasible::check(&draft)?;
        let credentials_file = draft.credentials_file.clone();
        let note = self.app.sign_demo_bundle(bundle_of(draft)).await?;
        let accepted = self.app.verify_bundle(&note).await?;
        let product = draft_of(accepted.product()?.clone(), credentials_file);
        self.take_product(&accepted, product, None).await
    }

    /// A signed product; it takes the place of the one of its name, whose open orders go on.
    pub(super) async fn add_signed_product(
        &self,
        request: ProductBundleRequest,
    ) -> Result<(), CommandError> {
        let accepted = self.app.verify_bundle(&request.bundle).await?;
        let product = accepted.product()?;
        let live = self
            .app
            .journal()
            .product_by_name(product.name.as_str())
            .await?;
        if accepted.already() {
            return self.is_already(&accepted, live);
        }
        // Where the credentials lie is the station's own: a new version does not forget it.
        let credentials_file = request
            .credentials_file
            .or_else(|| live.as_ref()?.credentials_file.clone());
        let draft = draft_of(product.clone(), credentials_file);
        feasible::check(&draft)?;
        self.take_product(&accepted, draft, live).await
    }

    fn is_already(
        &self,
        accepted: &AcceptedBundle,
        live: Option<Product>,
    ) -> Result<(), CommandError> {
        let bundle = accepted.bundle();
        let version = bundle.terms().version;
        let Some(live) = live else {
            return Err(CommandError::Usage {
                message: format!(
                    "expected a version of product {} later than {version}, because that one was retired here, got {version}",
                    bundle.subject()
                ),
            });
        };
        self.say(format!(
            "Version {version} of product {} is in force already.",
            live.name
        ));
        self.sink
            .emit(Event::Product(Box::new(ProductView::from(&live))));
        Ok(())
    }

    async fn take_product(
        &self,
        accepted: &AcceptedBundle,
        draft: ProductDraft,
        live: Option<Product>,
    ) -> Result<(), CommandError> {
        let cloud_key = draft.cloud_key.clone();
        let step = self.app.cloud_key_step(accepted).await?;
        let product = product_of(draft);
        let mut changes = vec![bundle_accepted(accepted, &self.principal.operator)];
        if let CloudKeyStep::Changed(previous) = step {
            changes.push(self.cloud_key_changed(accepted.product()?, previous));
        }
        changes.extend(live.as_ref().map(|live| Change::ProductRetired {
            product: live.id,
            operator: self.operator(),
        }));
        changes.push(Change::ProductAdded {
            product: product.clone(),
            operator: self.operator(),
        });
        self.app.journal().commit(changes).await?;
        self.say_added(&product, &cloud_key, live.is_some());
        if let CloudKeyStep::Changed(previous) = step {
            self.say(format!(
                "Its cloud key is version {} now, in the place of version {}. Units that carry another one: `keyline cloud-key units --product {} --outdated`.",
                accepted.product()?.cloud_key_version,
                previous.version,
                product.name
            ));
        }
        self.tell_registry().await?;
        self.sink
            .emit(Event::Product(Box::new(ProductView::from(&product))));
        Ok(())
    }

    fn cloud_key_changed(&self, product: &ProductBundle, previous: NumberedCloudKey) -> Change {
        let key = product.numbered_cloud_key();
        Change::CloudKeyChanged {
            product: product.name.to_string(),
            version: key.version,
            fingerprint: key.fingerprint,
            address: product.cloud_address.to_string(),
            previous_version: previous.version,
            previous: previous.fingerprint,
            operator: self.operator(),
        }
    }

    /// The registry is to know what is built; where it is out of reach it hears of it when a line begins.
    async fn tell_registry(&self) -> Result<(), CommandError> {
        let Ok(registry) = self.app.registry().await else {
            return Ok(());
        };
        super::cloud_key::tell_builds(self.app, &registry, &self.operator(), self.sink).await
    }

    fn say_added(&self, product: &Product, cloud_key: &CloudKey, replaced: bool) {
        let replaced = if replaced {
            " It takes the place of the one before; open orders keep that one."
        } else {
            ""
        };
        self.say(format!(
            "Added product {}. Its units will trust the {} key {} at {}.{replaced}",
            product.name,
            cloud_key.kind(),
            hex::encode(product.cloud_key_fingerprint()),
            product.cloud_address
        ));
    }

    /// Takes in a roster or an enrolment.
    pub(super) async fn install_bundle(&self, note: &str) -> Result<(), CommandError> {
        let accepted = self.app.verify_bundle(note).await?;
        let bundle = accepted.bundle();
        if bundle.kind() == BundleKind::Product {
            return Err(CommandError::Usage {
                message: "expected a roster or a station's enrolment, got a product: `keyline product add --bundle FILE` takes it".to_owned(),
            });
        }
        if accepted.already() {
            self.say(format!("The {} is in force already.", bundle.words()));
            return Ok(());
        }
        self.commit(bundle_accepted(&accepted, &self.principal.operator))
            .await?;
        self.say(format!(
            "Installed the {}, signed by {}.",
            bundle.words(),
            accepted.signed_by().join(", ")
        ));
        Ok(())
    }

    /// Pins another root.
    pub(super) async fn replace_root(&self, note: &str) -> Result<(), CommandError> {
        let policy = self
            .app
            .replace_root(note, &self.principal.operator)
            .await?;
        self.say(format!(
            "The root {} is pinned from now on: {} of {} keys, digest {}.\nNext: install rosters, enrolments and products that are signed under it; those of the root before do not count any more.",
            policy.name(),
            policy.threshold(),
            policy.keys().len(),
            hex::encode(policy.digest())
        ));
        Ok(())
    }
}

/// A demonstration's product as a station takes it in: the leaves.
pub(super) async fn demo_product(
    app: &App,
    product: Product,
    operator: &str,
) -> Result<Vec<Change>, CommandError> {
    let note = app.sign_demo_bundle(bundle_of_product(&product)?).await?;
    let accepted = app.verify_bundle(&note).await?;
    Ok(vec![
        bundle_accepted(&accepted, operator),
        Change::ProductAdded {
            product,
            operator: operator.to_owned(),
        },
    ])
}

/// Refuses an order for a product whose signed bundle does not count any more, or does not name this agent.
pub(super) async fn check_orderable(
    app: &App,
    product: &Product,
    agent_digest: &[u8; 32],
) -> Result<(), CommandError> {
    let accepted = app
        .accepted_bundle(BundleKind::Product, &product.name)
        .await?;
    let Some(accepted) = accepted else {
        // A home that is older than root policies got a demonstration's, and its products have no bundles.
        let policy = app.root_policy()?;
        return if policy.is_demo() {
            Ok(())
        } else {
            Err(crate::app::AppError::BundleWanted {
                root: policy.name().to_string(),
            }
            .into())
        };
    };
    let bundle = accepted.product()?;
    if bundle.allows_agent(agent_digest) {
        return Ok(());
    }
    Err(CommandError::AgentNotAllowed {
        product: product.name.clone(),
        version: accepted.bundle().terms().version,
        allowed: bundle.agent_digests.iter().map(|digest| digest.0).collect(),
        got: *agent_digest,
    })
}

fn product_of(draft: ProductDraft) -> Product {
    Product {
        id: ProductId::generate(),
        name: draft.name.into(),
        customer: draft.customer.into(),
        platform: draft.platform.0,
        key_policy: draft.key_policy.0,
        algorithm: draft.algorithm.0,
        lock_policy: draft.lock_policy.0,
        cloud_key: draft.cloud_key.spki().to_vec(),
        cloud_address: draft.cloud_address.into(),
        authority_key: draft.authority_key.map(|key| key.spki().to_vec()),
        credentials_file: draft.credentials_file,
        when_registry_unreachable: draft.when_registry_unreachable,
        serial_format: draft.serial_format,
        added_at_ms: wall_ms(),
        retired_at_ms: None,
    }
}
