//! The arguments, and which file answers them.

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::context::{Context, Global};
use crate::error::{CliError, Exit};
use crate::output;
use crate::{
    approvals, audit, break_glass, bridge, dashboard, demo, doctor, exec, install, keys, leases,
    notify, policy, projects, reviews, root_key, secrets, status, stop, users, vote, watch,
};

const AFTER_HELP: &str = "\
Exit codes:
  0  done
  1  failed
  2  the arguments are wrong
  3  refused: not signed in, or not allowed
  4  not found
  5  conflict: settled already, stale, exists, moved on
  6  the daemon cannot be reached, or is too busy
  7  a check found a fault (audit verify, doctor, notify test, policy check, test, replay and reload)
`vouchsafe exec` hands on the code of the command it ran: see its help.

Ids may be shortened while they are unique. Lists show 100 entries unless --limit says otherwise.
VOUCHSAFE_TOKEN, where set, is the token to sign in with instead of the one in the home folder.";

/// Vouch for what agents ask, and see what they did.
///
/// Vouchsafe holds secrets for AI agents. An agent asks, a person vouches, the agent gets exactly
/// what was approved for as long as was approved, and every step is in a log that nobody can
/// quietly edit. This is the people's side of it; `vouchsafed` is the daemon.
#[derive(Debug, Parser)]
#[command(
    name = "vouchsafe",
    version,
    after_help = AFTER_HELP,
    max_term_width = 100,
    disable_help_subcommand = true,
    arg_required_else_help = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

// Where a variant says nothing, its arguments describe the command.
#[derive(Debug, Subcommand)]
enum Command {
    /// Show how the daemon is
    Status,
    /// Show who you are signed in as
    Whoami,
    /// Look for what is wrong with this home and its daemon
    Doctor,
    Approvals(approvals::Command),
    Approve(vote::Approve),
    Deny(vote::Deny),
    Watch(watch::Command),
    Dashboard(dashboard::Command),
    Leases(leases::Command),
    /// Put, generate, import, list and delete secrets; values go in and never come out
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// Check, test, explain, replay and reload the rules
    #[command(subcommand)]
    Policy(policy::Command),
    /// Make and manage MCP keys, the credentials of agents
    #[command(subcommand)]
    Keys(keys::Command),
    /// Make and manage users
    #[command(subcommand)]
    Users(users::Command),
    /// Make and manage projects, which own rules, secrets and keys
    #[command(subcommand)]
    Projects(projects::Command),
    /// See how people are reached, and how messages to them fared
    #[command(subcommand)]
    Notify(notify::Command),
    Audit(audit::Command),
    Stop(stop::StopLeases),
    Resume(stop::Resume),
    /// List what is stopped
    Stops,
    BreakGlass(break_glass::Command),
    Reviews(reviews::Command),
    /// Manage the root key
    #[command(subcommand)]
    RootKey(root_key::Command),
    Install(install::Command),
    Mcp(bridge::Command),
    Exec(exec::Command),
    Demo(demo::Command),
    /// Print a completion script for a shell
    Completions {
        /// Shell that will read it
        shell: Shell,
    },
}

#[cfg(test)]
impl Cli {
    pub(crate) fn context(self) -> Result<Context, CliError> {
        Context::new(self.global)
    }
}

