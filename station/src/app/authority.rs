//! Whom this station believes: its root policy, and what that one's keys signed.
//!
//! The policy lies in the home under its digest, which the configuration pins. A demonstration's root has its one key in the home, so that
//! whoever has the home can say yes to anything: it is marked as one, and `doctor` warns of it.

use std::path::{Path, PathBuf};

use super::{App, AppError};
use crate::audit::{CheckpointSigner, CheckpointSigners, FileSigner, VerifierKey};
use crate::authority::{
    AcceptedBundle, AuthorityError, Bundle, BundleBody, BundleKind, BundleTerms, Document,
    KnownVersion, ProductBundle, RootPolicy, add_signature,
};
use crate::clock::wall_ms;
use crate::home::{Config, Home, HomeError, create_private_directory, pin_root, write_private};
use crate::journal::{JournalReader, StoredBundle};
use crate::record::Change;

/// Where policies lie in a home.
const DIRECTORY: &str = "authority";

/// The key of a demonstration's root, relative to the home.
pub const DEMO_KEY_FILE: &str = "keys/demo-authority.pem";

/// The name of that key, and of that root.
const DEMO_NAME: &str = "demo-authority";

/// How long a demonstration's bundles count: ten years, in milliseconds.
const DEMO_LIFETIME_MS: u64 = 10 * 365 * 24 * 60 * 60 * 1_000;

/// The longest policy file that is read, in bytes: 16 keys and the signatures of as many old ones.
const POLICY_LENGTH_MAX: u64 = 131_072;

fn policy_path(home: &Path, digest: &str) -> PathBuf {
    home.join(DIRECTORY).join(format!("{digest}.policy"))
}

/// Keeps a policy in a home. Which one counts is for the configuration to say.
pub(super) fn store(home: &Path, policy: &RootPolicy) -> Result<[u8; 32], HomeError> {
    let digest = policy.digest();
    create_private_directory(&home.join(DIRECTORY))?;
    let path = policy_path(home, &hex::encode(digest));
    write_private(&path, policy.to_text().as_bytes())?;
    Ok(digest)
}

/// The root of a new station: the one that was given, else a demonstration's, whose key is made here.
pub(super) fn begin(home: &Path, given: Option<RootPolicy>) -> Result<RootPolicy, AppError> {
    if let Some(policy) = given {
        return Ok(policy);
    }
    let path = home.join(DEMO_KEY_FILE);
    let signer = if path.exists() {
        FileSigner::open(&path)
    } else {
        FileSigner::generate(&path)
    };
    let signer = signer.map(CheckpointSigner::File);
    let key = signer
        .and_then(|signer| signer.verifier_key(DEMO_NAME))
        .map_err(AuthorityError::Signing)?;
    let name = demo_name()?;
    Ok(RootPolicy::new(name, true, 1, vec![key])?)
}

fn demo_name() -> Result<crate::record::Name, AuthorityError> {
    DEMO_NAME.parse().map_err(|_| AuthorityError::Value {
        expected: "a name",
        got: DEMO_NAME.to_owned(),
    })
}

/// A home that is older than roots gets a demonstration's: what it trusts does not change, and `doctor` says so.
pub(super) fn upgrade(home: &mut Home) -> Result<(), AppError> {
    if home.config().authority.root_digest.is_some() {
        return Ok(());
    }
    let policy = begin(home.path(), None)?;
    let digest = store(home.path(), &policy)?;
    home.pin_root(&digest)?;
    tracing::warn!(authority.root = %hex::encode(digest), "this home is older than root policies: it got a demonstration's");
    Ok(())
}

/// The root policy that a configuration pins.
///
/// # Errors
/// [`AppError::Root`] where none is pinned, or the file with it can't be read or holds another one.
pub fn root_policy(home: &Path, config: &Config) -> Result<RootPolicy, AppError> {
    use std::io::Read as _;
    let Some(pinned) = &config.authority.root_digest else {
        return Err(AppError::Root {
            path: home.join(crate::home::CONFIG_FILE),
            got: "no root_digest in [authority]".to_owned(),
        });
    };
    let path = policy_path(home, pinned);
    let refuse = |got: String| AppError::Root {
        path: path.clone(),
        got,
    };
    let mut text = String::new();
    std::fs::File::open(&path)
        .and_then(|file| file.take(POLICY_LENGTH_MAX).read_to_string(&mut text))
        .map_err(|error| refuse(format!("a file that can't be read ({error})")))?;
    let policy = RootPolicy::parse(&text)
        .map_err(|error| refuse(format!("a file that is none ({error})")))?;
    if hex::encode(policy.digest()) != *pinned {
        return Err(refuse(format!(
            "one with the digest {}",
            hex::encode(policy.digest())
        )));
    }
    Ok(policy)
}

/// The leaf of a bundle that was accepted.
#[must_use]
pub fn bundle_accepted(accepted: &AcceptedBundle, operator: &str) -> Change {
    let bundle = accepted.bundle();
    Change::BundleAccepted {
        bundle: bundle.kind().name().to_owned(),
        subject: bundle.subject().to_string(),
        version: bundle.terms().version,
        digest: bundle.digest(),
        note: accepted.note().to_owned(),
        operator: operator.to_owned(),
    }
}

