//! The agent images that this station brings along.

use keyline_protocol::identity::{Digest, Platform};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{AgentImage, Residence};

/// What `make firmware` wrote about the images: one entry a chip.
const MANIFEST: &str = "{\"images\": []}";

/// The images, by the platform's name.
const IMAGES: &[(&str, &[u8])] = &[];

/// Why there is no agent image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// This station was built without an image for the chip.
    #[error("expected an agent image for {platform} in this station, it has none: build it with `make firmware`", platform = .platform.name())]
    Missing {
        /// The chip.
        platform: Platform,
    },
    /// The manifest can't be read.
    #[error("the manifest of the agent images can't be read")]
    Manifest {
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The image is not the one that the manifest describes.
    #[error("expected an agent image with the digest {expected} for {platform}, got {got}", expected = hex::encode(.expected), platform = .platform.name(), got = hex::encode(.got))]
    Digest {
        /// The chip.
        platform: Platform,
        /// The manifest's.
        expected: Digest,
        /// The image's own.
        got: Digest,
    },
}

#[derive(Deserialize)]
struct Manifest {
    images: Vec<Entry>,
}

/// What the manifest says of one image.
#[derive(Deserialize)]
struct Entry {
    platform: String,
    load_address: u32,
    #[serde(with = "hex::serde")]
    sha256: Digest,
    rtt_address: u32,
    resident: Resident,
    agent_version: u32,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Resident {
    Flash,
    Ram,
}

impl AgentImage {
    /// The image for a chip, its digest checked.
    ///
    /// # Errors
    /// [`ImageError`] where there is none, or it is not the one that was built.
    pub fn for_platform(platform: Platform) -> Result<Self, ImageError> {
        find(platform, MANIFEST, IMAGES)
    }

    /// What stands for the agent's image in a simulated unit of this chip.
    #[must_use]
    pub fn simulated(platform: Platform) -> Self {
        let bytes = keyline_virtual_unit::sim::AGENT_IMAGE;
        Self {
            platform,
            version: keyline_agent::AGENT_VERSION,
            load_address: 0,
            bytes: bytes.to_vec(),
            digest: keyline_virtual_unit::sim::image_digest(bytes),
            rtt_address: 0,
            residence: Residence::Flash,
        }
    }
}

fn find(
    platform: Platform,
    manifest: &str,
    images: &[(&str, &[u8])],
) -> Result<AgentImage, ImageError> {
    let missing = ImageError::Missing { platform };
    let manifest: Manifest =
        serde_json::from_str(manifest).map_err(|source| ImageError::Manifest { source })?;
    let entry = manifest
        .images
        .into_iter()
        .find(|entry| entry.platform == platform.name());
    let bytes = images.iter().find(|(name, _)| *name == platform.name());
    let (Some(entry), Some((_, bytes))) = (entry, bytes) else {
        return Err(missing);
    };
    let got: Digest = Sha256::digest(bytes).into();
    if got != entry.sha256 {
        return Err(ImageError::Digest {
            platform,
            expected: entry.sha256,
            got,
        });
    }
    Ok(AgentImage {
        platform,
        version: entry.agent_version,
        load_address: entry.load_address,
        bytes: bytes.to_vec(),
        digest: got,
        rtt_address: entry.rtt_address,
        residence: match entry.resident {
            Resident::Flash => Residence::Flash,
            Resident::Ram => Residence::Ram,
        },
    })
}
