//! Trust policies as C2SP `tlog-policy` says it, and the one that a station's configuration means.

use std::fmt::Write as _;

use keyline_station::audit::{
    AuditError, CosignatureSigner, SignedNote, TrustPolicy, Trusted, WitnessKey,
};
use keyline_station::home::Config;
use keyline_station::record::StationId;
use proptest::prelude::*;

use crate::log::{Log, LogKey, witness, witness_key};

/// A log and some witnesses, and a note with the cosignatures of those that are named.
struct World {
    log: Log,
    witnesses: Vec<CosignatureSigner>,
}

impl World {
    fn new(names: &[&str]) -> Self {
        Self {
            log: Log::new("log.example/1", 5),
            witnesses: names.iter().map(|name| witness(name)).collect(),
        }
    }

    fn vkey(&self, name: &str) -> String {
        let mut all = self.witnesses.iter().map(CosignatureSigner::key);
        all.find(|key| key.name() == name).unwrap().to_string()
    }

    /// `log` and `witness` lines for everybody, then these lines.
    fn policy(&self, lines: &str) -> String {
        let mut text = format!("log {}\n", self.log.key.key);
        for witness in &self.witnesses {
            let key = witness.key();
            writeln!(text, "witness {} {key}", key.name()).unwrap();
        }
        text + lines
    }

    fn note(&self, cosigned_by: impl Fn(&str) -> bool) -> SignedNote {
        let mut note = SignedNote::parse(&self.log.note(5)).unwrap();
        let cosigners = self.witnesses.iter();
        for signer in cosigners.filter(|signer| cosigned_by(signer.key().name())) {
            note.signatures
                .push(signer.cosign(&note.text, 1_800_000_000));
        }
        note
    }

    fn check(&self, policy: &TrustPolicy, cosigned_by: &str) -> Result<Trusted, AuditError> {
        let names: Vec<&str> = cosigned_by.split_whitespace().collect();
        policy.check(&self.note(|name| names.contains(&name)).to_string())
    }

    fn missing(&self, policy: &TrustPolicy, cosigned_by: &str) -> String {
        match self.check(policy, cosigned_by) {
            Err(AuditError::QuorumMissed { missing, .. }) => missing,
            other => panic!("{other:?}"),
        }
    }
}

/// The specification's example, its elided keys filled in.
#[test]
fn the_specified_example_means_what_the_specification_says() {
    let world = World::new(&["X1", "X2", "X3", "Y1", "Y2", "Y3"]);
    let vkey = |name| world.vkey(name);
    let text = format!(
        "log {}

witness X1 {}
witness X2 {}
witness X3 {}
group X-witnesses 2 X1 X2 X3

witness Y1 {}
witness Y2 {}
witness Y3 {}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
",
        world.log.key.key,
        vkey("X1"),
        vkey("X2"),
        vkey("X3"),
        vkey("Y1"),
        vkey("Y2"),
        vkey("Y3")
    );
    let policy = TrustPolicy::parse(&text).unwrap();
    for bits in 0_u8..64 {
        let names = ["X1", "X2", "X3", "Y1", "Y2", "Y3"];
        let chosen: Vec<&str> = (0..6)
            .filter(|n| bits >> n & 1 == 1)
            .map(|n| names[n])
            .collect();
        let expected = (bits & 0b111).count_ones() >= 2 && bits >> 3 != 0;
        let got = world.check(&policy, &chosen.join(" "));
        assert_eq!(got.is_ok(), expected, "{chosen:?}: {got:?}");
        if let Ok(trusted) = got {
            assert_eq!(trusted.checkpoint, world.log.checkpoint(5));
            assert_eq!(trusted.log_key, world.log.key.key);
            let cosigned: Vec<&str> = trusted.cosigned.iter().map(|(n, _)| n.as_str()).collect();
            assert_eq!(cosigned, chosen);
            assert!(
                trusted
                    .cosigned
                    .iter()
                    .all(|(_, time)| *time == 1_800_000_000)
            );
        }
    }
    assert_eq!(
        world.missing(&policy, "X2"),
        "1 of (X1, X3) and 1 of (Y1, Y2, Y3)"
    );
    assert_eq!(world.missing(&policy, "X1 X3"), "1 of (Y1, Y2, Y3)");
    // Written and read again it is the same policy.
    let written = policy.to_string();
    assert_eq!(TrustPolicy::parse(&written).unwrap(), policy);
    assert_eq!(written.as_bytes(), policy.to_bytes());
    assert!(written.ends_with("group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"));
}

