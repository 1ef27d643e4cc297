//! How secrets and their versions are told. Values are not known here.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use vouchsafe_core::secret::{Alphabet, Generator};
use vouchsafe_proto::v1::generator::Kind;
use vouchsafe_proto::v1::{self, Secret, SecretVersion};

use crate::record::{Field, Record};
use crate::words;

/// For programs: all fields, whether they hold something or not.
pub(super) fn record(secret: &Secret) -> Record {
    Record::new()
        .text("path", &secret.path)
        .text("uri", &secret.uri)
        .text("id", &secret.id)
        .text("project", &secret.project)
        .text("description", &secret.description)
        .with("labels", Field::Json(json!(sorted(secret))))
        .text("owner", &secret.owner)
        .number("version", secret.version)
        .text("origin", words::secret_origin(secret.origin))
        .with("generator", Field::Json(generator_json(secret.generator.as_ref())))
        .number("bytes", secret.bytes)
        .text("public_key", &secret.public_key)
        .time("created_at", secret.created_at)
        .time("updated_at", secret.updated_at)
        .text("updated_by", &secret.updated_by)
        .time("expires_at", secret.expires_at)
        .text("rotate_every", &secret.rotate_every)
        .time("rotates_at", secret.rotates_at)
        .flag("deleted", secret.deleted)
        .time("deleted_at", secret.deleted_at)
        .time("purged_at", secret.purged_at)
}

/// For people, in the order in which they ask.
pub(super) fn told(secret: &Secret) -> Record {
    Record::new()
        .text("path", &secret.path)
        .text("uri", &secret.uri)
        .text("id", &secret.id)
        .text("project", &secret.project)
        .text("description", &secret.description)
        .text("labels", labels(secret))
        .text("owner", &secret.owner)
        .number("version", secret.version)
        .text("made", made(secret.origin, secret.generator.as_ref()))
        .with("bytes", bytes(secret.bytes))
        .time("expires_at", secret.expires_at)
        .text("rotate_every", &secret.rotate_every)
        .time("rotates_at", secret.rotates_at)
        .time("created_at", secret.created_at)
        .time("updated_at", secret.updated_at)
        .text("updated_by", &secret.updated_by)
        .flag("deleted", secret.deleted)
        .time("deleted_at", secret.deleted_at)
        .time("purged_at", secret.purged_at)
}

/// What fits on a line.
pub(super) fn row(secret: &Secret) -> Record {
    Record::new()
        .text("path", &secret.path)
        .text("id", &secret.id)
        .number("version", secret.version)
        .text("made", made_in_a_word(secret.origin, secret.generator.as_ref()))
        .text("description", &secret.description)
        .text("labels", labels(secret))
        .text("owner", &secret.owner)
        .time("expires_at", secret.expires_at)
        .time("rotates_at", secret.rotates_at)
        .time("updated_at", secret.updated_at)
        .text("updated_by", &secret.updated_by)
        .time("deleted_at", secret.deleted_at)
        .time("purged_at", secret.purged_at)
}

pub(super) fn version_record(version: &SecretVersion) -> Record {
    Record::new()
        .number("version", version.version)
        .flag("current", version.current)
        .text("origin", words::secret_origin(version.origin))
        .with("generator", Field::Json(generator_json(version.generator.as_ref())))
        .number("bytes", version.bytes)
        .text("public_key", &version.public_key)
        .time("created_at", version.created_at)
        .text("created_by", &version.created_by)
        .text("approval_id", &version.approval_id)
        .flag("wiped", version.wiped)
}

/// What fits on a line.
pub(super) fn version_row(version: &SecretVersion) -> Record {
    Record::new()
        .number("version", version.version)
        .flag("current", version.current)
        .text("made", made(version.origin, version.generator.as_ref()))
        .with("bytes", bytes(version.bytes))
        .time("created_at", version.created_at)
        .text("created_by", &version.created_by)
        .text("approval_id", &version.approval_id)
        .flag("wiped", version.wiped)
}

/// How a value is made; nothing for a kind that is not known here.
pub(super) fn generator(generator: &v1::Generator) -> Option<Generator> {
    Some(match generator.kind.as_ref()? {
        Kind::Password(kind) => Generator::Password {
            length: kind.length,
            alphabet: match kind.alphabet.as_str() {
                "ascii" => Alphabet::Ascii,
                "hex" => Alphabet::Hex,
                "digits" => Alphabet::Digits,
                "base64url" => Alphabet::Base64url,
                _ if kind.characters.is_empty() => Alphabet::Alphanumeric,
                _ => Alphabet::Characters(kind.characters.clone()),
            },
        },
        Kind::Passphrase(kind) => Generator::Passphrase { words: kind.words },
        Kind::Uuid(_) => Generator::Uuid {},
        Kind::Ed25519(_) => Generator::Ed25519 {},
        Kind::Rsa(kind) => Generator::Rsa { bits: kind.bits },
    })
}

