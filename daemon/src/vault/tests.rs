//! What is sealed opens in its place, with its keys, and nowhere else.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use proptest::prelude::*;
use vouchsafe_core::audit::HeadSigner as _;
use vouchsafe_core::id::{ProjectId, SecretId};

use super::source::{Input, InputError, RootSource, SourceError, Which};
use super::*;

const NOW: UnixTime = UnixTime::from_ms(1_795_257_840_000);

fn vault() -> (RootKey, Vault) {
    let root = RootKey::generate().unwrap();
    let vault = Vault::create(&root, None, "vouchsafe/test", NOW).unwrap();
    (root, vault)
}

fn place() -> Place {
    Place::secret(ProjectId::from_random([1; 10]), SecretId::from_random([2; 10]), 3)
}

fn value(text: &str) -> SecretBytes {
    SecretBytes::new(text.as_bytes().to_vec())
}

fn opens(vault: &Vault, sealed: &Sealed) -> String {
    let opened = vault.open_at(&place(), sealed).unwrap();
    String::from_utf8(opened.expose().to_vec()).unwrap()
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_value_opens_in_its_place_after_a_restart() {
    let (root, vault) = vault();
    let sealed = vault.seal(&place(), &value("hunter2")).unwrap();
    let stored = Sealed::from_bytes(sealed.as_bytes().to_vec());
    let again = Vault::unlock(&root, &vault.state()).unwrap();
    assert_eq!(opens(&again, &stored), "hunter2");
    assert_eq!(again.signer().verifier_key(), vault.signer().verifier_key());
    assert!(!sealed.as_bytes().windows(7).any(|window| window == b"hunter2"));
}

#[test]
fn the_same_value_is_never_sealed_to_the_same_bytes() {
    let (_, vault) = vault();
    let seal = || vault.seal(&place(), &value("hunter2")).unwrap();
    assert_ne!(seal(), seal());
}

#[test]
fn a_value_moved_to_another_place_does_not_open() {
    let (_, vault) = vault();
    let sealed = vault.seal(&place(), &value("hunter2")).unwrap();
    let row = SecretId::from_random([9; 10]).to_string();
    for other in [
        Place { purpose: "request-args", ..place() },
        Place { project: ProjectId::from_random([9; 10]), ..place() },
        Place { table: "approvals", ..place() },
        Place { row, ..place() },
        Place { row: String::new(), ..place() },
        Place { version: 4, ..place() },
    ] {
        let opened = vault.open_at(&other, &sealed);
        assert!(matches!(opened, Err(VaultError::Corrupt { .. })), "{other:?}");
    }
}

#[test]
fn parts_of_two_values_do_not_make_a_third() {
    let (_, vault) = vault();
    let (a, b) = (
        vault.seal(&place(), &value("first")).unwrap(),
        vault.seal(&place(), &value("other")).unwrap(),
    );
    for cut in [12, 24, 72, 104, 116] {
        let mixed = [&a.as_bytes()[..cut], &b.as_bytes()[cut..]].concat();
        if mixed != a.as_bytes() && mixed != b.as_bytes() {
            assert!(vault.open_at(&place(), &Sealed::from_bytes(mixed)).is_err(), "{cut}");
        }
    }
}

#[test]
fn a_wrong_root_key_is_told_from_damage() {
    let (root, vault) = vault();
    let state = vault.state();
    let unlock = |root: &RootKey, state: &VaultState| Vault::unlock(root, state).err();
    assert_eq!(unlock(&root, &state), None);
    assert_eq!(unlock(&RootKey::generate().unwrap(), &state), Some(VaultError::WrongRootKey));
    let mut damaged = state.clone();
    damaged.keks[0].wrapped[20] ^= 1;
    assert!(matches!(unlock(&root, &damaged), Some(VaultError::Corrupt { .. })));
    for n in 0..state.keys.len() {
        let mut damaged = state.clone();
        damaged.keys[n].1[20] ^= 1;
        assert!(matches!(unlock(&root, &damaged), Some(VaultError::Corrupt { .. })));
        // One purpose's key in another's place.
        let mut swapped = state.clone();
        swapped.keys[n].1.clone_from(&state.keys[(n + 1) % 3].1);
        assert!(matches!(unlock(&root, &swapped), Some(VaultError::Corrupt { .. })));
    }
    let mut elsewhere = state;
    elsewhere.origin = "vouchsafe/other".to_owned();
    assert!(matches!(unlock(&root, &elsewhere), Some(VaultError::Corrupt { .. })));
}

#[test]
fn a_new_root_key_keeps_values_tokens_and_the_logs_key() {
    let (old, vault) = vault();
    let sealed = vault.seal(&place(), &value("hunter2")).unwrap();
    let token = vault.token_mac("id", b"secret");
    let signer = vault.signer();
    let new = RootKey::generate().unwrap();
    let next = vault.next_root(&new, None).unwrap();
    let state = next.state().clone();
    assert_eq!(state.generation, 2);
    vault.adopt(next).unwrap();
    assert_eq!(Vault::unlock(&old, &state).err(), Some(VaultError::WrongRootKey));
    for vault in [vault, Vault::unlock(&new, &state).unwrap()] {
        assert_eq!(opens(&vault, &sealed), "hunter2");
        assert!(vault.token_verify("id", b"secret", &token));
        assert_eq!(vault.signer().verifier_key(), signer.verifier_key());
    }
}

#[test]
fn a_new_kek_seals_and_the_old_one_still_opens() {
    let (root, vault) = vault();
    let old = vault.seal(&place(), &value("hunter2")).unwrap();
    let next = vault.next_kek(NOW).unwrap();
    vault.adopt(next).unwrap();
    let new = vault.seal(&place(), &value("hunter3")).unwrap();
    assert_ne!(old.kek(), new.kek());
    let again = Vault::unlock(&root, &vault.state()).unwrap();
    assert_eq!((opens(&again, &old), opens(&again, &new)), ("hunter2".into(), "hunter3".into()));
    let moved = again.resealed(&place(), &old).unwrap().unwrap();
    assert_eq!(moved.kek(), new.kek());
    assert_eq!(opens(&again, &moved), "hunter2");
    assert_eq!(again.resealed(&place(), &moved), Ok(None));
    let elsewhere = Place { version: 9, ..place() };
    assert!(again.resealed(&elsewhere, &old).is_err());
}

#[test]
fn of_two_changes_prepared_together_one_is_adopted() {
    let (_, vault) = vault();
    let (a, b) = (vault.next_kek(NOW).unwrap(), vault.next_kek(NOW).unwrap());
    vault.adopt(a).unwrap();
    assert_eq!(vault.adopt(b), Err(VaultError::Raced));
}

#[test]
fn keys_have_an_end() {
    let (_, vault) = vault();
    let refused = (0..200).find_map(|_| match vault.next_kek(NOW) {
        Ok(next) => {
            vault.adopt(next).unwrap();
            None
        }
        Err(error) => Some(error),
    });
    assert_eq!(refused, Some(VaultError::TooManyKeys));
}

#[test]
fn a_token_is_verified_with_its_own_id_only() {
    let (_, vault) = vault();
    let mac = vault.token_mac("abc", b"def");
    assert!(vault.token_verify("abc", b"def", &mac));
    for (id, secret) in [("ab", &b"cdef"[..]), ("abc", b"deg"), ("abcd", b"ef"), ("", b"abcdef")] {
        assert!(!vault.token_verify(id, secret, &mac));
    }
    assert!(!vault.token_verify("abc", b"def", &mac[..31]));
    assert!(!vault.cursor_verify(b"abc", &vault.token_mac("", b"abc")));
    assert!(vault.cursor_verify(b"abc", &vault.cursor_mac(b"abc")));
}

#[test]
fn nothing_that_holds_a_key_prints_it() {
    let (root, vault) = vault();
    let sealed = vault.seal(&place(), &value("hunter2")).unwrap();
    let texts = format!("{root:?} {vault:?} {sealed:?} {:?}", vault.next_kek(NOW).unwrap());
    assert_eq!(texts.matches("(..)").count(), 2, "{texts}");
    assert!(!texts.contains('['), "{texts}");
}

#[test]
fn a_root_key_file_is_made_private_and_read_only_if_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("root.key");
    let source = RootSource::Key(Input::File(path.clone()));
    let (root, _) = source.first().unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(source.first().unwrap().0.expose(), root.expose());

    let finding = |source: &RootSource| match source.first() {
        Err(SourceError::Input(InputError::NotPrivate { finding, .. })) => finding,
        other => panic!("{other:?}"),
    };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(finding(&source), "group or others may use it");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let other = folder.path().join("other");
    std::fs::hard_link(&path, &other).unwrap();
    assert_eq!(finding(&source), "it has another name elsewhere");
    std::fs::remove_file(&other).unwrap();
    symlink(&path, &other).unwrap();
    let linked = RootSource::Key(Input::File(other)).first();
    assert!(matches!(linked, Err(SourceError::Input(InputError::File { .. }))));
    let itself = RootSource::Key(Input::File(folder.path().to_owned()));
    assert_eq!(finding(&itself), "it is no plain file");
}