#[test]
fn comments_whitespace_urls_and_order_are_as_specified() {
    let world = World::new(&["w"]);
    let (log, key) = (&world.log.key.key, world.vkey("w"));
    let text = format!(
        "# a comment\n\t \n \t# another\n\twitness\t w  {key}\thttps://w.example/x?y#z \nquorum w\nlog {log} https://log.example \n"
    );
    let policy = TrustPolicy::parse(&text).unwrap();
    assert_eq!(policy.log_keys(), std::slice::from_ref(log));
    let witnesses: Vec<_> = policy.witnesses().collect();
    assert_eq!(witnesses.len(), 1);
    assert_eq!(witnesses[0].name, b"w");
    assert_eq!(witnesses[0].key, &WitnessKey::parse(&key).unwrap());
    assert_eq!(witnesses[0].url, Some(&b"https://w.example/x?y#z"[..]));
    assert_eq!(TrustPolicy::parse(policy.to_bytes()).unwrap(), policy);
    assert!(world.check(&policy, "w").is_ok());
    assert_eq!(world.missing(&policy, ""), "w");
    // Only a quorum is mandatory; without a log nothing can be trusted by it.
    let bare = TrustPolicy::parse("quorum none\n").unwrap();
    assert!(matches!(
        world.check(&bare, "w"),
        Err(AuditError::NotSignedByAny { .. })
    ));
}

#[test]
fn names_are_octets() {
    let [first, second] = ["a", "b"].map(witness_key);
    let text = [
        b"witness K ".to_vec(),
        first.to_string().into_bytes(),
        b"\nwitness \xe2\x84\xaa ".to_vec(),
        second.to_string().into_bytes(),
        b"\ngroup \xff\x80 all K \xe2\x84\xaa\n# \xfe\nquorum \xff\x80\n".to_vec(),
    ]
    .concat();
    let policy = TrustPolicy::parse(&text).unwrap();
    assert_eq!(TrustPolicy::parse(policy.to_bytes()).unwrap(), policy);
    let names: Vec<&[u8]> = policy.witnesses().map(|witness| witness.name).collect();
    assert_eq!(names, [&b"K"[..], &b"\xe2\x84\xaa"[..]]);
    assert!(policy.to_string().contains("quorum \u{fffd}\u{fffd}"));
}

