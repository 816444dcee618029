//! Units with real keys, and a registry to claim them in.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256,
};
use keyline_protocol::identity::{Algorithm, DeviceId, KeyPolicy, LockPolicy, Platform};
use keyline_protocol::message::Point;
use keyline_protocol::spki;
use keyline_station::record::{
    AlgorithmName, Claim, DeviceIdText, KeyPolicyName, Label, Labelled, LockPolicyName, OrderId,
    PlatformName, ProductId, Proof, RunId, StationId,
};
use keyline_station::registry::{
    Registry, RegistryAddress, RegistryError, RegistryFiles, Revocation, migrate,
};
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use crate::postgres::Postgres;

/// The product of every claim and proof here: a proof must be of the claim's.
pub(crate) const PRODUCT: ProductId = ProductId::from_bytes([7; 16]);

/// Runs a test on SQLite and on PostgreSQL.
macro_rules! both_engines {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                super::$name(crate::fixture::Place::sqlite()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                super::$name(crate::fixture::Place::postgres().await).await;
            }
        }
    )+};
}
pub(crate) use both_engines;

/// An empty registry.
pub(crate) enum Place {
    /// In a temporary file.
    Sqlite(TempDir),
    /// On a server of its own.
    Postgres(Postgres),
}

impl Place {
    pub(crate) fn sqlite() -> Self {
        Self::Sqlite(tempfile::tempdir().unwrap())
    }

    pub(crate) async fn postgres() -> Self {
        let server = Postgres::start();
        server.create_database("keyline");
        let place = Self::Postgres(server);
        migrate(place.address()).await.unwrap();
        place
    }

    /// The server, where it is one.
    pub(crate) fn server(&self) -> &Postgres {
        match self {
            Self::Postgres(server) => server,
            Self::Sqlite(_) => panic!("expected a server, this registry is a file"),
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(directory) => {
                format!("sqlite:{}", directory.path().join("registry.db").display())
            }
            Self::Postgres(server) => server.url("owner", "keyline"),
        }
    }

    pub(crate) fn address(&self) -> RegistryAddress {
        RegistryAddress::new(&self.url(), &RegistryFiles::default()).unwrap()
    }

    pub(crate) async fn open(&self) -> Registry {
        Registry::connect(&self.url()).await.unwrap()
    }

    /// Runs a statement beside the registry's own connections; gives the database's words where it refuses.
    pub(crate) async fn execute(&self, sql: &str) -> Result<(), String> {
        match self {
            Self::Sqlite(directory) => {
                use sqlx::{ConnectOptions as _, Connection as _};
                let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
                    .filename(directory.path().join("registry.db"))
                    .connect()
                    .await
                    .unwrap();
                let sql = sqlx::AssertSqlSafe(sql.to_owned());
                let done = sqlx::raw_sql(sql).execute(&mut connection).await;
                connection.close().await.unwrap();
                done.map(drop).map_err(|error| error.to_string())
            }
            Self::Postgres(server) => server.sql("owner", "keyline", sql).map(drop),
        }
    }
}

/// A private key that signs.
pub(crate) enum Key {
    P256(EcdsaKeyPair),
    Rsa(RsaKeyPair, Algorithm),
}

impl Key {
    pub(crate) fn p256() -> Self {
        let pkcs8 =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        let pkcs8 = pkcs8.unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref());
        Self::P256(key.unwrap())
    }

    pub(crate) fn rsa2048() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        Self::Rsa(key, Algorithm::Rsa2048)
    }

    pub(crate) const fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::P256,
            Self::Rsa(_, algorithm) => *algorithm,
        }
    }

    pub(crate) fn public_key(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => {
                let point = key.public_key().as_ref();
                let point = Point {
                    x: point[1..33].try_into().unwrap(),
                    y: point[33..].try_into().unwrap(),
                };
                spki::p256(&point).to_vec()
            }
            Self::Rsa(key, algorithm) => {
                let modulus = key.public_key().modulus();
                let mut der = [0; spki::LENGTH_MAX];
                let modulus = modulus.big_endian_without_leading_zero();
                let length = spki::rsa(*algorithm, modulus, &mut der).unwrap();
                der[..length].to_vec()
            }
        }
    }

    pub(crate) fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::P256(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Rsa(key, _) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }
}

