//! Pools of connections have no task of their own: the one that sqlx would give them can take a wrapped count of idle connections for
//! true, and then holds a thread, and all that it has woken, for ever.

use std::time::Duration;

use keyline_station::journal::JournalReader;
use keyline_station::registry::Registry;

use crate::support::station_over;

#[test]
fn no_task_looks_after_idle_connections() {
    let station = station_over(&["sim"], 10);
    station.run(&["provision", "--order", "WO-1"]).good();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Giving a connection back is a task too; it ends by itself.
    let settle_at = |expected| {
        (0..1_000).any(|_| {
            std::thread::sleep(Duration::from_millis(1));
            runtime.metrics().num_alive_tasks() == expected
        })
    };
    let journal = station.home().join("journal.sqlite");
    let reader = runtime.block_on(JournalReader::open(&journal)).unwrap();
    runtime.block_on(reader.products()).unwrap();
    assert!(settle_at(0), "the journal's readers");
    let url = format!(
        "sqlite:{}",
        station.home().join("registry.sqlite").display()
    );
    let registry = runtime.block_on(Registry::connect(&url)).unwrap();
    runtime.block_on(registry.ping()).unwrap();
    assert!(settle_at(1), "the registry's writer, and nobody else");
    runtime.block_on(registry.close());
}
