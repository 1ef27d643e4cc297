//! Secrets, as operators see them.

use vouchsafe_core::resource::{Pattern, SCHEME, SecretPath};
use vouchsafe_core::secret::{Alphabet, DESCRIPTION_CHARS_MAX, Generator, SecretBytes};
use vouchsafe_proto::v1;
use vouchsafe_proto::v1::generator::Kind;

use super::time::time_out;
use super::{RESOURCE_BYTES_MAX, Taken, at_most, missing, optional, parse, shown};
use crate::broker::{Origin, PutSecret, Refused, SecretRecord, VersionRecord};

/// The project where none is named.
const DEFAULT_PROJECT: &str = "default";

/// Where a secret is.
pub(in crate::grpc) fn secret_path(path: &str) -> Taken<SecretPath> {
    if path.is_empty() { Err(missing("path")) } else { parse("path", path) }
}

/// A pattern over paths, or over URIs.
pub(in crate::grpc) fn secret_pattern(pattern: &str) -> Taken<Option<Pattern>> {
    if pattern.is_empty() {
        return Ok(None);
    }
    let pattern = at_most("pattern", pattern.to_owned(), RESOURCE_BYTES_MAX)?;
    if pattern.starts_with(SCHEME) {
        return parse("pattern", &pattern).map(Some);
    }
    parse("pattern", &format!("{SCHEME}secrets/{pattern}")).map(Some)
}

/// A new secret, or a new version of one.
pub(in crate::grpc) fn put_secret(request: v1::PutSecretRequest) -> Taken<PutSecret> {
    // First of all, so that whatever else is wrong the value is wiped.
    let value = SecretBytes::value(request.value)
        .map_err(|error| Refused::invalid(error.to_string(), "A value has 1 byte to 64 KiB."))?;
    let path = secret_path(&request.path)?;
    let description = request.settings.and_then(|settings| settings.description);
    let long = |text: &String| text.chars().count() > DESCRIPTION_CHARS_MAX;
    if description.as_ref().is_some_and(long) {
        let message = format!("a description has {DESCRIPTION_CHARS_MAX} characters at most");
        return Err(Refused::invalid(message, "Say it in fewer words."));
    }
    Ok(PutSecret {
        project: optional("project", request.project)?,
        path: path.to_string(),
        value,
        description,
        expected_version: request.expected_version,
    })
}

/// A secret without its value.
pub(in crate::grpc) fn secret(secret: &SecretRecord, project: Option<&str>) -> v1::Secret {
    v1::Secret {
        path: secret.path.to_string(),
        uri: secret.resource().to_string(),
        description: shown(&secret.description),
        version: secret.version,
        created_at: Some(time_out(secret.created_at)),
        updated_at: Some(time_out(secret.updated_at)),
        updated_by: secret.updated_by.clone(),
        project: project.unwrap_or(DEFAULT_PROJECT).to_owned(),
        deleted: secret.deleted_at.is_some(),
        id: secret.id.to_string(),
        labels: secret
            .upkeep
            .labels
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        owner: String::new(),
        expires_at: secret.upkeep.expires_at.map(time_out),
        generator: secret.value.generator.as_ref().map(generator_out),
        rotate_every: secret
            .upkeep
            .rotate_every
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
        rotates_at: secret.upkeep.rotate_at.map(time_out),
        deleted_at: secret.deleted_at.map(time_out),
        purged_at: None,
        bytes: secret.value.bytes,
        origin: origin_out(secret.value.origin).into(),
        public_key: secret.value.public_key.clone().unwrap_or_default(),
    }
}

/// How a value was made.
pub(in crate::grpc) fn generator_out(generator: &Generator) -> v1::Generator {
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

const fn origin_out(origin: Origin) -> v1::SecretOrigin {
    match origin {
        Origin::Put => v1::SecretOrigin::Put,
        Origin::Imported => v1::SecretOrigin::Imported,
        Origin::Generated => v1::SecretOrigin::Generated,
        Origin::Rotated => v1::SecretOrigin::Rotated,
        Origin::Proposed => v1::SecretOrigin::Proposed,
        Origin::RolledBack => v1::SecretOrigin::RolledBack,
    }
}

/// One version of a secret, without its value.
pub(in crate::grpc) fn secret_version(version: &VersionRecord) -> v1::SecretVersion {
    v1::SecretVersion {
        version: version.version,
        created_at: Some(time_out(version.created_at)),
        created_by: version.created_by.clone(),
        current: version.current,
        bytes: version.value.bytes,
        origin: origin_out(version.value.origin).into(),
        generator: version.value.generator.as_ref().map(generator_out),
        public_key: version.value.public_key.clone().unwrap_or_default(),
        approval_id: version.value.approval.map(|id| id.to_string()).unwrap_or_default(),
        wiped: version.wiped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_value_has_one_byte_to_64_kib_and_is_never_repeated() {
        let put = |value: Vec<u8>| {
            put_secret(v1::PutSecretRequest {
                path: "demo/X".to_owned(),
                value,
                ..v1::PutSecretRequest::default()
            })
        };
        assert_eq!(put(Vec::new()).unwrap_err().message, "the value is empty");
        assert_eq!(put(vec![0; 65_537]).unwrap_err().message, "the value is over 64 KiB");
        let put = put(b"hunter2".to_vec()).unwrap();
        assert!(!format!("{put:?}").contains("hunter2"));
    }
}
