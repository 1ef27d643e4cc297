//! What each command asks the daemon for.

use std::fs;
use std::path::Path;

use clap::Parser as _;
use vouchsafe_proto::v1::generator::Kind;
use vouchsafe_proto::v1::{
    DeleteSecretRequest, Generator, ImportItem, ImportSecretsRequest, PassphraseKind,
    PutSecretRequest, RollBackSecretRequest, RotateSecretRequest, UndeleteSecretRequest,
};

use super::path_of;
use crate::cli::{self, Cli};
use crate::error::{CliError, Exit};
use crate::fake::{self, Asked, Fake};
use crate::home::Home;

/// A fake daemon and its home.
struct Desk {
    dir: tempfile::TempDir,
    fake: Fake,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fake = fake::start(&Home::find(Some(dir.path().to_owned())).unwrap());
        Self { dir, fake }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    async fn run(&self, line: &str) -> Result<Exit, CliError> {
        run_in(self.dir.path(), line).await
    }
}

async fn run_in(dir: &Path, line: &str) -> Result<Exit, CliError> {
    let home = dir.to_str().unwrap();
    let words = ["vouchsafe", "--home", home].into_iter().chain(line.split(' '));
    cli::run(Cli::try_parse_from(words).unwrap()).await
}

fn refused(line: &str) -> String {
    Cli::try_parse_from(line.split(' ')).unwrap_err().to_string()
}

fn default_project() -> String {
    "default".to_owned()
}

#[test]
fn a_uri_does_as_well_as_a_path() {
    assert_eq!(path_of("vouchsafe://secrets/a/B".to_owned()), "a/B");
    assert_eq!(path_of("a/B".to_owned()), "a/B");
}

#[tokio::test]
async fn a_list_can_be_of_labels_and_of_what_is_deleted() {
    let desk = Desk::new();
    desk.run("secrets list production/** --deleted --label team --label env=prod").await.unwrap();
    desk.run("-o json secrets list").await.unwrap();
    let asked = desk.fake.asked();
    let Some(Asked::ListSecrets(first)) = asked.first() else { panic!("{asked:?}") };
    assert!(first.deleted && first.pattern == "production/**");
    let labels = [("team", ""), ("env", "prod")];
    assert_eq!(first.labels, labels.map(|(name, value)| (name.into(), value.into())).into());
    let Some(Asked::ListSecrets(second)) = asked.get(1) else { panic!("{asked:?}") };
    assert!(!second.deleted && second.labels.is_empty());
}

#[tokio::test]
async fn a_value_of_a_file_is_put_with_its_settings() {
    let desk = Desk::new();
    let file = desk.file("value", "hunter2\n");
    let line = format!("secrets put a/B --file {file} --trim --owner jane --expected-version 0");
    desk.run(&line).await.unwrap();
    let asked = desk.fake.asked();
    let Some(Asked::PutSecret(put)) = asked.first() else { panic!("{asked:?}") };
    assert_eq!((put.path.as_str(), put.value.as_slice()), ("a/B", b"hunter2".as_slice()));
    assert_eq!(put.expected_version, Some(0));
    let settings = put.settings.as_ref().unwrap();
    assert_eq!(settings.owner.as_deref(), Some("jane"));
    assert_eq!(settings.description, None, "it stays as it is");
}

#[tokio::test]
async fn what_an_agent_proposed_is_put_without_a_value() {
    let desk = Desk::new();
    desk.run("secrets put a/B --from-approval ap_7 --description x").await.unwrap();
    let asked = desk.fake.asked();
    let Some(Asked::PutSecret(PutSecretRequest { value, from_approval, .. })) = asked.first()
    else {
        panic!("{asked:?}")
    };
    assert_eq!((value.len(), from_approval.as_str()), (0, "ap_7"));
    let both = "vouchsafe secrets put a/B --from-approval ap_7 --file x";
    assert!(refused(both).contains("cannot be used with"));
    let scheduled = desk.run("secrets put a/B --rotate-every never").await.unwrap_err();
    assert_eq!(scheduled.exit, Exit::Usage);
}

#[tokio::test]
async fn a_value_is_generated_on_a_schedule() {
    let desk = Desk::new();
    let line = "secrets generate a/B --kind passphrase --words 6 --expected-version 2 --label a=b";
    desk.run(line).await.unwrap();
    desk.run("secrets update a/B --rotate-every never").await.unwrap();
    let asked = desk.fake.asked();
    let Some(Asked::GenerateSecret(made)) = asked.first() else { panic!("{asked:?}") };
    let kind = Kind::Passphrase(PassphraseKind { words: 6 });
    assert_eq!(made.generator, Some(Generator { kind: Some(kind) }));
    assert_eq!(made.expected_version, Some(2));
    assert_eq!(made.settings.as_ref().unwrap().labels["a"], "b");
    let Some(Asked::UpdateSecret(update)) = asked.get(1) else { panic!("{asked:?}") };
    assert_eq!(update.settings.as_ref().unwrap().rotate_every.as_deref(), Some(""));
}

