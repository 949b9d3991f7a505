//! Canaries are found in every encoding, and nowhere else.

use base64::Engine;
use base64::alphabet;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::{NO_PAD, PAD};
use moat_provider_core::{Alphabet, PlaceholderShape};
use moat_provider_testkit::{Canary, Encoding};
use proptest::prelude::*;

/// Text around a canary.
fn surroundings() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~\n]{0,40}", "[A-Za-z0-9+/]{0,30}", "[0-9a-f]{0,30}", ".{0,20}"]
}

fn canaries() -> impl Strategy<Value = Canary> {
    prop_oneof![
        Just(()).prop_map(|()| Canary::new()),
        Just(()).prop_map(|()| Canary::with_prefix("sk-")),
        (32_usize..200).prop_map(|len| Canary::with_length("", len)),
        Just(()).prop_map(|()| Canary::shaped("ghp_", Alphabet::Alphanumeric, 36)),
        Just(()).prop_map(|()| Canary::shaped("", Alphabet::LowerHex, 40)),
    ]
}

/// Encodes each byte or not, as the bits say.
fn mixed(text: &str, bits: &[bool], encode: impl Fn(u8) -> String, must: &[u8]) -> String {
    let bits = bits.iter().cycle();
    text.bytes()
        .zip(bits)
        .map(|(byte, bit)| match *bit || must.contains(&byte) {
            true => encode(byte),
            false => char::from(byte).to_string(),
        })
        .collect()
}

fn cased(text: &str, bits: &[bool]) -> String {
    let bits = bits.iter().cycle();
    let case = |(c, upper): (char, &bool)| match upper {
        true => c.to_ascii_uppercase(),
        false => c.to_ascii_lowercase(),
    };
    text.chars().zip(bits).map(case).collect()
}

fn bits() -> impl Strategy<Value = Vec<bool>> {
    proptest::collection::vec(any::<bool>(), 1..64)
}