#[test]
fn a_root_key_is_one_line_of_hexadecimal_or_base64() {
    let hex = "00".repeat(31) + "Ff";
    let base64 = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAP8=";
    for text in [hex.clone(), format!("{hex}\n"), base64.to_owned(), format!("{base64}\r\n")] {
        let key = RootKey::parse(text.as_bytes()).unwrap();
        assert_eq!((key.expose()[30], key.expose()[31]), (0, 255), "{text}");
    }
    for bad in ["", "00", &hex[1..], &format!("{hex}00"), &format!("{hex}\n{hex}"), &base64[1..]] {
        assert!(matches!(RootKey::parse(bad.as_bytes()), Err(SourceError::NotAKey)), "{bad}");
    }
}

/// Every state a crash can leave on the way from one key file to the next.
#[test]
fn a_rotation_broken_off_anywhere_is_finished_or_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let source = RootSource::Key(Input::File(folder.path().join("root.key")));
    let (root, passphrase) = source.first().unwrap();
    let vault = Vault::create(&root, passphrase, "vouchsafe/test", NOW).unwrap();
    let old = vault.state();
    // Left behind by an attempt before.
    write(&folder.path().join("root.key.new"), "half a li", 0o600);
    assert_eq!(source.unlock(&old).unwrap().1, Which::Current);

    let (root, passphrase) = source.make_new().unwrap();
    // Before the new state is stored.
    assert_eq!(source.unlock(&old).unwrap().1, Which::Current);
    let next = vault.next_root(&root, passphrase).unwrap();
    let new = next.state().clone();
    // After it is stored, before the file is renamed.
    assert_eq!(source.unlock(&new).unwrap().1, Which::New);
    assert!(source.finish().unwrap());
    assert_eq!(source.unlock(&new).unwrap().1, Which::Current);
    assert!(!folder.path().join("root.key.new").exists());
    // The old state was restored from a backup: neither key is its own.
    let refused = source.unlock(&old);
    assert!(matches!(refused, Err(SourceError::Vault(VaultError::WrongRootKey))));
}