#[test]
fn every_must_of_the_format_is_kept() {
    let world = World::new(&["a", "b", "c"]);
    let key = world.vkey("a");
    let renamed = WitnessKey::new("other", &world.witnesses[0].key().public_key()).unwrap();
    let log = &world.log.key.key;
    let policy = |lines: &str| TrustPolicy::parse(world.policy(lines));
    for good in [
        "quorum none\n",
        "quorum a\n",
        "group g any a\nquorum g\n",
        "group g 3 a b c\nquorum g\n",
        "group g all a\ngroup h all g b\nquorum h\n",
        "group all all a b\ngroup any any c\nquorum all\n",
        "group g all a b\nquorum a\n",
    ] {
        policy(good).unwrap_or_else(|error| panic!("{good}: {error}"));
    }
    for (bad, line) in [
        ("", None),
        ("quorum a\nquorum a\n", Some(6)),
        ("quorum none\nquorum none\n", Some(6)),
        ("quorum d\n", Some(5)),
        ("quorum g\ngroup g all a\n", Some(5)),
        ("group g all\nquorum a\n", Some(5)),
        ("group g 0 a b\nquorum a\n", Some(5)),
        ("group g 3 a b\nquorum a\n", Some(5)),
        ("group g +1 a b\nquorum a\n", Some(5)),
        ("group g 01 a b\nquorum a\n", Some(5)),
        ("group g one a b\nquorum a\n", Some(5)),
        ("group g 18446744073709551617 a b\nquorum a\n", Some(5)),
        ("group g any g\nquorum g\n", Some(5)),
        ("group g any h\ngroup h any a\nquorum g\n", Some(5)),
        ("group g any a a\nquorum g\n", Some(5)),
        ("group g any a\ngroup h any a\nquorum g\n", Some(6)),
        (
            "group g any a\ngroup h any g b\ngroup i any g\nquorum h\n",
            Some(7),
        ),
        ("group g any none\nquorum g\n", Some(5)),
        ("group none any a\nquorum a\n", Some(5)),
        ("group a any b\nquorum a\n", Some(5)),
        ("group g any a\ngroup g any b\nquorum g\n", Some(6)),
        ("quorum\n", Some(5)),
        ("quorum a b\n", Some(5)),
        ("quorums a\n", Some(5)),
        ("Quorum a\n", Some(5)),
        ("log\nquorum a\n", Some(5)),
        ("witness x\nquorum a\n", Some(5)),
        ("group g\nquorum a\n", Some(5)),
        ("quorum a\r\n", Some(5)),
        ("quorum a # no comment\n", Some(5)),
        ("#\u{7f}\nquorum a\n", Some(5)),
        ("#\u{c}\nquorum a\n", Some(5)),
        ("#\0\nquorum a\n", Some(5)),
        ("quorum a", Some(5)),
        ("\nquorum a\n#", Some(7)),
    ] {
        match policy(bad) {
            Err(AuditError::Policy { line: got, .. }) => assert_eq!(got, line, "{bad:?}"),
            other => panic!("{bad:?}: {other:?}"),
        }
    }
    for bad in [
        format!("witness a2 {key}\nquorum none\n"),
        format!("witness a2 {renamed}\nquorum none\n"),
        format!("witness a {}\nquorum none\n", witness_key("a")),
        format!("witness none {}\nquorum none\n", witness_key("x")),
        format!("witness x {log}\nquorum none\n"),
        format!("witness x {} url more\nquorum none\n", witness_key("x")),
        format!("log {log}\nquorum none\n"),
        format!("log {key}\nquorum none\n"),
        format!("log {} url more\nquorum none\n", LogKey::new("x").key),
    ] {
        let refused = policy(&bad);
        assert!(
            matches!(refused, Err(AuditError::Policy { line: Some(5), .. })),
            "{bad}: {refused:?}"
        );
    }
}

#[test]
fn what_every_implementation_should_support_is_supported_and_more_is_limited() {
    let many = |logs: usize, witnesses: usize, groups: usize| {
        let mut text = String::new();
        for n in 0..logs {
            writeln!(text, "log {}", LogKey::new(&format!("l{n}")).key).unwrap();
        }
        for n in 0..witnesses {
            let name = format!("w{n}");
            writeln!(text, "witness {name} {}", witness_key(&name)).unwrap();
        }
        for n in 0..groups {
            writeln!(text, "group g{n} all w{n}").unwrap();
        }
        text + "quorum g0\n"
    };
    let policy = TrustPolicy::parse(many(32, 32, 32)).unwrap();
    assert_eq!(policy.log_keys().len(), 32);
    assert_eq!(policy.witnesses().count(), 32);
    assert!(TrustPolicy::parse(many(64, 64, 64)).is_ok());
    assert!(TrustPolicy::parse(many(65, 1, 1)).is_err());
    assert!(TrustPolicy::parse(many(1, 65, 1)).is_err());
    let deep = (1..64).fold("witness w W\ngroup g0 any w\n".to_owned(), |text, n| {
        format!("{text}group g{n} any g{}\n", n - 1)
    });
    let deep = deep.replace('W', &witness_key("w").to_string());
    assert!(TrustPolicy::parse(format!("{deep}quorum g63\n")).is_ok());
    assert!(TrustPolicy::parse(format!("{deep}group g64 any g63\nquorum g64\n")).is_err());
    let long = format!("#{}\nquorum none\n", "x".repeat(131_072));
    assert!(TrustPolicy::parse(long).is_err());
}

