//! A station and the real witness process beside it.

use std::fmt::Write as _;
use std::path::Path;

use keyline_station::audit::VerifierKey;

use crate::process::{Store, Witness, origin_path};
use crate::station::Station;
use crate::stored::log_key;
use crate::support::edit_config;

/// A station whose only witness must cosign, and may fall so many leaves behind.
pub(crate) struct Witnessed {
    pub(crate) station: Station,
    pub(crate) key: VerifierKey,
    /// It ends before its store goes.
    witness: Option<Witness>,
    store: Store,
}

impl Witnessed {
    pub(crate) fn new(station: Station, ahead_leaves_max: u64) -> Self {
        let key = log_key(&station);
        let store = Store::new(&[&key]);
        let witness = store.serve();
        require(&station.home(), &witness, ahead_leaves_max);
        Self {
            station,
            key,
            witness: Some(witness),
            store,
        }
    }

    /// The witness stops, and nobody listens in its place.
    pub(crate) fn stop_witness(&mut self) {
        let (code, _) = self.witness.take().unwrap().stop();
        assert_eq!(code, 0);
    }

    /// The witness is back, at another address, which the configuration is told.
    pub(crate) fn bring_witness_back(&mut self) {
        let witness = self.store.serve();
        let url = format!("url = \"http://{}\"", witness.address);
        edit_config(&self.station, |line| {
            line.starts_with("url = \"http").then(|| url.clone())
        });
        self.witness = Some(witness);
    }

    /// The witness trusts these keys too from now on. It can't be told while it runs.
    pub(crate) fn trust(&mut self, keys: &[&VerifierKey]) {
        if self.witness.is_some() {
            self.stop_witness();
        }
        for key in keys {
            let ran = self.store.run("trust", &[&key.to_string()]);
            assert_eq!(ran.code, 0, "{:?}", ran.lines);
        }
        self.bring_witness_back();
    }

    /// Another station has taken this one's place: the witness is told its key.
    pub(crate) fn trust_replacement(&mut self) {
        let key = log_key(&self.station);
        self.trust(&[&key]);
        self.key = key;
    }

    pub(crate) fn witness(&self) -> &Witness {
        self.witness.as_ref().unwrap()
    }

    /// What the witness shows to monitors; `None` before the first cosignature.
    pub(crate) fn cosigned(&self) -> Option<String> {
        shown(self.witness(), self.key.name())
    }
}

/// The latest checkpoint of a log that a witness has cosigned.
pub(crate) fn shown(witness: &Witness, origin: &str) -> Option<String> {
    let reply = witness.request("GET", &origin_path(origin));
    assert!([200, 404].contains(&reply.status), "{reply:?}");
    (reply.status == 200).then_some(reply.body)
}

/// Writes into a home's configuration that this witness must cosign.
pub(crate) fn require(home: &Path, witness: &Witness, ahead_leaves_max: u64) {
    let path = home.join("config.toml");
    let mut text = std::fs::read_to_string(&path)
        .unwrap()
        .replace("cosignatures_min = 0", "cosignatures_min = 1")
        .replace(
            "ahead_leaves_max = 100000",
            &format!("ahead_leaves_max = {ahead_leaves_max}"),
        );
    write!(
        text,
        "\n[[audit.witness]]\nkey = \"{}\"\nurl = \"http://{}\"\nrequired = true\n",
        witness.key, witness.address
    )
    .unwrap();
    std::fs::write(path, text).unwrap();
}