/// The leaves of what a station that this one replaces had accepted.
pub(super) async fn taken_over(
    old: &JournalReader,
    operator: &str,
) -> Result<Vec<Change>, AppError> {
    let leaf = |stored: StoredBundle| Change::BundleAccepted {
        bundle: stored.kind,
        subject: stored.subject,
        version: stored.version,
        digest: stored.digest,
        note: stored.note,
        operator: operator.to_owned(),
    };
    Ok(old.bundles().await?.into_iter().map(leaf).collect())
}

impl App {
    /// The root policy in force. The file is read each time: another root may have been pinned since the home was opened.
    ///
    /// # Errors
    /// [`AppError::Root`], or [`AppError::Home`] where the configuration can't be read.
    pub fn root_policy(&self) -> Result<RootPolicy, AppError> {
        let config = crate::home::read_config(self.home().path())?;
        root_policy(self.home().path(), &config)
    }

    /// Verifies a signed bundle against the root and against what was accepted before. Nothing is written.
    ///
    /// # Errors
    /// [`AppError::Authority`] where it does not count.
    pub async fn verify_bundle(&self, note: &str) -> Result<AcceptedBundle, AppError> {
        let document = Document::read(note)?;
        let known = match Bundle::parse(&document.note.text) {
            Ok(bundle) => self.known(bundle.kind(), bundle.subject().as_str()).await?,
            Err(error) => return Err(error.into()),
        };
        let policy = self.root_policy()?;
        Ok(Bundle::verify(note, &policy, wall_ms(), known.as_ref())?)
    }

    async fn known(
        &self,
        kind: BundleKind,
        subject: &str,
    ) -> Result<Option<KnownVersion>, AppError> {
        let stored = self.journal().bundle(kind.name(), subject).await?;
        Ok(stored.map(|stored| KnownVersion {
            version: stored.version,
            digest: stored.digest,
        }))
    }

    /// The bundle of a subject that was accepted last, verified once more against the root in force and the time; `None` where there was
    /// none.
    ///
    /// # Errors
    /// [`AppError::Authority`] where it does not count any more.
    pub async fn accepted_bundle(
        &self,
        kind: BundleKind,
        subject: &str,
    ) -> Result<Option<AcceptedBundle>, AppError> {
        let Some(stored) = self.journal().bundle(kind.name(), subject).await? else {
            return Ok(None);
        };
        let known = KnownVersion {
            version: stored.version,
            digest: stored.digest,
        };
        let policy = self.root_policy()?;
        let accepted = Bundle::verify(&stored.note, &policy, wall_ms(), Some(&known))?;
        Ok(Some(accepted))
    }

    /// The bundle of a product, signed by a demonstration's key: its next version.
    ///
    /// # Errors
    /// [`AppError::BundleWanted`] where the root is none of a demonstration, [`AppError::Authority`] where the key can't sign.
    pub async fn sign_demo_bundle(&self, product: ProductBundle) -> Result<String, AppError> {
        let policy = self.root_policy()?;
        if !policy.is_demo() {
            return Err(AppError::BundleWanted {
                root: policy.name().to_string(),
            });
        }
        let product = ProductBundle {
            cloud_key_version: self.demo_cloud_key_version(&product).await?,
            ..product
        };
        let subject = product.name.clone();
        let known = self.known(BundleKind::Product, subject.as_str()).await?;
        let now_ms = wall_ms();
        let terms = BundleTerms {
            version: known.map_or(1, |known| known.version.saturating_add(1)),
            root: policy.digest(),
            issued_ms: now_ms,
            expires_ms: now_ms.saturating_add(DEMO_LIFETIME_MS),
        };
        let bundle = Bundle::new(subject, terms, BundleBody::Product(Box::new(product)))?;
        let signing = AuthorityError::Signing;
        let signer = FileSigner::open(&self.home().path().join(DEMO_KEY_FILE)).map_err(signing)?;
        let public_key = CheckpointSigner::File(signer);
        let key: VerifierKey = public_key.verifier_key(DEMO_NAME).map_err(signing)?;
        let signers = CheckpointSigners::from(public_key);
        let document = Document::read(&bundle.to_text())?;
        let (document, _) = add_signature(document, &key, &signers).await?;
        Ok(document.content())
    }

    /// Pins another root, which enough keys of the one in force and of the new one signed. The leaf is on disk before the root counts.
    ///
    /// # Errors
    /// [`AppError::Authority`] where it is no successor, [`AppError`] where it can't be written.
    pub async fn replace_root(&self, note: &str, operator: &str) -> Result<RootPolicy, AppError> {
        let policy = self.root_policy()?;
        let successor = policy.verify_successor(note)?;
        let home = self.home().path();
        let root = store(home, &successor)?;
        let replaced = Change::AuthorityReplaced {
            previous: policy.digest(),
            root,
            note: note.to_owned(),
            operator: operator.to_owned(),
        };
        self.journal().commit(vec![replaced]).await?;
        pin_root(home, &root)?;
        Ok(successor)
    }
}
