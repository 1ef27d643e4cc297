//! Changes that nobody is asked for: the rule, the key's level, the rule's conditions or a session
//! lets them be made.

use vouchsafe_core::approval::{Approval, Approved, Ask, How, Vote};
use vouchsafe_core::audit::Action;

use super::apply::{Made, Making, apply};
use super::{Came, Draft};
use crate::broker::asks::Wish;
use crate::broker::gives::Given;
use crate::broker::{ChangeMade, Refused, Stop, entries};
use crate::store::Tx;
use crate::vault::Sealed;

/// A change that nobody is asked for.
pub(super) struct Unasked {
    pub(super) ask: Ask,
    pub(super) votes: Vec<Vote>,
    pub(super) sealed: Option<Sealed>,
    /// An equal ask waited for people, and waits no more.
    pub(super) waited: bool,
}

/// Makes a change at once. What the rule's conditions or a session approve is kept as an approval;
/// what nobody has to be asked for is an entry of the log alone.
pub(super) fn make_unasked(
    tx: &mut Tx<'_>,
    wish: &Wish,
    draft: &Draft,
    making: &Making,
    given: Given,
    what: Unasked,
) -> Result<(Came, Vec<Approval>), Stop> {
    let Unasked { ask, votes, sealed, waited } = what;
    let (how, said) = match given {
        Given::Free(free) => (How::Automatic { conditions: Vec::new() }, Some(Given::Free(free))),
        Given::Observed(seen) => {
            (How::Automatic { conditions: Vec::new() }, Some(Given::Observed(seen)))
        }
        Given::Automatic(conditions) => (How::Automatic { conditions }, None),
        Given::Session(session) => (How::Session { approval: session.approval }, None),
    };
    let approved = Approved { votes, ..Approved::without_votes(ask, how, tx.now()) };
    let kept = waited || said.is_none();
    if kept {
        let approval = Approval::Approved(approved.clone());
        if waited {
            if !tx.save_approval(&approval)? {
                return Err(Refused::internal().into());
            }
        } else {
            tx.insert_settled_approval(&approval)?;
        }
        tx.mark_told(approved.ask.id, tx.now().wall)?;
        let entry = entries::by_agent(Action::APPROVAL_AUTOMATIC, &wish.agent);
        let entry = entries::approved_by(entries::asked(entry, &approved.ask), &approved.how);
        tx.append(&entry.detail("level", wish.agent.settings.level.as_str()))?;
    }
    let rule = approved.ask.items.first().ok_or_else(Refused::internal)?.rule.clone();
    let entry = |action| {
        let entry = entries::by_agent(action, &wish.agent);
        match &said {
            Some(said) => said.said(wish.worded(entry), &rule),
            None => entry,
        }
    };
    let made = Made { approved, sealed, new_secret: draft.new_secret, kept };
    let (approved, mut settled) = apply(tx, making, made, &entry)?;
    let approval = Approval::Approved(approved);
    let change = ChangeMade::of(&approval, kept).ok_or_else(Refused::internal)?;
    if kept {
        settled.push(approval);
    }
    Ok((Came::Made(Box::new(change)), settled))
}
