//! Imports: what they leave behind, and that an interrupted one ends as one that was not.

use std::convert::Infallible;
use std::fs;
use std::path::PathBuf;

use keyline_station::fleet::{
    FleetError, FleetSink, ImportCounts, ImportOptions, ImportOutcome, Imported, ImportedKey,
    RefusedRow, import_file,
};
use keyline_station::stop::Stop;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use sha2::{Digest as _, Sha256};

use crate::fixture::{Kept, Watcher, csv, device, p256, row};

const ROWS: u64 = 150;

/// A fleet with a bad row among each seven, of several kinds.
fn fleet() -> String {
    let rows: Vec<_> = (0..ROWS)
        .map(|number| match number % 28 {
            6 => format!("{},no key\n", device(number)),
            13 => row(number - 1, &p256(number)),
            20 => row(number, &p256(number - 3)),
            27 => format!("{},\"{}\n", device(number), hex::encode(p256(number))),
            _ => row(number, &p256(number)),
        })
        .collect();
    csv(&rows)
}

struct Bench {
    directory: tempfile::TempDir,
    kept: Kept,
}

impl Bench {
    fn with(content: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("fleet.csv"), content).unwrap();
        Self {
            directory,
            kept: Kept::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn options(&self, resume: bool) -> ImportOptions {
        ImportOptions {
            report: Some(self.path("report.jsonl")),
            state: Some(self.path("state")),
            resume,
            batch_rows: 16,
            ..ImportOptions::default()
        }
    }

    async fn import<S: FleetSink>(
        &self,
        sink: &S,
        options: &ImportOptions,
    ) -> Result<ImportOutcome, FleetError> {
        let mut watcher = Watcher::default();
        let path = self.path("fleet.csv");
        import_file(&path, sink, options, &mut watcher, &Stop::new()).await
    }

    fn report(&self) -> String {
        fs::read_to_string(self.path("report.jsonl")).unwrap()
    }
}

/// Dies at a batch, before or after it was kept.
struct Dying<'a> {
    kept: &'a Kept,
    at: usize,
    persisted: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("the registry went away")]
struct Gone;

impl FleetSink for Dying<'_> {
    type Error = Gone;

    async fn import(
        &self,
        batch: Vec<ImportedKey>,
    ) -> Result<Vec<Result<Imported, RefusedRow>>, Gone> {
        let dies = self.kept.batches() == self.at;
        if dies && !self.persisted {
            return Err(Gone);
        }
        let answers: Result<_, Infallible> = self.kept.import(batch).await;
        if dies {
            return Err(Gone);
        }
        Ok(answers.unwrap())
    }
}

#[tokio::test]
async fn what_was_done_is_known_where_it_dies_and_over_what_goes_on_from_it() {
    let (_, whole) = in_one_go().await;
    let content = fleet();
    let bench = Bench::with(&content);
    let dying = Dying {
        kept: &bench.kept,
        at: 3,
        persisted: false,
    };
    let (path, mut watcher) = (bench.path("fleet.csv"), Watcher::default());
    let options = bench.options(false);
    let died = import_file(&path, &dying, &options, &mut watcher, &Stop::new()).await;
    assert!(matches!(died, Err(FleetError::Sink { .. })), "{died:?}");
    assert_eq!(watcher.taken[0].counts, ImportCounts::NONE);
    assert_eq!(
        hex::encode(watcher.taken[0].sha256),
        hex::encode(Sha256::digest([]))
    );
    let last = *watcher.taken.last().unwrap();
    assert_eq!((last.counts.rows, last.before), (48, ImportCounts::NONE));
    assert_eq!(last.counts.imported, bench.kept.all().len() as u64);
    let read = &content.as_bytes()[..usize::try_from(last.offset).unwrap()];
    assert_eq!(last.sha256, <[u8; 32]>::from(Sha256::digest(read)));

    let (options, mut watcher) = (bench.options(true), Watcher::default());
    let outcome = import_file(&path, &bench.kept, &options, &mut watcher, &Stop::new()).await;
    assert_eq!(outcome.unwrap(), whole);
    assert!(
        watcher
            .taken
            .iter()
            .all(|progress| progress.before == last.counts)
    );
    assert_eq!(watcher.taken[0].counts, last.counts);
    let end = watcher.taken.last().unwrap();
    assert_eq!(
        (end.counts, end.offset),
        (whole.counts, content.len() as u64)
    );
    assert_eq!(end.sha256, <[u8; 32]>::from(Sha256::digest(&content)));
}

