//! Acts of two people: nothing that one person has makes one.

use keyline_protocol::identity::{Algorithm, DeviceId, fingerprint};
use keyline_station::audit::SignedNote;
use keyline_station::authority::{
    ACT_LIFETIME_DEFAULT_MS, ACT_LIFETIME_MAX_MS, AcceptedBundle, Act, ActKind, ActRequest,
    ActTerms, ApprovedAct, AuthorityError, Possession,
};
use keyline_station::operator::Role;
use keyline_station::record::{AlgorithmName, DeviceIdText};
use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::elliptic_curve::Generate as _;
use p256::pkcs8::EncodePublicKey as _;

use crate::fixture::{DAY_MS, NOW_MS, Person, Root, signed, with_one_bit_changed};

/// A root and a roster under it: two key administrators, an administrator, a supervisor.
struct Site {
    root: Root,
    people: [Person; 4],
    roster: AcceptedBundle,
}

impl Site {
    fn new() -> Self {
        let root = Root::new();
        let people = [(); 4].map(|()| Person::operator());
        let roles = [
            Role::KeyAdministrator,
            Role::KeyAdministrator,
            Role::Administrator,
            Role::Supervisor,
        ];
        let members = people.iter().zip(roles);
        let members = members.map(|(person, role)| person.as_member(role));
        let roster = root.roster(members.collect());
        Self {
            root,
            people,
            roster,
        }
    }

    fn terms(&self) -> ActTerms {
        ActTerms {
            kind: ActKind::PinRevoke,
            device_id: DeviceIdText(DeviceId::from_bytes([7; 12])),
            old_fingerprint: [1; 32],
            new_fingerprint: None,
            root: self.root.policy.digest(),
            reason: "stolen from the van".to_owned(),
            issued_ms: NOW_MS,
            expires_ms: NOW_MS + ACT_LIFETIME_DEFAULT_MS,
        }
    }

    fn revocation(&self) -> String {
        Act::new(self.terms()).unwrap().to_text()
    }

    fn approve(&self, text: &str, people: &[usize]) -> Result<ApprovedAct, AuthorityError> {
        let people: Vec<_> = people.iter().map(|at| &self.people[*at]).collect();
        ApprovedAct::verify(&signed(text, &people), &self.roster, None, NOW_MS)
    }
}

#[test]
fn two_who_may_are_enough_and_their_order_says_who_asked() {
    let site = Site::new();
    let text = site.revocation();
    let id = |at: usize| site.people[at].key.name();
    let act = site.approve(&text, &[1, 0]).unwrap();
    assert_eq!((act.requester(), act.approver()), (id(1), id(0)));
    assert_eq!(act.act().to_text(), text);
    let act = site.approve(&text, &[2, 3, 0]).unwrap();
    assert_eq!((act.requester(), act.approver()), (id(2), id(0)));
    let request = ActRequest::verify(&signed(&text, &[&site.people[0]]), &site.roster, NOW_MS);
    let request = request.unwrap();
    assert_eq!((request.requester(), request.approver()), (id(0), None));
    let both = signed(&text, &[&site.people[0], &site.people[1]]);
    let request = ActRequest::verify(&both, &site.roster, NOW_MS).unwrap();
    assert_eq!(request.approver(), Some(id(1)));
    assert_ne!(site.revocation(), text, "each has a nonce of its own");
}

#[test]
fn one_person_is_never_two() {
    let site = Site::new();
    let text = site.revocation();
    let alone = site.approve(&text, &[0]).unwrap_err();
    assert!(
        matches!(alone, AuthorityError::NotTwo { got: 1, .. }),
        "{alone}"
    );
    // His line twice, or a second key that the roster does not know.
    let once = SignedNote::parse(&signed(&text, &[&site.people[0]])).unwrap();
    let mut twice = once.clone();
    twice.signatures.extend(once.signatures);
    let stranger = Person::operator();
    for note in [
        twice.to_string(),
        signed(&text, &[&site.people[0], &stranger]),
    ] {
        let refusal = ApprovedAct::verify(&note, &site.roster, None, NOW_MS).unwrap_err();
        assert!(
            matches!(refusal, AuthorityError::NotTwo { got: 1, .. }),
            "{refusal}"
        );
    }
    // Holders of the root's keys are no members.
    let roots = signed(&text, &[&site.root.people[0], &site.root.people[1]]);
    let refusal = ApprovedAct::verify(&roots, &site.roster, None, NOW_MS).unwrap_err();
    assert!(
        matches!(refusal, AuthorityError::NotTwo { got: 0, .. }),
        "{refusal}"
    );
    let refusal = site.approve(&text, &[0, 3]).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        format!(
            "expected two members of the roster who may do pin-revoke, operator {} has the role supervisor",
            site.people[3].key.name()
        )
    );
}

#[test]
fn a_changed_bit_is_refused_wherever_it_is() {
    let site = Site::new();
    let note = signed(&site.revocation(), &[&site.people[0], &site.people[1]]);
    ApprovedAct::verify(&note, &site.roster, None, NOW_MS).unwrap();
    for changed in with_one_bit_changed(&note) {
        let verdict = ApprovedAct::verify(&changed, &site.roster, None, NOW_MS);
        assert!(verdict.is_err(), "{changed}");
    }
}