pub(crate) fn device(n: u32) -> DeviceIdText {
    DeviceIdText(DeviceId::from_words(Platform::Nrf51822, n, 0))
}

/// A claim that its key has signed.
pub(crate) fn claim(n: u32, key: &Key) -> Claim {
    let mut claim = Claim {
        device_id: device(n),
        algorithm: AlgorithmName(key.algorithm()),
        made: KeyPolicyName(KeyPolicy::OnDevice),
        public_key: key.public_key(),
        challenge: rand::random(),
        signature: Vec::new(),
        station: StationId::generate(),
        customer: "acme".to_owned(),
        product: PRODUCT,
        order: OrderId::generate(),
        run: RunId::generate(),
        rework: false,
    };
    sign_claim(&mut claim, key);
    claim
}

pub(crate) fn sign_claim(claim: &mut Claim, key: &Key) {
    let mut transcript = Vec::new();
    claim.transcript().write(|bytes| transcript.extend(bytes));
    claim.signature = key.sign(&transcript);
}

/// A proof that its key has signed, with a nonce of its own.
pub(crate) fn proof(n: u32, key: &Key) -> Proof {
    let (nonce_checkpoint_digest, nonce_random): ([u8; 32], [u8; 32]) = rand::random();
    let mut proof = Proof {
        version: 1,
        algorithm: AlgorithmName(key.algorithm()),
        made: KeyPolicyName(KeyPolicy::OnDevice),
        key_policy: KeyPolicyName(KeyPolicy::OnDevice),
        nonce: Sha256::digest([nonce_checkpoint_digest, nonce_random].concat()).into(),
        nonce_random,
        nonce_checkpoint_digest,
        device_id: device(n),
        platform: PlatformName(Platform::Nrf51822),
        product: PRODUCT,
        order: OrderId::generate(),
        run: RunId::generate(),
        public_key: key.public_key(),
        cloud_key_fingerprint: [1; 32],
        cloud_address: "cloud.example:8883".to_owned(),
        record_sequence: 1,
        record_digest: [2; 32],
        agent_digest: [3; 32],
        lock_policy: LockPolicyName(LockPolicy::Sealed),
        session_hash: None,
        station: StationId::generate(),
        authenticator: Vec::new(),
        weak: false,
    };
    sign_proof(&mut proof, key);
    proof
}

pub(crate) fn sign_proof(proof: &mut Proof, key: &Key) {
    let mut transcript = Vec::new();
    proof.transcript().write(|bytes| transcript.extend(bytes));
    proof.authenticator = key.sign(&transcript);
}

pub(crate) fn fingerprint(key: &Key) -> [u8; 32] {
    keyline_protocol::identity::fingerprint(&key.public_key())
}

/// Revokes a device's pin, because the unit was scrapped.
pub(crate) async fn revoke(
    registry: &Registry,
    n: u32,
    reason: &str,
) -> Result<[u8; 32], RegistryError> {
    let revocation = Revocation {
        device_id: device(n),
        station: StationId::generate(),
        operator: "op-1".to_owned(),
        reason: reason.to_owned(),
    };
    registry.revoke(revocation).await
}

/// Claims and pins a key.
pub(crate) async fn trust(registry: &Registry, n: u32, key: &Key) {
    registry.claim(claim(n, key)).await.unwrap();
    registry.pin(proof(n, key)).await.unwrap();
}

/// The events of a device, by name.
pub(crate) async fn events(registry: &Registry, n: u32) -> Vec<&'static str> {
    let history = registry.history(device(n)).await.unwrap();
    let sequences: Vec<_> = history.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (1..=history.len() as u64).collect::<Vec<_>>());
    history.iter().map(|event| event.kind.name()).collect()
}

/// What stands on a unit's label.
pub(crate) fn label(product: &str, serial: &str) -> Label {
    Label {
        product: product.to_owned(),
        serial: serial.to_owned(),
    }
}

/// What is entered for a unit with this label.
pub(crate) fn labelled<T>(entry: T, label: &Label) -> Labelled<T> {
    Labelled {
        entry,
        label: Some(label.clone()),
    }
}
