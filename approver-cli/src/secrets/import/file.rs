//! The file itself: where it is, what it is written in, and what is wrong with it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use vouchsafe_core::resource::SecretPath;
use zeroize::Zeroizing;

use super::item::{FILE_BYTES_MAX, Item, Parsed, Problem};
use super::{Format, dotenv, json, yaml};
use crate::error::CliError;
use crate::home;
use crate::secrets::{path_of, value};

/// Problems that are told at once.
const PROBLEMS_SHOWN: usize = 50;

/// Where secrets are read from.
#[derive(Debug)]
pub(super) struct Source {
    /// Nothing: standard input.
    file: Option<PathBuf>,
    format: Format,
}

impl Source {
    /// A file, or `-` for standard input, which has no name to tell its format by.
    pub(super) fn new(file: PathBuf, format: Option<Format>) -> Result<Self, CliError> {
        let file = Some(file).filter(|file| file.as_os_str() != "-");
        let format = format.or_else(|| file.as_deref().and_then(format_of)).ok_or_else(|| {
            let what = name(file.as_deref());
            CliError::usage(format!("it cannot be told what {what} is written in"))
                .with_next("say it with --format dotenv, json or yaml")
        })?;
        Ok(Self { file, format })
    }

    pub(super) fn is_standard_input(&self) -> bool {
        self.file.is_none()
    }

    /// All its secrets, below the prefix. Whatever is wrong is told at once.
    pub(super) fn items(&self, prefix: Option<&str>) -> Result<Vec<Item>, CliError> {
        let prefix = prefix.map(checked_prefix).transpose()?;
        let bytes = self.read()?;
        items(&bytes, self.format, prefix.as_deref())
            .map_err(|problems| told(&name(self.file.as_deref()), &problems))
    }

    fn read(&self) -> Result<Zeroizing<Vec<u8>>, CliError> {
        let action = format!("reading {}", name(self.file.as_deref()));
        let read = match &self.file {
            None => value::read(io::stdin().lock(), FILE_BYTES_MAX),
            Some(path) => File::open(path).and_then(|file| value::read(file, FILE_BYTES_MAX)),
        };
        let bytes = read.map_err(|error| CliError::io(&action, &error))?;
        if bytes.len() > FILE_BYTES_MAX {
            let what = name(self.file.as_deref());
            return Err(CliError::usage(format!("{what} is longer than 8 MiB"))
                .with_next("import it in parts"));
        }
        Ok(bytes)
    }
}

/// All secrets in these bytes, or all that is wrong with them.
pub(super) fn items(
    bytes: &[u8],
    format: Format,
    prefix: Option<&str>,
) -> Result<Vec<Item>, Vec<Problem>> {
    let mut parsed = Parsed::new(prefix);
    match text(bytes) {
        Ok(text) => match format {
            Format::Dotenv => dotenv::parse(text, &mut parsed),
            Format::Json => json::parse(text, &mut parsed),
            Format::Yaml => yaml::parse(text, &mut parsed),
        },
        Err(problem) => parsed.problem(problem.line, problem.what),
    }
    parsed.finish()
}

/// As UTF-8, without the mark that some editors put before it.
fn text(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(Problem { line: 0, what: "it is UTF-16; save it as UTF-8".to_owned() });
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let line = good.split(|byte| *byte == b'\n').count();
        Problem { line, what: "it is not UTF-8; save it as UTF-8".to_owned() }
    })
}

/// `.env`, `.env.production`, `shop.env`, `secrets.json`, `secrets.yml`.
fn format_of(file: &Path) -> Option<Format> {
    let name = file.file_name()?.to_str()?.to_ascii_lowercase();
    match name.rsplit_once('.')?.1 {
        "json" => Some(Format::Json),
        "yaml" | "yml" => Some(Format::Yaml),
        "env" => Some(Format::Dotenv),
        _ if name.starts_with(".env.") => Some(Format::Dotenv),
        _ => None,
    }
}

fn checked_prefix(given: &str) -> Result<String, CliError> {
    let prefix = path_of(given.to_owned());
    let prefix = prefix.trim_end_matches('/');
    let path: SecretPath =
        prefix.parse().map_err(|error| CliError::usage(format!("--prefix: {error}")))?;
    Ok(path.to_string())
}

fn name(file: Option<&Path>) -> String {
    file.map_or_else(|| "standard input".to_owned(), home::display)
}

fn told(name: &str, problems: &[Problem]) -> CliError {
    let shown = problems.iter().take(PROBLEMS_SHOWN);
    let mut lines: Vec<String> = shown.map(|problem| format!("  {problem}")).collect();
    let left = problems.len().saturating_sub(PROBLEMS_SHOWN);
    if left > 0 {
        lines.push(format!("  and {left} more"));
    }
    let message = format!("nothing of {name} was imported:\n{}", lines.join("\n"));
    CliError::usage(message).with_next("mend the file, and import it again")
}
