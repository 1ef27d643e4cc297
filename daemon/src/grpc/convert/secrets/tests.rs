use vouchsafe_core::secret::{DESCRIPTION_CHARS_MAX, Generator};

use super::*;
use crate::broker::PutValue;

#[test]
fn a_pattern_is_over_paths_or_over_uris() {
    for (typed, pattern) in [
        ("production/**", "vouchsafe://secrets/production/**"),
        ("vouchsafe://secrets/*", "vouchsafe://secrets/*"),
    ] {
        assert_eq!(secret_pattern(typed).unwrap().unwrap().to_string(), pattern);
    }
    assert_eq!(secret_pattern(""), Ok(None));
    assert!(secret_pattern("prod*").unwrap_err().message.starts_with("pattern: "));
    assert!(secret_pattern(&"a/".repeat(2_000)).is_err());
}

fn put(value: Vec<u8>, from_approval: &str) -> v1::PutSecretRequest {
    v1::PutSecretRequest {
        path: "demo/X".to_owned(),
        value,
        from_approval: from_approval.to_owned(),
        ..v1::PutSecretRequest::default()
    }
}

#[test]
fn a_value_has_one_byte_to_64_kib_and_is_never_repeated() {
    let taken = |value: Vec<u8>| put_secret(put(value, ""));
    assert_eq!(taken(Vec::new()).unwrap_err().message, "the value is empty");
    assert_eq!(taken(vec![0; 65_537]).unwrap_err().message, "the value is over 64 KiB");
    let taken = taken(b"hunter2".to_vec()).unwrap();
    assert!(!format!("{taken:?}").contains("hunter2"));
}

#[test]
fn a_value_is_given_or_comes_from_an_approval() {
    let from = put_secret(put(Vec::new(), "ap_1")).unwrap();
    assert!(matches!(from.value, PutValue::Proposed { approval } if approval == "ap_1"));
    for value in [b"hunter2".to_vec(), vec![0; 65_537]] {
        let both = put_secret(put(value, "ap_1")).unwrap_err();
        assert_eq!(both.message, "from_approval and a value exclude each other");
    }
}

fn generate(kind: Option<Kind>) -> Taken<Generator> {
    let request = v1::GenerateSecretRequest {
        path: "demo/X".to_owned(),
        generator: Some(v1::Generator { kind }),
        ..v1::GenerateSecretRequest::default()
    };
    generate_secret(request).map(|wanted| wanted.generator)
}

#[test]
fn what_a_generator_does_not_say_is_the_default_and_the_answer_says_it() {
    let password = |length, alphabet: &str, characters: &str| {
        let (alphabet, characters) = (alphabet.to_owned(), characters.to_owned());
        Kind::Password(v1::PasswordKind { length, alphabet, characters })
    };
    for (kind, said, out) in [
        (
            password(0, "", ""),
            "password of 32 characters (alphanumeric)",
            password(32, "alphanumeric", ""),
        ),
        (password(64, "hex", ""), "password of 64 characters (hex)", password(64, "hex", "")),
        (
            password(40, "", "abcd"),
            "password of 40 characters (of `abcd`)",
            password(40, "", "abcd"),
        ),
        (
            Kind::Passphrase(v1::PassphraseKind { words: 0 }),
            "passphrase of 8 words",
            Kind::Passphrase(v1::PassphraseKind { words: 8 }),
        ),
        (Kind::Uuid(v1::UuidKind {}), "UUID", Kind::Uuid(v1::UuidKind {})),
        (Kind::Ed25519(v1::Ed25519Kind {}), "Ed25519 key pair", Kind::Ed25519(v1::Ed25519Kind {})),
        (
            Kind::Rsa(v1::RsaKind { bits: 0 }),
            "RSA key pair of 3072 bits",
            Kind::Rsa(v1::RsaKind { bits: 3072 }),
        ),
    ] {
        let generator = generate(Some(kind)).unwrap();
        assert_eq!(generator.to_string(), said);
        assert_eq!(generator_out(&generator), v1::Generator { kind: Some(out) });
    }
    for (kind, message) in [
        (None, "generator is missing"),
        (Some(password(7, "", "")), "a password has 8 to 4096 characters, not 7"),
        (Some(password(32, "letters", "")), "there is no alphabet `letters`"),
        (Some(password(32, "hex", "ab")), "alphabet and characters exclude each other"),
        (
            Some(Kind::Rsa(v1::RsaKind { bits: 1024 })),
            "an RSA key has 2048, 3072 or 4096 bits, not 1024",
        ),
    ] {
        assert_eq!(generate(kind).unwrap_err().message, message);
    }
}

#[test]
fn settings_say_what_changes_and_leave_the_rest() {
    let nothing = secret_settings(None).unwrap();
    assert!(nothing.description.is_none() && nothing.owner.is_none());
    assert!(nothing.expires_at.is_none() && nothing.rotate_every.is_none());
    let away = v1::SecretSettings {
        owner: Some(String::new()),
        never_expires: true,
        rotate_every: Some(String::new()),
        ..v1::SecretSettings::default()
    };
    let away = secret_settings(Some(away)).unwrap();
    assert_eq!(
        (away.owner, away.expires_at, away.rotate_every),
        (Some(None), Some(None), Some(None))
    );
    let date = Some(prost_types::Timestamp { seconds: 1, nanos: 0 });
    let both = v1::SecretSettings {
        expires_at: date,
        never_expires: true,
        ..v1::SecretSettings::default()
    };
    let refused = secret_settings(Some(both)).unwrap_err();
    assert_eq!(refused.message, "expires_at and never_expires exclude each other");
    let often = v1::SecretSettings {
        rotate_every: Some("* * * * *".to_owned()),
        ..v1::SecretSettings::default()
    };
    let refused = secret_settings(Some(often)).unwrap_err();
    assert_eq!(refused.message, "`* * * * *` comes more often than once an hour");
    assert_eq!(refused.next, "For each first of the month at three: `0 3 1 * *`.");
    let long = v1::SecretSettings {
        description: Some("x".repeat(5 * DESCRIPTION_CHARS_MAX)),
        ..v1::SecretSettings::default()
    };
    assert!(secret_settings(Some(long)).is_err());
}

#[test]
fn what_is_wrong_with_a_value_is_its_items_to_say() {
    let item = |value: &[u8]| v1::ImportItem {
        path: "demo/X".to_owned(),
        value: value.to_vec(),
        expected_version: None,
    };
    let items = import_items(vec![item(b"hunter2"), item(b""), item(&[0; 65_537])]).unwrap();
    let problems: Vec<_> =
        items.iter().map(|item| item.value.as_ref().err().map(ToString::to_string)).collect();
    let empty = Some("the value is empty".to_owned());
    assert_eq!(problems, [None, empty, Some("the value is over 64 KiB".to_owned())]);
    assert!(!format!("{items:?}").contains("hunter2"));
    let long = v1::ImportItem { path: "a".repeat(2_000), ..item(b"x") };
    assert!(import_items(vec![long]).is_err());
}
