//! Who has a say in a policy's quorum, and whose word is enough for it.

use super::{PolicyWitness, Quorum, SignatoryKind, TrustPolicy, count};
use crate::audit::WitnessKey;

impl TrustPolicy {
    /// The witnesses that the quorum can count, in the order of the lines; none where it asks for nobody.
    #[must_use]
    pub fn quorum_witnesses(&self) -> Vec<PolicyWitness<'_>> {
        let mut counts = vec![false; self.signatories.len()];
        if let Quorum::Of(place) = self.quorum {
            counts[place] = true;
        }
        // A group refers to earlier ones only, so that backwards each is reached before its members.
        for place in (0..self.signatories.len()).rev() {
            if let SignatoryKind::Group { members, .. } = &self.signatories[place].kind
                && counts[place]
            {
                for member in members {
                    counts[*member] = true;
                }
            }
        }
        let signatories = self.signatories.iter().zip(counts);
        signatories
            .filter_map(|(signatory, counts)| signatory.witness().filter(|_| counts))
            .collect()
    }

    /// Whether the word of the witnesses that `has` picks is enough for the quorum.
    #[must_use]
    pub fn is_quorum(&self, has: impl Fn(&WitnessKey) -> bool) -> bool {
        let mut witnessed = Vec::with_capacity(self.signatories.len());
        for signatory in &self.signatories {
            let word = match &signatory.kind {
                SignatoryKind::Witness { key, .. } => has(key),
                SignatoryKind::Group { threshold, members } => {
                    count(members, &witnessed) >= *threshold
                }
            };
            witnessed.push(word);
        }
        match self.quorum {
            Quorum::Nobody => true,
            Quorum::Of(place) => witnessed[place],
        }
    }
}
