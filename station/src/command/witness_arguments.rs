//! What can be typed after `keyline witness`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Subcommand;

/// `keyline witness …`
#[derive(Debug, Subcommand)]
pub(super) enum WitnessCommand {
    /// Make a witness: a directory with its key and name
    #[command(
        after_help = "EXAMPLE\n    keyline witness init --store /var/lib/keyline-witness --name security.example/witness-1"
    )]
    Init {
        /// The directory; private to this user, new or empty
        #[arg(long, value_name = "DIR")]
        store: PathBuf,
        /// The witness's name, for ever: a URL without https://, without spaces and +
        #[arg(long, value_name = "NAME")]
        name: String,
    },
    /// Trust a log's key, beside those that are trusted already
    #[command(
        long_about = "The log is the one of the key's name. Several keys of one log may be trusted, for a roll-over. The witness must not be \
running meanwhile.",
        after_help = "EXAMPLE\n    keyline witness trust --store /var/lib/keyline-witness station-1+0a1b2c3d+AX…"
    )]
    Trust {
        /// The witness's directory
        #[arg(long, value_name = "DIR")]
        store: PathBuf,
        /// The log's verifier key, NAME+KEYID+KEY, as the station prints it
        #[arg(value_name = "VKEY")]
        key: String,
    },
    /// Trust a log's key no more: it was retired, or somebody has stolen it
    #[command(
        long_about = "Part of every roll-over: a retired key still signs for whoever has it. What was cosigned under the key stays; another \
key of the log must be trusted. The witness must not be running meanwhile.",
        after_help = "EXAMPLE\n    keyline witness distrust --store /var/lib/keyline-witness station-1+0a1b2c3d+AX…"
    )]
    Distrust {
        /// The witness's directory
        #[arg(long, value_name = "DIR")]
        store: PathBuf,
        /// The log's verifier key, NAME+KEYID+KEY
        #[arg(value_name = "VKEY")]
        key: String,
    },
    /// Show a witness's key, its logs and how large it saw them; it may be running
    #[command(
        after_help = "EXAMPLE\n    keyline witness show --store /var/lib/keyline-witness --json"
    )]
    Show {
        /// The witness's directory
        #[arg(long, value_name = "DIR")]
        store: PathBuf,
    },
    /// Cosign checkpoints over HTTP until it is stopped
    #[command(
        long_about = "Answers POST /add-checkpoint and GET /<SHA-256 of the origin>/checkpoint (C2SP tlog-witness) until SIGTERM or SIGINT. A \
cosignature leaves only after its checkpoint is on disk. What a log signed and should not have is told on standard error and kept in \
DIR/evidence.",
        after_help = "EXAMPLES\n    keyline witness serve --store /var/lib/keyline-witness --listen 0.0.0.0:8090\n    keyline witness serve --store ~/witness --listen 127.0.0.1:0 --json"
    )]
    Serve {
        /// The witness's directory
        #[arg(long, value_name = "DIR")]
        store: PathBuf,
        /// Where it listens; port 0 takes a free one and tells it
        #[arg(long, value_name = "ADDR:PORT")]
        listen: SocketAddr,
    },
}
