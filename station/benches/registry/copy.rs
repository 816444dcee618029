//! Plain `COPY` of the rows that a registry holds, into another one: the same tables, indexes and foreign keys.

use std::time::Instant;

use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use crate::common::Outcome;
use crate::server::Server;

/// Copies whole tables of `from` into the empty registry `into`, in one transaction, and gives the seconds. Reading them is not timed.
pub(crate) async fn copy(server: &Server, from: &str, into: &str, tables: &[&str]) -> Outcome<f64> {
    let mut source = connect(server, from).await?;
    let mut rows = Vec::new();
    for table in tables {
        let out = source
            .copy_out_raw(&format!("COPY {table} TO STDOUT"))
            .await?;
        rows.push(out.try_collect::<Vec<_>>().await?.concat());
    }
    source.close().await?;
    server.registry(into).await?;
    let mut target = connect(server, into).await?;
    let begin = Instant::now();
    sqlx::query("BEGIN").execute(&mut target).await?;
    for (table, rows) in tables.iter().zip(rows) {
        let statement = format!("COPY {table} FROM STDIN");
        let mut taken = target.copy_in_raw(&statement).await?;
        for chunk in rows.chunks(1 << 16) {
            taken.send(chunk).await?;
        }
        taken.finish().await?;
    }
    sqlx::query("COMMIT").execute(&mut target).await?;
    let seconds = begin.elapsed().as_secs_f64();
    target.close().await?;
    Ok(seconds)
}

async fn connect(server: &Server, database: &str) -> Outcome<PgConnection> {
    let options: PgConnectOptions = server.url(database).parse()?;
    Ok(options.connect().await?)
}
