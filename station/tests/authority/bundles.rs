//! Bundles: whose signatures count, for how long, and that none goes back.

use keyline_station::audit::SignedNote;
use keyline_station::authority::{
    AuthorityError, Bundle, BundleBody, BundleTerms, EnrolmentState, KnownVersion, Roster,
    StationEnrolment,
};
use keyline_station::operator::Role;
use keyline_station::record::StationId;

use crate::fixture::{NOW_MS, Person, Root, signed, with_one_bit_changed};

/// A roster of one, of this version.
fn roster(root: &Root, version: u64) -> Bundle {
    roster_under(root.terms(version))
}

fn roster_under(terms: BundleTerms) -> Bundle {
    let members = vec![Person::operator().as_member(Role::Supervisor)];
    let body = BundleBody::Roster(Roster { members });
    Bundle::new("acme".parse().unwrap(), terms, body).unwrap()
}

fn refused(root: &Root, note: &str, known: Option<&KnownVersion>) -> AuthorityError {
    Bundle::verify(note, &root.policy, NOW_MS, known).unwrap_err()
}

#[test]
fn a_changed_bit_is_refused_wherever_it_is() {
    let root = Root::new();
    let note = root.sign(&roster(&root, 1));
    let accepted = Bundle::verify(&note, &root.policy, NOW_MS, None).unwrap();
    assert_eq!(accepted.signed_by(), ["root-1", "root-2"]);
    assert_eq!(accepted.note(), note);
    for changed in with_one_bit_changed(&note) {
        let verdict = Bundle::verify(&changed, &root.policy, NOW_MS, None);
        assert!(verdict.is_err(), "{changed}");
    }
}

#[test]
fn enough_different_keys_have_to_sign() {
    let root = Root::new();
    let text = roster(&root, 1).to_text();
    let [first, second, third] = &root.people;
    let stranger = Person::named("root-3");

    for people in [&[first][..], &[first, &stranger]] {
        let refusal = refused(&root, &signed(&text, people), None);
        assert_eq!(
            refusal.to_string(),
            "expected the signatures of 2 of the keys of acme, got 1: root-1"
        );
    }
    // A line more by a key that signed already is no second person.
    let once = SignedNote::parse(&signed(&text, &[first])).unwrap();
    let mut twice = once.clone();
    twice.signatures.extend(once.signatures);
    let refusal = refused(&root, &twice.to_string(), None);
    assert!(
        matches!(refusal, AuthorityError::TooFewSignatures { got: 1, .. }),
        "{refusal}"
    );
    // Lines by keys that nobody knows change nothing; a wrong one by a known key refuses all.
    let note = signed(&text, &[&stranger, second, third]);
    Bundle::verify(&note, &root.policy, NOW_MS, None).unwrap();
    let mut wrong = SignedNote::parse(&signed(&text, &[first, second, third])).unwrap();
    wrong.signatures[2].signature[0] ^= 1;
    let refusal = refused(&root, &wrong.to_string(), None);
    assert!(
        matches!(refusal, AuthorityError::BadSignature(_)),
        "{refusal}"
    );
    assert!(matches!(
        refused(&root, &text, None),
        AuthorityError::Note(_)
    ));
}

#[test]
fn a_bundle_counts_in_its_time_and_under_its_root_only() {
    let root = Root::new();
    let terms = root.terms(1);
    let verify = |terms: BundleTerms, now_ms| {
        Bundle::verify(&root.sign(&roster_under(terms)), &root.policy, now_ms, None)
    };
    verify(terms, NOW_MS).unwrap();
    verify(terms, terms.issued_ms - 300_000).unwrap();
    verify(terms, terms.expires_ms - 1).unwrap();
    let early = verify(terms, terms.issued_ms - 300_001).unwrap_err();
    assert!(
        matches!(early, AuthorityError::FromTheFuture { .. }),
        "{early}"
    );
    let late = verify(terms, terms.expires_ms).unwrap_err();
    assert_eq!(
        late.to_string(),
        "the roster bundle of acme, version 1 expired at 2027-04-25T08:00:00Z, it is 2027-04-25T08:00:00Z"
    );
    let other = Root::new();
    let foreign = verify(other.terms(1), NOW_MS).unwrap_err();
    assert!(
        matches!(foreign, AuthorityError::OtherRoot { .. }),
        "{foreign}"
    );
}

