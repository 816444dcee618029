//! What publishing and proving take does not grow with the log. Each test is a process of its own, so that the peak is this test's.

use std::fs;

use crate::fixture::Log;

/// The most memory since it was last reset, in KiB (proc(5): `status`, `clear_refs`).
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn reset_peak() -> u64 {
    fs::write("/proc/self/clear_refs", "5").unwrap();
    peak_kib()
}

#[tokio::test]
async fn memory_stays_flat() {
    let log = Log::new().await;
    log.grow(200_000).await;
    let before = reset_peak();
    log.publish().await;
    let published = peak_kib() - before;
    // The leaves alone are some 20 MiB, their hashes 6 MiB.
    assert!(published < 20 * 1024, "publishing took {published} KiB");
    let before = reset_peak();
    log.publish_and_check().await;
    let reader = log.reader();
    for index in (0..200_000).step_by(211) {
        reader.inclusion(index, 200_000).await.unwrap();
    }
    let proved = peak_kib() - before;
    assert!(proved < 20 * 1024, "proving took {proved} KiB");
    log.assert_published();
}
