//! A SoftHSM of its own, and a station whose audit key is in it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use keyline_station::audit::SignedNote;
use serde_json::Value;
use signed_note::{Note, StandardVerifier, Verifier, VerifierList};

use crate::station::{Ran, Station, ran};

/// Where Debian puts the module: the first is the package's own, the second a multiarch one.
const MODULES: [&str; 2] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
];

/// The token's label.
pub(crate) const TOKEN: &str = "line-7";

/// Its user's PIN.
pub(crate) const PIN: &str = "271828";

/// The audit key's label.
pub(crate) const LABEL: &str = "audit-1";

/// SoftHSM over a directory in a station's temporary directory.
pub(crate) struct Hsm {
    directory: PathBuf,
}

impl Hsm {
    /// An HSM with one token and its PIN file.
    pub(crate) fn new(parent: &Path) -> Self {
        let hsm = Self {
            directory: parent.join("hsm"),
        };
        std::fs::create_dir_all(hsm.tokens()).unwrap();
        let configuration = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            hsm.tokens().display()
        );
        std::fs::write(hsm.configuration(), configuration).unwrap();
        hsm.write_pin(PIN);
        hsm.make_token();
        hsm
    }

    /// A further token of the same label and PIN: what somebody brings who swaps it.
    pub(crate) fn make_token(&self) {
        let (pin, so_pin) = (PIN, "314159");
        self.command("softhsm2-util")
            .args(["--init-token", "--free", "--label", TOKEN])
            .args(["--pin", pin, "--so-pin", so_pin])
            .good();
    }

    pub(crate) fn module() -> &'static str {
        MODULES
            .into_iter()
            .find(|module| Path::new(module).exists())
            .expect("these tests need SoftHSM (Debian: apt-get install softhsm2 opensc)")
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.directory.join("softhsm2.conf")
    }

    /// The directory that holds the tokens.
    pub(crate) fn tokens(&self) -> PathBuf {
        self.directory.join("tokens")
    }

    /// The only token's own directory.
    pub(crate) fn token(&self) -> PathBuf {
        let mut tokens = std::fs::read_dir(self.tokens()).unwrap();
        tokens.next().unwrap().unwrap().path()
    }

    /// Where a token lies that was pulled out.
    pub(crate) fn drawer(&self) -> PathBuf {
        self.directory.join("drawer")
    }

    pub(crate) fn pull_out(&self) {
        std::fs::rename(self.tokens(), self.drawer()).unwrap();
        std::fs::create_dir(self.tokens()).unwrap();
    }

    pub(crate) fn put_back(&self) {
        std::fs::remove_dir_all(self.tokens()).unwrap();
        std::fs::rename(self.drawer(), self.tokens()).unwrap();
    }

    pub(crate) fn pin_file(&self) -> PathBuf {
        self.directory.join("pin")
    }

    pub(crate) fn write_pin(&self, pin: &str) {
        std::fs::write(self.pin_file(), format!("{pin}\n")).unwrap();
        self.pin_mode(0o600);
    }

    pub(crate) fn pin_mode(&self, mode: u32) {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.pin_file(), permissions).unwrap();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("SOFTHSM2_CONF", self.configuration());
        command
    }

    /// `pkcs11-tool`, logged in.
    pub(crate) fn pkcs11_tool(&self, arguments: &[&str]) -> Output {
        self.command("pkcs11-tool")
            .args(["--module", Self::module(), "--token-label", TOKEN])
            .args(["--login", "--pin", PIN])
            .args(arguments)
            .output()
            .expect("these tests need pkcs11-tool (Debian: apt-get install opensc)")
    }

    /// Makes a key pair without the station's help.
    pub(crate) fn make_key(&self, kind: &str, label: &str, more: &[&str]) {
        let mut arguments = vec!["--keypairgen", "--key-type", kind, "--label", label];
        arguments.extend(more);
        let output = self.pkcs11_tool(&arguments);
        assert!(output.status.success(), "{output:?}");
    }

    /// Brings a key pair in from a PEM file beside the HSM's directory.
    pub(crate) fn import(&self, file: &str, label: &str) {
        let file = self.directory.parent().unwrap().join(file);
        self.command("softhsm2-util")
            .args(["--import", &file.display().to_string()])
            .args([
                "--token", TOKEN, "--pin", PIN, "--label", label, "--id", "0f",
            ])
            .good();
    }

    /// The public key of this label, as `pkcs11-tool` prints its `CKA_EC_POINT`: the last 32 bytes.
    pub(crate) fn public_key(&self, label: &str) -> [u8; 32] {
        let output = self.pkcs11_tool(&["--list-objects", "--type", "pubkey"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let objects = text.split("Public Key Object").skip(1);
        let labelled = |object: &&str| object.contains(&format!("label:      {label}\n"));
        let objects: Vec<_> = objects.filter(labelled).collect();
        assert_eq!(objects.len(), 1, "{text}");
        let point = objects[0].split_once("EC_POINT:").unwrap().1;
        let point = point.lines().next().unwrap().trim();
        let point = hex::decode(point).unwrap();
        point[point.len() - 32..].try_into().unwrap()
    }
}

/// A command that must end well.
trait Good {
    fn good(&mut self);
}

impl Good for Command {
    fn good(&mut self) {
        let output = self.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// A station, and the HSM beside it.
pub(crate) struct Guarded {
    pub(crate) station: Station,
    pub(crate) hsm: Hsm,
}

impl Guarded {
    /// Without a home yet.
    pub(crate) fn bare() -> Self {
        let station = Station::bare();
        let hsm = Hsm::new(station.directory());
        Self { station, hsm }
    }

    /// A home whose audit key was made in the token, with these slots, and the order `WO-1`.
    pub(crate) fn new(slots: &[&str]) -> Self {
        let guarded = Self::bare();
        guarded.init(slots).good();
        guarded.add_order();
        guarded
    }

    pub(crate) fn init(&self, slots: &[&str]) -> Ran {
        let pin_file = self.hsm.pin_file().display().to_string();
        let slots = slots.iter().map(|slot| format!("--slot={slot}"));
        let slots: Vec<_> = slots.collect();
        let mut arguments = vec!["init", "--audit-token", TOKEN];
        arguments.extend(["--audit-module", Hsm::module()]);
        arguments.extend(["--audit-pin-file", &pin_file]);
        arguments.extend(["--audit-key-label", LABEL]);
        arguments.extend(slots.iter().map(String::as_str));
        self.run(&arguments)
    }

    pub(crate) fn add_order(&self) {
        let key = self.station.cloud_key();
        let product = [
            "product",
            "add",
            "--name",
            "sensor",
            "--platform",
            "nrf51822",
        ];
        let cloud = [
            "--cloud-key",
            &key,
            "--cloud-address",
            "cloud.example.com:8883",
        ];
        self.run(&[&product[..], &cloud[..]].concat()).good();
        let order = ["order", "add", "--name", "WO-1", "--product", "sensor"];
        self.run(&[&order[..], &["--quantity", "1000"]].concat())
            .good();
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.station.command(arguments);
        command.env("SOFTHSM2_CONF", self.hsm.configuration());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(&self.command(arguments).output().unwrap())
    }

    /// Provisions one unit in this slot.
    pub(crate) fn provision(&self, slot: &str) -> Ran {
        self.run(&["provision", "--order", "WO-1", "--slot", slot])
    }

    /// What the doctor finds of this.
    pub(crate) fn check(&self, check: &str) -> Value {
        let doctor = self.run(&["doctor"]);
        let checks = doctor.all("check").into_iter();
        let mut checks = checks.filter(|found| found["check"] == check);
        let found = checks
            .next()
            .unwrap_or_else(|| panic!("{:?}", doctor.lines));
        found.clone()
    }

    /// The answer of one number or text from the journal's file.
    pub(crate) fn ask<T>(&self, sql: &'static str) -> Vec<T>
    where
        T: Send + Unpin + sqlx::Type<sqlx::Sqlite> + for<'r> sqlx::Decode<'r, sqlx::Sqlite>,
    {
        self.with_journal(async move |connection| {
            sqlx::query_scalar(sql).fetch_all(connection).await.unwrap()
        })
    }

    /// Does to the journal's file what somebody with a shell could.
    pub(crate) fn tamper(&self, sql: &'static str) {
        self.with_journal(async move |connection| {
            sqlx::raw_sql(sql).execute(connection).await.unwrap();
        });
    }

    pub(crate) fn with_journal<T>(
        &self,
        work: impl AsyncFnOnce(&mut sqlx::SqliteConnection) -> T,
    ) -> T {
        use sqlx::{ConnectOptions as _, Connection as _};
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut connection = sqlx::sqlite::SqliteConnectOptions::new()
                .filename(self.station.home().join("journal.sqlite"))
                .connect()
                .await
                .unwrap();
            let answer = work(&mut connection).await;
            connection.close().await.unwrap();
            answer
        })
    }

    /// No run is open, no unit in between, the log verifies under the keys that the configuration names, and what the log says passed is
    /// what was told.
    pub(crate) fn assert_whole(&self) {
        let open: Vec<i64> = self.ask("SELECT count(*) FROM run WHERE result IS NULL");
        assert_eq!(open, [0], "no run is open");
        let between: Vec<i64> = self.ask("SELECT count(*) FROM unit WHERE state = 'in-progress'");
        assert_eq!(between, [0], "no unit is in between");
        self.assert_log_verifies();
    }

    pub(crate) fn assert_log_verifies(&self) {
        let journal = self.check("journal");
        assert_eq!(journal["state"], "ok", "{journal}");
    }
}

/// The key ids of the signature lines of a checkpoint.
pub(crate) fn signers(checkpoint: &str) -> Vec<u32> {
    let note = SignedNote::parse(checkpoint).unwrap();
    note.signatures.iter().map(|line| line.key_id).collect()
}

/// Whether software that nobody here wrote finds a signature of this verifier key on the checkpoint.
pub(crate) fn verified_by(checkpoint: &str, verifier_key: &str) -> bool {
    let verifier = StandardVerifier::new(verifier_key).unwrap();
    let id = verifier.key_id();
    let note = Note::from_bytes(checkpoint.as_bytes()).unwrap();
    let known = VerifierList::new(vec![Box::new(verifier)]);
    note.verify(&known)
        .is_ok_and(|(known, _)| known.iter().any(|signature| signature.id() == id))
}
