//! Addresses, and what people type in their place.

use keyline_station::cloud_key::{AddressError, CloudAddress};
use proptest::prelude::*;

type Kind = fn(&AddressError) -> bool;

#[test]
fn addresses() {
    let label = "a".repeat(63);
    for good in [
        "cloud.example.com:8883",
        "localhost:1",
        "192.0.2.7:65535",
        "[2001:db8::1]:443",
        "a-b.c0:80",
        &format!("{label}.b:9"),
        "example.com1x:5",
    ] {
        assert_eq!(
            good.parse::<CloudAddress>().map(String::from),
            Ok(good.to_owned())
        );
    }
    let long = format!("{}:443", "abcdefgh.".repeat(15));
    let cases: [(&str, Kind); 24] = [
        ("", |error| matches!(error, AddressError::NoPort { .. })),
        ("cloud.example.com", |error| {
            matches!(error, AddressError::NoPort { .. })
        }),
        ("[2001:db8::1]", |error| {
            matches!(error, AddressError::NoPort { .. })
        }),
        ("https://cloud.example.com:443", |error| {
            matches!(error, AddressError::Url { .. })
        }),
        ("cloud:0", |error| {
            matches!(error, AddressError::Port { .. })
        }),
        ("cloud:65536", |error| {
            matches!(error, AddressError::Port { .. })
        }),
        ("cloud:+80", |error| {
            matches!(error, AddressError::Port { .. })
        }),
        ("cloud:080", |error| {
            matches!(error, AddressError::Port { .. })
        }),
        ("cloud:", |error| matches!(error, AddressError::Port { .. })),
        ("cloud:80/path", |error| {
            matches!(error, AddressError::Port { .. })
        }),
        ("2001:db8::1:443", |error| {
            matches!(error, AddressError::Brackets { .. })
        }),
        ("[2001:db8::1:443", |error| {
            matches!(error, AddressError::Brackets { .. })
        }),
        ("[cloud]:443", |error| {
            matches!(error, AddressError::Ipv6 { .. })
        }),
        ("[::]:443", |error| {
            matches!(error, AddressError::Unusable { .. })
        }),
        ("0.0.0.0:443", |error| {
            matches!(error, AddressError::Unusable { .. })
        }),
        ("255.255.255.255:443", |error| {
            matches!(error, AddressError::Unusable { .. })
        }),
        ("300.1.1.1:443", |error| {
            matches!(error, AddressError::Ipv4 { .. })
        }),
        ("1.2.3:443", |error| {
            matches!(error, AddressError::Ipv4 { .. })
        }),
        ("clöud:443", |error| {
            matches!(error, AddressError::Host { .. })
        }),
        ("-cloud:443", |error| {
            matches!(error, AddressError::Host { .. })
        }),
        ("cloud..com:443", |error| {
            matches!(error, AddressError::Host { .. })
        }),
        ("cloud .com:443", |error| {
            matches!(error, AddressError::Host { .. })
        }),
        (":443", |error| matches!(error, AddressError::Host { .. })),
        (&long, |error| matches!(error, AddressError::TooLong { .. })),
    ];
    for (bad, expected) in cases {
        let error = bad.parse::<CloudAddress>().expect_err(bad);
        assert!(expected(&error), "{bad}: {error:?}");
        assert!(error.to_string().starts_with("expected "), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_an_address_or_is_refused(text in "[\\[\\]:.a-z0-9-]{0,40}|.{0,20}") {
        if let Ok(address) = text.parse::<CloudAddress>() {
            prop_assert_eq!(address.as_str(), text);
        }
    }
}