/// "generated: passphrase of 8 words", "given".
fn made(origin: i32, made_by: Option<&v1::Generator>) -> String {
    let how = match words::secret_origin(origin).as_str() {
        "put" => "given".to_owned(),
        "proposed" => "proposed by an agent".to_owned(),
        "rolled-back" => "an earlier version again".to_owned(),
        other => other.to_owned(),
    };
    match made_by.and_then(generator) {
        Some(generator) if how.is_empty() => generator.to_string(),
        Some(generator) => format!("{how}: {generator}"),
        None => how,
    }
}

/// "password", "given".
fn made_in_a_word(origin: i32, made_by: Option<&v1::Generator>) -> String {
    let kind = match made_by.and_then(generator) {
        Some(Generator::Password { .. }) => "password",
        Some(Generator::Passphrase { .. }) => "passphrase",
        Some(Generator::Uuid {}) => "uuid",
        Some(Generator::Ed25519 {}) => "ed25519",
        Some(Generator::Rsa { .. }) => "rsa",
        None => match words::secret_origin(origin) {
            origin if origin == "put" => "given",
            origin => return origin,
        },
    };
    kind.to_owned()
}

/// As agents write it.
fn generator_json(made_by: Option<&v1::Generator>) -> Value {
    made_by
        .and_then(generator)
        .and_then(|generator| serde_json::to_value(generator).ok())
        .unwrap_or(Value::Null)
}

fn sorted(secret: &Secret) -> BTreeMap<&str, &str> {
    secret.labels.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// `env=prod, team=payments`
fn labels(secret: &Secret) -> String {
    let labels = sorted(secret).into_iter();
    labels.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

/// Nothing where it is not known, or gone.
fn bytes(bytes: u64) -> Field {
    if bytes == 0 { Field::Text(String::new()) } else { Field::Number(bytes) }
}

#[cfg(test)]
mod tests {
    use vouchsafe_proto::v1::SecretOrigin;

    use super::*;
    use crate::time::{self, Time};

    fn noon() -> Time {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn at(text: &str) -> Option<prost_types::Timestamp> {
        text.parse().ok().map(time::to_proto)
    }

    fn secret() -> Secret {
        let labels = [("team", "payments"), ("env", "prod")];
        let hex = v1::PasswordKind { length: 64, alphabet: "hex".to_owned(), ..Default::default() };
        Secret {
            path: "production/TOKEN".to_owned(),
            version: 3,
            labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            owner: "jane".to_owned(),
            expires_at: at("2026-12-03T12:00:00Z"),
            generator: Some(v1::Generator { kind: Some(Kind::Password(hex)) }),
            rotate_every: "0 3 1 * *".to_owned(),
            rotates_at: at("2026-12-01T03:00:00Z"),
            bytes: 64,
            origin: SecretOrigin::Rotated.into(),
            ..Secret::default()
        }
    }

    #[test]
    fn a_secret_reads_as_a_record() {
        assert_eq!(
            told(&secret()).lines(noon()),
            [
                "path          production/TOKEN",
                "labels        env=prod, team=payments",
                "owner         jane",
                "version       3",
                "made          rotated: password of 64 characters (hex)",
                "bytes         64",
                "expires at    in 12 d (2026-12-03T12:00:00.000Z)",
                "rotate every  0 3 1 * *",
                "rotates at    in 9 d (2026-12-01T03:00:00.000Z)",
                "deleted       no",
            ]
        );
    }

    #[test]
    fn a_row_names_the_kind_in_a_word() {
        let cell = |secret: &Secret, name| row(secret).cell(name, noon());
        assert_eq!(cell(&secret(), "made"), "password");
        assert_eq!(cell(&secret(), "expires_at"), "in 12 d");
        let given =
            Secret { generator: None, origin: SecretOrigin::Put.into(), ..Secret::default() };
        assert_eq!(cell(&given, "made"), "given");
        assert_eq!(cell(&given, "labels"), "-");
        assert_eq!(cell(&Secret::default(), "made"), "-");
    }

    #[test]
    fn programs_are_told_every_field() {
        let json = serde_json::to_value(record(&secret())).unwrap();
        assert_eq!(json["labels"], json!({ "env": "prod", "team": "payments" }));
        let generator = json!({ "kind": "password", "length": 64, "alphabet": "hex" });
        assert_eq!(json["generator"], generator);
        assert_eq!(json["expires_at"], "2026-12-03T12:00:00.000Z");
        assert_eq!(json["origin"], "rotated");
        let json = serde_json::to_value(record(&Secret::default())).unwrap();
        assert!(json["generator"].is_null() && json["purged_at"].is_null());
    }

    #[test]
    fn a_version_says_how_it_came_about() {
        let cell = |version: &SecretVersion, name| version_row(version).cell(name, noon());
        for (origin, said) in [
            (SecretOrigin::Put, "given"),
            (SecretOrigin::Imported, "imported"),
            (SecretOrigin::Proposed, "proposed by an agent"),
            (SecretOrigin::RolledBack, "an earlier version again"),
        ] {
            let version = SecretVersion { origin: origin.into(), ..SecretVersion::default() };
            assert_eq!(cell(&version, "made"), said);
        }
        let wiped = SecretVersion { wiped: true, ..SecretVersion::default() };
        assert_eq!((cell(&wiped, "wiped"), cell(&wiped, "bytes")), ("yes".into(), "-".into()));
    }
}
