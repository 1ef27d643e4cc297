//! `doctor`: what is wrong, and how to mend it.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use vouchsafe_proto::v1::{RunChecksRequest, ShowStatusRequest, ShowStatusResponse};

use crate::context::Context;
use crate::error::CliError;
use crate::home::{self, Home};
use crate::output::Column;
use crate::record::Record;

const COLUMNS: [Column; 4] =
    [("CHECK", "name"), ("RESULT", "result"), ("DETAIL", "detail"), ("MEND", "mend")];

/// One thing looked at.
struct Check {
    name: String,
    ok: bool,
    /// It is no fault, but somebody should look at it.
    warning: bool,
    detail: String,
    /// What to do about it.
    mend: String,
}

impl Check {
    fn ok(name: impl Into<String>, detail: impl Into<String>) -> Self {
        let (name, detail) = (name.into(), detail.into());
        Self { name, ok: true, warning: false, detail, mend: String::new() }
    }

    fn fault(name: impl Into<String>, detail: impl Into<String>, mend: impl Into<String>) -> Self {
        let (name, detail, mend) = (name.into(), detail.into(), mend.into());
        Self { name, ok: false, warning: false, detail, mend }
    }
}

pub(crate) async fn run(context: &Context) -> Result<(), CliError> {
    let mut checks = Vec::new();
    if !context.is_remote() {
        checks.extend(home_checks(&context.home));
    }
    checks.extend(daemon_checks(context).await);
    let faults = checks.iter().filter(|check| !check.ok).count();
    let is_json = context.out.is_json();
    let records: Vec<Record> = checks.iter().map(|check| record(check, is_json)).collect();
    context.out.list(&COLUMNS, &records, "nothing was looked at")?;
    match faults {
        0 => Ok(()),
        1 => Err(CliError::fault("1 fault")),
        faults => Err(CliError::fault(format!("{faults} faults"))),
    }
}

fn home_checks(home: &Home) -> Vec<Check> {
    if !home.exists() {
        let mend = "make one with `vouchsafed init`, or `vouchsafed --dev`";
        return vec![Check::fault(
            "home",
            format!("no folder {}", home::display(home.dir())),
            mend,
        )];
    }
    let mut checks = vec![private("home", home.dir(), 0o700)];
    if home.credentials_file().exists() {
        checks.push(private("credentials", &home.credentials_file(), 0o600));
    }
    let keys = fs::read_dir(home.keys_dir()).into_iter().flatten().flatten();
    let mut keys: Vec<_> = keys.map(|entry| entry.path()).collect();
    keys.sort();
    checks.extend(keys.iter().map(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        private(&format!("keys/{name}"), path, 0o600)
    }));
    checks
}

/// Whether only the owner can get at it.
fn private(name: &str, path: &Path, mode: u32) -> Check {
    let shown = home::display(path);
    match fs::metadata(path) {
        Ok(metadata) => match home::private_fault(metadata.permissions().mode()) {
            None => Check::ok(name, format!("{shown} is for its owner alone")),
            Some(fault) => {
                Check::fault(name, format!("{shown} {fault}"), format!("chmod {mode:o} {shown}"))
            }
        },
        Err(error) => Check::fault(name, format!("{shown}: {error}"), "see that it can be read"),
    }
}

async fn daemon_checks(context: &Context) -> Vec<Check> {
    let daemon = match context.daemon().await {
        Ok(daemon) => daemon,
        Err(error) => return vec![failed("daemon", error)],
    };
    let mut checks = match daemon.status().show_status(ShowStatusRequest {}).await {
        Ok(status) => {
            let status = status.into_inner();
            let mut checks = vec![Check::ok("daemon", "answers"), same_version(&status.version)];
            checks.extend(stops(&status));
            checks
        }
        Err(status) => return vec![failed("daemon", status.into())],
    };
    if !context.is_remote() {
        checks.push(bridge_socket(&context.home).await);
    }
    match daemon.status().run_checks(RunChecksRequest {}).await {
        Ok(answer) => checks.extend(answer.into_inner().results.into_iter().map(|result| Check {
            name: result.name,
            ok: result.ok,
            warning: result.warning,
            detail: result.detail,
            mend: result.mend,
        })),
        Err(status) => checks.push(failed("daemon's own checks", status.into())),
    }
    checks
}

async fn bridge_socket(home: &Home) -> Check {
    let socket = home.mcp_socket();
    let connected: io::Result<_> = tokio::net::UnixStream::connect(&socket).await;
    match connected {
        Ok(_) => Check::ok("mcp socket", format!("{} answers", home::display(&socket))),
        Err(error) => Check::fault(
            "mcp socket",
            format!("{}: {error}", home::display(&socket)),
            "restart the daemon",
        ),
    }
}

fn same_version(daemon: &str) -> Check {
    let own = env!("CARGO_PKG_VERSION");
    if daemon == own {
        return Check::ok("version", format!("both are {own}"));
    }
    Check::fault(
        "version",
        format!("this is {own}, the daemon is {daemon}"),
        "install the same version of both",
    )
}

/// A stop that somebody forgot looks like a daemon that fails.
fn stops(status: &ShowStatusResponse) -> Option<Check> {
    let mend = "take it back with `vouchsafe resume` when it is over";
    let stops = status.stops.join("; ");
    (!stops.is_empty()).then(|| Check::fault("stops", stops, mend))
}

fn failed(name: &str, error: CliError) -> Check {
    Check::fault(name, error.message, error.next.unwrap_or_default())
}

const fn judgement(check: &Check) -> &'static str {
    match check {
        Check { ok: false, .. } => "fault",
        Check { warning: true, .. } => "warning",
        Check { .. } => "ok",
    }
}

fn record(check: &Check, is_json: bool) -> Record {
    let named = Record::new().text("name", &check.name);
    let judged = if is_json {
        named.flag("ok", check.ok).flag("warning", check.warning)
    } else {
        named.text("result", judgement(check))
    };
    judged.text("detail", &check.detail).text("mend", &check.mend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_that_others_can_read_is_a_fault_with_its_mend() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::find(Some(dir.path().to_owned())).unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
        assert!(home_checks(&home).iter().all(|check| check.ok));
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let checks = home_checks(&home);
        let fault = checks.iter().find(|check| !check.ok).unwrap();
        assert!(fault.mend.starts_with("chmod 700 "), "{}", fault.mend);
    }

    #[test]
    fn a_stop_is_a_fault_that_names_its_end() {
        assert!(stops(&ShowStatusResponse::default()).is_none());
        let stop = vec!["everything is stopped by jane: leak".to_owned()];
        let status = ShowStatusResponse { stops: stop, ..ShowStatusResponse::default() };
        let check = stops(&status).unwrap();
        assert!(!check.ok && check.mend.contains("vouchsafe resume"));
    }

    #[test]
    fn a_warning_is_told_apart_from_a_fault() {
        let warning = Check { warning: true, ..Check::ok("approvers", "no channel tells bob") };
        assert_eq!((warning.ok, judgement(&warning)), (true, "warning"));
        assert_eq!(judgement(&Check::ok("rules", "3 are in force")), "ok");
        assert_eq!(judgement(&Check::fault("rules", "refused", "mend them")), "fault");
    }

    #[test]
    fn another_version_of_the_daemon_is_a_fault() {
        assert!(same_version(env!("CARGO_PKG_VERSION")).ok);
        assert!(!same_version("0.0.1").ok);
    }
}
