//! What an approver reads before answering: the whole ask in one glance, as plain text.
//!
//! A vote carries the SHA-256 of exactly this text, so that the log can tell later what its giver
//! had before their eyes. For the same reason nothing in it depends on the terminal.

mod change;
mod people;

use std::iter;

use data_encoding::HEXLOWER;
use ring::digest;
use vouchsafe_proto::v1::{
    Approval, ApprovalItem, ApprovalStatus, ApprovedBy, Asker, GrantKind, Vote,
};

use crate::text::{safe_line, shortened};
use crate::time::{self, Time};
use crate::words;

/// Arguments longer than this are cut; the digest covers them all the same.
const ARGUMENTS_CHARS_MAX: usize = 2_000;

/// Where the text behind a label begins, less the indent.
const LABEL_WIDTH: usize = 12;

/// SHA-256, hex, of a rendering.
pub(crate) fn digest(card: &str) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, card.as_bytes()).as_ref())
}

/// The ask as text, its last line ended.
pub(crate) fn card(approval: &Approval, now: Time) -> String {
    let mut card = Card::default();
    card.heading(approval, now);
    card.asker(approval);
    card.line("wants", &wants(approval));
    for item in &approval.items {
        card.item(item);
    }
    card.reason(approval);
    card.arguments(approval);
    for requirement in &approval.requirements {
        card.lines("needs", people::needs(requirement, now));
    }
    if approval.status() == ApprovalStatus::Pending {
        card.lines("reminded", people::reminded(approval));
    }
    card.lines("session", people::session(approval, now));
    if by_agent(approval) {
        card.line("history", &history(approval));
    }
    for vote in &approval.votes {
        card.line("vote", &voted(vote, now));
    }
    card.lines("approved by", people::approved_by(approval));
    if !approval.outcome_reason.is_empty() {
        card.line("outcome", &safe_line(&approval.outcome_reason));
    }
    for lease in &approval.lease_ids {
        card.line("lease", &safe_line(lease));
    }
    card.line("digest", &safe_line(&approval.short_digest));
    if approval.status() == ApprovalStatus::Pending && !approval.may_vote {
        card.line("you", &format!("may not vote: {}", safe_line(&approval.may_not_vote_because)));
    }
    card.0
}

#[derive(Default)]
struct Card(String);

impl Card {
    fn line(&mut self, label: &str, text: &str) {
        self.0.extend(["  ", label]);
        self.0.extend(iter::repeat_n(' ', LABEL_WIDTH.saturating_sub(label.len())));
        self.0.extend([text, "\n"]);
    }

    /// The label stands before the first of them.
    fn lines(&mut self, label: &str, lines: impl IntoIterator<Item = String>) {
        for (number, line) in lines.into_iter().enumerate() {
            self.line(if number == 0 { label } else { "" }, &line);
        }
    }

    fn heading(&mut self, approval: &Approval, now: Time) {
        let status = words::approval_status(approval.status);
        let when = if approval.status() == ApprovalStatus::Pending {
            let stopped = if approval.stopped { " once the stop has ended" } else { "" };
            told(approval.expires_at, now).map(|when| format!("; expires {when}{stopped}"))
        } else {
            told(approval.settled_at, now).map(|when| format!(" {when}"))
        };
        let asked = told(approval.created_at, now).unwrap_or_default();
        let id = safe_line(&approval.id);
        let when = when.unwrap_or_default();
        let heading = format!("{id}  {status}{when}; asked {asked}\n\n");
        self.0.push_str(&heading);
        if approval.stopped && approval.status() == ApprovalStatus::Pending {
            self.line("STOPPED", "its clock stands still, and it can only be denied");
        }
    }

