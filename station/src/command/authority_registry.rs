//! `keyline authority publish` and `fetch`: what was signed goes into the registry, and from there to the stations.

use super::CommandError;
use super::act::Act;
use crate::app::bundle_accepted;
use crate::authority::{Bundle, Document, DocumentText};
use crate::clock::wall_ms;
use crate::event::Event;
use crate::record::Change;
use crate::registry::EnteredBy;

impl Act<'_> {
    /// Enters a signed root policy or bundle in the registry.
    pub(super) async fn publish(&self, note: &str) -> Result<(), CommandError> {
        let registry = self.app.registry().await?;
        registry.ping().await?;
        match Document::read(note)?.text {
            DocumentText::Policy(policy) => {
                let first = registry.root_policy().await?.is_none();
                self.published("root", policy.digest()).await?;
                if first {
                    registry.begin_root(&policy).await?;
                } else {
                    registry.replace_root(note).await?;
                }
                self.say(format!(
                    "The registry obeys the root {} from now on, digest {}.",
                    policy.name(),
                    hex::encode(policy.digest())
                ));
            }
            DocumentText::Bundle(_) => {
                let root = registry
                    .root_policy()
                    .await?
                    .ok_or(crate::registry::RegistryError::NoRoot)?;
                let accepted = Bundle::verify(note, &root, wall_ms(), None)?;
                registry.judge_cloud_key(accepted.bundle()).await?;
                self.published("bundle", accepted.bundle().digest()).await?;
                registry.enter_bundle(&accepted).await?;
                let by = EnteredBy {
                    station: None,
                    operator: self.operator(),
                };
                registry.enter_cloud_key(accepted.bundle(), &by).await?;
                self.say(format!(
                    "The registry has the {}, signed by {}.",
                    accepted.bundle().words(),
                    accepted.signed_by().join(", ")
                ));
            }
            DocumentText::Act(act) => {
                return Err(CommandError::Usage {
                    message: format!(
                        "expected a root policy or a bundle, got {}: `keyline pin` and `keyline unit return` carry acts out",
                        act.words()
                    ),
                });
            }
        }
        Ok(())
    }

    async fn published(&self, what: &str, digest: [u8; 32]) -> Result<(), CommandError> {
        self.commit(Change::AuthorityPublished {
            what: what.to_owned(),
            digest,
            operator: self.principal.operator.clone(),
        })
        .await
    }

    /// Takes newer rosters and enrolments of the registry in, each verified against this home's own root. A product changes what is built:
    /// somebody adds it by hand.
    pub(super) async fn fetch_bundles(&self) -> Result<(), CommandError> {
        let registry = self.app.registry().await?;
        let mut installed = 0;
        for kept in registry.bundles().await? {
            let stored = self.app.journal().bundle(&kept.kind, &kept.subject).await?;
            if stored.is_some_and(|stored| stored.version >= kept.version) {
                continue;
            }
            let words = format!("version {} of {} {}", kept.version, kept.kind, kept.subject);
            match self.app.verify_bundle(&kept.note).await {
                Ok(_) if kept.kind == "product" => self.say(format!(
                    "The registry has {words}: take it in with `keyline product add --bundle FILE`."
                )),
                Ok(accepted) => {
                    self.commit(bundle_accepted(&accepted, &self.principal.operator))
                        .await?;
                    installed += 1;
                    self.say(format!("Installed {words}."));
                }
                Err(error) => self.sink.emit(Event::Warning {
                    message: format!("{words} does not count here: {}", super::chain(&error)),
                    next: "Ask whoever published it; this home obeys its own root policy."
                        .to_owned(),
                }),
            }
        }
        if installed == 0 {
            self.say("No newer roster or enrolment was installed.".to_owned());
        }
        Ok(())
    }
}
