//! Root policies: one way to write each, and no way around the old keys to a new one.

use keyline_station::authority::{AuthorityError, RootPolicy};

use crate::fixture::{Person, Root, signed, with_one_bit_changed};

#[test]
fn a_policy_is_read_as_it_is_written_and_in_no_other_way() {
    let root = Root::new();
    let text = root.policy.to_text();
    assert_eq!(RootPolicy::parse(&text).unwrap(), root.policy);
    for other in with_one_bit_changed(&text) {
        if let Ok(read) = RootPolicy::parse(&other) {
            assert_eq!(read.to_text(), other, "read as it stands");
            assert_ne!(read.digest(), root.policy.digest());
        }
    }
    for (from, to, words) in [
        (
            "demo false",
            "demo no",
            "expected demo to be true or false in line 3",
        ),
        (
            "threshold 2",
            "threshold 02",
            "expected threshold to be a number in line 4",
        ),
        (
            "threshold 2",
            "threshold 4",
            "a threshold of 1 to the number of keys",
        ),
        (
            "threshold 2",
            "threshold 0",
            "a threshold of 1 to the number of keys",
        ),
        ("name acme", "name ac me", "in line 2 of the root policy"),
        (
            "v1\n",
            "v2\n",
            "\"keyline root policy v1\" and complete lines in line 1",
        ),
        ("threshold 2\n", "", "\"threshold …\" in line 4"),
    ] {
        let changed = text.replacen(from, to, 1);
        assert_ne!(changed, text);
        let refusal = RootPolicy::parse(&changed).unwrap_err().to_string();
        assert!(refusal.contains(words), "{refusal}");
    }
    for changed in [
        text.trim_end().to_owned(),
        format!("{text}\n"),
        format!("{text}more\n"),
        text.replace('\n', "\r\n"),
        String::new(),
    ] {
        assert!(RootPolicy::parse(&changed).is_err(), "{changed:?}");
    }
}

#[test]
fn a_person_counts_once_in_a_root() {
    let (one, two) = (Person::named("one"), Person::named("two"));
    let policy = |threshold, keys| RootPolicy::new("acme".parse().unwrap(), false, threshold, keys);
    let refused = |keys, words: &str| {
        let refusal = policy(1, keys).unwrap_err().to_string();
        assert!(refusal.contains(words), "{refusal}");
    };
    refused(vec![one.key.clone(), one.renamed("other")], "distinct keys");
    refused(vec![one.key.clone(), two.renamed("one")], "distinct names");
    refused(vec![], "1 to 16 keys");
    let many = (0..17).map(|n| Person::named(&format!("k{n}")).key);
    refused(many.collect(), "1 to 16 keys");
    policy(2, vec![one.key, two.key]).unwrap();
}

#[test]
fn a_new_root_needs_enough_keys_of_the_old_one_and_of_its_own() {
    let old = Root::new();
    let [first, second, third] = &old.people;
    let (fourth, fifth) = (Person::named("root-4"), Person::named("root-5"));
    let keys = vec![first.key.clone(), fourth.key.clone(), fifth.key.clone()];
    let name = || "acme".parse().unwrap();
    let new = RootPolicy::replacing(&old.policy, name(), false, 2, keys.clone()).unwrap();
    let text = new.to_text();
    assert_eq!(RootPolicy::parse(&text).unwrap(), new);

    let verify = |people: &[&Person]| old.policy.verify_successor(&signed(&text, people));
    assert_eq!(verify(&[first, second, &fourth]).unwrap(), new);
    assert_eq!(verify(&[second, third, &fourth, &fifth]).unwrap(), new);
    // One of the old ones; two of the old ones, but one of the new ones.
    for people in [&[first, &fourth, &fifth][..], &[second, third, &fourth]] {
        let refusal = verify(people).unwrap_err();
        assert!(
            matches!(
                refusal,
                AuthorityError::TooFewSignatures {
                    expected: 2,
                    got: 1,
                    ..
                }
            ),
            "{refusal}"
        );
    }
    assert!(matches!(
        old.policy.verify_successor(&text),
        Err(AuthorityError::Note(_))
    ));

    // One that replaces another root, or none, is no successor of this one.
    let other = Root::new();
    for stranger in [
        RootPolicy::new(name(), false, 1, vec![first.key.clone()]).unwrap(),
        RootPolicy::replacing(&other.policy, name(), false, 1, vec![first.key.clone()]).unwrap(),
    ] {
        let note = signed(&stranger.to_text(), &[first, second]);
        let refusal = old.policy.verify_successor(&note).unwrap_err();
        assert!(
            matches!(refusal, AuthorityError::OtherRoot { .. }),
            "{refusal}"
        );
    }
    // A factory's root does not become a demonstration's.
    let refusal = RootPolicy::replacing(&old.policy, name(), true, 2, keys).unwrap_err();
    assert!(matches!(
        refusal,
        AuthorityError::DemoChanged {
            expected: false,
            got: true
        }
    ));
    let note = signed(
        &text.replace("demo false", "demo true"),
        &[first, second, &fourth],
    );
    let refusal = old.policy.verify_successor(&note).unwrap_err();
    assert!(
        matches!(refusal, AuthorityError::DemoChanged { .. }),
        "{refusal}"
    );
}
