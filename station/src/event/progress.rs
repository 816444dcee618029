//! Bars on a terminal: one a slot, and one for all.

use std::collections::BTreeMap;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::UnitEvent;
use super::table::printable;
use crate::record::Step;

/// A terminal of 24 lines shows no more; further slots have their results only.
const SLOT_BARS_MAX: usize = 16;

/// The bars of one run over slots.
pub(super) struct Progress {
    bars: MultiProgress,
    all: ProgressBar,
    slots: BTreeMap<u16, ProgressBar>,
}

impl Progress {
    /// Bars for these slots and so many units.
    pub(super) fn new(slots: &[u16], units: Option<u64>) -> Self {
        let bars = MultiProgress::new();
        let slot_bars = slots.iter().take(SLOT_BARS_MAX).map(|slot| {
            let bar = bars.add(ProgressBar::new(Step::ALL.len() as u64));
            bar.set_style(style("{prefix:>8} [{bar:18}] {msg}"));
            bar.set_prefix(format!("slot {slot}"));
            (*slot, bar)
        });
        let slots = slot_bars.collect();
        let (bar, template) = if let Some(units) = units {
            let template = "{prefix:>8} [{bar:18}] {pos} of {len}  {elapsed}";
            (ProgressBar::new(units), template)
        } else {
            (
                ProgressBar::no_length(),
                "{prefix:>8} {pos} done  {elapsed}",
            )
        };
        let all = bars.add(bar);
        all.set_style(style(template));
        all.set_prefix("units");
        Self { bars, all, slots }
    }

    /// A unit moved on.
    pub(super) fn unit(&mut self, unit: &UnitEvent) {
        // Beside a line its bars are for the units on the bench.
        if unit.late && !self.slots.is_empty() {
            return;
        }
        if unit.ended() {
            self.all.inc(1);
        }
        let Some(bar) = self.slots.get(&unit.slot) else {
            return;
        };
        let reached = unit
            .step
            .and_then(|step| Step::ALL.iter().position(|known| *known == step))
            .map_or(0, |index| index as u64 + 1);
        bar.set_position(reached);
        let name = unit
            .device_id
            .map_or_else(String::new, |id| id.0.to_string());
        let what = if unit.ended() {
            unit.state.name().to_uppercase()
        } else {
            unit.step.map_or("", |step| step.name()).to_owned()
        };
        bar.set_message(printable(&format!("{name} {what}")));
    }

    /// Writes above the bars.
    pub(super) fn suspend(&self, write: impl FnMut()) {
        self.bars.suspend(write);
    }
}

/// The templates are constants of this file; one that indicatif refuses falls back to its own bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

impl Drop for Progress {
    fn drop(&mut self) {
        for bar in self.slots.values() {
            bar.finish_and_clear();
        }
        self.all.finish_and_clear();
    }
}
