//! Where the registry is, and how one shows who one is there.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use sqlx::ConnectOptions as _;
use sqlx::any::AnyConnectOptions;

use super::RegistryError;

/// The most servers that an address names.
const SERVERS_MAX: usize = 8;

/// The longest password that is read, in bytes.
const PASSWORD_LENGTH_MAX: u64 = 1_024;

/// Which database carries out the statements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Sqlite,
    Postgres,
}

/// The files with which a client of PostgreSQL shows who it is, and knows whom it talks to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryFiles {
    /// Certificates of the authorities that may have signed the server's, PEM.
    pub ca: Option<PathBuf>,
    /// The client's own certificate, PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key, PEM (PKCS #8).
    pub key: Option<PathBuf>,
    /// The password, the first line of the file.
    pub password: Option<PathBuf>,
}

/// A checked address of a registry. Holding one says nothing about whether it can be reached.
///
/// What it prints is the database and its servers, never a password.
#[derive(Clone)]
pub struct RegistryAddress {
    pub(super) engine: Engine,
    /// One for each server that is named; the one that takes writes is used.
    pub(super) servers: Vec<AnyConnectOptions>,
    shown: String,
}

impl RegistryAddress {
    /// Reads `sqlite:PATH` or `postgres://ROLE@HOST[:PORT][,HOST[:PORT]…]/DATABASE`.
    ///
    /// Over a network the server's certificate is verified, name and all: without `files.ca` only servers on this machine (loopback) are
    /// taken, and reached without TLS.
    ///
    /// # Errors
    /// [`RegistryError::BadAddress`], [`RegistryError::PasswordInAddress`], [`RegistryError::TlsNeeded`], or
    /// [`RegistryError::FileUnreadable`] for one of the files.
    pub fn new(url: &str, files: &RegistryFiles) -> Result<Self, RegistryError> {
        sqlx::any::install_default_drivers();
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        match scheme {
            "sqlite" => Self::sqlite(url),
            "postgres" | "postgresql" => Self::postgres(rest, files),
            _ => Err(bad(scheme, "another kind of address")),
        }
    }

    fn sqlite(url: &str) -> Result<Self, RegistryError> {
        let with_mode = if url.contains('?') {
            url.to_owned()
        } else {
            format!("{url}?mode=rwc")
        };
        let options = AnyConnectOptions::from_str(&with_mode)
            .map_err(|_| bad("sqlite", "no path of a file"))?;
        Ok(Self {
            engine: Engine::Sqlite,
            servers: vec![options.disable_statement_logging()],
            shown: url.to_owned(),
        })
    }

    fn postgres(rest: &str, files: &RegistryFiles) -> Result<Self, RegistryError> {
        let parts = PostgresParts::parse(rest)?;
        let tls = match &files.ca {
            Some(_) => TlsParts::read(files)?,
            None if parts.servers.iter().all(|server| is_this_machine(server)) => {
                "sslmode=disable".to_owned()
            }
            None => {
                return Err(RegistryError::TlsNeeded {
                    servers: parts.servers.join(","),
                });
            }
        };
        let password = match &files.password {
            Some(path) => format!(":{}", encoded(&read_password(path)?)),
            None => String::new(),
        };
        let mut servers = Vec::with_capacity(parts.servers.len());
        for server in &parts.servers {
            let url = format!(
                "postgres://{}{password}@{server}/{}?application_name=keyline&{tls}",
                encoded(parts.role),
                encoded(parts.database)
            );
            let options = AnyConnectOptions::from_str(&url)
                .map_err(|_| bad("postgres", "a server that is none"))?;
            servers.push(options.disable_statement_logging());
        }
        Ok(Self {
            engine: Engine::Postgres,
            servers,
            shown: format!(
                "postgres://{}@{}/{}",
                parts.role,
                parts.servers.join(","),
                parts.database
            ),
        })
    }

    /// The same, but a file that is not there is not made.
    pub(super) fn existing(mut self) -> Result<Self, RegistryError> {
        if self.engine == Engine::Sqlite && !self.shown.contains('?') {
            self.servers = Self::sqlite(&format!("{}?mode=rw", self.shown))?.servers;
        }
        Ok(self)
    }

    /// Whether it is a file of this machine, and not a server.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.engine == Engine::Sqlite
    }
}

impl fmt::Display for RegistryAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.shown)
    }
}

/// The options hold a password.
impl fmt::Debug for RegistryAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RegistryAddress({})", self.shown)
    }
}

/// What stands in a `postgres:` address.
struct PostgresParts<'u> {
    role: &'u str,
    servers: Vec<String>,
    database: &'u str,
}

impl<'u> PostgresParts<'u> {
    fn parse(rest: &'u str) -> Result<Self, RegistryError> {
        let bad = |problem| bad("postgres", problem);
        let rest = rest
            .strip_prefix("//")
            .ok_or_else(|| bad("no // after the colon"))?;
        // The last @, for a password may have one.
        let (role, place) = rest
            .rsplit_once('@')
            .ok_or_else(|| bad("no role before the servers"))?;
        if role.contains(':') {
            return Err(RegistryError::PasswordInAddress);
        }
        let (servers, database) = place
            .split_once('/')
            .ok_or_else(|| bad("no database after the servers"))?;
        if database.contains("password=") {
            return Err(RegistryError::PasswordInAddress);
        }
        if role.is_empty() || database.is_empty() || database.contains(['?', '/', '#']) {
            return Err(bad(
                "a role, a database, or settings after it that are none: TLS and passwords are files, named beside the address",
            ));
        }
        let servers: Vec<_> = servers.split(',').map(str::to_owned).collect();
        if servers.len() > SERVERS_MAX || servers.iter().any(|server| host(server).is_empty()) {
            return Err(bad("servers that are not 1 to 8 names or addresses"));
        }
        Ok(Self {
            role,
            servers,
            database,
        })
    }
}