proptest! {
    // A canary is drawn anew in each case, so a seed does not bring a failure back.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plain(canary in canaries(), before in surroundings(), after in surroundings()) {
        let text = format!("{before}{}{after}", canary.text());
        prop_assert!(canary.find_in_str(&text).is_some());
    }

    #[test]
    fn any_part_of_sixteen_bytes(canary in canaries(), at in any::<prop::sample::Index>()) {
        let text = canary.text();
        let prefix = if text.starts_with("ghp_") { 4 } else { 3 };
        let at = prefix + at.index(text.len() - prefix - 15);
        let part = format!("…{}…", &text[at..at + 16]);
        prop_assert_eq!(canary.find_in_str(&part), Some(Encoding::Plain));
    }

    #[test]
    fn percent_encoded(
        canary in canaries(), before in surroundings(), after in surroundings(),
        bits in bits(), case in bits(),
    ) {
        let encode = |byte: u8| cased(&format!("%{byte:02x}"), &case);
        for encoded in [
            mixed(canary.text(), &bits, encode, b"%"),
            mixed(canary.text(), &[true], encode, b""),
            mixed(canary.text(), &[false], encode, b"%+/=\"\\ ?#&"),
        ] {
            let text = format!("{before}{encoded}{after}");
            prop_assert!(canary.find_in_str(&text).is_some(), "{}", encoded);
        }
    }

    #[test]
    fn json(
        canary in canaries(), before in "[ -~]{0,20}", after in surroundings(),
        bits in bits(), case in bits(),
    ) {
        let unicode = |byte: u8| format!("\\u{}", cased(&format!("{byte:04x}"), &case));
        let short = |byte: u8| match byte {
            b'"' | b'\\' | b'/' => format!("\\{}", char::from(byte)),
            _ => unicode(byte),
        };
        // A backslash in front would escape the first character of the canary.
        let before = before.trim_end_matches('\\');
        for encoded in [
            mixed(canary.text(), &bits, unicode, b"\"\\"),
            mixed(canary.text(), &bits, short, b"\"\\"),
            mixed(canary.text(), &[false], short, b"\"\\/"),
        ] {
            let text = format!("{before}{encoded}{after}");
            prop_assert!(canary.find_in_str(&text).is_some(), "{}", encoded);
            let nested = serde_json::to_string(&serde_json::json!({"a": text})).unwrap();
            prop_assert!(canary.find_in_str(&nested).is_some(), "{}", nested);
        }
    }

    #[test]
    fn hex(
        canary in canaries(), before in surroundings(), after in surroundings(), case in bits(),
    ) {
        let digits: Vec<String> = canary.text().bytes().map(|b| format!("{b:02x}")).collect();
        for (separator, first) in [("", ""), (":", ""), (" ", ""), (", 0x", "0x"), ("\\x", "\\x")] {
            let text = format!("{before}{first}{}{after}", digits.join(separator));
            prop_assert!(canary.find_in_str(&text).is_some(), "{}", text);
        }
        let text = format!("{before}{}{after}", cased(&digits.concat(), &case));
        prop_assert!(canary.find_in_str(&text).is_some(), "{}", text);
    }

    #[test]
    fn base64(
        canary in canaries(), before in surroundings(), after in surroundings(),
        head in proptest::collection::vec(any::<u8>(), 0..7),
        tail in proptest::collection::vec(any::<u8>(), 0..7),
        wrap in 4_usize..80,
    ) {
        let mut bytes = head;
        bytes.extend(canary.text().bytes());
        bytes.extend(tail);
        for alphabet in [alphabet::STANDARD, alphabet::URL_SAFE] {
            for config in [PAD, NO_PAD] {
                let encoded = GeneralPurpose::new(&alphabet, config).encode(&bytes);
                let text = format!("{before}{encoded}{after}");
                prop_assert!(canary.find_in_str(&text).is_some(), "{}", text);
                let lines: Vec<&str> = (0..encoded.len())
                    .step_by(wrap)
                    .map(|at| &encoded[at..encoded.len().min(at + wrap)])
                    .collect();
                let text = format!("{before}{}{after}", lines.join("\r\n  "));
                prop_assert!(canary.find_in_str(&text).is_some(), "{}", text);
                let percent = text.replace('+', "%2B").replace('/', "%2f").replace('=', "%3D");
                prop_assert!(canary.find_in_str(&percent).is_some(), "{}", percent);
            }
        }
    }

    #[test]
    fn debug_of_bytes(canary in canaries(), before in surroundings()) {
        let bytes = canary.text().as_bytes().to_vec();
        let encoded = format!("{before}{bytes:?}");
        prop_assert!(canary.find_in_str(&encoded).is_some());
        let encoded = format!("{before}{bytes:#?}");
        prop_assert!(canary.find_in_str(&encoded).is_some());
        let encoded = format!("{:?}", bytes::Bytes::from(bytes));
        prop_assert!(canary.find_in_str(&encoded).is_some());
    }

    #[test]
    fn not_in_what_does_not_hold_it(canary in canaries(), text in ".{0,300}", bytes: Vec<u8>) {
        prop_assert_eq!(canary.find_in_str(&text), None);
        prop_assert_eq!(canary.find_in(&bytes), None);
        let other = Canary::new();
        prop_assert_eq!(canary.find_in_str(other.text()), None);
        prop_assert_eq!(canary.find_in_str(&"sk-ghp_".repeat(20)), None);
    }

    #[test]
    fn has_what_encodings_treat_in_their_own_ways(len in 32_usize..=4096) {
        let canary = Canary::with_length("sk-", len);
        let text = canary.text();
        prop_assert_eq!(text.len(), len + 3);
        prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
        for awkward in "+/=%\"\\".chars() {
            prop_assert!(text[3..].contains(awkward));
        }
    }
}

#[test]
fn literal_parts_of_a_shape_are_public() {
    let claims = serde_json::json!({"iss": "https://example.com", "sub": "sample"});
    let shape = PlaceholderShape::jwt(claims.as_object().unwrap());
    let canary = Canary::of_shape(&shape);
    let public = canary.text().rsplit_once('.').unwrap().0;
    assert_eq!(canary.find_in_str(public), None);
    assert_eq!(canary.find_in_str(canary.text()), Some(Encoding::Plain));
}

#[test]
fn is_drawn_anew() {
    assert_ne!(Canary::new().text(), Canary::new().text());
    let draw = || Canary::shaped("ghp_", Alphabet::Alphanumeric, 36);
    let (one, other) = (draw(), draw());
    assert_ne!(one.text(), other.text());
    assert!(one.text().starts_with("ghp_") && one.text().len() == 40);
}

#[test]
fn shows_nothing_of_itself() {
    let canary = Canary::new();
    assert_eq!(canary.find_in_str(&format!("{canary:?}")), None);
}

#[test]
fn takes_a_secret_that_is_there() {
    let drawn = Canary::new();
    let taken = Canary::of(&drawn.secret());
    assert_eq!(taken.find_in_str(drawn.text()), Some(Encoding::Plain));
    let short = Canary::of(&moat_provider_core::Secret::new("short".to_owned()));
    assert_eq!(short.find_in_str("short"), None);
}
