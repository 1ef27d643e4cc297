//! Checkpoints: C2SP `tlog-checkpoint` texts in signed notes, byte for byte.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};
use ring::digest::{Context, SHA256};
use ring::signature::{ED25519, UnparsedPublicKey};

use super::RootHash;

/// The longest note, in bytes.
const NOTE_BYTES_MAX: usize = 16 * 1024;
/// The most signatures a note may have.
const SIGNATURES_MAX: usize = 16;
/// The signature type of C2SP signed notes that is Ed25519.
const ED25519_TYPE: u8 = 1;
/// What a signature line begins with.
const DASH: &str = "\u{2014} ";

/// A statement of how long the log is and what is in it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// Which log: `vouchsafe/<instance id>`, the name of its key.
    pub origin: String,
    /// How many entries.
    pub size: u64,
    /// The root of their tree.
    pub root: RootHash,
}

/// The public key of a log and its name, written `name+hash+base64`.
#[derive(Clone, Eq, PartialEq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    public: [u8; 32],
}

/// Whoever holds a log's private key.
pub trait HeadSigner: fmt::Debug + Send + Sync {
    /// The Ed25519 signature of `text`.
    fn sign(&self, text: &[u8]) -> [u8; 64];
    /// The key that verifies it.
    fn verifier_key(&self) -> &VerifierKey;
}

/// A text that is no verifier key.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a verifier key: it is `name+hash+base64`, as `audit.pub` has it")]
pub struct KeyError;

/// A note that does not say, signed by this key, what it should.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoteError {
    /// Not a signed note, or not a checkpoint in one.
    #[error("the checkpoint is not a well-formed note: export it again")]
    Malformed,
    /// Signed by others only.
    #[error("the checkpoint has no signature by this key: check whose key it is")]
    WrongKey,
    /// Not what was signed.
    #[error("the checkpoint's signature is false")]
    BadSignature,
}

impl VerifierKey {
    /// The key `public` of the log `name`; a name has no white space and no `+`.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, KeyError> {
        if !is_name(name) {
            return Err(KeyError);
        }
        let mut context = Context::new(&SHA256);
        context.update(name.as_bytes());
        context.update(&[b'\n', ED25519_TYPE]);
        context.update(&public);
        let id = *context.finish().as_ref().first_chunk().ok_or(KeyError)?;
        Ok(Self { name: name.to_owned(), id, public })
    }

    /// The log's name, which is the origin of its checkpoints.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether `signature` is by this key, over `text`.
    pub fn verifies(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.public).verify(text, signature).is_ok()
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519_TYPE], self.public.as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, HEXLOWER.encode(&self.id), BASE64.encode(&key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for VerifierKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, rest) = text.split_once('+').ok_or(KeyError)?;
        let (_, key) = rest.split_once('+').ok_or(KeyError)?;
        let key = BASE64.decode(key.as_bytes()).map_err(|_| KeyError)?;
        let public = key.strip_prefix(&[ED25519_TYPE]).ok_or(KeyError)?;
        let this = Self::new(name, public.try_into().map_err(|_| KeyError)?)?;
        // The hash too: only what is written is read.
        if this.to_string() == text { Ok(this) } else { Err(KeyError) }
    }
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.as_bytes()))
    }

    /// The checkpoint as a signed note. Its origin should be the signer's name.
    pub fn signed(&self, signer: &dyn HeadSigner) -> String {
        let text = self.text();
        let key = signer.verifier_key();
        let signature = [key.id.as_slice(), &signer.sign(text.as_bytes())].concat();
        format!("{text}\n{DASH}{} {}\n", key.name, BASE64.encode(&signature))
    }

    /// Reads a note signed by `key` about the log of that name.
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<Self, NoteError> {
        let this = Self::parse(open_note(note, key)?).ok_or(NoteError::Malformed)?;
        if this.origin == key.name { Ok(this) } else { Err(NoteError::WrongKey) }
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split_terminator('\n');
        let origin = lines.next()?.to_owned();
        let size = lines.next()?.parse().ok()?;
        let root = BASE64.decode(lines.next()?.as_bytes()).ok()?;
        let root = RootHash::from_bytes(root.try_into().ok()?);
        let this = Self { origin, size, root };
        // One way to write it: no leading zeros, no further lines.
        (this.text() == text).then_some(this)
    }
}

/// The text of a signed note, with its last line feed, if it has a true signature by `key`.
/// Signatures by others are passed over.
pub fn open_note<'a>(note: &'a [u8], key: &VerifierKey) -> Result<&'a str, NoteError> {
    let note = std::str::from_utf8(note).map_err(|_| NoteError::Malformed)?;
    if note.len() > NOTE_BYTES_MAX || note.chars().any(|c| c.is_ascii_control() && c != '\n') {
        return Err(NoteError::Malformed);
    }
    let (end, _) = note.rmatch_indices("\n\n").next().ok_or(NoteError::Malformed)?;
    let (text, signatures) = note.split_at_checked(end + 1).ok_or(NoteError::Malformed)?;
    let signatures = signatures
        .strip_prefix('\n')
        .filter(|lines| lines.ends_with('\n'))
        .ok_or(NoteError::Malformed)?;
    let mut found = false;
    for (n, line) in signatures.split_terminator('\n').enumerate() {
        let (name, signature) = signature_line(line).ok_or(NoteError::Malformed)?;
        if n >= SIGNATURES_MAX {
            return Err(NoteError::Malformed);
        }
        if let Some(signature) = signature.strip_prefix(&key.id).filter(|_| name == key.name) {
            if !key.verifies(text.as_bytes(), signature) {
                return Err(NoteError::BadSignature);
            }
            found = true;
        }
    }
    if found { Ok(text) } else { Err(NoteError::WrongKey) }
}

