//! What is asked of secrets. A value is taken over first of all, so that whatever else is wrong it
//! is wiped.

use std::collections::{BTreeMap, HashMap};

use vouchsafe_core::secret::{
    Alphabet, Generator, LABEL_VALUE_CHARS_MAX, RotationSchedule, SecretBytes, ValueError,
};
use vouchsafe_proto::v1;
use vouchsafe_proto::v1::generator::Kind;

use super::{secret_path, secret_pattern};
use crate::broker::{
    GenerateSecret, ImportItem, PutSecret, PutValue, Refused, SecretFilter, SecretSettings,
};
use crate::grpc::convert::time::time;
use crate::grpc::convert::{
    NAMES_MAX, RESOURCE_BYTES_MAX, Taken, at_most, few, id, missing, name, names, optional,
};

/// Of a label's value, in bytes.
const LABEL_BYTES_MAX: usize = LABEL_VALUE_CHARS_MAX * 4;

/// Which secrets are wanted.
pub(in crate::grpc) fn secret_filter(request: v1::ListSecretsRequest) -> Taken<SecretFilter> {
    Ok(SecretFilter {
        project: optional("project", request.project)?,
        pattern: secret_pattern(&request.pattern)?,
        deleted: request.deleted,
        labels: labels(request.labels)?,
    })
}

/// A new secret, or a new version of one.
pub(in crate::grpc) fn put_secret(request: v1::PutSecretRequest) -> Taken<PutSecret> {
    let value = SecretBytes::value(request.value);
    let value = if request.from_approval.is_empty() {
        let value = value.map_err(|error| {
            Refused::invalid(error.to_string(), "A value has 1 byte to 64 KiB.")
        })?;
        PutValue::Given(value)
    } else if value.is_err_and(|error| error == ValueError::Empty) {
        PutValue::Proposed { approval: id("from_approval", request.from_approval)? }
    } else {
        return Err(Refused::invalid(
            "from_approval and a value exclude each other",
            "Give one of them.",
        ));
    };
    Ok(PutSecret {
        project: optional("project", request.project)?,
        path: secret_path(&request.path)?.to_string(),
        value,
        settings: secret_settings(request.settings)?,
        expected_version: request.expected_version,
    })
}

/// A value that is made here.
pub(in crate::grpc) fn generate_secret(
    request: v1::GenerateSecretRequest,
) -> Taken<GenerateSecret> {
    Ok(GenerateSecret {
        project: optional("project", request.project)?,
        path: secret_path(&request.path)?.to_string(),
        generator: generator(request.generator)?,
        settings: secret_settings(request.settings)?,
        expected_version: request.expected_version,
    })
}

/// What is said of a secret besides its value.
pub(in crate::grpc) fn secret_settings(
    settings: Option<v1::SecretSettings>,
) -> Taken<SecretSettings> {
    let settings = settings.unwrap_or_default();
    let expires_at = match (time("expires_at", settings.expires_at)?, settings.never_expires) {
        (Some(_), true) => {
            return Err(Refused::invalid(
                "expires_at and never_expires exclude each other",
                "Give one of them.",
            ));
        }
        (None, false) => None,
        (date, _) => Some(date),
    };
    Ok(SecretSettings {
        description: settings
            .description
            .map(|text| at_most("description", text, RESOURCE_BYTES_MAX))
            .transpose()?,
        labels: labels(settings.labels)?,
        remove_labels: names("remove_labels", settings.remove_labels)?,
        owner: settings.owner.map(|owner| optional("owner", owner)).transpose()?,
        expires_at,
        rotate_every: settings.rotate_every.as_deref().map(schedule).transpose()?,
    })
}

/// Secrets that are put at once, each with what is wrong with its value, if anything is.
pub(in crate::grpc) fn import_items(items: Vec<v1::ImportItem>) -> Taken<Vec<ImportItem>> {
    let items: Vec<_> = items
        .into_iter()
        .map(|item| ImportItem {
            path: item.path,
            value: SecretBytes::value(item.value),
            expected_version: item.expected_version,
        })
        .collect();
    match items.iter().find(|item| item.path.len() > RESOURCE_BYTES_MAX) {
        None => Ok(items),
        Some(long) => Err(Refused::invalid(
            format!("a path has {} bytes, and may have {RESOURCE_BYTES_MAX}", long.path.len()),
            "Write less.",
        )),
    }
}

/// How a value is to be made; its limits are checked.
fn generator(generator: Option<v1::Generator>) -> Taken<Generator> {
    let kind = generator.and_then(|generator| generator.kind);
    let or = |given: u32, default: u32| if given == 0 { default } else { given };
    let generator = match kind.ok_or_else(|| missing("generator"))? {
        Kind::Password(kind) => Generator::Password {
            length: or(kind.length, 32),
            alphabet: alphabet(&kind.alphabet, kind.characters)?,
        },
        Kind::Passphrase(kind) => Generator::Passphrase { words: or(kind.words, 8) },
        Kind::Uuid(v1::UuidKind {}) => Generator::Uuid {},
        Kind::Ed25519(v1::Ed25519Kind {}) => Generator::Ed25519 {},
        Kind::Rsa(kind) => Generator::Rsa { bits: or(kind.bits, 3072) },
    };
    generator.check().map_err(|error| Refused::invalid(error.to_string(), ""))
}

fn alphabet(word: &str, characters: String) -> Taken<Alphabet> {
    match (word, characters.is_empty()) {
        ("" | "alphanumeric", true) => Ok(Alphabet::Alphanumeric),
        ("ascii", true) => Ok(Alphabet::Ascii),
        ("hex", true) => Ok(Alphabet::Hex),
        ("digits", true) => Ok(Alphabet::Digits),
        ("base64url", true) => Ok(Alphabet::Base64url),
        ("", false) => Ok(Alphabet::Characters(characters)),
        (_, false) => {
            Err(Refused::invalid("alphabet and characters exclude each other", "Give one of them."))
        }
        (other, true) => Err(Refused::invalid(
            format!("there is no alphabet `{}`", vouchsafe_core::text::echo(other, 40)),
            "The alphabets are alphanumeric, ascii, hex, digits and base64url.",
        )),
    }
}

fn schedule(text: &str) -> Taken<Option<RotationSchedule>> {
    if text.is_empty() {
        return Ok(None);
    }
    let schedule = text.parse::<RotationSchedule>().map_err(|error| {
        Refused::invalid(error.to_string(), "For each first of the month at three: `0 3 1 * *`.")
    })?;
    Ok(Some(schedule))
}

fn labels(labels: HashMap<String, String>) -> Taken<BTreeMap<String, String>> {
    few("labels", labels.len(), NAMES_MAX)?;
    let labels = labels.into_iter();
    let taken = labels.map(|(label, value)| {
        Ok((name("labels", label)?, at_most("labels", value, LABEL_BYTES_MAX)?))
    });
    taken.collect()
}
