//! `secrets generate`: a value that is made by the daemon and that nobody sees.

use clap::{Args, ValueEnum};
use vouchsafe_core::secret::{Alphabet, Generator};
use vouchsafe_proto::v1::{self, GenerateSecretRequest};

use super::settings::{Schedule, Settings};
use super::{path_of, tell};
use crate::context::Context;
use crate::error::CliError;

/// The length of a password where none is given, in characters.
const LENGTH: u32 = 32;
/// The length of a passphrase where none is given, in words.
const WORDS: u32 = 8;
/// The size of an RSA key where none is given, in bits.
const RSA_BITS: u32 = 3072;

/// Make a secret, or a new version of it, with a value that nobody sees
///
/// The daemon makes the value and keeps it; it is never shown. Of a key pair, the private key is
/// the value (PKCS#8 PEM), and the public key is shown. --rotate-every makes a new value of the
/// same kind by itself.
#[derive(Args, Debug)]
pub(crate) struct Generate {
    /// Path, like `production/DATABASE_URL`
    path: String,
    #[command(flatten)]
    kind: KindArgs,
    /// Refuse unless the secret is at this version; 0: unless it does not exist yet
    #[arg(long, value_name = "N")]
    expected_version: Option<u64>,
    #[command(flatten)]
    schedule: Schedule,
    #[command(flatten)]
    settings: Settings,
}

#[derive(Args, Debug)]
struct KindArgs {
    /// What to make: password, passphrase, uuid, ed25519 or rsa
    #[arg(
        long,
        value_enum,
        value_name = "KIND",
        default_value = "password",
        hide_possible_values = true
    )]
    kind: Kind,
    /// Characters of a password, 8 to 4096 [default: 32]
    #[arg(long, value_name = "N")]
    length: Option<u32>,
    /// Characters that a password is made of: alphanumeric, ascii, hex, digits or base64url
    /// [default: alphanumeric]
    #[arg(long, value_enum, value_name = "NAME", hide_possible_values = true)]
    alphabet: Option<AlphabetName>,
    /// Characters that a password is made of instead: 2 to 94 printable ASCII characters, each once
    #[arg(long, value_name = "CHARS", conflicts_with = "alphabet")]
    characters: Option<String>,
    /// Words of a passphrase, 4 to 64 [default: 8]
    #[arg(long, value_name = "N")]
    words: Option<u32>,
    /// Size of an RSA key: 2048, 3072 or 4096 [default: 3072]
    #[arg(long, value_name = "N")]
    bits: Option<u32>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Kind {
    /// Characters of an alphabet
    Password,
    /// English words with hyphens between
    Passphrase,
    /// A random UUID
    Uuid,
    /// An Ed25519 key pair
    Ed25519,
    /// An RSA key pair
    Rsa,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum AlphabetName {
    /// Letters and digits
    Alphanumeric,
    /// Printable ASCII without the blank
    Ascii,
    /// Lower-case hexadecimal digits
    Hex,
    /// Decimal digits
    Digits,
    /// Letters, digits, `-` and `_`
    Base64url,
}

pub(super) async fn run(generate: Generate, context: &Context) -> Result<(), CliError> {
    let generator = generate.kind.generator()?;
    let settings = generate.schedule.with(generate.settings.request()?);
    let daemon = context.daemon().await?;
    let request = GenerateSecretRequest {
        project: context.project.clone(),
        path: path_of(generate.path),
        generator: Some(to_proto(&generator)),
        settings: Some(settings),
        expected_version: generate.expected_version,
    };
    tell(&daemon.secrets().generate_secret(request).await?.into_inner(), context)
}

impl KindArgs {
    /// What was asked for, if it can be made and nothing was said that means nothing for its kind.
    fn generator(self) -> Result<Generator, CliError> {
        let kind = self.kind;
        for (option, given, of) in [
            ("--length", self.length.is_some(), Kind::Password),
            ("--alphabet", self.alphabet.is_some(), Kind::Password),
            ("--characters", self.characters.is_some(), Kind::Password),
            ("--words", self.words.is_some(), Kind::Passphrase),
            ("--bits", self.bits.is_some(), Kind::Rsa),
        ] {
            if given && kind != of {
                let message =
                    format!("{option} is for --kind {}, not for {}", of.name(), kind.name());
                return Err(CliError::usage(message).with_next("leave it out, or name that kind"));
            }
        }
        let generator = match kind {
            Kind::Password => Generator::Password {
                length: self.length.unwrap_or(LENGTH),
                alphabet: alphabet(self.alphabet, self.characters),
            },
            Kind::Passphrase => Generator::Passphrase { words: self.words.unwrap_or(WORDS) },
            Kind::Uuid => Generator::Uuid {},
            Kind::Ed25519 => Generator::Ed25519 {},
            Kind::Rsa => Generator::Rsa { bits: self.bits.unwrap_or(RSA_BITS) },
        };
        generator.check().map_err(|error| CliError::usage(error.to_string()))
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Passphrase => "passphrase",
            Self::Uuid => "uuid",
            Self::Ed25519 => "ed25519",
            Self::Rsa => "rsa",
        }
    }
}