#[test]
fn no_version_goes_back_and_none_is_signed_twice() {
    let root = Root::new();
    let (third, fourth) = (roster(&root, 3), roster(&root, 4));
    let verify =
        |bundle: &Bundle, known| Bundle::verify(&root.sign(bundle), &root.policy, NOW_MS, known);
    let known = verify(&third, None).unwrap().known_version();
    assert!(!verify(&fourth, Some(&known)).unwrap().already());
    assert!(verify(&third, Some(&known)).unwrap().already());
    // A signature more is the same bundle.
    let all: Vec<_> = root.people.iter().collect();
    let again = Bundle::verify(
        &signed(&third.to_text(), &all),
        &root.policy,
        NOW_MS,
        Some(&known),
    );
    assert!(again.unwrap().already());

    let back = verify(&roster(&root, 2), Some(&known)).unwrap_err();
    assert_eq!(
        back.to_string(),
        "expected a version of the roster acme later than 3, got 2: an old bundle does not come back"
    );
    let second = verify(&roster(&root, 3), Some(&known)).unwrap_err();
    assert!(
        second
            .to_string()
            .starts_with("two bundles of one version: version 3 of the roster acme")
    );
}

#[test]
fn a_roster_names_no_person_and_nobody_twice() {
    let root = Root::new();
    let (one, two) = (Person::operator(), Person::operator());
    let member = |person: &Person| person.as_member(Role::KeyAdministrator);
    let refused = |members, words: &str| {
        let body = BundleBody::Roster(Roster { members });
        let refusal = Bundle::new("acme".parse().unwrap(), root.terms(1), body).unwrap_err();
        assert!(refusal.to_string().contains(words), "{refusal}");
    };
    refused(vec![], "a roster of 1 to 128 members");
    refused(vec![member(&one), member(&one)], "each operator once");
    let mut borrowed = member(&two);
    borrowed.key = one.renamed(&borrowed.operator);
    refused(vec![member(&one), borrowed], "a key of his own");
    let mut personal = member(&two);
    personal.key = two.renamed("ben");
    refused(vec![personal], "a key under its operator's id");
    let mut named = member(&two);
    named.operator = "ben".to_owned();
    refused(
        vec![named],
        "an operator's id of 32 lower-case hexadecimal digits",
    );
}

#[test]
fn an_enrolment_names_its_own_station_and_log() {
    let root = Root::new();
    let log = Person::named("line-7");
    let station = StationId::generate();
    let enrolment = StationEnrolment {
        station,
        name: "line-7".to_owned(),
        log_keys: vec![log.key.clone()],
        certificate_sha256: None,
        state: EnrolmentState::Enrolled,
        replaces: None,
    };
    let bundle = |subject: &str, enrolment: StationEnrolment| {
        let body = BundleBody::Station(enrolment);
        Bundle::new(subject.parse().unwrap(), root.terms(1), body)
    };
    let id = station.to_string();
    let good = bundle(&id, enrolment.clone()).unwrap();
    assert_eq!(Bundle::parse(&good.to_text()).unwrap(), good);
    let other = StationId::generate().to_string();
    assert!(
        bundle(&other, enrolment.clone()).is_err(),
        "another subject"
    );
    for change in [
        |it: &mut StationEnrolment| it.name = "line-8".to_owned(),
        |it: &mut StationEnrolment| it.log_keys.clear(),
        |it: &mut StationEnrolment| it.log_keys.push(it.log_keys[0].clone()),
        |it: &mut StationEnrolment| it.replaces = Some(it.station),
    ] {
        let mut changed = enrolment.clone();
        change(&mut changed);
        assert!(bundle(&id, changed.clone()).is_err(), "{changed:?}");
    }
}

#[test]
fn a_body_has_one_form() {
    let root = Root::new();
    let text = roster(&root, 1).to_text();
    for (from, to, words) in [
        ("{\"members\":", "{ \"members\":", "without white space"),
        ("{\"members\":", "{\"more\":1,\"members\":", "unknown field"),
        (
            "kind roster",
            "kind product",
            "the body of a product bundle",
        ),
        ("kind roster", "kind other", "roster, product or station"),
        ("version 1", "version 0", "a version from 1 on"),
        (
            "version 1",
            "version +1",
            "expected version to be a number in line 4",
        ),
        ("Z\nexpires", ".5Z\nexpires", "expected issued to be a time"),
        (
            "\"role\":\"supervisor\"",
            "\"role\":\"king\"",
            "unknown variant",
        ),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text, "{from}");
        let refusal = Bundle::parse(&changed).unwrap_err().to_string();
        assert!(refusal.contains(words), "{refusal}");
    }
}