    fn asker(&mut self, approval: &Approval) {
        let Some(asker) = &approval.asker else {
            return self.line("who", "unknown");
        };
        if asker.key_name.is_empty() {
            return self.line("who", &person(asker));
        }
        let (key, owner) = (safe_line(&asker.key_name), safe_line(&asker.owner));
        self.line("who", &format!("the agent with key {key}, owned by {owner}"));
        let client = match asker.claimed_client.as_str() {
            "" => "does not say what it is".to_owned(),
            claimed => format!("claims to be \"{}\"", safe_line(claimed)),
        };
        let from = match asker.transport.as_str() {
            "stdio" => format!(
                "over stdio, claims to run on {} as {}",
                or_unknown(&asker.host),
                or_unknown(&asker.os_user)
            ),
            transport => {
                format!("over {} from {}", safe_line(transport), or_unknown(&asker.address))
            }
        };
        self.line("client", &format!("{client}; {from}"));
    }

    fn item(&mut self, item: &ApprovalItem) {
        let mut text = safe_line(&item.resource);
        if item.version != 0 {
            text.extend(["  version ", &item.version.to_string()]);
        }
        if item.follow_rotation {
            text.push_str(" and later ones");
        }
        if !item.description.is_empty() {
            text.extend(["  (", &safe_line(&item.description), ")"]);
        }
        self.line("", &text);
        // A change of the rules gives no lease.
        if !item.rule.is_empty() && !change::is_about_rules(item) {
            let rule = safe_line(&item.rule);
            self.line("", &format!("  rule \"{rule}\": {}", lease(item)));
        }
    }

    fn arguments(&mut self, approval: &Approval) {
        if change::is_change(approval)
            && let Some(lines) = change::lines(&approval.arguments)
        {
            return self.lines("change", lines);
        }
        if !matches!(approval.arguments.as_str(), "" | "{}" | "null") {
            let arguments = shortened(&safe_line(&approval.arguments), ARGUMENTS_CHARS_MAX);
            self.line("arguments", &arguments);
        }
    }

    fn reason(&mut self, approval: &Approval) {
        let by_agent = by_agent(approval);
        let broken = approval.approved_by() == ApprovedBy::BreakGlass;
        let said = match (approval.reason.as_str(), by_agent) {
            ("", _) if broken => "no agent asked: it is in the review".to_owned(),
            ("", true) => "the agent gave none".to_owned(),
            ("", false) => "none was given".to_owned(),
            (reason, true) => format!("the agent's words: \"{}\"", safe_line(reason)),
            (reason, false) => format!("\"{}\"", safe_line(reason)),
        };
        self.line("reason", &said);
        if !approval.reason_kind.is_empty() {
            self.line("", &format!("of the kind {}", safe_line(&approval.reason_kind)));
        }
        if approval.reason_suspicious {
            self.line(
                "",
                "CAUTION: it held hidden or steering characters, written out as \\u{...}",
            );
        }
    }
}

/// Who asks without a key: only for a change of the rules.
fn person(asker: &Asker) -> String {
    match asker.owner.as_str() {
        "" => "nobody known: it was found in the policy folder".to_owned(),
        person => format!("{}, a person; their own vote does not count", safe_line(person)),
    }
}

fn wants(approval: &Approval) -> String {
    if change::is_change(approval) {
        return "change the rules".to_owned();
    }
    let operation = words::operation(approval.operation);
    let count = match approval.items.len() {
        1 => "this".to_owned(),
        count => format!("these {count}"),
    };
    let duration = approval.requested_duration.and_then(time::span_from_proto);
    match duration {
        Some(duration) => format!("{operation} {count} for {}", time::span(duration)),
        None => format!("{operation} {count}"),
    }
}

fn lease(item: &ApprovalItem) -> String {
    let span = |span: Option<prost_types::Duration>| {
        span.and_then(time::span_from_proto).map_or_else(|| "?".to_owned(), time::span)
    };
    let uses = match item.uses {
        0 => "any number of uses".to_owned(),
        1 => "1 use".to_owned(),
        uses => format!("{uses} uses"),
    };
    format!("lease of {}, {} at most, {uses}", span(item.lease_default), span(item.lease_max))
}

