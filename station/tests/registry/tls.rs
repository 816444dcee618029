//! TLS with client certificates, by openssl: the server is known by its certificate and name, the station by its own certificate.

use std::path::{Path, PathBuf};
use std::process::Command;

use keyline_station::registry::{Registry, RegistryAddress, RegistryError, RegistryFiles, migrate};

use crate::fixture::{Key, claim, sign_claim};
use crate::postgres::{Postgres, give_to_server};
use crate::roles::enrolled;

fn openssl(arguments: &[&str], directory: &Path) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Makes an authority `NAME.pem` with its key `NAME.key`.
fn authority(name: &str, directory: &Path) {
    let (key, certificate, subject) = (
        format!("{name}.key"),
        format!("{name}.pem"),
        format!("/CN={name}"),
    );
    let curve = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    let made = [
        "req",
        "-x509",
        "-days",
        "2",
        "-subj",
        &subject,
        "-keyout",
        &key,
        "-out",
        &certificate,
    ];
    openssl(&[&made[..], &curve[..]].concat(), directory);
}

/// Makes a certificate `NAME.pem` for `subject`, signed by an authority.
fn certificate(name: &str, subject: &str, by: &str, directory: &Path) {
    let (key, request) = (format!("{name}.key"), format!("{name}.csr"));
    let curve = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
    ];
    let subject_name = format!("/CN={subject}");
    let alternative = format!("subjectAltName=DNS:{subject}");
    let made = [
        "req",
        "-new",
        "-subj",
        &subject_name,
        "-addext",
        &alternative,
        "-keyout",
        &key,
        "-out",
        &request,
    ];
    openssl(&[&made[..], &curve[..]].concat(), directory);
    let (ca, ca_key, out) = (
        format!("{by}.pem"),
        format!("{by}.key"),
        format!("{name}.pem"),
    );
    openssl(
        &[
            "x509",
            "-req",
            "-days",
            "2",
            "-in",
            &request,
            "-CA",
            &ca,
            "-CAkey",
            &ca_key,
            "-CAcreateserial",
            "-copy_extensions",
            "copy",
            "-out",
            &out,
        ],
        directory,
    );
}

/// A server that takes stations by certificate only.
struct Guarded {
    server: Postgres,
    certificates: tempfile::TempDir,
}

impl Guarded {
    fn start(server_name: &str) -> Self {
        let certificates = tempfile::tempdir().unwrap();
        let directory = certificates.path();
        authority("factory", directory);
        authority("thief", directory);
        certificate("server", server_name, "factory", directory);
        give_to_server(directory);
        for name in ["server.key", "server.pem", "factory.pem"] {
            give_to_server(&directory.join(name));
        }
        let place = |name: &str| directory.join(name).display().to_string();
        let settings = [
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", place("server.pem")),
            format!("ssl_key_file={}", place("server.key")),
            format!("ssl_ca_file={}", place("factory.pem")),
        ];
        let hba = "host all owner 127.0.0.1/32 trust\nhostssl all all 127.0.0.1/32 cert\n";
        let server = Postgres::start_with(&settings, hba);
        server.create_database("keyline");
        Self {
            server,
            certificates,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.certificates.path().join(name)
    }

    fn address(&self, role: &str, ca: &str, name: &str) -> RegistryAddress {
        let files = RegistryFiles {
            ca: Some(self.file(&format!("{ca}.pem"))),
            certificate: Some(self.file(&format!("{name}.pem"))),
            key: Some(self.file(&format!("{name}.key"))),
            password: None,
        };
        let url = format!("postgres://{role}@localhost:{}/keyline", self.server.port());
        RegistryAddress::new(&url, &files).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_station_is_known_by_its_certificate_and_the_server_by_its_own() {
    let guarded = Guarded::start("localhost");
    let owner = guarded.server.url("owner", "keyline");
    let owner = RegistryAddress::new(&owner, &RegistryFiles::default()).unwrap();
    migrate(owner.clone()).await.unwrap();
    let owner = Registry::open(owner).await.unwrap();
    let (id, login) = enrolled(&owner, "line-1").await;
    let (_, other_login) = enrolled(&owner, "line-2").await;
    let directory = guarded.certificates.path();
    certificate("line-1", &login, "factory", directory);
    certificate("line-2", &other_login, "factory", directory);
    certificate("false", &login, "thief", directory);

    let registry = Registry::open(guarded.address(&login, "factory", "line-1"))
        .await
        .unwrap();
    let key = Key::p256();
    let mut mine = claim(1, &key);
    mine.station = id;
    sign_claim(&mut mine, &key);
    registry.claim(mine).await.unwrap();
    let encrypted = guarded.server.sql(
        "owner",
        "keyline",
        "SELECT COUNT(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND usename LIKE 'station_%'",
    );
    assert_ne!(encrypted.unwrap(), "0");

    // Another station's certificate, one by another authority, and a server that the client's authority has not signed.
    for (role, ca, name) in [
        (&login, "factory", "line-2"),
        (&login, "factory", "false"),
        (&login, "thief", "line-1"),
    ] {
        let registry = Registry::open(guarded.address(role, ca, name))
            .await
            .unwrap();
        let refused = registry.ping().await.unwrap_err();
        assert!(
            matches!(
                refused,
                RegistryError::NotAllowed { .. } | RegistryError::Unreachable { .. }
            ),
            "{name}: {refused:?}"
        );
    }
    // Without a certificate of one's own.
    let url = format!(
        "postgres://{login}@localhost:{}/keyline",
        guarded.server.port()
    );
    let files = RegistryFiles {
        ca: Some(guarded.file("factory.pem")),
        ..RegistryFiles::default()
    };
    let bare = RegistryAddress::new(&url, &files).unwrap();
    let refused = Registry::open(bare)
        .await
        .unwrap()
        .ping()
        .await
        .unwrap_err();
    assert!(
        matches!(refused, RegistryError::NotAllowed { .. }),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_with_the_right_authority_and_another_name_is_refused() {
    let guarded = Guarded::start("db.example");
    certificate("line-1", "line-1", "factory", guarded.certificates.path());
    let registry = Registry::open(guarded.address("owner", "factory", "line-1"))
        .await
        .unwrap();
    let refused = registry.ping().await.unwrap_err();
    assert!(
        matches!(refused, RegistryError::Unreachable { .. }),
        "{refused:?}"
    );
    let words = keyline_station::command::chain(&refused);
    assert!(words.contains("certificate"), "{words}");
}
