//! The policy files of a folder, as the daemon takes them.

use std::fs;
use std::path::Path;

use vouchsafe_proto::v1::PolicyFile;

use crate::error::CliError;
use crate::home;

const FILES_MAX: usize = 256;
/// All files together; a gRPC message holds 4 MiB.
const FILES_BYTES_MAX: usize = 3 * 1024 * 1024;
const CASES_SUFFIX: &str = ".cases.toml";

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Take {
    Rules,
    RulesAndCases,
}

/// The files in the order of their names, those of projects as `PROJECT/NAME`; none for no folder.
pub(super) fn read_files(dir: Option<&Path>, take: Take) -> Result<Vec<PolicyFile>, CliError> {
    let Some(dir) = dir else {
        return Ok(Vec::new());
    };
    let mut files = Vec::new();
    for (name, path) in entries(dir)? {
        if path.is_dir() {
            for (below, path) in entries(&path)? {
                if is_taken(&below, take) && path.is_file() {
                    files.push(read(format!("{name}/{below}"), &path)?);
                }
            }
        } else if is_taken(&name, take) {
            files.push(read(name, &path)?);
        }
        if files.len() > FILES_MAX {
            return Err(too_many());
        }
    }
    let bytes: usize = files.iter().map(|file| file.text.len()).sum();
    if bytes > FILES_BYTES_MAX {
        return Err(too_many());
    }
    // The daemon would take an empty list as "your own".
    if files.is_empty() {
        return Err(CliError::usage(format!("{} holds no policy files", home::display(dir)))
            .with_next("policy files end in .toml"));
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

/// What stands in a folder, hidden things apart, by name.
fn entries(dir: &Path) -> Result<Vec<(String, std::path::PathBuf)>, CliError> {
    let action = format!("reading {}", home::display(dir));
    let failed = |error: std::io::Error| CliError::io(&action, &error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            entries.push((name, entry.path()));
        }
    }
    Ok(entries)
}

fn is_taken(name: &str, take: Take) -> bool {
    let is_toml = Path::new(name).extension().is_some_and(|extension| extension == "toml");
    is_toml && (take == Take::RulesAndCases || !name.ends_with(CASES_SUFFIX))
}

fn read(name: String, path: &Path) -> Result<PolicyFile, CliError> {
    let text = fs::read_to_string(path)
        .map_err(|error| CliError::io(&format!("reading {}", home::display(path)), &error))?;
    Ok(PolicyFile { name, text })
}

fn too_many() -> CliError {
    CliError::usage("these are too many rules at once")
        .with_next("a rule set is at most 256 files and 3 MiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path, take: Take) -> Vec<String> {
        let files = read_files(Some(dir), take).unwrap();
        files.into_iter().map(|file| file.name).collect()
    }

    #[test]
    fn a_check_takes_rules_and_a_test_takes_cases_too() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.toml", "a.toml", "a.cases.toml", "README.md", ".hidden.toml"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        assert_eq!(names(dir.path(), Take::Rules), ["a.toml", "b.toml"]);
        assert_eq!(names(dir.path(), Take::RulesAndCases), ["a.cases.toml", "a.toml", "b.toml"]);
    }

    #[test]
    fn the_rules_of_a_project_are_one_folder_down_and_no_deeper() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("shop/deeper")).unwrap();
        fs::create_dir_all(dir.path().join(".git")).unwrap();
        for name in
            ["z.toml", "shop/x.toml", "shop/x.cases.toml", "shop/deeper/y.toml", ".git/g.toml"]
        {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        assert_eq!(names(dir.path(), Take::Rules), ["shop/x.toml", "z.toml"]);
        assert_eq!(
            names(dir.path(), Take::RulesAndCases),
            ["shop/x.cases.toml", "shop/x.toml", "z.toml"]
        );
    }

    #[test]
    fn an_empty_folder_is_never_taken_for_the_daemons_own() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read_files(Some(dir.path()), Take::Rules).is_err());
        assert!(read_files(None, Take::Rules).unwrap().is_empty());
    }
}