fn signature_line(line: &str) -> Option<(&str, Vec<u8>)> {
    let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
    let signature = BASE64.decode(signature.as_bytes()).ok()?;
    (is_name(name) && signature.len() > 4).then_some((name, signature))
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.chars().any(|c| c.is_whitespace() || c.is_control() || c == '+')
}

#[cfg(test)]
pub(super) mod tests {
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    use super::*;
    use crate::audit::Tree;

    #[derive(Debug)]
    pub(in crate::audit) struct TestSigner(Ed25519KeyPair, VerifierKey);

    impl TestSigner {
        pub(in crate::audit) fn new(name: &str, seed: u8) -> Self {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            let public = pair.public_key().as_ref().try_into().unwrap();
            Self(pair, VerifierKey::new(name, public).unwrap())
        }
    }

    impl HeadSigner for TestSigner {
        fn sign(&self, text: &[u8]) -> [u8; 64] {
            self.0.sign(text).as_ref().try_into().unwrap()
        }

        fn verifier_key(&self) -> &VerifierKey {
            &self.1
        }
    }

    /// From the documentation of golang.org/x/mod/sumdb/note.
    const KEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const TEXT: &str = "If you think cryptography is the answer to your problem,\n\
                        then you don't know what your problem is.\n";
    const SIGNATURE: &str = "\u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

    #[test]
    fn the_published_note_is_opened() {
        let key: VerifierKey = KEY.parse().unwrap();
        assert_eq!(key.to_string(), KEY);
        let note = format!("{TEXT}\n{SIGNATURE}");
        assert_eq!(open_note(note.as_bytes(), &key), Ok(TEXT));
    }

    #[test]
    fn a_checkpoint_is_opened_by_its_own_key_only() {
        let signer = TestSigner::new("vouchsafe/a", 1);
        let checkpoint =
            Checkpoint { origin: "vouchsafe/a".to_owned(), size: 0, root: Tree::new().root() };
        let note = checkpoint.signed(&signer);
        let open = |note: &str, key: &VerifierKey| Checkpoint::open(note.as_bytes(), key);
        assert_eq!(open(&note, &signer.1), Ok(checkpoint.clone()));
        for (name, seed) in [("vouchsafe/a", 2), ("vouchsafe/b", 1)] {
            assert_eq!(open(&note, &TestSigner::new(name, seed).1), Err(NoteError::WrongKey));
        }
        let elsewhere = Checkpoint { origin: "vouchsafe/b".to_owned(), ..checkpoint };
        assert_eq!(open(&elsewhere.signed(&signer), &signer.1), Err(NoteError::WrongKey));
    }

    #[test]
    fn a_signature_by_somebody_else_beside_ours_is_passed_over() {
        let signer = TestSigner::new("vouchsafe/a", 1);
        let checkpoint =
            Checkpoint { origin: "vouchsafe/a".to_owned(), size: 5, root: Tree::new().root() };
        let note = checkpoint.signed(&signer) + SIGNATURE;
        assert_eq!(Checkpoint::open(note.as_bytes(), &signer.1), Ok(checkpoint));
    }

    #[test]
    fn notes_and_keys_written_any_other_way_are_refused() {
        let signer = TestSigner::new("o", 1);
        let root = BASE64.encode(Tree::new().root().as_bytes());
        let sign = |text: &str| {
            let signature = [signer.1.id.as_slice(), &signer.sign(text.as_bytes())].concat();
            format!("{text}\n\u{2014} o {}\n", BASE64.encode(&signature))
        };
        assert!(Checkpoint::open(sign(&format!("o\n1\n{root}\n")).as_bytes(), &signer.1).is_ok());
        for text in [
            format!("o\n01\n{root}\n"),
            format!("o\n+1\n{root}\n"),
            format!("o\n-1\n{root}\n"),
            format!("o\n1\n{root}\nmore\n"),
            format!("o\n1\n{root}"),
            format!("o\n18446744073709551616\n{root}\n"),
            "o\n1\nAAAA\n".to_owned(),
            "o\n1\n".to_owned(),
            String::new(),
        ] {
            let opened = Checkpoint::open(sign(&text).as_bytes(), &signer.1);
            assert_eq!(opened, Err(NoteError::Malformed), "{text:?}");
        }
        let good = sign(&format!("o\n1\n{root}\n"));
        for bad in [
            good.trim_end().to_owned(),
            good.replace('\u{2014}', "-"),
            good.replace('\n', "\r\n"),
            format!("{good}\n"),
            format!("{good}\u{2014} x AAAA\n"),
            good.replace("\n\n", "\n"),
        ] {
            assert!(Checkpoint::open(bad.as_bytes(), &signer.1).is_err(), "{bad:?}");
        }
        for bad in
            ["", "a", "a+b", "a b+c74f20a3+AQ==", &KEY.replace("c74", "d74"), &format!("{KEY} ")]
        {
            assert!(bad.parse::<VerifierKey>().is_err(), "{bad}");
        }
    }
}
