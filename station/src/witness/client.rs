//! The log's side of the witness protocol: asks one witness for one cosignature.

use std::time::Duration;

use reqwest::{Client, Response, StatusCode, header, redirect};
use sha2::{Digest as _, Sha256};

use super::request::decimal;
use super::{AddCheckpoint, SIZE_CONTENT_TYPE};
use crate::audit::{AuditError, Cosignature, Hash, SignedNote, WitnessKey};
use crate::home::WitnessConfig;

/// How long an answer may take, from the connection to the last byte.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a connection is kept for the next request: shorter than servers keep it, so that a request seldom meets a closed one.
const IDLE_MAX: Duration = Duration::from_secs(20);

/// The longest answer that is read, in bytes: many cosignatures, post-quantum ones among them.
const ANSWER_LENGTH_MAX: usize = 65_536;

/// How much of an answer's words is repeated, in characters.
const WORDS_MAX: usize = 200;

/// One witness, as this station's configuration names it.
#[derive(Clone, Debug)]
pub struct WitnessClient {
    client: Client,
    key: WitnessKey,
    prefix: String,
}

/// Why a witness gave no cosignature. The witness's words are shown, cut to 200 characters, and trusted for nothing.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The configuration's key can't be used.
    #[error("expected a witness's verifier key in the configuration")]
    Key(#[source] AuditError),
    /// No client could be made.
    #[error("the client of witness {witness} can't be made")]
    Client {
        /// The witness's name.
        witness: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// 409: the witness cosigned another size last. Nobody signed that: a witness, or whoever answers for it, can say any size.
    #[error("expected the old size that witness {witness} cosigned last, {size}, got {old_size}")]
    Conflict {
        /// The witness's name.
        witness: String,
        /// The size that was sent.
        old_size: u64,
        /// The size of the latest checkpoint that the witness cosigned; 0 for none.
        size: u64,
    },
    /// 422: the witness saw another history of this log, or the proof is wrong.
    #[error(
        "expected a checkpoint that follows from what witness {witness} cosigned before, it says: {words}"
    )]
    Inconsistent {
        /// The witness's name.
        witness: String,
        /// Its words.
        words: String,
    },
    /// 404: the witness does not know this log.
    #[error("expected witness {witness} at {url} to know this log, it says: {words}")]
    UnknownLog {
        /// The witness's name.
        witness: String,
        /// Where it was asked.
        url: String,
        /// Its words.
        words: String,
    },
    /// 403: the witness trusts none of the keys that signed.
    #[error("expected witness {witness} to trust this log's key, it says: {words}")]
    LogKeyRefused {
        /// The witness's name.
        witness: String,
        /// Its words.
        words: String,
    },
    /// 400: the witness can't read the request.
    #[error("expected witness {witness} to understand the request, it says: {words}")]
    BadRequest {
        /// The witness's name.
        witness: String,
        /// Its words.
        words: String,
    },
    /// Nobody answered in time, or the connection broke.
    #[error("witness {witness} at {url} can't be reached")]
    Unreachable {
        /// The witness's name.
        witness: String,
        /// Where it was asked.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It can't answer now: any other status, 500 and 503 among them.
    #[error("expected status 200 from witness {witness}, got {status}: {words}")]
    Failed {
        /// The witness's name.
        witness: String,
        /// The HTTP status.
        status: u16,
        /// Its words.
        words: String,
    },
    /// The answer is no valid cosignature by the witness's key.
    #[error("expected {expected} from witness {witness}, got {got}")]
    BadAnswer {
        /// The witness's name.
        witness: String,
        /// What was expected.
        expected: &'static str,
        /// What came.
        got: String,
    },
}

impl WitnessError {
    /// What to do.
    #[must_use]
    pub const fn next(&self) -> &'static str {
        match self {
            Self::Key(_) => "Correct audit.witness.key: `keyline witness show` prints it.",
            Self::Client { .. } => "Check the machine's certificates and limits.",
            Self::Conflict { .. } => {
                "Ask again with a proof from that size. If this log never had it, the home is an old copy: stop, and see `station replace`."
            }
            Self::Inconsistent { .. } => {
                "Stop this station: its log is not the one that the witness saw. Was the home put back from a copy, or does another station use its name?"
            }
            Self::UnknownLog { .. } => {
                "Have the witness trust this log's key (`keyline witness trust`), and check audit.witness.url."
            }
            Self::LogKeyRefused { .. } => {
                "Have the witness trust this log's key (`keyline witness trust`); after a roll-over, the new one, and distrust the old one (`keyline witness distrust`)."
            }
            Self::BadRequest { .. } => {
                "Check that audit.witness.url is a witness's submission prefix."
            }
            Self::Unreachable { .. } => {
                "Check the network and audit.witness.url; it is asked again."
            }
            Self::Failed { .. } => "Look at the witness's own log; it is asked again.",
            Self::BadAnswer { .. } => {
                "Check that audit.witness.key and audit.witness.url belong to one witness."
            }
        }
    }
}

