//! Everything that anybody was ever told of a log, and whether it still holds.

use std::collections::BTreeMap;

use keyline_station::audit::{Checkpoint, VerifierKey};
use serde_json::Value;

use crate::station::Station;
use crate::stored::StoredLog;

/// What was told of one run.
#[derive(Default)]
struct ToldRun {
    intended: usize,
    /// The state in its last event.
    end: Option<String>,
}

/// What was told of one log.
pub(crate) struct Told {
    key: VerifierKey,
    checkpoints: Vec<(String, Checkpoint)>,
    runs: BTreeMap<String, ToldRun>,
}

impl Told {
    pub(crate) const fn of(key: VerifierKey) -> Self {
        Self {
            key,
            checkpoints: Vec::new(),
            runs: BTreeMap::new(),
        }
    }

    /// A command's lines were read.
    pub(crate) fn hear(&mut self, lines: &[Value]) {
        for line in lines {
            if let Some(note) = line["checkpoint"].as_str() {
                self.checkpoint("a summary", note);
            }
            if line["event"] != "unit" {
                continue;
            }
            let run = line["run"].as_str().unwrap().to_owned();
            let told = self.runs.entry(run).or_default();
            match line["state"].as_str().unwrap() {
                "in-progress" => told.intended += 1,
                state => told.end = Some(state.to_owned()),
            }
        }
    }

    /// Somebody was shown this checkpoint.
    pub(crate) fn checkpoint(&mut self, source: &str, note: &str) {
        let checkpoint = Checkpoint::verify(note, &self.key).unwrap();
        self.checkpoints.push((source.to_owned(), checkpoint));
    }

    /// The published checkpoint, if there is one.
    pub(crate) fn look_at_tiles(&mut self, station: &Station) {
        if let Ok(note) = std::fs::read_to_string(station.home().join("tlog/checkpoint")) {
            self.checkpoint("the published log", &note);
        }
    }

    pub(crate) fn passed(&self) -> usize {
        let passed = |run: &&ToldRun| run.end.as_deref() == Some("passed");
        self.runs.values().filter(passed).count()
    }

    /// Holds it against the log: every checkpoint is one of its past, every told step and end is in it, under a checkpoint. What stands in
    /// the log now is told from now on.
    pub(crate) fn assert_kept(&mut self, log: &StoredLog, point: &str) {
        for (source, checkpoint) in &self.checkpoints {
            let size = checkpoint.size;
            let root = log.root(size).unwrap_or_else(|| {
                panic!(
                    "{point}: {source} told {size} leaves, there are {}",
                    log.size()
                )
            });
            assert_eq!(root, checkpoint.root, "{point}: {source} at {size} leaves");
        }
        let runs = log.runs();
        for (run, told) in &self.runs {
            let stored = runs
                .get(run)
                .unwrap_or_else(|| panic!("{point}: run {run} was told and is not in the log"));
            assert!(stored.intended >= told.intended, "{point}: run {run}");
            if let Some(end) = &told.end {
                let [index] = stored.ended[..] else {
                    panic!("{point}: run {run} was told as {end}: {:?}", stored.ended)
                };
                assert!(log.covers(index), "{point}: leaf {index} of run {run}");
            }
            assert!(stored.ended.len() <= 1, "{point}: run {run} ended twice");
        }
        let now = Checkpoint {
            origin: self.key.name().to_owned(),
            size: log.size(),
            root: log.root(log.size()).unwrap(),
        };
        self.checkpoints
            .push((format!("the journal, {point}"), now));
    }
}
