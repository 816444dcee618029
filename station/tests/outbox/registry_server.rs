//! A registry on a server of its own, which its owner has brought up to date.

use std::net::SocketAddr;

use keyline_station::registry::{RegistryAddress, RegistryFiles, migrate};

use crate::postgres::Postgres;

pub(crate) fn registry_server() -> Postgres {
    let server = Postgres::start();
    let address = RegistryAddress::new(&url_at(server.address()), &RegistryFiles::default());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(migrate(address.unwrap())).unwrap();
    server
}

/// The address of the registry, or of something that forwards to it.
pub(crate) fn url_at(address: SocketAddr) -> String {
    format!("postgres://owner@{address}/postgres")
}