#[test]
fn a_passphrase_opens_and_rotates_to_the_one_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passphrase");
    write(&path, "correct horse battery\n", 0o600);
    let source = RootSource::Passphrase(Input::File(path.clone()));
    let (root, passphrase) = source.first().unwrap();
    let vault = Vault::create(&root, passphrase, "vouchsafe/test", NOW).unwrap();
    assert_eq!(source.unlock(&vault.state()).unwrap().1, Which::Current);

    write(&folder.path().join("passphrase.new"), "staple and a stapler", 0o600);
    let (root, passphrase) = source.make_new().unwrap();
    let next = vault.next_root(&root, passphrase).unwrap();
    assert_ne!(next.state().passphrase, vault.state().passphrase);
    assert_eq!(source.unlock(next.state()).unwrap().1, Which::New);
    assert!(!source.finish().unwrap(), "the operator moves it");

    write(&path, "correct horse bastion\n", 0o600);
    std::fs::remove_file(folder.path().join("passphrase.new")).unwrap();
    let wrong = source.unlock(&vault.state());
    assert!(matches!(wrong, Err(SourceError::Vault(VaultError::WrongRootKey))));
    write(&path, "too short", 0o600);
    assert!(matches!(source.unlock(&vault.state()), Err(SourceError::ShortPassphrase)));
}

