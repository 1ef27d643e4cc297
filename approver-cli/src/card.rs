//! What an approver reads before answering: the whole ask in one glance, as plain text.
//!
//! A vote carries the SHA-256 of exactly this text, so that the log can tell later what its giver
//! had before their eyes. For the same reason nothing in it depends on the terminal.

mod change;
mod messages;
mod past;
mod people;
mod value;

use std::iter;

use data_encoding::HEXLOWER;
use ring::digest;
use vouchsafe_proto::v1::{
    Approval, ApprovalItem, ApprovalStatus, ApprovedBy, Asker, GrantKind, Vote,
};

pub(crate) use self::value::{applied, made};
use crate::text::safe_line;
use crate::time::{self, Time};
use crate::words;

/// Where the text behind a label begins, less the indent.
const LABEL_WIDTH: usize = 12;

/// How wide a card grows where its text can be broken between words.
const WIDTH: usize = 80;

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
        card.item(item, approval.change.is_some());
    }
    if let Some(change) = &approval.change {
        card.wrapped("change", value::lines(change));
    }
    card.reason(approval);
    card.arguments(approval);
    for requirement in &approval.requirements {
        card.lines("needs", people::needs(requirement, now));
    }
    card.wrapped("may answer", past::may_answer(approval));
    card.wrapped("not told", past::not_told(approval));
    if approval.status() == ApprovalStatus::Pending {
        card.lines("reminded", people::reminded(approval));
    }
    card.lines("session", people::session(approval, now));
    if past::by_agent(approval) {
        card.wrapped("history", past::history(approval, now));
    }
    if let Some(evidence) = &approval.evidence {
        card.wrapped("decided", past::decisions(evidence, now));
    }
    for vote in &approval.votes {
        card.line("vote", &voted(vote, now));
    }
    card.lines("approved by", people::approved_by(approval));
    if let Some((label, lines)) = applied(approval) {
        card.lines(label, lines);
    } else if !approval.outcome_reason.is_empty() {
        card.line("outcome", &safe_line(&approval.outcome_reason));
    }
    for lease in &approval.lease_ids {
        card.line("lease", &safe_line(lease));
    }
    card.wrapped("messages", messages::told_of(approval, now));
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

    /// The same, each broken between words where it is too long for a screen.
    fn wrapped(&mut self, label: &str, lines: impl IntoIterator<Item = String>) {
        let broken = lines.into_iter().flat_map(|line| wrap(&line));
        self.lines(label, broken);
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
        self.wrapped("UNREACHED", messages::unreached(approval));
        self.wrapped("MOVED ON", past::moved_on(approval));
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

    fn item(&mut self, item: &ApprovalItem, changes: bool) {
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
            // Nor does a change of a secret.
            let lease = if changes { String::new() } else { format!(": {}", lease(item)) };
            self.line("", &format!("  rule \"{rule}\"{lease}"));
        }
        if item.any_arguments {
            self.line("", "  GOOD FOR ANY ARGUMENTS, not only for these");
        }
    }

    fn arguments(&mut self, approval: &Approval) {
        if change::is_change(approval)
            && let Some(lines) = change::lines(&approval.arguments)
        {
            return self.lines("change", lines);
        }
        if !matches!(approval.arguments.as_str(), "" | "{}" | "null") {
            // Whole, however long: whoever approves approves all of them.
            self.line("arguments", &safe_line(&approval.arguments));
        }
    }

    fn reason(&mut self, approval: &Approval) {
        let by_agent = past::by_agent(approval);
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
                "CAUTION: it held hidden, steering or look-alike characters, written out as \\u{...}",
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
    if let Some(change) = &approval.change {
        return value::wants(change);
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

/// A line broken between words; what goes on is indented.
fn wrap(line: &str) -> Vec<String> {
    let room = WIDTH.saturating_sub(LABEL_WIDTH + 2);
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split(' ') {
        let fits = current.chars().count() + 1 + word.chars().count() <= room;
        if !current.trim().is_empty() && !fits {
            lines.push(std::mem::replace(&mut current, "  ".to_owned()));
        } else if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    lines.push(current);
    lines
}

fn or_unknown(text: &str) -> String {
    if text.is_empty() { "somewhere unknown".to_owned() } else { safe_line(text) }
}

#[cfg(test)]
pub(crate) mod tests {
    use vouchsafe_proto::v1::generator::Kind;
    use vouchsafe_proto::v1::{
        Change, Difference, Evidence, Factor, Generator, History, Operation, PasswordKind,
        PastDecision, Requirement,
    };

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

    /// The same key would write the same secret anew, and has asked for that before.
    pub(crate) fn write() -> Approval {
        let at = |text: &str| text.parse().ok().map(time::to_proto);
        let differs = |what: &str, before: &str, after: &str| Difference {
            what: what.to_owned(),
            before: before.to_owned(),
            after: after.to_owned(),
        };
        let decision = |status: ApprovalStatus, by: &str, when, reason: &str| PastDecision {
            approval_id: "ap_1".to_owned(),
            key_name: "ci-bot".to_owned(),
            operation: Operation::Read.into(),
            status: status.into(),
            by: by.to_owned(),
            at: at(when),
            reason: reason.to_owned(),
        };
        let made = "password of 32 characters (alphanumeric)";
        Approval {
            operation: Operation::Write.into(),
            change: Some(Change {
                writes: true,
                from_version: 3,
                bytes: 32,
                value_digest: "3f9a1c02d41b9e07aa".to_owned(),
                generator: Some(Generator { kind: Some(Kind::Password(PasswordKind::default())) }),
                public_key: String::new(),
                differences: vec![
                    differs("bytes", "24", "32"),
                    differs("made", "given", made),
                    differs("description", "", "main database"),
                ],
            }),
            evidence: Some(Evidence {
                asked_before: 7,
                approved_before: 6,
                denied_before: 1,
                last_approved_at: at("2026-11-19T11:00:00Z"),
                counts_capped: false,
                decisions: vec![
                    decision(ApprovalStatus::Denied, "max", "2026-11-21T10:00:00Z", "not today"),
                    decision(ApprovalStatus::Approved, "its rule", "2026-11-20T11:00:00Z", ""),
                ],
                may_answer: vec!["jane@example.com".to_owned(), "max".to_owned()],
                moved_on: vec![
                    "production/DATABASE_URL is at version 4 now, and 3 was asked for".to_owned(),
                ],
                not_told: Vec::new(),
            }),
            ..approval()
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
    fn a_write_is_read_in_one_glance_and_shows_no_value() {
        let expected = "\
ap_7k3m0000deadbeef  pending; expires in 58 min; asked 8 s ago

  MOVED ON    production/DATABASE_URL is at version 4 now, and 3 was asked for
              the change would come to nothing; the agent has to ask anew
  who         the agent with key claude-desktop, owned by jane@example.com
  client      claims to be \"Claude 1.2\"; over stdio, claims to run on lap as jane
  wants       write version 4 of this
              vouchsafe://secrets/production/DATABASE_URL  version 3  (main database)
                rule \"Production secrets\"
  change      version 3 -> 4
              bytes: 24 -> 32
              made: given -> password of 32 characters (alphanumeric)
              description: none -> main database
              value digest: 3f9a1c02d41b9e07… (keyed; of this ask alone)
  reason      the agent's words: \"INC-1042: replica lag\"
  needs       1 of group:oncall, jane@example.com; 0 so far
  may answer  jane@example.com, max
  history     asked to write this 7 times before: 6 approved, 1 denied
              last approved 2 d ago; its 3 asks today include this one
  decided     2 h ago: read for ci-bot, denied by max: \"not today\"
              25 h ago: read for ci-bot, approved by its rule
  digest      3f9a-1c02d
";
        assert_eq!(card(&write(), noon()), expected);
    }

    #[test]
    fn lines_of_the_past_fit_a_screen() {
        let mut write = write();
        let evidence = write.evidence.as_mut().unwrap();
        evidence.may_answer = (0..50).map(|n| format!("somebody-{n}@example.com")).collect();
        let shown = card(&write, noon());
        let past = shown.split("  may answer").nth(1).unwrap();
        assert!(past.lines().skip(1).all(|line| line.chars().count() <= WIDTH), "{shown}");
        assert!(shown.contains("and 42 more"), "{shown}");
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