/// Runs one command.
pub(crate) async fn run(cli: Cli) -> Result<Exit, CliError> {
    let context = Context::new(cli.global)?;
    match cli.command {
        Command::Status => status::status(&context).await?,
        Command::Whoami => status::whoami(&context).await?,
        Command::Doctor => doctor::run(&context).await?,
        Command::Approvals(command) => approvals::run(command, &context).await?,
        Command::Approve(command) => vote::approve(command, &context).await?,
        Command::Deny(command) => vote::deny(command, &context).await?,
        Command::Watch(command) => watch::run(&command, &context).await?,
        Command::Dashboard(command) => dashboard::run(&command, &context).await?,
        Command::Notify(command) => notify::run(command, &context).await?,
        Command::Leases(command) => leases::run(command, &context).await?,
        Command::Secrets(command) => secrets::run(command, &context).await?,
        Command::Policy(command) => policy::run(command, &context).await?,
        Command::Keys(command) => keys::run(command, &context).await?,
        Command::Users(command) => users::run(command, &context).await?,
        Command::Projects(command) => projects::run(command, &context).await?,
        Command::Audit(command) => audit::run(command, &context).await?,
        Command::Stop(command) => stop::stop(command, &context).await?,
        Command::Resume(command) => stop::resume(command, &context).await?,
        Command::Stops => stop::list(&context).await?,
        Command::BreakGlass(command) => break_glass::run(command, &context).await?,
        Command::Reviews(command) => reviews::run(command, &context).await?,
        Command::RootKey(command) => root_key::run(&command, &context).await?,
        Command::Install(command) => install::run(&command, &context).await?,
        Command::Mcp(command) => return bridge::run(&command, &context).await,
        Command::Exec(command) => return exec::run(command, &context).await,
        Command::Demo(command) => demo::run(&command, &context).await?,
        Command::Completions { shell } => completions(shell)?,
    }
    Ok(Exit::Done)
}

fn completions(shell: Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "vouchsafe", &mut script);
    output::raw(&script)
}

#[cfg(test)]
mod tests {
    use vouchsafe_proto::v1::revoke_leases_request::Which;
    use vouchsafe_proto::v1::{
        ApprovedByUser, BreakGlassRequest, CreateKeyRequest, ListDeliveriesRequest, PageRequest,
        ResumeLeasesRequest, RetryDeliveryRequest, ReviewBreakGlassRequest, RevokeLeasesRequest,
        ShowStatsRequest, StopLeasesRequest, SuggestRulesRequest, UpdateKeyRequest,
        UpdateUserRequest, retry_delivery_request,
    };

    use super::*;
    use crate::fake::{self, Asked};
    use crate::home::Home;

    /// Runs one command line against the fake daemon of that folder.
    async fn run_in(dir: &std::path::Path, line: &str) -> Result<Exit, CliError> {
        let home = dir.to_str().unwrap();
        let words = ["vouchsafe", "--home", home].into_iter().chain(line.split(' '));
        run(Cli::try_parse_from(words).unwrap()).await
    }

