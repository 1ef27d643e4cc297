//! The forms that programs give to bytes, and a search for all of them at once.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aho_corasick::AhoCorasick;
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// A form shorter than this could be anywhere by chance.
const FORM_BYTES_MIN: usize = 16;

/// Looks for canaries in every form.
pub(super) struct Scanner {
    names: Vec<String>,
    searcher: AhoCorasick,
}

impl Scanner {
    /// For canaries with names.
    pub(super) fn new(canaries: &[(String, Vec<u8>)]) -> Self {
        let mut forms = BTreeMap::new();
        for (name, canary) in canaries {
            for (form, bytes) in forms_of(canary) {
                assert!(bytes.len() >= FORM_BYTES_MIN, "{name}, {form}, is short");
                forms.entry(bytes).or_insert_with(|| format!("{name}, {form}"));
            }
        }
        let searcher = AhoCorasick::new(forms.keys()).unwrap();
        Self { names: forms.into_values().collect(), searcher }
    }

    /// What is found in this, each once.
    pub(super) fn find(&self, place: &str, bytes: &[u8]) -> Vec<String> {
        let mut found: Vec<String> = self
            .searcher
            .find_overlapping_iter(bytes)
            .map(|at| format!("{place}: {}", self.names[at.pattern().as_usize()]))
            .collect();
        found.sort();
        found.dedup();
        found
    }
}

fn forms_of(canary: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut forms = vec![
        ("raw".to_owned(), canary.to_vec()),
        ("reversed".to_owned(), canary.iter().rev().copied().collect()),
        ("hex".to_owned(), HEXLOWER.encode(canary).into_bytes()),
        ("HEX".to_owned(), HEXUPPER.encode(canary).into_bytes()),
        ("percent".to_owned(), percent(canary, |byte| byte.is_ascii_alphanumeric())),
        (
            "percent, but for -._~".to_owned(),
            percent(canary, |byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)),
        ),
        ("as Rust prints bytes".to_owned(), decimal(canary)),
    ];
    for (encoding, name) in [(&BASE64, "base64"), (&BASE64URL, "base64url")] {
        for shift in 0..3 {
            forms.push((format!("{name}+{shift}"), inner_base64(encoding, canary, shift)));
        }
    }
    if let Ok(text) = std::str::from_utf8(canary) {
        let json = serde_json::to_string(text).unwrap();
        forms.push(("in JSON".to_owned(), json.trim_matches('"').as_bytes().to_vec()));
        let twice = serde_json::to_string(&json).unwrap();
        let twice = twice.trim_matches('"').trim_matches(['\\', '"']);
        forms.push(("in JSON in JSON".to_owned(), twice.as_bytes().to_vec()));
        let debug = format!("{text:?}");
        forms.push(("as Rust prints text".to_owned(), debug.trim_matches('"').as_bytes().to_vec()));
        forms.push(("all in \\u".to_owned(), escaped(text)));
    }
    forms
}

/// The characters of base64 that depend on the canary alone, where it starts at this place.
fn inner_base64(encoding: &data_encoding::Encoding, canary: &[u8], shift: usize) -> Vec<u8> {
    let padded = [vec![0; shift], canary.to_vec()].concat();
    let whole = encoding.encode(&padded).into_bytes();
    // Each character is six bits: leave out those with bits of what is before or after.
    let first = (shift * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    whole[first..last].to_vec()
}

fn percent(canary: &[u8], is_plain: impl Fn(u8) -> bool) -> Vec<u8> {
    let mut text = Vec::new();
    for &byte in canary {
        if is_plain(byte) {
            text.push(byte);
        } else {
            text.extend(format!("%{byte:02X}").into_bytes());
        }
    }
    text
}

fn decimal(canary: &[u8]) -> Vec<u8> {
    let numbers: Vec<String> = canary.iter().map(ToString::to_string).collect();
    numbers.join(", ").into_bytes()
}

fn escaped(text: &str) -> Vec<u8> {
    let mut all = String::new();
    for unit in text.encode_utf16() {
        write!(all, "\\u{unit:04x}").unwrap();
    }
    all.into_bytes()
}

#[test]
fn every_form_is_found_wherever_it_begins() {
    let canary = b"a canary that sings, \xc3\xa9 and 0123456789".to_vec();
    let scanner = Scanner::new(&[("it".to_owned(), canary.clone())]);
    assert!(scanner.find("here", b"nothing to see").is_empty());
    for before in 0..6 {
        let around = [vec![b'x'; before], canary.clone(), b"yz".to_vec()].concat();
        for place in [
            around.clone(),
            BASE64.encode(&around).into_bytes(),
            BASE64URL.encode(&around).into_bytes(),
            HEXLOWER.encode(&around).into_bytes(),
            around.iter().rev().copied().collect(),
            format!("{around:?}").into_bytes(),
            serde_json::to_vec(&String::from_utf8(around.clone()).unwrap()).unwrap(),
        ] {
            assert!(!scanner.find("here", &place).is_empty(), "{before} before");
        }
    }
}
