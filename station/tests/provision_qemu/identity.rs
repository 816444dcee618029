//! A bare chip becomes a device: what is then in its flash, in the registry and in the evidence, by other programs' opinion.

use keyline_protocol::transcript::ClaimTranscript;
use keyline_station::link::{ProbeTarget, Target};
use keyline_station::record::{AgentDigestSource, DeviceIdText, Evidence, Product};

use crate::common::product;
use crate::fixture::{
    FLASH_LENGTH, PLATFORM, assert_passed, bare_unit, bench, evidence, image, raw_flash, run,
};
use crate::{flash, openssl};

/// The public half of a key pair that openssl made, SPKI DER.
fn cloud_key_by_openssl(directory: &std::path::Path) -> Vec<u8> {
    let made = [
        &[
            "genpkey",
            "-algorithm",
            "EC",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-out",
            "cloud.private",
        ][..],
        &[
            "pkey",
            "-in",
            "cloud.private",
            "-pubout",
            "-outform",
            "DER",
            "-out",
            "cloud.der",
        ],
    ];
    for arguments in made {
        assert!(openssl::run(directory, arguments).status.success());
    }
    std::fs::read(directory.join("cloud.der")).unwrap()
}

#[test]
fn flash_read_raw_through_the_probe_holds_what_product_and_registry_say() {
    let directory = tempfile::tempdir().unwrap();
    let bench = bench(Product {
        cloud_key: cloud_key_by_openssl(directory.path()),
        cloud_address: "fleet.example.org:8883".to_owned(),
        ..product()
    });
    let unit = bare_unit();
    let event = run(&bench, &unit);
    let pin = assert_passed(&bench, &unit, &event, "a bare chip");

    // A debugger of its own: it knows nothing of the agent.
    let mut debugger = ProbeTarget::new(unit.selector());
    let facts = debugger.attach(PLATFORM).unwrap().probe.unwrap();
    assert_eq!(facts.device_id.map(DeviceIdText), event.device_id);
    let read = debugger
        .read_memory(0, FLASH_LENGTH as usize)
        .unwrap()
        .unwrap();
    debugger.detach();
    assert!(
        read == raw_flash(&unit),
        "the probe reads what the chip holds"
    );

    assert_eq!(
        read[..image().bytes.len()],
        image().bytes,
        "the agent is the order's"
    );
    let records = flash::records(&read);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].cloud_address, "fleet.example.org:8883");
    let key = flash::key(&read).unwrap();
    for once in [
        &bench.product.cloud_key[..],
        bench.product.cloud_address.as_bytes(),
        &key.public,
    ] {
        assert_eq!(flash::count(&read, once), 1, "once in the whole flash");
    }
    let by_openssl = |spki: &[u8]| openssl::describe(directory.path(), spki);
    let cloud = std::fs::read(directory.path().join("cloud.der")).unwrap();
    assert_eq!(by_openssl(&records[0].cloud_key), by_openssl(&cloud));
    assert_eq!(by_openssl(&key.public), by_openssl(&pin.public_key));
    assert_ne!(
        by_openssl(&key.public),
        by_openssl(&cloud),
        "two keys differ to openssl"
    );
}

#[test]
fn openssl_verifies_claim_and_proof_with_the_key_in_flash() {
    let directory = tempfile::tempdir().unwrap();
    let bench = bench(product());
    let unit = bare_unit();
    let event = run(&bench, &unit);
    assert_passed(&bench, &unit, &event, "a bare chip");
    let key = flash::key(&raw_flash(&unit)).unwrap();
    let verifies = |message: &[u8], signature: &[u8]| {
        openssl::verifies(directory.path(), &key.public, message, signature)
    };
    let mut checked = Vec::new();
    for left in evidence(&bench, &event) {
        match left {
            Evidence::Identified {
                agent_digest,
                agent_digest_source,
                ..
            } => {
                assert_eq!(agent_digest, image().digest);
                assert_eq!(agent_digest_source, AgentDigestSource::Measured);
            }
            Evidence::Keyed {
                algorithm,
                challenge,
                signature,
                signed_by_unit,
                ..
            } => {
                assert!(signed_by_unit);
                let mut claim = Vec::new();
                let transcript = ClaimTranscript {
                    challenge: &challenge,
                    device_id: event.device_id.unwrap().0,
                    algorithm: algorithm.0,
                    public_key: &key.public,
                };
                transcript.write(|bytes| claim.extend_from_slice(bytes));
                assert!(verifies(&claim, &signature));
                checked.push("claim");
            }
            Evidence::Proven {
                transcript,
                authenticator,
                weak,
                ..
            } => {
                assert!(!weak);
                assert!(verifies(&transcript, &authenticator));
                for signed in [
                    &key.public[..],
                    bench.product.cloud_address.as_bytes(),
                    &bench.product.cloud_key_fingerprint(),
                ] {
                    assert_eq!(flash::count(&transcript, signed), 1, "the proof names it");
                }
                let mut forged = transcript;
                *forged.last_mut().unwrap() ^= 1;
                assert!(
                    !verifies(&forged, &authenticator),
                    "openssl refuses what was not signed"
                );
                checked.push("proof");
            }
            _ => {}
        }
    }
    assert_eq!(checked, ["claim", "proof"]);
}

#[test]
fn what_a_unit_costs_on_the_wire_is_counted() {
    let bench = bench(product());
    let unit = bare_unit();
    let event = run(&bench, &unit);
    assert_passed(&bench, &unit, &event, "a bare chip");
    let bare = unit.reset_counters().unwrap();
    eprintln!("a bare unit: {bare:?}");
    let image_words = u64::try_from(image().bytes.len().div_ceil(4)).unwrap();
    assert!(
        bare.words_written >= image_words && bare.words_read >= image_words,
        "{bare:?}"
    );
    assert!(
        bare.round_trips > 0 && bare.transfers > bare.round_trips,
        "{bare:?}"
    );
    let parts = bare.dp_reads + bare.dp_writes + bare.ap_reads + bare.ap_writes;
    assert_eq!(parts, bare.transfers, "each transfer is of one kind");
    assert!(
        bare.resets >= 2,
        "one to start the agent, one before the proof: {bare:?}"
    );

    let again = run(&bench, &unit);
    assert!(again.already);
    let known = unit.reset_counters().unwrap();
    eprintln!("a finished unit: {known:?}");
    assert!(known.transfers > 0 && known.transfers < bare.transfers);
}
