//! Secrets, as operators see them.

mod commands;

use vouchsafe_core::resource::{Pattern, SCHEME, SecretPath};
use vouchsafe_core::secret::{Alphabet, Generator};
use vouchsafe_proto::v1;
use vouchsafe_proto::v1::generator::Kind;

pub(in crate::grpc) use self::commands::{
    generate_secret, import_items, put_secret, secret_filter, secret_settings,
};
use super::time::time_out;
use super::{RESOURCE_BYTES_MAX, Taken, at_most, missing, parse, shown};
use crate::broker::{DeletedSecret, ImportedSecret, Origin, SecretView, VersionRecord};

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

/// A secret without its value.
pub(in crate::grpc) fn secret(view: &SecretView) -> v1::Secret {
    let SecretView { secret, project, owner, purge_at } = view;
    let (upkeep, value) = (&secret.upkeep, &secret.value);
    let labels = upkeep.labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    v1::Secret {
        path: secret.path.to_string(),
        uri: secret.resource().to_string(),
        description: shown(&secret.description),
        version: secret.version,
        created_at: Some(time_out(secret.created_at)),
        updated_at: Some(time_out(secret.updated_at)),
        updated_by: secret.updated_by.clone(),
        project: project.clone(),
        deleted: secret.deleted_at.is_some(),
        id: secret.id.to_string(),
        labels: labels.collect(),
        owner: owner.clone().unwrap_or_default(),
        expires_at: upkeep.expires_at.map(time_out),
        generator: value.generator.as_ref().map(generator_out),
        rotate_every: upkeep.rotate_every.as_ref().map(ToString::to_string).unwrap_or_default(),
        rotates_at: upkeep.rotate_at.map(time_out),
        deleted_at: secret.deleted_at.map(time_out),
        purged_at: purge_at.map(time_out),
        bytes: value.bytes,
        origin: origin_out(value.origin).into(),
        public_key: value.public_key.clone().unwrap_or_default(),
    }
}

/// What became of a secret that was deleted.
pub(in crate::grpc) fn deleted_secret(deleted: &DeletedSecret) -> v1::DeleteSecretResponse {
    v1::DeleteSecretResponse {
        leases_revoked: deleted.leases_revoked,
        purged_at: Some(time_out(deleted.purge_at)),
    }
}

/// What an import did, or would do.
pub(in crate::grpc) fn imported(secrets: Vec<ImportedSecret>) -> v1::ImportSecretsResponse {
    let secrets = secrets.into_iter().map(|secret| v1::ImportedSecret {
        path: secret.path,
        before: secret.before,
        after: secret.after,
        problem: secret.problem.unwrap_or_default(),
    });
    v1::ImportSecretsResponse { secrets: secrets.collect() }
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
mod tests;
