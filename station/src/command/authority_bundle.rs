//! Makes bundles of what was typed. What can't work at the bench is refused here already, before anybody signs it.

use super::authority::{read_policy, verifier_key, write_text};
use super::authority_arguments::{BundleCommand, ProductTyped, TermsTyped};
use super::lower::key;
use super::{CommandError, Name, ProductDraft, feasible};
use crate::authority::{
    Bundle, BundleBody, BundleTerms, DigestHex, Member, ProductBundle, Roster, StationEnrolment,
};
use crate::clock::wall_ms;
use crate::cloud_key::{CloudAddress, CloudKey};
use crate::event::EventSink;
use crate::record::{AlgorithmName, KeyPolicyName, LockPolicyName, PlatformName, Product};

/// Makes a bundle and writes it, unsigned.
pub(super) fn make(typed: BundleCommand, sink: &dyn EventSink) -> Result<(), CommandError> {
    let (subject, body, terms) = match typed {
        BundleCommand::Product(typed) => {
            let (product, terms) = product(*typed)?;
            feasible::check(&draft_of(product.clone(), None))?;
            let subject = product.name.clone();
            (subject, BundleBody::Product(Box::new(product)), terms)
        }
        BundleCommand::Roster {
            subject,
            members,
            terms,
        } => {
            let members = members.into_iter().map(|(role, key)| Member {
                operator: key.name().to_owned(),
                role,
                key,
            });
            let roster = Roster {
                members: members.collect(),
            };
            (subject, BundleBody::Roster(roster), terms)
        }
        BundleCommand::Station {
            station,
            name,
            log_keys,
            certificate_sha256,
            state,
            replaces,
            terms,
        } => {
            let keys = log_keys.iter().map(|key| verifier_key(key));
            let enrolment = StationEnrolment {
                station,
                name,
                log_keys: keys.collect::<Result<_, _>>()?,
                certificate_sha256: certificate_sha256.as_deref().map(digest).transpose()?,
                state: state.into(),
                replaces,
            };
            (
                id_name(&station.to_string())?,
                BundleBody::Station(enrolment),
                terms,
            )
        }
    };
    write(subject, body, &terms, sink)
}

fn write(
    subject: Name,
    body: BundleBody,
    typed: &TermsTyped,
    sink: &dyn EventSink,
) -> Result<(), CommandError> {
    let terms = BundleTerms {
        version: typed.version,
        root: read_policy(&typed.policy)?.digest(),
        issued_ms: wall_ms(),
        expires_ms: typed.expires,
    };
    let bundle = Bundle::new(subject, terms, body)?;
    write_text(&typed.out, &bundle.to_text(), sink)
}

fn product(typed: ProductTyped) -> Result<(ProductBundle, TermsTyped), CommandError> {
    let options = typed.options;
    let digests = typed.agent_digests.iter().map(|text| digest(text));
    let mut agent_digests = digests.collect::<Result<Vec<_>, _>>()?;
    agent_digests.sort_unstable();
    agent_digests.dedup();
    let product = ProductBundle {
        name: typed.name,
        customer: options.customer,
        platform: typed.platform,
        key_policy: options.key_policy,
        algorithm: options.algorithm,
        lock_policy: options.lock_policy,
        cloud_key: key(&typed.cloud_key)?,
        cloud_key_version: typed.cloud_key_version,
        cloud_address: typed.cloud_address,
        authority_key: options.authority_key.as_deref().map(key).transpose()?,
        agent_digests,
        when_registry_unreachable: options.when_registry_unreachable.into(),
        serial_format: options.serial_format,
    };
    Ok((product, typed.terms))
}

fn digest(text: &str) -> Result<DigestHex, CommandError> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| CommandError::Usage {
        message: format!("expected a SHA-256 of 64 hexadecimal digits, got {text:?}"),
    })?;
    Ok(DigestHex(bytes))
}

fn id_name(id: &str) -> Result<Name, CommandError> {
    id.parse().map_err(|error| CommandError::Usage {
        message: format!("{error}"),
    })
}

/// A product as it was described, as a bundle says it.
pub(super) fn bundle_of(draft: ProductDraft) -> ProductBundle {
    ProductBundle {
        name: draft.name,
        customer: draft.customer,
        platform: draft.platform,
        key_policy: draft.key_policy,
        algorithm: draft.algorithm,
        lock_policy: draft.lock_policy,
        cloud_key: draft.cloud_key,
        cloud_key_version: 1,
        cloud_address: draft.cloud_address,
        authority_key: draft.authority_key,
        agent_digests: Vec::new(),
        when_registry_unreachable: draft.when_registry_unreachable,
        serial_format: draft.serial_format,
    }
}

/// The other way round: with what is the station's own.
pub(super) fn draft_of(
    bundle: ProductBundle,
    credentials_file: Option<std::path::PathBuf>,
) -> ProductDraft {
    ProductDraft {
        name: bundle.name,
        customer: bundle.customer,
        platform: bundle.platform,
        key_policy: bundle.key_policy,
        algorithm: bundle.algorithm,
        lock_policy: bundle.lock_policy,
        cloud_key: bundle.cloud_key,
        cloud_address: bundle.cloud_address,
        authority_key: bundle.authority_key,
        credentials_file,
        when_registry_unreachable: bundle.when_registry_unreachable,
        serial_format: bundle.serial_format,
    }
}

/// A demonstration's product, which nobody typed.
pub(super) fn bundle_of_product(product: &Product) -> Result<ProductBundle, CommandError> {
    let wrong = |error: String| CommandError::Usage { message: error };
    let key = |spki: &Vec<u8>| CloudKey::parse(spki).map_err(|error| wrong(error.to_string()));
    let address: Result<CloudAddress, _> = product.cloud_address.parse();
    Ok(ProductBundle {
        name: id_name(&product.name)?,
        customer: id_name(&product.customer)?,
        platform: PlatformName(product.platform),
        key_policy: KeyPolicyName(product.key_policy),
        algorithm: AlgorithmName(product.algorithm),
        lock_policy: LockPolicyName(product.lock_policy),
        cloud_key: key(&product.cloud_key)?,
        cloud_key_version: 1,
        cloud_address: address.map_err(|error| wrong(error.to_string()))?,
        authority_key: product.authority_key.as_ref().map(key).transpose()?,
        agent_digests: Vec::new(),
        when_registry_unreachable: product.when_registry_unreachable,
        serial_format: product.serial_format.clone(),
    })
}
