//! People who answer in Slack.

use std::time::Duration;

use vouchsafe_core::approval::Approval;
use vouchsafe_core::audit::Action;
use vouchsafe_core::caller::{Identity, Reach, Role, User, UserRecord};
use vouchsafe_core::route::{SlackId, SlackTicket};
use vouchsafe_core::time::UnixTime;

use super::votes::{settled_already, stale};
use super::{ApprovalView, Broker, Code, Refused, doors, entries};

/// How far from our clock the time may be that Slack signs with.
const WINDOW: Duration = Duration::from_mins(5);

impl Broker {
    /// Whether something that Slack signed at this time, in whole seconds since 1970, is of now.
    pub fn is_fresh(&self, sent_at: i64) -> bool {
        let (now, sent) = (self.now().wall, UnixTime::from_ms(sent_at.saturating_mul(1_000)));
        now.since(sent) <= WINDOW && sent.since(now) <= WINDOW
    }

    /// Who a member of the Slack workspace is here, and what is stored of them. They reach the
    /// projects in which they may answer; whoever may nowhere is refused, and so is everybody whom
    /// nobody has linked. The log says so.
    pub async fn slack_user(&self, member: &SlackId) -> Result<(User, UserRecord), Refused> {
        let id = member.clone();
        let found = self.look("user_by_slack", move |reader| Ok(reader.user_by_slack(&id)?)).await;
        let record = match found? {
            Some(record) if record.enabled => record,
            Some(record) => {
                let refused = doors::user_disabled(record.name.as_str());
                return Err(self.refuse_member(member, refused).await);
            }
            None => return Err(self.refuse_member(member, unlinked(member)).await),
        };
        let user = User {
            id: record.id,
            name: record.name.to_string(),
            roles: record.roles,
            reach: record.reach(&[Role::Approver]),
            identity: Identity::Slack(member.clone()),
        };
        if matches!(&user.reach, Reach::Projects(projects) if projects.is_empty()) {
            let refused = Refused::new(
                Code::RoleNeeded,
                format!("answers need the role approver, and {} does not have it", user.name),
                "Ask an admin for the role approver.",
            );
            let entry = entries::by_user(Action::DOOR_REFUSED, &user);
            return Err(self.refuse_slack(entry, refused).await);
        }
        self.came(&user);
        Ok((user, record))
    }

    /// Notes in the log that a member of another workspace than ours was turned away, and says what
    /// they are told.
    pub async fn refuse_team(&self, member: &SlackId) -> Refused {
        let refused = Refused::new(
            Code::Unauthenticated,
            "this is not the Slack workspace whose members answer here",
            "Answer in the workspace that notify.slack names, or with `vouchsafe approve`.",
        );
        self.refuse_member(member, refused).await
    }

    /// The approval that an answer is about, where it is still to be answered, is what was shown,
    /// and the person's answer would count.
    pub async fn answerable(
        &self,
        user: &User,
        ticket: &SlackTicket,
    ) -> Result<ApprovalView, Refused> {
        let view = self.show_approval(user, &ticket.approval.to_string()).await?;
        if !matches!(view.approval, Approval::Pending(_)) {
            return Err(settled_already(&view.approval));
        }
        if view.approval.ask().digest() != ticket.digest {
            return Err(stale());
        }
        match &view.may_vote {
            Ok(()) => Ok(view),
            Err(why) => Err(Refused::new(
                Code::NotAnApprover,
                format!("your answer would not count: {why}"),
                "`vouchsafe approvals show` says who may answer.",
            )),
        }
    }

    async fn refuse_member(&self, member: &SlackId, refused: Refused) -> Refused {
        let entry = doors::door_entry("slack").detail("member", member.as_str());
        self.refuse_slack(entry, refused).await
    }
}

/// What somebody is told whom nobody has linked.
fn unlinked(member: &SlackId) -> Refused {
    Refused::new(
        Code::Unauthenticated,
        format!("nobody here is linked to the Slack member {member}"),
        format!("An admin links you with `vouchsafe users update NAME --slack-id {member}`."),
    )
}
