//! Keys that the station made: what a key must offer, and where a step gets one.

use std::error::Error;

use keyline_protocol::identity::Algorithm;

/// A key pair that the station made for one unit. Its owner wipes it when it is dropped.
pub trait StationKey {
    /// The algorithm.
    fn algorithm(&self) -> Algorithm;

    /// The private key: P-256 the 32-byte scalar, RSA `RSAPrivateKey` DER (RFC 8017, A.1.2).
    fn private(&self) -> &[u8];

    /// The public key, SPKI DER.
    fn spki(&self) -> &[u8];
}

/// Where the station's keys come from. A key is handed out once.
pub trait StationKeySource {
    /// Takes a key out. It is asked for only when a unit needs one.
    ///
    /// # Errors
    /// Whatever keeps a key from being made.
    fn take(
        &self,
        algorithm: Algorithm,
    ) -> Result<Box<dyn StationKey>, Box<dyn Error + Send + Sync>>;
}

/// For products whose keys the station doesn't make.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("this line makes no keys")]
pub struct NoStationKeys;

impl StationKeySource for NoStationKeys {
    fn take(&self, _: Algorithm) -> Result<Box<dyn StationKey>, Box<dyn Error + Send + Sync>> {
        Err(Box::new(*self))
    }
}
