//! JSON Web Keys (RFC 7517) of the kinds that devices have: EC P-256 (RFC 7518, 6.2.1) and RSA (6.3.1).

use ::rsa::pkcs1::RsaPublicKey;
use base64::Engine as _;
use keyline_protocol::message::Point;
use keyline_protocol::spki;
use serde_json::Value;
use x509_cert::der::Encode as _;
use x509_cert::der::asn1::UintRef;

use super::key::{BASE64_URL, DeviceKey, KeyRefusal, from_checked, from_pkcs1};

/// Members that only private or symmetric keys have (RFC 7518, 6.2.2, 6.3.2, 6.4.1).
const PRIVATE_MEMBERS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "k"];

/// Reads a JWK from its text.
pub(super) fn parse_text(text: &str) -> Result<DeviceKey, KeyRefusal> {
    let value = serde_json::from_str(text).map_err(|_| refuse("that is not JSON"))?;
    parse(&value)
}

/// Reads a JWK. Members that say nothing of the key itself (`kid`, `use`, `alg`, …) are left alone.
pub(super) fn parse(value: &Value) -> Result<DeviceKey, KeyRefusal> {
    let members = value
        .as_object()
        .ok_or_else(|| refuse("that is no JSON object"))?;
    if PRIVATE_MEMBERS
        .iter()
        .any(|member| members.contains_key(*member))
    {
        return Err(KeyRefusal::PrivateKey {
            kind: "JSON Web Key",
        });
    }
    let text = |name| members.get(name).and_then(Value::as_str);
    let number = |name, lacking| {
        text(name)
            .and_then(|digits| BASE64_URL.decode(digits).ok())
            .ok_or_else(|| refuse(lacking))
    };
    match text("kty") {
        Some("EC") => {
            let curve = text("crv").ok_or_else(|| refuse("without a curve (crv)"))?;
            if curve != "P-256" {
                return Err(KeyRefusal::Curve { got: known(curve) });
            }
            let coordinate = |name, lacking| {
                number(name, lacking)?
                    .try_into()
                    .map_err(|_| refuse("with a coordinate that is not 32 bytes long"))
            };
            let point = Point {
                x: coordinate("x", "without a readable coordinate x")?,
                y: coordinate("y", "without a readable coordinate y")?,
            };
            from_checked(&spki::p256(&point))
        }
        Some("RSA") => {
            let modulus = number("n", "without a readable modulus (n)")?;
            let exponent = number("e", "without a readable exponent (e)")?;
            let key = RsaPublicKey {
                modulus: UintRef::new(&modulus).map_err(|_| KeyRefusal::TooLong)?,
                public_exponent: UintRef::new(&exponent)
                    .map_err(|_| refuse("without a readable exponent (e)"))?,
            };
            from_pkcs1(&key.to_der().map_err(|_| KeyRefusal::Structure)?)
        }
        Some("OKP") => Err(KeyRefusal::Algorithm {
            got: known(text("crv").unwrap_or_default()),
        }),
        Some("oct") => Err(KeyRefusal::PrivateKey {
            kind: "JSON Web Key",
        }),
        Some(_) => Err(refuse("of an unknown kind (kty)")),
        None => Err(refuse("without a kind (kty)")),
    }
}

const fn refuse(problem: &'static str) -> KeyRefusal {
    KeyRefusal::Jwk { problem }
}

/// Only names that are registered (IANA, JSON Web Key Elliptic Curve) are repeated: anything else might be what must not be seen.
fn known(curve: &str) -> String {
    let names = [
        "P-384",
        "P-521",
        "secp256k1",
        "Ed25519",
        "Ed448",
        "X25519",
        "X448",
    ];
    names
        .into_iter()
        .find(|name| *name == curve)
        .unwrap_or("an unknown curve")
        .to_owned()
}
