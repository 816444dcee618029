//! What the tests share: products, units, keys, and a whole run as a line would conduct it.

use std::error::Error;

use keyline_protocol::identity::{Algorithm, KeyPolicy, LockPolicy, Platform};
use keyline_protocol::spki;
use keyline_station::link::{AgentImage, SimTarget, Target};
use keyline_station::record::{
    Claim, ClaimReceipt, Evidence, OrderId, PinReceipt, Product, ProductId, Proof, RunId,
    StationId, WhenRegistryUnreachable,
};
use keyline_station::signature;
use keyline_station::steps::{
    CredentialsSource, Failed, Plan, StationKey, StationKeySource, attach,
};
use keyline_virtual_unit::sim::{SimOptions, SimUnit};
use p256::elliptic_curve::sec1::ToSec1Point as _;
use rsa::pkcs1::EncodeRsaPrivateKey as _;
use rsa::traits::PublicKeyParts as _;
use zeroize::Zeroizing;

pub(crate) const CHECKPOINT: &str = "keyline.example/log\n1\nAAAA\n";

/// A product, its order, and the station that builds it.
pub(crate) struct Job {
    pub(crate) product: Product,
    pub(crate) image: AgentImage,
    pub(crate) credentials: Option<Credentials>,
    order: OrderId,
    station: StationId,
}

pub(crate) struct Credentials(pub(crate) &'static [u8]);

impl CredentialsSource for Credentials {
    fn read(&self) -> std::io::Result<Zeroizing<Vec<u8>>> {
        Ok(Zeroizing::new(self.0.to_vec()))
    }
}

impl Job {
    pub(crate) fn new(platform: Platform, key_policy: KeyPolicy, algorithm: Algorithm) -> Self {
        Self {
            product: Product {
                id: ProductId::generate(),
                name: "sensor".into(),
                customer: "acme".into(),
                platform,
                key_policy,
                algorithm,
                lock_policy: LockPolicy::Sealed,
                cloud_key: TestKeys::make(Algorithm::P256).spki,
                cloud_address: "cloud.example:5684".into(),
                authority_key: None,
                credentials_file: None,
                when_registry_unreachable: WhenRegistryUnreachable::Stop,
                serial_format: None,
                added_at_ms: 0,
                retired_at_ms: None,
            },
            image: AgentImage::simulated(platform),
            credentials: None,
            order: OrderId::generate(),
            station: StationId::generate(),
        }
    }

    pub(crate) fn usual() -> Self {
        Self::new(Platform::Nrf51822, KeyPolicy::OnDevice, Algorithm::P256)
    }

    pub(crate) fn with_lock(mut self, lock_policy: LockPolicy) -> Self {
        self.product.lock_policy = lock_policy;
        self
    }

    pub(crate) fn with_credentials(mut self, credentials: &'static [u8]) -> Self {
        self.credentials = Some(Credentials(credentials));
        self
    }

    pub(crate) fn plan(&self) -> Plan<'_> {
        Plan {
            product: &self.product,
            order: self.order,
            rework: false,
            run: RunId::generate(),
            station: self.station,
            image: &self.image,
            credentials: self
                .credentials
                .as_ref()
                .map(|credentials| credentials as &dyn CredentialsSource),
        }
    }

    pub(crate) fn unit(&self, number: u32) -> SimUnit {
        SimUnit::new(self.options(number))
    }

    pub(crate) fn options(&self, number: u32) -> SimOptions {
        SimOptions::seeded(self.product.platform, (number, 7), u64::from(number))
    }

    /// A whole run over the probe.
    pub(crate) fn run(&self, unit: &SimUnit) -> Result<Finished, Failed> {
        self.run_over(Box::new(SimTarget::new(unit.clone())), None)
    }

    /// A whole run, as a line would conduct it with a registry that accepts everything.
    pub(crate) fn run_over(
        &self,
        target: Box<dyn Target>,
        earlier: Option<&Claim>,
    ) -> Result<Finished, Failed> {
        let plan = self.plan();
        let mut evidence = Vec::new();
        let (attached, left) = attach(target, &plan)?;
        evidence.push(left);
        let (identified, left) = attached.identify()?;
        evidence.push(left);
        let (keyed, left) = identified.key(&TestKeys, earlier)?;
        evidence.push(left);
        let claim = keyed.claim().clone();
        let (claimed, left) = keyed.claimed(ClaimReceipt {
            already: false,
            pinned: false,
        });
        evidence.push(left);
        let (injected, left) = claimed.inject()?;
        evidence.push(left);
        let (proven, left) = injected.prove(|| CHECKPOINT.to_owned())?;
        evidence.push(left);
        let proof = proven.proof().clone();
        let (pinned, left) = proven.pinned(PinReceipt { already: false });
        evidence.push(left);
        let (sealed, left) = pinned.seal()?;
        evidence.extend(left);
        let (locked, left) = sealed.lock()?;
        evidence.push(left);
        drop(locked.release());
        Ok(Finished {
            evidence,
            claim,
            proof,
        })
    }

    /// The deep check: what the registry would verify by itself, and what flash holds.
    pub(crate) fn check(&self, unit: &SimUnit, finished: &Finished) {
        let Finished { claim, proof, .. } = finished;
        assert_eq!(claim.public_key, proof.public_key);
        assert_eq!(proof.device_id.0, unit.device_id());
        assert_eq!(claim.device_id.0, unit.device_id());
        signature::verify(
            claim.algorithm.0,
            &claim.public_key,
            &claim.transcript().digest(),
            &claim.signature,
        )
        .expect("the claim verifies");
        if !proof.weak {
            signature::verify(
                proof.algorithm.0,
                &proof.public_key,
                &proof.transcript().digest(),
                &proof.authenticator,
            )
            .expect("the proof verifies");
        }
        let flash = unit.with_chip(|chip| chip.flash.bytes().to_vec());
        for part in [
            &self.product.cloud_key[..],
            self.product.cloud_address.as_bytes(),
            &proof.public_key,
        ] {
            assert!(contains(&flash, part), "flash lacks {}", hex::encode(part));
        }
        assert_eq!(
            unit.with_chip(|chip| chip.flash.violations().to_vec()),
            [],
            "the agent did what silicon refuses"
        );
    }
}