#[test]
fn a_line_by_a_known_key_that_does_not_verify_makes_the_note_malformed() {
    let world = World::new(&["a", "b"]);
    let policy = TrustPolicy::parse(world.policy("quorum a\n")).unwrap();
    let mut note = world.note(|_| true);
    assert_eq!(policy.check(&note.to_string()).unwrap().cosigned.len(), 2);
    for broken in 0..3 {
        let mut note = note.clone();
        note.signatures[broken].signature[30] ^= 1;
        let refused = policy.check(&note.to_string());
        assert!(matches!(refused, Err(AuditError::BadSignature { .. })));
    }
    // A stranger's line says nothing, whatever is in it.
    note.signatures[2].name = "stranger".to_owned();
    note.signatures[2].signature[30] ^= 1;
    assert_eq!(policy.check(&note.to_string()).unwrap().cosigned.len(), 1);
    // The log has to have signed, whoever else did.
    note.signatures.remove(0);
    assert!(matches!(
        policy.check(&note.to_string()),
        Err(AuditError::NotSignedByAny { .. })
    ));
}

/// Witnesses named `r…` are required.
fn station(world: &World, cosignatures_min: usize) -> Result<TrustPolicy, AuditError> {
    let witnesses: Vec<_> = world
        .witnesses
        .iter()
        .map(|signer| {
            let key = signer.key().clone();
            let required = key.name().starts_with('r');
            (key, "http://w.example".to_owned(), required)
        })
        .collect();
    let keys = [world.log.key.key.clone()];
    TrustPolicy::of_station(&keys, &witnesses, cosignatures_min)
}

#[test]
fn a_stations_policy_is_as_simple_as_it_can_be() {
    let world = World::new(&["r1", "r2", "o1", "o2", "o3"]);
    let tail = |min| {
        let text = station(&world, min).unwrap().to_string();
        let lines: Vec<&str> = text.lines().skip(6).collect();
        lines.join("; ")
    };
    assert_eq!(tail(0), "group required all r1 r2; quorum required");
    assert_eq!(tail(2), "group required all r1 r2; quorum required");
    let both = "group required-and-optional all required optional; quorum required-and-optional";
    for (min, threshold) in [(3, "any"), (4, "2"), (5, "all")] {
        let expected =
            format!("group required all r1 r2; group optional {threshold} o1 o2 o3; {both}");
        assert_eq!(tail(min), expected);
    }
    assert!(matches!(
        station(&world, 6),
        Err(AuditError::Policy { line: None, .. })
    ));
    let one = World::new(&["r1", "o1"]);
    let last = |min| {
        let text = station(&one, min).unwrap().to_string();
        text.lines().skip(3).collect::<Vec<_>>().join("; ")
    };
    assert_eq!(last(1), "quorum r1");
    assert_eq!(
        last(2),
        "group required-and-optional all r1 o1; quorum required-and-optional"
    );
    let none = station(&World::new(&["o1"]), 0).unwrap().to_string();
    assert!(none.ends_with("quorum none\n"));
}

#[test]
fn witnesses_of_one_name_or_of_a_groups_name_stay_apart() {
    let world = World::new(&["same", "same", "required", "none", "optional"]);
    let policy = station(&world, 5).unwrap();
    assert_eq!(TrustPolicy::parse(policy.to_bytes()).unwrap(), policy);
    let trusted = policy.check(&world.note(|_| true).to_string()).unwrap();
    assert_eq!(trusted.cosigned.len(), 5);
    let twice = [
        (witness_key("x"), "http://w.example".to_owned(), true),
        (witness_key("y"), "http://w.example".to_owned(), true),
    ];
    let same = [twice[0].clone(), twice[0].clone()];
    let key = [world.log.key.key.clone()];
    assert!(TrustPolicy::of_station(&key, &twice, 2).is_ok());
    assert!(TrustPolicy::of_station(&key, &same, 2).is_err());
    for url in ["", "http://a b", "http://a\nquorum none"] {
        let bad = [(witness_key("x"), url.to_owned(), true)];
        assert!(TrustPolicy::of_station(&key, &bad, 1).is_err(), "{url:?}");
    }
}

