//! Writing acts of two people: who asked, who agreed, and the note that both signed.

use sqlx::AnyConnection;

use super::acts::{NewKey, TwoPersonAct};
use super::address::Engine;
use super::known::{Known, Writes};
use super::rows::{Kind, Table, Value};
use super::store::StoreError;

static REQUESTS: Table = Table::new(
    "act_request",
    &[
        ("id", Kind::Blob),
        ("act", Kind::Text),
        ("device_id", Kind::Blob),
        ("old_fingerprint", Kind::Blob),
        ("new_fingerprint", Kind::Blob),
        ("requester", Kind::Text),
        ("note", Kind::Text),
        ("requested_at_ms", Kind::Integer),
    ],
);

static APPROVALS: Table = Table::new(
    "act_approval",
    &[
        ("request", Kind::Blob),
        ("requester", Kind::Text),
        ("approver", Kind::Text),
        ("note", Kind::Text),
        ("approved_at_ms", Kind::Integer),
    ],
);

/// Writes the acts of a batch.
pub(super) async fn write(
    engine: Engine,
    connection: &mut AnyConnection,
    known: &Known,
    writes: &Writes<'_>,
    now: i64,
) -> Result<(), StoreError> {
    let unknown = |act: &&&TwoPersonAct| !known.requests.contains(&act.id);
    let requests = writes.acts.iter().filter(unknown);
    let requests = requests.map(|act| request(act, now)).collect();
    REQUESTS.insert(engine, connection, requests).await?;
    let approvals = writes.acts.iter().map(|act| approval(act, now)).collect();
    APPROVALS.insert(engine, connection, approvals).await?;
    Ok(())
}

fn request(act: &TwoPersonAct, now: i64) -> Vec<Value> {
    let new = act.new.as_ref().map(NewKey::fingerprint);
    vec![
        act.id[..].into(),
        act.kind.name().into(),
        act.device_id.0.as_bytes()[..].into(),
        act.old[..].into(),
        new.as_ref().map(|new| &new[..]).into(),
        act.requester.as_str().into(),
        act.note.as_str().into(),
        now.into(),
    ]
}

fn approval(act: &TwoPersonAct, now: i64) -> Vec<Value> {
    vec![
        act.id[..].into(),
        act.requester.as_str().into(),
        act.approver.as_str().into(),
        act.note.as_str().into(),
        now.into(),
    ]
}