    #[tokio::test]
    async fn an_approval_goes_all_the_way_and_counts_once() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::find(Some(dir.path().to_owned())).unwrap();
        let fake = fake::start(&home);
        run_in(dir.path(), "approvals").await.unwrap();
        run_in(dir.path(), "approvals show ap_7k").await.unwrap();
        run_in(dir.path(), "approve ap_7k --yes --duration 5m --for once").await.unwrap();
        let vote = fake.votes.lock().unwrap().first().unwrap().clone();
        assert_eq!((vote.ballot, vote.kind, vote.rendering_digest.len()), (1, 1, 64));
        assert_eq!(vote.duration.unwrap().seconds, 300);
        assert_eq!(vote.digest, "ab".repeat(32));
        let late = run_in(dir.path(), "deny ap_7k --yes --reason no").await.unwrap_err();
        assert_eq!(late.exit, Exit::Conflict);
        assert_eq!(late.message, "it was approved by jane already");
        assert_eq!(late.next.as_deref(), Some("rest"));
        let unknown = run_in(dir.path(), "approve ap_zz --yes").await.unwrap_err();
        assert_eq!(unknown.exit, Exit::NotFound);
    }

    #[tokio::test]
    async fn several_asks_are_answered_one_by_one() {
        let dir = tempfile::tempdir().unwrap();
        let fake = fake::start(&Home::find(Some(dir.path().to_owned())).unwrap());
        // The one that is not there does not stop the other; the same id twice is one.
        let line = "approve ap_zz ap_7k ap_7k ap_8m --yes --uses 2 --duration 5m";
        let error = run_in(dir.path(), line).await.unwrap_err();
        assert_eq!(
            (error.exit, error.message.as_str()),
            (Exit::NotFound, "1 of 3 were not approved")
        );
        let votes = fake.votes.lock().unwrap().clone();
        let ids: Vec<&str> = votes.iter().map(|vote| vote.id.as_str()).collect();
        assert_eq!(ids, ["ap_7k3m0000deadbeef", "ap_8m4n0000deadbeef"]);
        for vote in votes {
            assert_eq!((vote.ballot, vote.uses, vote.duration.unwrap().seconds), (1, 2, 300));
        }
        let line = "deny ap_8m ap_7k -o json --yes --reason late";
        let error = run_in(dir.path(), line).await.unwrap_err();
        assert_eq!(
            (error.exit, error.message.as_str()),
            (Exit::Conflict, "2 of 2 were not denied")
        );
    }

    #[tokio::test]
    async fn several_asks_that_are_all_denied_are_no_failure() {
        let dir = tempfile::tempdir().unwrap();
        let fake = fake::start(&Home::find(Some(dir.path().to_owned())).unwrap());
        run_in(dir.path(), "deny ap_8m ap_7k --yes --reason no").await.unwrap();
        let votes = fake.votes.lock().unwrap().clone();
        assert!(votes.iter().all(|vote| vote.ballot == 2 && vote.reason == "no"), "{votes:?}");
    }

    #[tokio::test]
    async fn keys_are_made_without_a_terminal_and_without_a_question() {
        let dir = tempfile::tempdir().unwrap();
        let home = Home::find(Some(dir.path().to_owned())).unwrap();
        let fake = fake::start(&home);
        run_in(dir.path(), "keys create agent --yes --save --level strict").await.unwrap();
        assert_eq!(
            std::fs::read_to_string(home.key_file("agent").unwrap()).unwrap(),
            "vs_mcp_fake\n"
        );
        let again = run_in(dir.path(), "keys create agent --yes --save").await.unwrap_err();
        assert_eq!(again.exit, Exit::Conflict, "the key that is kept there stays");
        run_in(dir.path(), "--project shop keys update agent --rate 5").await.unwrap();
        run_in(dir.path(), "keys list").await.unwrap();
        let create = CreateKeyRequest {
            project: "default".to_owned(),
            name: "agent".to_owned(),
            level: 1,
            ..CreateKeyRequest::default()
        };
        let update = UpdateKeyRequest {
            project: "shop".to_owned(),
            name: "agent".to_owned(),
            rate: Some(5),
            ..UpdateKeyRequest::default()
        };
        assert_eq!(fake.asked(), [Asked::CreateKey(create), Asked::UpdateKey(update)]);
    }

    #[tokio::test]
    async fn a_stop_is_of_what_was_named_and_of_all_where_nothing_was() {
        let dir = tempfile::tempdir().unwrap();
        let fake = fake::start(&Home::find(Some(dir.path().to_owned())).unwrap());
        for line in [
            "stop --reason leak --yes",
            "stop --reason leak --project shop",
            "stop --reason leak --key ci",
            "stops",
            "resume --project shop",
        ] {
            run_in(dir.path(), line).await.unwrap();
        }
        let stop = |project: &str, key: &str| {
            let (project, key) = (project.to_owned(), key.to_owned());
            Asked::Stop(StopLeasesRequest { project, key, reason: "leak".to_owned() })
        };
        let resume = ResumeLeasesRequest { project: "shop".to_owned(), ..Default::default() };
        assert_eq!(
            fake.asked(),
            [stop("", ""), stop("shop", ""), stop("", "ci"), Asked::Resume(resume)]
        );
    }

    #[tokio::test]
    async fn how_people_answer_and_what_that_suggests_are_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let fake = fake::start(&Home::find(Some(dir.path().to_owned())).unwrap());
        for line in [
            "approvals stats --approver jane --rule Production",
            "approvals stats -o json",
            "approvals suggest --min 3",
            "approvals suggest -o json --project shop",
        ] {
            run_in(dir.path(), line).await.unwrap();
        }
        let stats = |approver: &str, rule: &str| {
            let (approver, rule) = (approver.to_owned(), rule.to_owned());
            let project = "default".to_owned();
            Asked::Stats(ShowStatsRequest { project, approver, rule, since: None })
        };
        let suggest = |project: &str, min_asks| {
            let project = project.to_owned();
            Asked::Suggest(SuggestRulesRequest { project, min_asks, since: None })
        };
        assert_eq!(
            fake.asked(),
            [
                stats("jane", "Production"),
                stats("", ""),
                suggest("default", 3),
                suggest("shop", 10)
            ]
        );
    }

    #[tokio::test]
    async fn what_somebody_approved_is_counted_before_it_is_taken_back() {
        let dir = tempfile::tempdir().unwrap();
        let fake = fake::start(&Home::find(Some(dir.path().to_owned())).unwrap());
        run_in(dir.path(), "leases revoke --approved-by jane --yes").await.unwrap();
        run_in(dir.path(), "leases revoke ls_1").await.unwrap();
        let request = |which, dry_run| {
            Asked::Revoke(RevokeLeasesRequest {
                project: "default".to_owned(),
                reason: String::new(),
                which: Some(which),
                dry_run,
            })
        };
        let jane = || Which::ApprovedBy(ApprovedByUser { user: "jane".to_owned(), since: None });
        let one = Which::Id("ls_1".to_owned());
        assert_eq!(
            fake.asked(),
            [request(jane(), true), request(jane(), false), request(one, false)]
        );
    }

    #[tokio::test]
    async fn a_broken_glass_is_asked_for_and_reviewed() {
        let dir = tempfile::tempdir().unwrap();
        let fake = fake::start(&Home::find(Some(dir.path().to_owned())).unwrap());
        let uri = "vouchsafe://secrets/production/A";
        let line = format!("break-glass {uri} --key ci --reason down --duration 5m --yes");
        run_in(dir.path(), &line).await.unwrap();
        run_in(dir.path(), "reviews --open").await.unwrap();
        run_in(dir.path(), "reviews object rv_1 --note why").await.unwrap();
        let broken = BreakGlassRequest {
            project: "default".to_owned(),
            resource: uri.to_owned(),
            key: "ci".to_owned(),
            operation: 3,
            reason: "down".to_owned(),
            duration: Some(prost_types::Duration { seconds: 300, nanos: 0 }),
        };
        let review = ReviewBreakGlassRequest {
            id: "rv_1".to_owned(),
            justified: false,
            note: "why".to_owned(),
        };
        assert_eq!(fake.asked(), [Asked::BreakGlass(broken), Asked::Review(review)]);
    }

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nouns_without_a_verb_list() {
        for line in [
            "vouchsafe approvals",
            "vouchsafe approvals -o json list --status pending",
            "vouchsafe approvals --status pending --since 7d",
            "vouchsafe leases --key claude-desktop",
            "vouchsafe audit --action secret.* --group-by actor",
            "vouchsafe audit query --until 30m",
            "vouchsafe reviews",
            "vouchsafe reviews --open",
            "vouchsafe leases sessions --key claude-desktop",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }

    #[test]
    fn a_remote_daemon_needs_its_authority() {
        assert!(Cli::try_parse_from(["vouchsafe", "--server", "https://h:1", "status"]).is_err());
    }

    #[test]
    fn every_argument_and_command_is_described() {
        fn check(command: &clap::Command, path: &str) {
            let path = format!("{path} {}", command.get_name());
            assert!(command.get_about().is_some(), "{path} says nothing about itself");
            for arg in command.get_arguments() {
                assert!(arg.get_help().is_some(), "{path}: {} is not described", arg.get_id());
            }
            command.get_subcommands().for_each(|below| check(below, &path));
        }
        check(&Cli::command(), "");
    }

    #[tokio::test]
    async fn a_channel_that_takes_nothing_is_a_fault() {
        let dir = tempfile::tempdir().unwrap();
        let fake = fake::start(&Home::find(Some(dir.path().to_owned())).unwrap());
        run_in(dir.path(), "notify channels").await.unwrap();
        run_in(dir.path(), "notify test email").await.unwrap();
        let dead = run_in(dir.path(), "notify test slack:dead -o json").await.unwrap_err();
        assert_eq!(dead.exit, Exit::Fault);
        assert_eq!(dead.message, "slack:dead did not take the message: channel_not_found\\u{1b}");
        assert_eq!(run_in(dir.path(), "notify test pager").await.unwrap_err().exit, Exit::Usage);
        for line in [
            "notify deliveries --approval ap_7k --channel email --status failed --limit 7",
            "notify deliveries -o json",
            "notify retry msg_1",
            "notify retry --channel email -o json",
        ] {
            run_in(dir.path(), line).await.unwrap();
        }
        let page = |size| Some(PageRequest { size, token: String::new() });
        let some = ListDeliveriesRequest {
            approval_id: "ap_7k".to_owned(),
            channel: "email".to_owned(),
            status: 3,
            page: page(7),
        };
        let all = ListDeliveriesRequest { page: page(100), ..Default::default() };
        let retry = |which| Asked::Retry(RetryDeliveryRequest { which: Some(which) });
        assert_eq!(
            fake.asked(),
            [
                Asked::Deliveries(some),
                Asked::Deliveries(all),
                retry(retry_delivery_request::Which::Id("msg_1".to_owned())),
                retry(retry_delivery_request::Which::Channel("email".to_owned())),
            ]
        );
    }

    #[tokio::test]
    async fn where_messages_reach_somebody_is_set_and_taken_away() {
        let dir = tempfile::tempdir().unwrap();
        let fake = fake::start(&Home::find(Some(dir.path().to_owned())).unwrap());
        let set = ["--email", "a@b.c", "--slack-id", "U1", "--notify", "email,slack:ops"];
        let wishes = ["--notify-events", "*", "--quiet-hours", "22:00-07:00 UTC", "--digest"];
        let home = dir.path().to_str().unwrap();
        let words = ["vouchsafe", "--home", home, "users", "update", "jane"];
        let words = words.into_iter().chain(set).chain(wishes).chain(["0 9 * * * UTC"]);
        run(Cli::try_parse_from(words).unwrap()).await.unwrap();
        let line = "users update jane --no-email --no-slack-id --notify any --digest none";
        run_in(dir.path(), line).await.unwrap();
        let mixed = run_in(dir.path(), "users update jane --notify any,email").await.unwrap_err();
        assert_eq!(mixed.exit, Exit::Usage);
        let jane = || UpdateUserRequest { name: "jane".to_owned(), ..Default::default() };
        let set = UpdateUserRequest {
            email: "a@b.c".to_owned(),
            set_email: true,
            slack_id: "U1".to_owned(),
            set_slack_id: true,
            notify_channels: vec!["email".to_owned(), "slack:ops".to_owned()],
            set_notify_channels: true,
            notify_events: vec!["*".to_owned()],
            quiet_hours: "22:00-07:00 UTC".to_owned(),
            digest: "0 9 * * * UTC".to_owned(),
            ..jane()
        };
        let taken = UpdateUserRequest {
            set_email: true,
            set_slack_id: true,
            set_notify_channels: true,
            any_channel: true,
            digest: "none".to_owned(),
            ..jane()
        };
        assert_eq!(fake.asked(), [Asked::UpdateUser(set), Asked::UpdateUser(taken)]);
    }

    #[tokio::test]
    async fn the_dashboard_is_printed_and_not_opened_where_that_is_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let fake = fake::start(&Home::find(Some(dir.path().to_owned())).unwrap());
        run_in(dir.path(), "dashboard --print").await.unwrap();
        run_in(dir.path(), "dashboard -o json").await.unwrap();
        assert_eq!(fake.asked(), [Asked::SignIn, Asked::SignIn]);
    }
}