#[test]
fn a_stations_configuration_names_the_key_that_is_wrong() {
    let id: StationId = serde_json::from_value("0".repeat(32).into()).unwrap();
    let base = toml::to_string(&Config::new(id, "station-1")).unwrap();
    let with = |entries: &[(String, &str)]| {
        let mut text = base.clone();
        for (key, url) in entries {
            write!(text, "\n[[audit.witness]]\nkey = {key:?}\nurl = {url:?}\n").unwrap();
        }
        Config::parse(&text).map_err(|error| error.to_string())
    };
    let url = "https://witness.example/keyline";
    let key = witness_key("witness.example/w1");
    let renamed = WitnessKey::new("other", &key.public_key()).unwrap();
    let other = witness_key("witness.example/w2");
    let good = with(&[(key.to_string(), url), (other.to_string(), url)]).unwrap();
    assert_eq!(good.audit.witnesses.len(), 2);
    let log_key = LogKey::new("witness.example/w1").key.to_string();
    for bad in [log_key, "witness.example/w1".to_owned(), String::new()] {
        let error = with(&[(bad.clone(), url)]).unwrap_err();
        assert!(error.contains("audit.witness.key"), "{error}");
        assert!(error.contains(&bad) && error.contains("0x04"), "{error}");
    }
    let error = with(&[(key.to_string(), url), (renamed.to_string(), url)]).unwrap_err();
    assert!(error.contains(&renamed.to_string()) && error.contains("one witness only"));
    for bad in [
        "ftp://x",
        "http://",
        "https:///x",
        "http://a b",
        "http://a?b",
        "http://a#b",
    ] {
        let error = with(&[(key.to_string(), bad)]).unwrap_err();
        assert!(error.contains("audit.witness.url"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What the configuration means, worked out the plain way, for every set of cosigners.
    #[test]
    fn a_stations_policy_asks_for_all_required_ones_and_enough_in_all(
        required in 0_usize..4, optional in 0_usize..4, min in 0_usize..8,
    ) {
        let names: Vec<String> = (0..required).map(|n| format!("r{n}"))
            .chain((0..optional).map(|n| format!("o{n}")))
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let world = World::new(&names);
        let Ok(policy) = station(&world, min) else {
            prop_assert!(min > names.len());
            return Ok(());
        };
        prop_assert_eq!(&TrustPolicy::parse(policy.to_bytes()).unwrap(), &policy);
        for bits in 0..1_usize << names.len() {
            let chosen: Vec<&str> = names.iter().enumerate()
                .filter(|(n, _)| bits >> n & 1 == 1).map(|(_, name)| *name).collect();
            let has_required = chosen.iter().filter(|name| name.starts_with('r')).count() == required;
            let expected = has_required && chosen.len() >= min;
            let got = world.check(&policy, &chosen.join(" "));
            prop_assert_eq!(got.is_ok(), expected, "{:?} of {:?}, {}", chosen, names, min);
        }
    }

    /// No octets make the reader panic; what it accepts comes back as the same policy.
    #[test]
    fn any_octets_are_refused_or_come_back(lines in prop::collection::vec(
        prop::collection::vec(prop::sample::select(vec!["log", "witness", "group", "quorum", "none", "all", "any", "1", "2", "a", "b", "g", "#", "KEY", "OTHER", "LOG", "\u{2028}"]), 0..6), 0..8)
    ) {
        let [key, other] = ["a", "b"].map(|name| witness_key(name).to_string());
        let log = LogKey::new("l").key.to_string();
        let mut text = String::new();
        for words in lines {
            let words: Vec<&str> = words.into_iter().map(|word| match word {
                "KEY" => key.as_str(),
                "OTHER" => other.as_str(),
                "LOG" => log.as_str(),
                word => word,
            }).collect();
            text.push_str(&words.join(" "));
            text.push('\n');
        }
        if let Ok(policy) = TrustPolicy::parse(&text) {
            prop_assert_eq!(TrustPolicy::parse(policy.to_bytes()).unwrap(), policy);
        }
    }
}