impl WitnessClient {
    /// A client of this witness. It follows no redirect: a witness is where the configuration says.
    ///
    /// # Errors
    /// [`WitnessError::Key`] or [`WitnessError::Client`].
    pub fn new(config: &WitnessConfig) -> Result<Self, WitnessError> {
        let key = WitnessKey::parse(&config.key).map_err(WitnessError::Key)?;
        let client = Client::builder()
            .user_agent(concat!("keyline/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .timeout(PATIENCE)
            .pool_idle_timeout(IDLE_MAX)
            .build()
            .map_err(|source| WitnessError::Client {
                witness: key.name().to_owned(),
                source,
            })?;
        Ok(Self {
            client,
            key,
            prefix: config.url.trim_end_matches('/').to_owned(),
        })
    }

    /// The witness's key.
    #[must_use]
    pub const fn key(&self) -> &WitnessKey {
        &self.key
    }

    /// Asks for a cosignature of `note`'s checkpoint, with the consistency proof from the size that the witness cosigned last (0: none, and
    /// no proof). What is returned was verified, and its time is not 0.
    ///
    /// # Errors
    /// [`WitnessError`], after 10 s at most. Then the witness may have cosigned or not.
    pub async fn add_checkpoint(
        &self,
        old_size: u64,
        proof: &[Hash],
        note: &str,
    ) -> Result<Cosignature, WitnessError> {
        let request = AddCheckpoint {
            old_size,
            proof: proof.to_vec(),
            note: note.to_owned(),
        };
        let response = self
            .client
            .post(format!("{}/add-checkpoint", self.prefix))
            .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .body(request.to_string())
            .send()
            .await
            .map_err(|source| self.unreachable(source))?;
        let status = response.status();
        let is_size = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value == SIZE_CONTENT_TYPE);
        let answer = self.read(response).await?;
        match status {
            StatusCode::OK => self.cosignature(note, &answer),
            StatusCode::CONFLICT if is_size => self.conflict(old_size, &answer),
            status => Err(self.refused(status, &answer)),
        }
    }

    /// The latest checkpoint of a log that the witness has cosigned, with its cosignature, verified; `None` where it has cosigned none.
    /// That the log signed it is the caller's to check.
    ///
    /// # Errors
    /// [`WitnessError`], after 10 s at most.
    pub async fn latest_checkpoint(&self, origin: &str) -> Result<Option<String>, WitnessError> {
        let log = hex::encode(Sha256::digest(origin));
        let response = self
            .client
            .get(format!("{}/{log}/checkpoint", self.prefix))
            .send()
            .await
            .map_err(|source| self.unreachable(source))?;
        let status = response.status();
        let note = self.read(response).await?;
        match status {
            StatusCode::OK => {
                let read = SignedNote::parse(&note).and_then(|read| self.key.verify(&read));
                read.map_err(|error| {
                    self.bad_answer("a checkpoint that it has cosigned", error.to_string())
                })?;
                Ok(Some(note))
            }
            StatusCode::NOT_FOUND => Ok(None),
            status => Err(self.refused(status, &note)),
        }
    }

    /// The whole answer, as far as it is not too long.
    async fn read(&self, mut response: Response) -> Result<String, WitnessError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|source| self.unreachable(source))?
        {
            if bytes.len() + chunk.len() > ANSWER_LENGTH_MAX {
                let got = "more".to_owned();
                return Err(self.bad_answer("an answer of at most 65536 bytes", got));
            }
            bytes.extend_from_slice(&chunk);
        }
        String::from_utf8(bytes)
            .map_err(|error| self.bad_answer("an answer in UTF-8", error.to_string()))
    }

    /// The witness's own line among those of the answer; lines by other keys are ignored.
    fn cosignature(&self, note: &str, answer: &str) -> Result<Cosignature, WitnessError> {
        let expected = "a cosignature by its key";
        let text = SignedNote::parse(note)
            .map_err(|error| self.bad_answer("a checkpoint to cosign", error.to_string()))?
            .text;
        let cosignature = SignedNote::parse(&format!("{text}\n{answer}"))
            .and_then(|cosigned| self.key.verify(&cosigned))
            .map_err(|error| self.bad_answer(expected, error.to_string()))?;
        if cosignature.time_s == 0 {
            return Err(self.bad_answer("a cosignature with a time", "time 0".to_owned()));
        }
        Ok(cosignature)
    }

    fn conflict(&self, old_size: u64, answer: &str) -> Result<Cosignature, WitnessError> {
        let size = answer.strip_suffix('\n').and_then(decimal).ok_or_else(|| {
            let expected = "the size of its latest checkpoint, a decimal and a newline";
            self.bad_answer(expected, format!("{:?}", words(answer)))
        })?;
        Err(WitnessError::Conflict {
            witness: self.key.name().to_owned(),
            old_size,
            size,
        })
    }

    fn refused(&self, status: StatusCode, answer: &str) -> WitnessError {
        let (witness, words) = (self.key.name().to_owned(), words(answer));
        match status {
            StatusCode::UNPROCESSABLE_ENTITY => WitnessError::Inconsistent { witness, words },
            StatusCode::NOT_FOUND => WitnessError::UnknownLog {
                witness,
                url: self.prefix.clone(),
                words,
            },
            StatusCode::FORBIDDEN => WitnessError::LogKeyRefused { witness, words },
            StatusCode::BAD_REQUEST => WitnessError::BadRequest { witness, words },
            status => WitnessError::Failed {
                witness,
                status: status.as_u16(),
                words,
            },
        }
    }

    fn unreachable(&self, source: reqwest::Error) -> WitnessError {
        WitnessError::Unreachable {
            witness: self.key.name().to_owned(),
            url: self.prefix.clone(),
            // The URL is in the message already.
            source: source.without_url(),
        }
    }

    fn bad_answer(&self, expected: &'static str, got: String) -> WitnessError {
        WitnessError::BadAnswer {
            witness: self.key.name().to_owned(),
            expected,
            got,
        }
    }
}

/// An answer's words on one line, without control characters.
fn words(answer: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let words: String = answer.trim().chars().take(WORDS_MAX).map(plain).collect();
    if words.is_empty() {
        "nothing".to_owned()
    } else {
        words
    }
}