/// The host of `HOST[:PORT]`; brackets around an IPv6 address are taken off.
fn host(server: &str) -> &str {
    if let Some((address, _)) = server
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        return address;
    }
    server.split(':').next().unwrap_or_default()
}

fn is_this_machine(server: &str) -> bool {
    let host = host(server);
    host == "localhost" || IpAddr::from_str(host).is_ok_and(|address| address.is_loopback())
}

/// The TLS part of an address. Always `verify-full`: a certificate by the right authority for another name is a man in the middle.
struct TlsParts;

impl TlsParts {
    fn read(files: &RegistryFiles) -> Result<String, RegistryError> {
        let mut text = "sslmode=verify-full".to_owned();
        let named = [
            ("sslrootcert", &files.ca),
            ("sslcert", &files.certificate),
            ("sslkey", &files.key),
        ];
        for (setting, path) in named {
            if let Some(path) = path {
                // Read here, so that the error names the file.
                std::fs::metadata(path)
                    .and_then(|_| std::fs::File::open(path))
                    .map_err(|source| unreadable(path, source))?;
                text = format!("{text}&{setting}={}", encoded(&path.to_string_lossy()));
            }
        }
        Ok(text)
    }
}

fn read_password(path: &Path) -> Result<String, RegistryError> {
    use std::io::Read as _;
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|source| unreadable(path, source))?;
    file.take(PASSWORD_LENGTH_MAX)
        .read_to_string(&mut text)
        .map_err(|source| unreadable(path, source))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

fn unreadable(path: &Path, source: std::io::Error) -> RegistryError {
    RegistryError::FileUnreadable {
        path: path.to_owned(),
        source,
    }
}

/// Percent-encodes everything that is not a letter or a digit.
fn encoded(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric();
    text.bytes()
        .map(|byte| {
            if keep(byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}

fn bad(scheme: &str, problem: &'static str) -> RegistryError {
    RegistryError::BadAddress {
        scheme: scheme.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<RegistryAddress, RegistryError> {
        RegistryAddress::new(url, &RegistryFiles::default())
    }

    #[test]
    fn several_servers_are_several_connections() {
        let address = parsed("postgres://line-1@127.0.0.1:5001,[::1]:5002,localhost/keyline");
        let address = address.unwrap();
        assert_eq!(address.servers.len(), 3);
        assert_eq!(address.servers[1].database_url.port(), Some(5002));
        assert_eq!(
            address.to_string(),
            "postgres://line-1@127.0.0.1:5001,[::1]:5002,localhost/keyline"
        );
    }

    #[test]
    fn a_password_is_refused_and_never_shown() {
        for url in [
            "postgres://ann:secret@localhost/keyline",
            "postgres://ann:sec@ret@localhost/keyline",
            "postgres://ann@localhost/keyline?password=secret",
        ] {
            let error = parsed(url).unwrap_err();
            assert!(matches!(error, RegistryError::PasswordInAddress), "{error}");
            assert!(!error.to_string().contains("sec"));
        }
        let directory = tempfile::tempdir().unwrap();
        let password = directory.path().join("password");
        std::fs::write(&password, "p@ss/w:rd\nrest\n").unwrap();
        let files = RegistryFiles {
            password: Some(password),
            ..RegistryFiles::default()
        };
        let address = RegistryAddress::new("postgres://ann@localhost/keyline", &files).unwrap();
        let url = &address.servers[0].database_url;
        assert_eq!(url.password(), Some("p%40ss%2Fw%3Ard"));
        for shown in [address.to_string(), format!("{address:?}")] {
            assert!(
                !shown.contains("w:rd") && !shown.contains("w%3Ard"),
                "{shown}"
            );
        }
    }

    #[test]
    fn a_server_elsewhere_needs_a_certificate() {
        let error = parsed("postgres://line-1@localhost,db.example/keyline").unwrap_err();
        assert!(matches!(error, RegistryError::TlsNeeded { .. }), "{error}");
        let files = RegistryFiles {
            ca: Some("/nowhere/ca.pem".into()),
            ..RegistryFiles::default()
        };
        let error = RegistryAddress::new("postgres://line-1@db.example/keyline", &files);
        assert!(matches!(
            error,
            Err(RegistryError::FileUnreadable { path, .. }) if path == Path::new("/nowhere/ca.pem")
        ));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for url in [
            "mysql://a@localhost/b",
            "postgres:a@localhost/b",
            "postgres://localhost/b",
            "postgres://a@localhost",
            "postgres://a@localhost/",
            "postgres://@localhost/b",
            "postgres://a@,localhost/b",
            "postgres://a@localhost/b?sslmode=disable",
            "nothing",
        ] {
            let error = parsed(url).unwrap_err();
            assert!(
                matches!(error, RegistryError::BadAddress { .. }),
                "{url}: {error}"
            );
        }
    }
}