#[test]
fn an_act_counts_in_its_time_under_its_root_and_with_a_roster_in_force() {
    let site = Site::new();
    let text = site.revocation();
    let note = signed(&text, &[&site.people[0], &site.people[1]]);
    let at = |now_ms| ApprovedAct::verify(&note, &site.roster, None, now_ms);
    at(NOW_MS + ACT_LIFETIME_DEFAULT_MS - 1).unwrap();
    let late = at(NOW_MS + ACT_LIFETIME_DEFAULT_MS).unwrap_err();
    assert!(matches!(late, AuthorityError::Expired { .. }), "{late}");
    let early = at(NOW_MS - DAY_MS).unwrap_err();
    assert!(
        matches!(early, AuthorityError::FromTheFuture { .. }),
        "{early}"
    );
    // The roster has ended by then.
    let mut terms = site.terms();
    terms.issued_ms = NOW_MS + 200 * DAY_MS;
    terms.expires_ms = NOW_MS + 201 * DAY_MS;
    let later = signed(
        &Act::new(terms).unwrap().to_text(),
        &[&site.people[0], &site.people[1]],
    );
    let ended = ApprovedAct::verify(&later, &site.roster, None, NOW_MS + 200 * DAY_MS);
    let ended = ended.unwrap_err().to_string();
    assert!(
        ended.starts_with("the roster bundle of acme, version 1 expired"),
        "{ended}"
    );

    let mut terms = site.terms();
    terms.root = Root::new().policy.digest();
    let foreign = Act::new(terms).unwrap().to_text();
    let refusal = site.approve(&foreign, &[0, 1]).unwrap_err();
    assert!(
        matches!(refusal, AuthorityError::OtherRoot { what: "act", .. }),
        "{refusal}"
    );
}

#[test]
fn what_an_act_can_not_say_is_refused_with_words() {
    let site = Site::new();
    let refused = |change: fn(&mut ActTerms), words: &str| {
        let mut terms = site.terms();
        change(&mut terms);
        let refusal = Act::new(terms).unwrap_err().to_string();
        assert!(refusal.contains(words), "{refusal}");
    };
    let words = "a reason of 3 to 200 characters in one line";
    refused(|terms| terms.reason = "no".to_owned(), words);
    refused(|terms| terms.reason = "two\nlines".to_owned(), words);
    refused(|terms| terms.reason = " padded ".to_owned(), words);
    refused(|terms| terms.reason = "x".repeat(201), words);
    refused(
        |terms| terms.expires_ms = terms.issued_ms,
        "expires within a week",
    );
    refused(
        |terms| terms.expires_ms = terms.issued_ms + ACT_LIFETIME_MAX_MS + 1_000,
        "expires within a week",
    );
    refused(
        |terms| terms.new_fingerprint = Some([2; 32]),
        "with pin-rotate only",
    );
    refused(
        |terms| terms.kind = ActKind::PinRotate,
        "a new key with pin-rotate",
    );
    refused(
        |terms| {
            terms.kind = ActKind::PinRotate;
            terms.new_fingerprint = Some(terms.old_fingerprint);
        },
        "a new key that is not the old one",
    );
}

/// A key of a unit, and its signature over an act.
struct NewKey(p256::ecdsa::SigningKey);

impl NewKey {
    fn new() -> Self {
        Self(p256::SecretKey::generate().into())
    }

    fn spki(&self) -> Vec<u8> {
        let der = self.0.verifying_key().to_public_key_der();
        der.unwrap().into_vec()
    }

    fn possession(&self, act: &Act) -> Possession {
        let signature: p256::ecdsa::Signature = self.0.sign_prehash(&act.digest()).unwrap();
        Possession {
            algorithm: AlgorithmName(Algorithm::P256),
            public_key: self.spki(),
            signature: signature.to_bytes().to_vec(),
        }
    }
}

#[test]
fn a_rotation_needs_the_new_key_s_holder_as_well() {
    let site = Site::new();
    let new = NewKey::new();
    let rotation = || {
        let mut terms = site.terms();
        terms.kind = ActKind::PinRotate;
        terms.new_fingerprint = Some(fingerprint(&new.spki()));
        Act::new(terms).unwrap()
    };
    let act = rotation();
    let note = signed(&act.to_text(), &[&site.people[0], &site.people[1]]);
    let verify = |possession: Option<&Possession>| {
        ApprovedAct::verify(&note, &site.roster, possession, NOW_MS)
    };
    let good = new.possession(&act);
    verify(Some(&good)).unwrap();
    assert!(matches!(
        verify(None),
        Err(AuthorityError::PossessionMissing)
    ));
    let other = NewKey::new().possession(&act);
    let refusal = verify(Some(&other)).unwrap_err();
    assert!(
        matches!(refusal, AuthorityError::PossessionOfOther { .. }),
        "{refusal}"
    );
    // Its signature over another act, also one that differs in its nonce only; a changed bit; another algorithm.
    let mut wrong = vec![new.possession(&rotation())];
    wrong.extend((0..good.signature.len() * 8).map(|bit| {
        let mut changed = good.clone();
        changed.signature[bit / 8] ^= 1 << (bit % 8);
        changed
    }));
    wrong.push(Possession {
        algorithm: AlgorithmName(Algorithm::Rsa2048),
        ..good.clone()
    });
    for possession in wrong {
        let refusal = verify(Some(&possession)).unwrap_err();
        assert!(
            matches!(refusal, AuthorityError::PossessionInvalid(_)),
            "{refusal}"
        );
    }
    // A revocation gives no key.
    let note = signed(&site.revocation(), &[&site.people[0], &site.people[1]]);
    let refusal = ApprovedAct::verify(&note, &site.roster, Some(&good), NOW_MS).unwrap_err();
    assert!(
        matches!(refusal, AuthorityError::PossessionUnwanted { .. }),
        "{refusal}"
    );
}
