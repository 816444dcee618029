//! Lets the steps take station-made keys out of the pool without knowing it.

use std::error::Error;

use keyline_protocol::identity::Algorithm;

use crate::key_pool::{self, KeyPool};
use crate::steps::{StationKey, StationKeySource};

impl StationKey for key_pool::StationKey {
    fn algorithm(&self) -> Algorithm {
        Self::algorithm(self)
    }

    fn private(&self) -> &[u8] {
        Self::private(self)
    }

    fn spki(&self) -> &[u8] {
        Self::spki(self)
    }
}

impl StationKeySource for KeyPool {
    fn take(
        &self,
        algorithm: Algorithm,
    ) -> Result<Box<dyn StationKey>, Box<dyn Error + Send + Sync>> {
        Ok(Box::new(Self::take(self, algorithm)?))
    }
}