async fn in_one_go() -> (Bench, ImportOutcome) {
    let whole = Bench::with(&fleet());
    let outcome = whole.import(&whole.kept, &whole.options(false)).await;
    (whole, outcome.unwrap())
}

#[tokio::test]
async fn every_row_is_accounted_for_and_a_second_import_changes_nothing() {
    let (bench, outcome) = in_one_go().await;
    let counts = outcome.counts;
    assert!(outcome.finished);
    assert_eq!(counts.rows, ROWS);
    assert_eq!(counts.refused, bench.report().lines().count() as u64);
    assert_eq!(counts.imported, bench.kept.all().len() as u64);
    assert_eq!(counts.imported + counts.refused, ROWS);
    for line in bench.report().lines() {
        let row: RefusedRow = serde_json::from_str(line).unwrap();
        assert!(row.message.starts_with("expected"), "{line}");
    }
    let before = bench.kept.all();
    let options = ImportOptions {
        report: Some(bench.path("second.csv")),
        ..ImportOptions::default()
    };
    let again = bench.import(&bench.kept, &options).await.unwrap();
    assert_eq!(
        (again.counts.imported, again.counts.already),
        (0, counts.imported)
    );
    assert_eq!(bench.kept.all(), before);
    let report = fs::read_to_string(bench.path("second.csv")).unwrap();
    assert!(
        report.starts_with("line,device_id,code,message,next\n"),
        "{report}"
    );
    assert_eq!(report.lines().count() as u64, 1 + counts.refused);
}

#[tokio::test]
async fn an_import_that_died_anywhere_ends_as_one_in_one_go() {
    let (whole, outcome) = in_one_go().await;
    for seed in 0..20 {
        let mut random = StdRng::seed_from_u64(seed);
        let bench = Bench::with(&fleet());
        let dying = Dying {
            kept: &bench.kept,
            at: random.random_range(0..9),
            persisted: random.random(),
        };
        let died = bench.import(&dying, &bench.options(false)).await;
        assert!(
            matches!(died, Err(FleetError::Sink { .. })),
            "seed {seed}: {died:?}"
        );
        // The report may have got rows of a batch whose state was never written.
        let report = bench.report() + &"{\"line\":1".repeat(random.random_range(0..3));
        fs::write(bench.path("report.jsonl"), report).unwrap();
        let resumed = bench
            .import(&bench.kept, &bench.options(true))
            .await
            .unwrap();
        assert_eq!(bench.kept.all(), whole.kept.all(), "seed {seed}");
        assert_eq!(bench.report(), whole.report(), "seed {seed}");
        let ImportCounts {
            rows,
            imported,
            already,
            refused,
        } = resumed.counts;
        assert_eq!(
            (rows, imported + already, refused),
            (
                outcome.counts.rows,
                outcome.counts.imported,
                outcome.counts.refused
            ),
            "seed {seed}"
        );
        let once_more = bench
            .import(&bench.kept, &bench.options(true))
            .await
            .unwrap();
        assert_eq!(once_more, resumed, "seed {seed}: finished is finished");
    }
}

#[tokio::test]
async fn an_import_that_is_asked_to_stop_goes_on_later() {
    let bench = Bench::with(&fleet());
    let stop = Stop::new();
    stop.request();
    let mut watcher = Watcher::default();
    let path = bench.path("fleet.csv");
    let outcome = import_file(
        &path,
        &bench.kept,
        &bench.options(false),
        &mut watcher,
        &stop,
    )
    .await
    .unwrap();
    assert!(!outcome.finished);
    let resumed = bench
        .import(&bench.kept, &bench.options(true))
        .await
        .unwrap();
    assert!(resumed.finished);
    assert_eq!(resumed.counts.rows, ROWS);
}