#[test]
fn a_credential_is_read_by_its_plain_name() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder.path().join("root"), &"ab".repeat(32), 0o440);
    let source = |name: &str| {
        let (directory, name) = (folder.path().to_owned(), name.to_owned());
        RootSource::Key(Input::Credential { directory, name })
    };
    assert_eq!(source("root").first().unwrap().0.expose(), &[0xab; 32]);
    for bad in ["", "../root", "a/b", ".hidden"] {
        let refused = source(bad).first();
        assert!(
            matches!(refused, Err(SourceError::Input(InputError::CredentialName { .. }))),
            "{bad}"
        );
    }
}

#[test]
fn a_command_gives_the_key_and_learns_nothing() {
    let run = |script: &str| {
        let words = ["sh", "-c", script, "key"].map(str::to_owned).to_vec();
        RootSource::Key(Input::Command(words))
    };
    let key = "ab".repeat(32);
    let current = run(&format!("test -z \"$HOME\" && test $# = 0 && echo {key}"));
    assert_eq!(current.first().unwrap().0.expose(), &[0xab; 32]);
    let new = run(&format!("test \"$1\" = new && echo {key}"));
    assert_eq!(new.make_new().unwrap().0.expose(), &[0xab; 32]);
    let failed = new.first();
    assert!(matches!(failed, Err(SourceError::Input(InputError::CommandStatus { .. }))));
    let long = run("head -c 5000 /dev/zero").first();
    assert!(matches!(long, Err(SourceError::Input(InputError::TooLong))), "{long:?}");
    let missing = RootSource::Key(Input::Command(vec!["/no/such/program".to_owned()]));
    assert!(matches!(missing.first(), Err(SourceError::Input(InputError::Command(_)))));
}

proptest! {
    #[test]
    fn any_value_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let (_, vault) = vault();
        let sealed = vault.seal(&place(), &SecretBytes::new(bytes.clone())).unwrap();
        let opened = vault.open_at(&place(), &sealed).unwrap();
        prop_assert_eq!(opened.expose(), bytes);
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
        pick: u64,
        bit in 0_u32..8,
    ) {
        let (_, vault) = vault();
        let sealed = vault.seal(&place(), &SecretBytes::new(bytes)).unwrap();
        let at = usize::try_from(pick).unwrap() % sealed.as_bytes().len();
        let mut flipped = sealed.as_bytes().to_vec();
        flipped[at] ^= 1 << bit;
        prop_assert!(vault.open_at(&place(), &Sealed::from_bytes(flipped)).is_err());
        let cut = sealed.as_bytes()[..at].to_vec();
        prop_assert!(vault.open_at(&place(), &Sealed::from_bytes(cut)).is_err());
        let longer = [sealed.as_bytes(), &[0]].concat();
        prop_assert!(vault.open_at(&place(), &Sealed::from_bytes(longer)).is_err());
    }
}