pub(crate) fn contains(whole: &[u8], part: &[u8]) -> bool {
    whole.windows(part.len()).any(|window| window == part)
}

/// What a whole run leaves.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) claim: Claim,
    pub(crate) proof: Proof,
}

/// A station that makes its keys on the spot.
pub(crate) struct TestKeys;

pub(crate) struct TestKey {
    algorithm: Algorithm,
    private: Zeroizing<Vec<u8>>,
    pub(crate) spki: Vec<u8>,
}

impl TestKeys {
    pub(crate) fn make(algorithm: Algorithm) -> TestKey {
        let (private, spki) = match algorithm {
            Algorithm::P256 => {
                let secret = p256::SecretKey::from_slice(&rand::random::<[u8; 32]>()).unwrap();
                let point = secret.public_key().to_sec1_point(false);
                let point = keyline_protocol::message::Point::from_sec1(point.as_bytes()).unwrap();
                (secret.to_bytes().to_vec(), spki::p256(&point).to_vec())
            }
            Algorithm::Rsa2048 | Algorithm::Rsa3072 => rsa_key(algorithm),
        };
        TestKey {
            algorithm,
            private: Zeroizing::new(private),
            spki,
        }
    }
}

fn rsa_key(algorithm: Algorithm) -> (Vec<u8>, Vec<u8>) {
    let bits = algorithm.modulus_length().unwrap() * 8;
    let key = rsa::PrivateKey::new(&mut rand::rng(), bits).unwrap();
    let mut written = [0; spki::LENGTH_MAX];
    let modulus = key.n().to_be_bytes();
    let length = spki::rsa(algorithm, &modulus, &mut written).unwrap();
    let private = key.to_pkcs1_der().unwrap().as_bytes().to_vec();
    (private, written[..length].to_vec())
}

impl StationKey for TestKey {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn private(&self) -> &[u8] {
        &self.private
    }

    fn spki(&self) -> &[u8] {
        &self.spki
    }
}

impl StationKeySource for TestKeys {
    fn take(
        &self,
        algorithm: Algorithm,
    ) -> Result<Box<dyn StationKey>, Box<dyn Error + Send + Sync>> {
        Ok(Box::new(Self::make(algorithm)))
    }
}