fn alphabet(name: Option<AlphabetName>, characters: Option<String>) -> Alphabet {
    match (name, characters) {
        (_, Some(characters)) => Alphabet::Characters(characters),
        (None | Some(AlphabetName::Alphanumeric), None) => Alphabet::Alphanumeric,
        (Some(AlphabetName::Ascii), None) => Alphabet::Ascii,
        (Some(AlphabetName::Hex), None) => Alphabet::Hex,
        (Some(AlphabetName::Digits), None) => Alphabet::Digits,
        (Some(AlphabetName::Base64url), None) => Alphabet::Base64url,
    }
}

fn to_proto(generator: &Generator) -> v1::Generator {
    use v1::generator::Kind;
    let kind = match generator {
        Generator::Password { length, alphabet } => {
            let (alphabet, characters) = match alphabet {
                Alphabet::Characters(characters) => (String::new(), characters.clone()),
                named => (named.to_string(), String::new()),
            };
            Kind::Password(v1::PasswordKind { length: *length, alphabet, characters })
        }
        Generator::Passphrase { words } => Kind::Passphrase(v1::PassphraseKind { words: *words }),
        Generator::Uuid {} => Kind::Uuid(v1::UuidKind {}),
        Generator::Ed25519 {} => Kind::Ed25519(v1::Ed25519Kind {}),
        Generator::Rsa { bits } => Kind::Rsa(v1::RsaKind { bits: *bits }),
    };
    v1::Generator { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::error::Exit;
    use crate::secrets::shown;

    #[derive(Debug, Parser)]
    struct Given {
        #[command(flatten)]
        kind: KindArgs,
    }

    fn generator(line: &str) -> Result<Generator, CliError> {
        let words = line.split(' ').filter(|word| !word.is_empty());
        Given::try_parse_from(["given"].into_iter().chain(words)).unwrap().kind.generator()
    }

    #[test]
    fn every_kind_is_asked_for_with_its_defaults() {
        for (line, said) in [
            ("", "password of 32 characters (alphanumeric)"),
            ("--length 64 --alphabet hex", "password of 64 characters (hex)"),
            ("--alphabet base64url", "password of 32 characters (base64url)"),
            (
                "--length 12 --characters abcdefgh23456789",
                "password of 12 characters (of `abcdefgh23456789`)",
            ),
            ("--kind passphrase", "passphrase of 8 words"),
            ("--kind passphrase --words 12", "passphrase of 12 words"),
            ("--kind uuid", "UUID"),
            ("--kind ed25519", "Ed25519 key pair"),
            ("--kind rsa --bits 4096", "RSA key pair of 4096 bits"),
        ] {
            let generator = generator(line).unwrap();
            assert_eq!(generator.to_string(), said, "{line}");
            assert_eq!(shown::generator(&to_proto(&generator)), Some(generator), "{line}");
        }
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        for kind in ["password", "passphrase", "rsa"] {
            let json = format!(r#"{{"kind":"{kind}"}}"#);
            let expected: Generator = serde_json::from_str(&json).unwrap();
            assert_eq!(generator(&format!("--kind {kind}")), Ok(expected));
        }
    }

    #[test]
    fn what_means_nothing_for_the_kind_is_refused() {
        for line in [
            "--kind uuid --length 40",
            "--kind rsa --alphabet hex",
            "--kind ed25519 --bits 2048",
            "--kind passphrase --characters abcdefgh",
            "--words 8",
        ] {
            let error = generator(line).unwrap_err();
            assert_eq!(error.exit, Exit::Usage, "{line}");
            assert!(error.message.contains("is for --kind"), "{}", error.message);
        }
    }

    #[test]
    fn what_cannot_be_made_is_refused_before_anything_is_sent() {
        for line in [
            "--length 7",
            "--length 8 --alphabet digits",
            "--kind rsa --bits 1024",
            "--kind passphrase --words 2",
        ] {
            assert_eq!(generator(line).unwrap_err().exit, Exit::Usage, "{line}");
        }
    }
}
