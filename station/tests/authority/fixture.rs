//! People with keys, and what they sign.

use futures_util::FutureExt as _;
use keyline_station::audit::{CheckpointSigner, CheckpointSigners, FileSigner, VerifierKey};
use keyline_station::authority::{
    AcceptedBundle, Bundle, BundleBody, BundleTerms, Document, Member, RootPolicy, Roster,
    add_signature,
};
use keyline_station::operator::{Role, new_operator_id};

/// When everything happens, in milliseconds since 1970.
pub(crate) const NOW_MS: u64 = 1_800_000_000_000;

pub(crate) const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Somebody with a key.
pub(crate) struct Person {
    pub(crate) key: VerifierKey,
    signers: CheckpointSigners,
}

impl Person {
    pub(crate) fn named(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let signer = FileSigner::generate(&directory.path().join("key.pem")).unwrap();
        let signer = CheckpointSigner::File(signer);
        Self {
            key: signer.verifier_key(name).unwrap(),
            signers: signer.into(),
        }
    }

    /// Somebody whose key is named by an operator's id.
    pub(crate) fn operator() -> Self {
        Self::named(&new_operator_id())
    }

    /// The same key under another name.
    pub(crate) fn renamed(&self, name: &str) -> VerifierKey {
        VerifierKey::new(name, &self.key.public_key()).unwrap()
    }

    pub(crate) fn as_member(&self, role: Role) -> Member {
        Member {
            operator: self.key.name().to_owned(),
            role,
            key: self.key.clone(),
        }
    }
}

/// A text with the signatures of these people.
pub(crate) fn signed(text: &str, people: &[&Person]) -> String {
    let mut document = Document::read(text).unwrap();
    for person in people {
        let added = add_signature(document, &person.key, &person.signers);
        document = added.now_or_never().unwrap().unwrap().0;
    }
    document.content()
}

/// A root of three keys, of which two must sign.
pub(crate) struct Root {
    pub(crate) people: [Person; 3],
    pub(crate) policy: RootPolicy,
}

impl Root {
    pub(crate) fn new() -> Self {
        let people = ["root-1", "root-2", "root-3"].map(Person::named);
        let keys = people.iter().map(|person| person.key.clone()).collect();
        let policy = RootPolicy::new("acme".parse().unwrap(), false, 2, keys).unwrap();
        Self { people, policy }
    }

    pub(crate) fn terms(&self, version: u64) -> BundleTerms {
        BundleTerms {
            version,
            root: self.policy.digest(),
            issued_ms: NOW_MS - DAY_MS,
            expires_ms: NOW_MS + 100 * DAY_MS,
        }
    }

    /// A bundle with the signatures of the first two.
    pub(crate) fn sign(&self, bundle: &Bundle) -> String {
        signed(&bundle.to_text(), &[&self.people[0], &self.people[1]])
    }

    pub(crate) fn roster(&self, members: Vec<Member>) -> AcceptedBundle {
        let body = BundleBody::Roster(Roster { members });
        let bundle = Bundle::new("acme".parse().unwrap(), self.terms(1), body).unwrap();
        Bundle::verify(&self.sign(&bundle), &self.policy, NOW_MS, None).unwrap()
    }
}

/// Every text that differs from this one in one bit, and is still a text.
pub(crate) fn with_one_bit_changed(text: &str) -> impl Iterator<Item = String> + '_ {
    (0..text.len() * 8).filter_map(|bit| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        String::from_utf8(bytes).ok()
    })
}
