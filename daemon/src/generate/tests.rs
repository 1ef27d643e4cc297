//! What is made has the form it should, and is as likely as anything else.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use data_encoding::BASE64;
use ring::rsa::{KeyPair as RsaKeyPair, PublicKeyComponents};
use ring::signature::{
    ED25519, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    UnparsedPublicKey,
};
use vouchsafe_core::secret::Alphabet;

use super::*;

fn made(generator: &Generator) -> (String, Option<String>) {
    let made = make(generator).unwrap();
    (String::from_utf8(made.value.expose().to_vec()).unwrap(), made.public_key)
}

/// What is between the lines of a PEM file.
fn der(pem: &str, label: &str) -> Vec<u8> {
    let (first, last) =
        (format!("-----BEGIN {label}-----\n"), format!("\n-----END {label}-----\n"));
    let text = pem.strip_prefix(&first).unwrap().strip_suffix(&last).unwrap();
    assert!(text.lines().all(|line| line.len() <= 64));
    BASE64.decode(text.replace('\n', "").as_bytes()).unwrap()
}

/// What `openssl` says of a key: its public part, and its kind and size.
fn openssl(pem: &str) -> Option<(String, String)> {
    let mut found = Vec::new();
    for argument in ["-pubout", "-text"] {
        let started = Command::new("openssl")
            .args(["pkey", argument])
            .args((argument == "-text").then_some("-noout"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut child = started.ok()?;
        child.stdin.take().unwrap().write_all(pem.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "openssl does not read the key");
        found.push(String::from_utf8(done.stdout).unwrap());
    }
    let first = found[1].lines().next().unwrap_or_default().to_owned();
    Some((found[0].clone(), first))
}

#[test]
fn a_password_has_its_length_and_its_alphabet() {
    for (length, alphabet) in [
        (8, Alphabet::Alphanumeric),
        (63, Alphabet::Ascii),
        (64, Alphabet::Hex),
        (65, Alphabet::Digits),
        (4096, Alphabet::Base64url),
        (40, Alphabet::Characters("ab".to_owned())),
    ] {
        let allowed = alphabet.characters();
        let (value, public_key) = made(&Generator::Password { length, alphabet });
        assert_eq!((value.len(), public_key), (usize::try_from(length).unwrap(), None));
        assert!(value.bytes().all(|byte| allowed.contains(&byte)), "{value}");
    }
}

#[test]
fn each_character_is_as_likely_as_the_next() {
    // Sixty-two and ten do not divide 256: without care, the first of them would come a quarter,
    // or a twenty-fifth, more often than the last. Each count is within eight standard deviations:
    // a fair source fails this once in a million billion runs.
    for alphabet in [Alphabet::Alphanumeric, Alphabet::Digits, Alphabet::Ascii] {
        let characters = alphabet.characters();
        let mut counts: BTreeMap<u8, u32> = characters.iter().map(|c| (*c, 0)).collect();
        let each = 10_000_u32;
        let length = characters.len() * usize::try_from(each).unwrap();
        for byte in password(length, &characters).unwrap().iter() {
            *counts.get_mut(byte).unwrap() += 1;
        }
        for (character, count) in counts {
            assert!(count.abs_diff(each) < 800, "{character} came {count} times, not {each}");
        }
    }
}

#[test]
fn a_passphrase_is_words_of_the_list() {
    let list = bip39::Language::English.word_list();
    let words: BTreeSet<&str> = list.iter().copied().collect();
    assert_eq!(words.len(), 2048);
    assert_eq!(u32::try_from(list.len()).unwrap(), vouchsafe_core::secret::WORDS_IN_LIST);
    assert!(
        list.iter()
            .all(|w| (3..=8).contains(&w.len()) && w.bytes().all(|b| b.is_ascii_lowercase()))
    );

    let mut seen = BTreeSet::new();
    for count in [4, 64] {
        for _ in 0..500 {
            let (value, public_key) = made(&Generator::Passphrase { words: count });
            let found: Vec<_> = value.split('-').collect();
            assert_eq!((found.len(), public_key), (usize::try_from(count).unwrap(), None));
            for word in found {
                seen.insert(*words.get(word).unwrap());
            }
        }
    }
    // Of 34,000 draws, each word misses with 6 in a hundred million.
    assert!(seen.len() > 2_040, "only {} words ever come", seen.len());
}

#[test]
fn a_uuid_is_random_but_for_what_says_so() {
    let mut seen = BTreeSet::new();
    for _ in 0..1_000 {
        let (value, public_key) = made(&Generator::Uuid {});
        assert_eq!((value.len(), public_key), (36, None));
        let parts: Vec<_> = value.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12], "{value}");
        assert!(
            value.bytes().all(|b| b == b'-' || b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        );
        assert_eq!(&value[14..15], "4", "{value}");
        assert!(matches!(&value[19..20], "8" | "9" | "a" | "b"), "{value}");
        assert!(seen.insert(value));
    }
}

#[test]
fn an_ed25519_key_signs_what_its_public_part_verifies() {
    let (private, public) = made(&Generator::Ed25519 {});
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der(&private, "PRIVATE KEY")).unwrap();
    let spki = der(&public.unwrap(), "PUBLIC KEY");
    // RFC 8410: twelve bytes that say what it is, then the key.
    let (head, key) = spki.split_at(12);
    assert_eq!(head, b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00");
    assert_eq!(key, pair.public_key().as_ref());
    let signature = pair.sign(b"what is signed");
    UnparsedPublicKey::new(&ED25519, key).verify(b"what is signed", signature.as_ref()).unwrap();
}

#[test]
fn an_rsa_key_signs_what_its_public_part_verifies() {
    let (private, public) = made(&Generator::Rsa { bits: 2048 });
    let pair = RsaKeyPair::from_pkcs8(&der(&private, "PRIVATE KEY")).unwrap();
    let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
    assert_eq!((n.len(), e), (256, vec![1, 0, 1]));
    let spki = der(&public.unwrap(), "PUBLIC KEY");
    assert!(spki.ends_with(pair.public().as_ref()), "it is another key's public part");
    let mut signature = vec![0; 256];
    #[expect(clippy::disallowed_methods, reason = "padding of a test's signature")]
    let random = ring::rand::SystemRandom::new();
    pair.sign(&RSA_PKCS1_SHA256, &random, b"what is signed", &mut signature).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref())
        .verify(b"what is signed", &signature)
        .unwrap();
}

#[test]
fn openssl_reads_the_keys_where_it_is_there() {
    for (generator, kind) in [
        (Generator::Ed25519 {}, "ED25519 Private-Key:"),
        (Generator::Rsa { bits: 2048 }, "Private-Key: (2048 bit, 2 primes)"),
    ] {
        let (private, public) = made(&generator);
        if let Some((found, first)) = openssl(&private) {
            assert_eq!((Some(found), first.trim_start_matches("RSA ")), (public, kind));
        }
    }
}