#[tokio::test]
async fn a_change_names_what_changes() {
    let desk = Desk::new();
    let error = desk.run("secrets update a/B").await.unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    assert_eq!(error.message, "nothing is named that is to change");
    assert_eq!(desk.fake.asked(), []);
}

#[tokio::test]
async fn a_secret_is_rotated_rolled_back_deleted_and_taken_back() {
    let desk = Desk::new();
    for line in [
        "secrets rotate vouchsafe://secrets/a/B --yes",
        "secrets rollback a/B --to 2 --yes",
        "--project shop secrets delete a/B --yes --reason gone",
        "-o json secrets undelete a/B --id sec_1",
        "secrets show a/B",
        "secrets versions a/B",
    ] {
        desk.run(line).await.unwrap();
    }
    let (project, path) = (default_project(), "a/B".to_owned());
    let rotate = RotateSecretRequest { project: project.clone(), path: path.clone() };
    let back =
        RollBackSecretRequest { project: project.clone(), path: path.clone(), to_version: 2 };
    let delete = DeleteSecretRequest {
        project: "shop".to_owned(),
        path: path.clone(),
        reason: "gone".to_owned(),
    };
    let undelete = UndeleteSecretRequest { project, path, id: "sec_1".to_owned() };
    assert_eq!(
        desk.fake.asked(),
        [
            Asked::RotateSecret(rotate),
            Asked::RollBackSecret(back),
            Asked::DeleteSecret(delete),
            Asked::UndeleteSecret(undelete),
        ]
    );
}

fn item(path: &str, value: &str, expected_version: Option<u64>) -> ImportItem {
    ImportItem { path: path.to_owned(), value: value.as_bytes().to_vec(), expected_version }
}

fn import(items: Vec<ImportItem>, dry_run: bool) -> Asked {
    Asked::ImportSecrets(ImportSecretsRequest { project: default_project(), items, dry_run })
}

#[tokio::test]
async fn an_import_is_of_the_versions_that_its_plan_showed() {
    let desk = Desk::new();
    let file = desk.file("a.env", "NEW=one\nOLD='two'\n");
    desk.run(&format!("secrets import {file} --prefix production --yes")).await.unwrap();
    let plan = vec![item("production/NEW", "one", None), item("production/OLD", "two", None)];
    let done = vec![item("production/NEW", "one", Some(0)), item("production/OLD", "two", Some(3))];
    assert_eq!(desk.fake.asked(), [import(plan, true), import(done, false)]);
}

#[tokio::test]
async fn a_plan_changes_nothing() {
    let desk = Desk::new();
    let file = desk.file("a.json", r#"{"production": {"OLD": "two"}}"#);
    desk.run(&format!("secrets import {file} --plan")).await.unwrap();
    desk.run(&format!("-o json secrets import {file} --plan")).await.unwrap();
    let plan = || import(vec![item("production/OLD", "two", None)], true);
    assert_eq!(desk.fake.asked(), [plan(), plan()]);
}

#[tokio::test]
async fn what_exists_can_be_left_out() {
    let desk = Desk::new();
    let file = desk.file("a.yml", "production:\n  OLD: two\n  NEW: one\n");
    desk.run(&format!("secrets import {file} --skip-existing --yes")).await.unwrap();
    let done = import(vec![item("production/NEW", "one", Some(0))], false);
    assert_eq!(desk.fake.asked().get(1), Some(&done));
    let file = desk.file("b.yml", "production:\n  OLD: two\n");
    desk.run(&format!("secrets import {file} --skip-existing --yes")).await.unwrap();
    assert_eq!(desk.fake.asked().len(), 3, "nothing was left to put");
}

#[tokio::test]
async fn nothing_is_imported_where_one_cannot_be_put() {
    let desk = Desk::new();
    let file = desk.file("a.env", "NEW=one\nTAKEN=two\n");
    let error = desk.run(&format!("secrets import {file} --yes")).await.unwrap_err();
    assert_eq!(error.exit, Exit::Conflict);
    assert_eq!(error.message, "nothing was imported: 1 of 2 cannot be put");
    assert_eq!(desk.fake.asked().len(), 1);
}

#[tokio::test]
async fn nothing_is_sent_of_a_file_with_a_fault() {
    let desk = Desk::new();
    let file = desk.file("a.env", "NEW=one\nwhat is this\nNEW=two\n");
    let error = desk.run(&format!("secrets import {file} --yes")).await.unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    assert!(error.message.contains("line 2: ") && error.message.contains("line 3: NEW is on"));
    assert_eq!(desk.fake.asked(), []);
}

#[tokio::test]
async fn an_import_that_nobody_can_confirm_needs_a_yes() {
    let desk = Desk::new();
    let file = desk.file("a.env", "NEW=one\n");
    for line in [
        format!("secrets import {file}"),
        format!("-o json secrets import {file}"),
        "secrets import - --format json".to_owned(),
    ] {
        let error = desk.run(&line).await.unwrap_err();
        assert_eq!(error.exit, Exit::Usage, "{line}");
        assert_eq!(error.message, "nobody can be asked whether to go ahead");
    }
    assert_eq!(desk.fake.asked(), []);
}
