//! The agent images that this station brings along.

use keyline_protocol::identity::{Digest, Platform};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::{AgentImage, Residence};

/// What `make firmware` wrote about the images: one entry a chip.
const MANIFEST: &str = include_str!("../../../device-agent/firmware/images/manifest.json");

/// The images, by the platform's name.
const IMAGES: &[(&str, &[u8])] = &[
    (
        "nrf51822",
        include_bytes!("../../../device-agent/firmware/images/nrf51822.bin"),
    ),
    (
        "nrf52832",
        include_bytes!("../../../device-agent/firmware/images/nrf52832.bin"),
    ),
    (
        "nrf52840",
        include_bytes!("../../../device-agent/firmware/images/nrf52840.bin"),
    ),
];

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
    agent_version: u32,
    images: Vec<Entry>,
}

/// What the manifest says of one image.
#[derive(Deserialize)]
struct Entry {
    platform: String,
    load_address: u32,
    #[serde(with = "hex::serde")]
    sha256: Digest,
    rtt_control_block: u32,
    resident: Resident,
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
        .iter()
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
        version: manifest.agent_version,
        load_address: entry.load_address,
        bytes: bytes.to_vec(),
        digest: got,
        rtt_address: entry.rtt_control_block,
        residence: match entry.resident {
            Resident::Flash => Residence::Flash,
            Resident::Ram => Residence::Ram,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_chip_has_the_image_that_the_manifest_describes() {
        for platform in Platform::ALL {
            let image = AgentImage::for_platform(platform).unwrap();
            assert_eq!(image.platform, platform);
            assert_eq!(image.version, keyline_agent::AGENT_VERSION);
        }
    }

    #[test]
    fn an_image_that_is_missing_or_altered_is_refused_with_words() {
        let platform = Platform::Nrf51822;
        let missing = find(platform, MANIFEST, &[]).unwrap_err();
        assert!(matches!(missing, ImageError::Missing { .. }), "{missing}");
        let altered = find(platform, MANIFEST, &[("nrf51822", b"altered")]).unwrap_err();
        assert!(matches!(altered, ImageError::Digest { .. }), "{altered}");
        let garbage = find(platform, "{", IMAGES).unwrap_err();
        assert!(matches!(garbage, ImageError::Manifest { .. }), "{garbage}");
    }
}