/// An import that died, with what is changed before it is resumed; and the words.
async fn resume_refused(change: impl FnOnce(&Bench, &mut ImportOptions), words: &str) {
    let bench = Bench::with(&fleet());
    let dying = Dying {
        kept: &bench.kept,
        at: 4,
        persisted: true,
    };
    bench
        .import(&dying, &bench.options(false))
        .await
        .unwrap_err();
    let state = fs::read(bench.path("state")).unwrap();
    let state: serde_json::Value = serde_json::from_slice(&state).unwrap();
    let mut options = bench.options(true);
    change(&bench, &mut options);
    let before = bench.kept.all();
    let error = bench.import(&bench.kept, &options).await.unwrap_err();
    let told = error
        .to_string()
        .replace(&bench.directory.path().display().to_string(), "DIR")
        .replace(
            &format!("first {} bytes", state["offset"]),
            "first OFFSET bytes",
        )
        .replace(
            &format!("of {} bytes as", state["report_length"]),
            "of LENGTH bytes as",
        );
    assert_eq!(told, words);
    assert!(!error.next().is_empty());
    assert_eq!(bench.kept.all(), before, "nothing came in");
}

#[tokio::test]
async fn what_changed_meanwhile_is_not_gone_on_with() {
    let length = fleet().len();
    resume_refused(
        |bench, _| fs::write(bench.path("fleet.csv"), fleet() + "x").unwrap(),
        &format!(
            "expected a file of {length} bytes as it was when the import stopped, got {} bytes",
            length + 1
        ),
    )
    .await;
    resume_refused(
        |bench, _| {
            let changed = fleet().replacen("no key", "no kei", 1);
            fs::write(bench.path("fleet.csv"), changed).unwrap();
        },
        "expected the first OFFSET bytes of DIR/fleet.csv as it was when the import stopped, got others",
    )
    .await;
    resume_refused(
        |_, options| options.report = None,
        "expected --report as it was when the import stopped, got an import with it once and without it once",
    )
    .await;
    resume_refused(
        |_, options| options.product = Some("other".parse().unwrap()),
        "expected --product as it was when the import stopped, got another one",
    )
    .await;
    resume_refused(
        |bench, _| fs::write(bench.path("report.jsonl"), "").unwrap(),
        "expected the report DIR/report.jsonl of LENGTH bytes as it was when the import stopped, got 0 bytes",
    )
    .await;
    resume_refused(
        |bench, _| fs::remove_file(bench.path("state")).unwrap(),
        "expected the state of an import at DIR/state, got no file",
    )
    .await;
    resume_refused(
        |bench, _| fs::write(bench.path("state"), "{}").unwrap(),
        "expected the state of an import at DIR/state, got a file that is none",
    )
    .await;
    resume_refused(
        |_, options| options.resume = false,
        "expected --resume: DIR/state says that an import stopped after 64 rows",
    )
    .await;
}

#[tokio::test]
async fn nothing_is_written_over() {
    let bench = Bench::with(&fleet());
    fs::write(bench.path("report.jsonl"), "mine").unwrap();
    let error = bench
        .import(&bench.kept, &bench.options(false))
        .await
        .unwrap_err();
    assert!(matches!(error, FleetError::Occupied { .. }), "{error:?}");
    assert_eq!(bench.report(), "mine");
    assert!(bench.kept.all().is_empty());
}

#[tokio::test]
async fn what_only_the_registry_knows_stands_in_the_report_in_its_place() {
    let key = |number| hex::encode(p256(number));
    let content = format!(
        "device_id,public_key,product\n{},{},nothing\n{},no key,\n{},{},thermostat\n",
        device(1),
        key(1),
        device(2),
        device(3),
        key(3),
    );
    let bench = Bench::with(&content);
    let outcome = bench
        .import(&bench.kept, &bench.options(false))
        .await
        .unwrap();
    assert_eq!((outcome.counts.imported, outcome.counts.refused), (1, 2));
    let told: Vec<(u64, String)> = bench
        .report()
        .lines()
        .map(|line| serde_json::from_str::<RefusedRow>(line).unwrap())
        .map(|row| (row.line, row.code.name().to_owned()))
        .collect();
    let expected = [(2, "unknown-product"), (3, "not-a-key")];
    assert_eq!(told, expected.map(|(line, code)| (line, code.to_owned())));
}
