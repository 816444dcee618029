//! Whom the registry believes: its root policy, and the bundles that the root's keys signed. Stations keep copies of the latest ones.

use super::address::Engine;
use super::store;
use super::{Registry, RegistryError};
use crate::authority::{AcceptedBundle, RootPolicy};

const DOING: &str = "reading who may say yes";

/// A bundle as the registry keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBundle {
    /// `roster`, `product` or `station`.
    pub kind: String,
    /// What it is about.
    pub subject: String,
    /// Its version.
    pub version: u64,
    /// The signed note, whole.
    pub note: String,
}

impl Registry {
    /// The root policy that this registry obeys; `None` where none was entered yet.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn root_policy(&self) -> Result<Option<RootPolicy>, RegistryError> {
        let question =
            sqlx::query_as("SELECT policy FROM authority_root ORDER BY sequence DESC LIMIT 1");
        let rows: Vec<(String,)> = self.connections.fetch(DOING, question).await?;
        let policy = rows.first().map(|(text,)| RootPolicy::parse(text));
        policy.transpose().map_err(|error| RegistryError::Damaged {
            what: "the root policy",
            expected: "a root policy's text",
            found: error.to_string(),
        })
    }

    /// Enters the first root policy; the same one again is accepted. A registry on a server takes no demonstration's: its keys lie in a
    /// station's home.
    ///
    /// # Errors
    /// [`RegistryError::DemonstrationRoot`], [`RegistryError::RootKnown`] where another one was entered, [`RegistryError::NotAllowed`]
    /// where this role may not, or where the database can't be reached.
    pub async fn begin_root(&self, policy: &RootPolicy) -> Result<(), RegistryError> {
        if policy.is_demo() && self.connections.engine() == Engine::Postgres {
            return Err(RegistryError::DemonstrationRoot);
        }
        match self.root_policy().await? {
            Some(known) if known.digest() == policy.digest() => return Ok(()),
            Some(known) => {
                return Err(RegistryError::RootKnown {
                    known: known.digest(),
                    got: policy.digest(),
                });
            }
            None => {}
        }
        self.insert_root(1, policy, None).await
    }

    /// Enters a root policy in the place of the one that is obeyed; `note` has the signatures of enough keys of both.
    ///
    /// # Errors
    /// [`RegistryError::NoRoot`], [`RegistryError::Authority`] where the signatures are not enough, [`RegistryError::NotAllowed`] where
    /// this role may not, or where the database can't be reached.
    pub async fn replace_root(&self, note: &str) -> Result<RootPolicy, RegistryError> {
        let known = self.root_policy().await?.ok_or(RegistryError::NoRoot)?;
        let next = known.verify_successor(note).map_err(Box::new)?;
        let question = sqlx::query_as("SELECT COUNT(*) FROM authority_root");
        let rows: Vec<(i64,)> = self.connections.fetch(DOING, question).await?;
        let sequence = rows.first().map_or(0, |(count,)| *count) + 1;
        self.insert_root(sequence, &next, Some(note)).await?;
        Ok(next)
    }

    async fn insert_root(
        &self,
        sequence: i64,
        policy: &RootPolicy,
        note: Option<&str>,
    ) -> Result<(), RegistryError> {
        let question = sqlx::query_as(
            "INSERT INTO authority_root (sequence, digest, policy, demonstration, note, entered_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING sequence",
        )
        .bind(sequence)
        .bind(policy.digest().to_vec())
        .bind(policy.to_text())
        .bind(i64::from(policy.is_demo()))
        .bind(note.map(str::to_owned))
        .bind(store::signed(crate::clock::wall_ms()));
        let _: Vec<(i64,)> = self
            .connections
            .fetch("entering a root policy", question)
            .await?;
        Ok(())
    }

    /// Enters a bundle, after all earlier versions of it; the very same one again is accepted. That enough keys of its root signed it is
    /// what an [`AcceptedBundle`] shows; that the root is this registry's is checked here.
    ///
    /// # Errors
    /// [`RegistryError::NoRoot`], [`RegistryError::OtherRoot`], [`RegistryError::BundleRolledBack`], [`RegistryError::NotAllowed`] where
    /// this role may not, or where the database can't be reached.
    pub async fn enter_bundle(&self, accepted: &AcceptedBundle) -> Result<(), RegistryError> {
        let bundle = accepted.bundle();
        let root = self.root_policy().await?.ok_or(RegistryError::NoRoot)?;
        if bundle.terms().root != root.digest() {
            return Err(RegistryError::OtherRoot {
                expected: root.digest(),
                got: bundle.terms().root,
            });
        }
        let question = sqlx::query_as(
            "SELECT version, digest FROM authority_bundle WHERE kind = $1 AND subject = $2 ORDER BY version DESC LIMIT 1",
        )
        .bind(bundle.kind().name())
        .bind(bundle.subject().to_string());
        let rows: Vec<(i64, Vec<u8>)> = self.connections.fetch(DOING, question).await?;
        let version = bundle.terms().version;
        if let Some((known, digest)) = rows.first() {
            if *digest == bundle.digest() {
                return Ok(());
            }
            let known = store::unsigned(*known).unwrap_or(u64::MAX);
            if known >= version {
                return Err(RegistryError::BundleRolledBack {
                    bundle: bundle.words(),
                    known,
                    got: version,
                });
            }
        }
        let question = sqlx::query_as(
            "INSERT INTO authority_bundle (kind, subject, version, digest, note, entered_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) RETURNING version",
        )
        .bind(bundle.kind().name())
        .bind(bundle.subject().to_string())
        .bind(store::signed(version))
        .bind(bundle.digest().to_vec())
        .bind(accepted.note().to_owned())
        .bind(store::signed(crate::clock::wall_ms()));
        let _: Vec<(i64,)> = self
            .connections
            .fetch("entering a bundle", question)
            .await?;
        Ok(())
    }

    /// The latest version of each bundle, by kind and subject.
    ///
    /// # Errors
    /// [`RegistryError`] where the database can't be reached or is damaged.
    pub async fn bundles(&self) -> Result<Vec<KeptBundle>, RegistryError> {
        let question = sqlx::query_as(
            "SELECT kind, subject, version, note FROM authority_bundle WHERE NOT EXISTS (\
             SELECT 1 FROM authority_bundle AS later WHERE later.kind = authority_bundle.kind \
             AND later.subject = authority_bundle.subject AND later.version > authority_bundle.version) ORDER BY kind, subject",
        );
        let rows: Vec<(String, String, i64, String)> =
            self.connections.fetch(DOING, question).await?;
        let kept = |(kind, subject, version, note)| KeptBundle {
            kind,
            subject,
            version: store::unsigned(version).unwrap_or_default(),
            note,
        };
        Ok(rows.into_iter().map(kept).collect())
    }
}