/// Whether an agent asks; a change of the rules is a person's, or nobody knows whose.
fn by_agent(approval: &Approval) -> bool {
    approval.asker.as_ref().is_none_or(|asker| !asker.key_name.is_empty())
}

fn history(approval: &Approval) -> String {
    let Some(history) = approval.history else {
        return "unknown".to_owned();
    };
    let before = if history.had_before {
        "this key had all of this before"
    } else {
        "this key never had all of this before"
    };
    match history.asks_today {
        0 | 1 => format!("{before}; its first ask today"),
        asks => format!("{before}; its {asks} asks today include this one"),
    }
}

fn voted(vote: &Vote, now: Time) -> String {
    let user = safe_line(&vote.user);
    let ballot = match words::ballot(vote.ballot).as_str() {
        "approve" => "approved",
        "deny" => "denied",
        _ => "voted",
    };
    let when = told(vote.at, now).unwrap_or_default();
    let mut text = format!("{user} {ballot} {when}");
    if let Some(duration) = vote.duration.and_then(time::span_from_proto) {
        text.extend([", for ", &time::span(duration)]);
    }
    if vote.kind() == GrantKind::Session {
        text.push_str(", for a session");
    }
    if !vote.reason.is_empty() {
        text.extend([": \"", &safe_line(&vote.reason), "\""]);
    }
    text
}

fn told(at: Option<prost_types::Timestamp>, now: Time) -> Option<String> {
    at.and_then(time::from_proto).map(|at| time::relative(at, now))
}

fn or_unknown(text: &str) -> String {
    if text.is_empty() { "somewhere unknown".to_owned() } else { safe_line(text) }
}

#[cfg(test)]
pub(crate) mod tests {
    use vouchsafe_proto::v1::{Factor, History, Operation, Requirement};

    use super::*;

    /// A pending ask, asked at 11:59:52.
    pub(crate) fn approval() -> Approval {
        let at = |text: &str| text.parse().ok().map(time::to_proto);
        Approval {
            id: "ap_7k3m0000deadbeef".to_owned(),
            status: ApprovalStatus::Pending.into(),
            asker: Some(Asker {
                key_name: "claude-desktop".to_owned(),
                owner: "jane@example.com".to_owned(),
                claimed_client: "Claude 1.2".to_owned(),
                transport: "stdio".to_owned(),
                host: "lap".to_owned(),
                os_user: "jane".to_owned(),
                ..Asker::default()
            }),
            operation: Operation::Read.into(),
            items: vec![ApprovalItem {
                resource: "vouchsafe://secrets/production/DATABASE_URL".to_owned(),
                version: 3,
                rule: "Production secrets".to_owned(),
                lease_default: Some(time::span_to_proto(std::time::Duration::from_mins(15))),
                lease_max: Some(time::span_to_proto(std::time::Duration::from_hours(1))),
                uses: 20,
                description: "main database".to_owned(),
                ..ApprovalItem::default()
            }],
            reason: "INC-1042: replica lag".to_owned(),
            created_at: at("2026-11-21T11:59:52Z"),
            expires_at: at("2026-11-21T12:58:00Z"),
            digest: "ab".repeat(32),
            short_digest: "3f9a-1c02d".to_owned(),
            requirements: vec![Requirement {
                rule: "Production secrets".to_owned(),
                factors: vec![Factor {
                    from: vec!["group:oncall".to_owned(), "jane@example.com".to_owned()],
                    count: 1,
                    met: 0,
                }],
                ..Requirement::default()
            }],
            history: Some(History { had_before: true, asks_today: 3 }),
            may_vote: true,
            ..Approval::default()
        }
    }

