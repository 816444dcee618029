//! Runs the verification, and looks at what it told.

use keyline_station::audit::VerifierKey;
use keyline_station::reconcile::{
    Code, Finding, Inputs, KnownCheckpoint, Report, Scope, Severity, deep,
};
use keyline_station::registry::Registry;

use crate::story::{ORIGIN, Station};

/// What was found.
pub(crate) struct Found {
    pub(crate) report: Report,
    pub(crate) findings: Vec<Finding>,
}

/// How a station is verified.
pub(crate) struct Asked {
    pub(crate) keys: Vec<VerifierKey>,
    pub(crate) with_registry: bool,
    pub(crate) known: Vec<KnownCheckpoint>,
    pub(crate) scope: Scope,
}

impl Asked {
    pub(crate) fn everything(station: &Station) -> Self {
        Self {
            keys: vec![station.key()],
            with_registry: true,
            known: Vec::new(),
            scope: Scope::Everything,
        }
    }

    pub(crate) async fn verify(&self, station: &Station) -> Found {
        let journal = station.reader().await;
        let registry: Option<Registry> = if self.with_registry {
            Some(station.registry().await)
        } else {
            None
        };
        let inputs = Inputs {
            journal: &journal,
            keys: &self.keys,
            origin: ORIGIN,
            station: station.id,
            registry: registry.as_ref(),
            known: &self.known,
            scope: self.scope,
            scratch: None,
        };
        let mut findings = Vec::new();
        let report = deep(inputs, &mut |finding| findings.push(finding))
            .await
            .unwrap();
        if let Some(registry) = registry {
            registry.close().await;
        }
        Found { report, findings }
    }
}

pub(crate) async fn verify(station: &Station) -> Found {
    Asked::everything(station).verify(station).await
}

impl Found {
    pub(crate) fn violations(&self) -> Vec<&Finding> {
        let violations = self.findings.iter();
        violations
            .filter(|finding| finding.severity == Severity::Violation)
            .collect()
    }

    pub(crate) fn all(&self, code: Code) -> Vec<&Finding> {
        let findings = self.findings.iter();
        findings
            .filter(|finding| finding.code == code.name())
            .collect()
    }

    /// A finding of this code whose place and message contain the words.
    pub(crate) fn expect(&self, code: Code, words: &str) -> &Finding {
        let text = |finding: &Finding| format!("{}: {}", finding.place, finding.message);
        let found = self
            .all(code)
            .into_iter()
            .find(|finding| text(finding).contains(words));
        found.unwrap_or_else(|| {
            panic!(
                "expected {} with \"{words}\", found {:#?}",
                code.name(),
                self.findings
            )
        })
    }
}
