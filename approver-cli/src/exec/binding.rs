//! `NAME=URI`: a variable, and the secret that it is set to.

use vouchsafe_core::resource::Resource;

use crate::error::CliError;
use crate::text::{safe_line, shortened};

const SECRETS: &str = "vouchsafe://secrets/";
/// How much of a wrong name is repeated.
const ECHO_CHARS_MAX: usize = 40;

/// A variable, and the secret that it is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Binding {
    /// A name that every shell takes.
    pub(super) name: String,
    /// The secret's URI.
    pub(super) uri: String,
}

/// Reads all of them; no variable may be set twice.
pub(super) fn parse(given: &[String]) -> Result<Vec<Binding>, CliError> {
    let mut bindings: Vec<Binding> = Vec::with_capacity(given.len());
    for text in given {
        let binding = one(text)?;
        if bindings.iter().any(|known| known.name == binding.name) {
            return Err(CliError::usage(format!("--env sets {} twice", binding.name))
                .with_next("give each variable one secret"));
        }
        bindings.push(binding);
    }
    Ok(bindings)
}

/// The URIs of all secrets, each once.
pub(super) fn uris(bindings: &[Binding]) -> Vec<String> {
    let mut uris: Vec<String> = Vec::with_capacity(bindings.len());
    for Binding { uri, .. } in bindings {
        if !uris.contains(uri) {
            uris.push(uri.clone());
        }
    }
    uris
}

/// What stands behind the `=` is never repeated: it may be a value, put there by mistake.
fn one(text: &str) -> Result<Binding, CliError> {
    let next = "write NAME=vouchsafe://secrets/PATH, or NAME=PATH";
    let Some((name, secret)) = text.split_once('=') else {
        return Err(CliError::usage("--env takes NAME=URI, and there is no =").with_next(next));
    };
    if !is_name(name) {
        let name = safe_line(&shortened(name, ECHO_CHARS_MAX));
        return Err(CliError::usage(format!("`{name}` is no name of a variable"))
            .with_next("a name is letters, digits and _, and does not begin with a digit"));
    }
    let uri = match secret.strip_prefix(SECRETS) {
        Some(_) => secret.to_owned(),
        None => format!("{SECRETS}{secret}"),
    };
    match uri.parse::<Resource>() {
        Ok(resource @ Resource::Secret(_)) => {
            Ok(Binding { name: name.to_owned(), uri: resource.to_string() })
        }
        Ok(_) | Err(_) => {
            Err(CliError::usage(format!("what --env gives {name} is no secret's URI or path"))
                .with_next(next))
        }
    }
}

fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    fn parsed(given: &[&str]) -> Result<Vec<Binding>, CliError> {
        let given: Vec<String> = given.iter().map(|&text| text.to_owned()).collect();
        parse(&given)
    }

    #[test]
    fn a_path_is_as_good_as_a_uri() {
        let bindings =
            parsed(&["A=production/X", "_b2=vouchsafe://secrets/production/X", "C=one"]).unwrap();
        assert_eq!(
            uris(&bindings),
            ["vouchsafe://secrets/production/X", "vouchsafe://secrets/one"]
        );
        let names: Vec<&str> = bindings.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["A", "_b2", "C"]);
    }

    #[test]
    fn what_is_no_binding_is_refused_and_no_value_is_repeated() {
        for given in [
            &["hunter2"][..],
            &["A=hunter2 with spaces"],
            &["A="],
            &["=production/X"],
            &["1A=production/X"],
            &["A B=production/X"],
            &["A=vouchsafe://audit"],
            &["A=production/../X"],
            &["A=production/X", "A=production/Y"],
        ] {
            let error = parsed(given).unwrap_err();
            assert_eq!(error.exit, Exit::Usage, "{given:?}");
            assert!(!error.message.contains("hunter2"), "{}", error.message);
        }
    }
}