    pub(crate) fn noon() -> Time {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn an_ask_is_read_in_one_glance() {
        let expected = "\
ap_7k3m0000deadbeef  pending; expires in 58 min; asked 8 s ago

  who         the agent with key claude-desktop, owned by jane@example.com
  client      claims to be \"Claude 1.2\"; over stdio, claims to run on lap as jane
  wants       read this
              vouchsafe://secrets/production/DATABASE_URL  version 3  (main database)
                rule \"Production secrets\": lease of 15m, 1h at most, 20 uses
  reason      the agent's words: \"INC-1042: replica lag\"
  needs       1 of group:oncall, jane@example.com; 0 so far
  history     this key had all of this before; its 3 asks today include this one
  digest      3f9a-1c02d
";
        assert_eq!(card(&approval(), noon()), expected);
    }

    #[test]
    fn no_field_can_steer_the_terminal_or_forge_a_line() {
        let evil = "x\u{1b}[2J\n  digest      forged\u{202e}";
        let mut approval = approval();
        approval.reason = evil.to_owned();
        approval.reason_suspicious = true;
        approval.arguments = evil.to_owned();
        approval.items.first_mut().unwrap().description = evil.to_owned();
        approval.asker.as_mut().unwrap().claimed_client = evil.to_owned();
        let shown = card(&approval, noon());
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'));
        assert_eq!(shown.lines().filter(|line| line.starts_with("  digest")).count(), 1);
        assert!(shown.contains("CAUTION"));
    }

    #[test]
    fn who_may_not_vote_is_told_why() {
        let mut approval = approval();
        approval.may_vote = false;
        approval.may_not_vote_because = "it is your own ask".to_owned();
        assert!(card(&approval, noon()).contains("  you         may not vote: it is your own ask"));
    }

    #[test]
    fn a_change_of_the_rules_is_a_diff_and_says_who_made_it() {
        let mut change = approval();
        change.items.truncate(1);
        let item = change.items.first_mut().unwrap();
        item.resource = "vouchsafe://policy".to_owned();
        item.description = "the rules of all projects".to_owned();
        item.version = 0;
        change.arguments =
            r#"{"diff":"-quorum = 2\n+quorum = 1\n","from":"aa","to":"bb","files":["a.toml"]}"#
                .to_owned();
        let asker = change.asker.as_mut().unwrap();
        *asker = Asker { owner: "jane".to_owned(), ..Asker::default() };
        change.reason.clear();
        let shown = card(&change, noon());
        let expected = "\
  who         jane, a person; their own vote does not count
  wants       change the rules
              vouchsafe://policy  (the rules of all projects)
  reason      none was given
  change      from rules aa to rules bb
              files: a.toml
              -quorum = 2
              +quorum = 1
";
        assert!(shown.contains(expected) && !shown.contains("history"), "{shown}");
        change.asker.as_mut().unwrap().owner.clear();
        assert!(card(&change, noon()).contains("  who         nobody known"));
    }

    #[test]
    fn a_stopped_ask_says_so_first() {
        let mut approval = approval();
        approval.stopped = true;
        let shown = card(&approval, noon());
        assert!(shown.contains("expires in 58 min once the stop has ended"), "{shown}");
        assert!(shown.contains("  STOPPED     its clock stands still"), "{shown}");
    }

    #[test]
    fn a_broken_glass_says_whose_it_was_and_where_its_reason_is() {
        let mut approval = approval();
        approval.set_status(ApprovalStatus::Approved);
        approval.set_approved_by(ApprovedBy::BreakGlass);
        approval.reason.clear();
        (approval.break_glass_by, approval.review_id) = ("jane".to_owned(), "rv_1".to_owned());
        let shown = card(&approval, noon());
        assert!(shown.contains("  reason      no agent asked: it is in the review"), "{shown}");
        assert!(
            shown.contains("  approved by jane, who BROKE THE GLASS; see review rv_1"),
            "{shown}"
        );
    }

    #[test]
    fn the_kind_of_reason_and_the_reminders_are_shown() {
        let mut approval = approval();
        approval.reason_kind = "incident".to_owned();
        approval.reminders = 2;
        let shown = card(&approval, noon());
        assert!(shown.contains("              of the kind incident"), "{shown}");
        assert!(shown.contains("  reminded    2 times"), "{shown}");
    }

    #[test]
    fn the_digest_is_that_of_the_text() {
        assert_eq!(
            digest("abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
