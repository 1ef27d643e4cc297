//! The answer's form, and what it says when it comes back.

use std::collections::BTreeSet;
use std::time::Duration;

use vouchsafe_core::approval::{Ballot, GrantKind, Narrowing};
use vouchsafe_core::caller::User;
use vouchsafe_core::resource::Resource;
use vouchsafe_core::text::echo;
use vouchsafe_core::time::parse_duration;

use super::card::may_remember;
use crate::broker::{ApprovalView, Broker, Code, Refused, VoteCommand};
use crate::web::pages::form::Fields;
use crate::web::pages::words::span;

/// What an answer's mark is for.
const PURPOSE: &str = "answer";

/// The form, with what was typed into it before.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) action: String,
    pub(super) csrf: String,
    pub(super) digest: String,
    short: String,
    /// SHA-256, hex, of what is shown with it.
    pub(super) rendering: String,
    /// By which we know that we have shown it to them.
    pub(super) seal: String,
    /// It gives leases, which can be made less of.
    pub(super) leased: bool,
    /// How long a lease lasts where nothing is said, and at most.
    pub(super) lasts: String,
    pub(super) longest: String,
    /// How many uses it has at most; empty: any number.
    pub(super) uses_max: String,
    pub(super) remember: bool,
    pub(super) session: String,
    /// The resources, where there are several to choose from.
    pub(super) items: Vec<Choice>,
    pub(super) duration: String,
    pub(super) uses: String,
    pub(super) kind: String,
    pub(super) note: String,
    pub(super) reason: String,
}

/// One resource to choose.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) uri: String,
    pub(super) chosen: bool,
}

impl Form {
    pub(super) fn new(
        broker: &Broker,
        user: &User,
        view: &ApprovalView,
        action: &str,
        rendering: String,
        typed: &Fields,
    ) -> Self {
        let ask = view.approval.ask();
        let terms = || ask.items.iter().map(|item| item.rule.lease);
        let longest = terms().map(|terms| terms.max).min();
        let lasts =
            terms().map(|terms| ask.requested.unwrap_or(terms.default).min(terms.max)).min();
        let told = |span_of: Option<Duration>| span_of.map(span).unwrap_or_default();
        let uses_max = terms().filter_map(|terms| terms.uses).min();
        let again = typed.one("again") == "yes";
        let chosen: BTreeSet<&str> = typed.all("only").collect();
        let several = ask.items.len() > 1 && ask.operation.is_leased();
        let items = ask.items.iter().filter(|_| several).map(|item| {
            let uri = item.resource.to_string();
            Choice { chosen: !again || chosen.contains(uri.as_str()), uri }
        });
        let digest = ask.digest().to_string();
        let about = about(view, &rendering);
        Self {
            action: action.to_owned(),
            csrf: broker.form_mark(user, "csrf", ""),
            seal: broker.form_mark(user, PURPOSE, &about),
            digest,
            short: ask.digest().short(),
            rendering,
            leased: ask.operation.is_leased(),
            lasts: told(lasts),
            longest: told(longest),
            uses_max: uses_max.map(|uses| uses.to_string()).unwrap_or_default(),
            remember: may_remember(view),
            session: told(view.session),
            items: items.collect(),
            duration: typed.one("duration").to_owned(),
            uses: typed.one("uses").to_owned(),
            kind: typed.one("for").to_owned(),
            note: if typed.one("ballot") == "approve" { typed.one("reason") } else { "" }
                .to_owned(),
            reason: if typed.one("ballot") == "deny" { typed.one("reason") } else { "" }.to_owned(),
        }
    }
}

impl Form {
    /// The ten characters that people compare, the same in every channel.
    pub(super) fn digest_short(&self) -> &str {
        &self.short
    }
}

/// What the mark of a form is over.
fn about(view: &ApprovalView, rendering: &str) -> String {
    let ask = view.approval.ask();
    format!("{}\n{}\n{rendering}", ask.id, ask.digest())
}

/// The answer that a form gives, to what was shown with it.
pub(in crate::web::pages) fn command(
    broker: &Broker,
    user: &User,
    view: &ApprovalView,
    fields: &Fields,
) -> Result<VoteCommand, Refused> {
    let (digest, rendering) = (fields.one("digest"), fields.one("rendering"));
    let shown = broker.form_mark_stands(user, PURPOSE, &about(view, rendering), fields.one("seal"));
    // Whatever else is wrong with it, it was not given on what is asked now.
    if !shown || digest != view.approval.ask().digest().to_string() {
        return Err(Refused::new(
            Code::StaleDigest,
            "the answer was given on something other than what is asked now",
            "This is what is asked now: read it, and answer again.",
        ));
    }
    let ballot = match fields.one("ballot") {
        "approve" => Ballot::Approve(narrowing(view, fields)?),
        "deny" => Ballot::Deny,
        _ => return Err(Refused::invalid("the answer is neither yes nor no", "Answer again.")),
    };
    Ok(VoteCommand {
        id: view.approval.ask().id.to_string(),
        ballot,
        reason: fields.one("reason").replace("\r\n", "\n"),
        digest: digest.to_owned(),
        rendering: Some(rendering.to_owned()),
    })
}

fn narrowing(view: &ApprovalView, fields: &Fields) -> Result<Narrowing, Refused> {
    let ask = view.approval.ask();
    let duration = match fields.one("duration") {
        "" => None,
        text => Some(parse_duration(text).map_err(|error| {
            Refused::invalid(error.to_string(), "Write a duration such as 15m, or leave it empty.")
        })?),
    };
    let uses = match fields.one("uses") {
        "" => None,
        text => Some(text.parse().ok().filter(|uses| *uses > 0).ok_or_else(|| {
            let message = format!("`{}` is no number of uses", echo(text, 20));
            Refused::invalid(message, "Write a number such as 3, or leave it empty.")
        })?),
    };
    let kind = match fields.one("for") {
        "once" => GrantKind::Once,
        "" | "lease" => GrantKind::Lease,
        "session" => GrantKind::Session,
        _ => return Err(Refused::invalid("that is not what it can be good for", "Choose one.")),
    };
    let mut only = BTreeSet::new();
    if fields.one("some") == "yes" {
        for text in fields.all("only") {
            let resource: Resource = text.parse().map_err(|_| {
                Refused::invalid("a resource is chosen that is none", "Choose among those shown.")
            })?;
            only.insert(resource);
        }
        if only.is_empty() {
            return Err(Refused::invalid(
                "no resource is chosen",
                "Choose at least one, or deny the whole.",
            ));
        }
        if only.len() == ask.items.len() {
            only.clear();
        }
    }
    Ok(Narrowing { duration, uses, kind, only })
}
