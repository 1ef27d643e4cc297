//! The tools, as clients and models see them.

use rmcp::model::{self, ToolAnnotations};
use vouchsafe_core::caller::Agent;
use vouchsafe_core::key::Scope;

use super::schemas;
use crate::broker::{Refused, scope_needed, tool_not_allowed};

/// One of our tools.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tool {
    ListSecrets,
    ReadSecret,
    RequestAccess,
    AwaitApproval,
    WithdrawApproval,
    ListLeases,
    RenewLease,
    ReleaseLease,
    WriteSecret,
    RotateSecret,
    DeleteSecret,
    QueryAudit,
    Whoami,
}

impl Tool {
    /// Every tool, in the order in which they are listed.
    pub(super) const ALL: [Self; 13] = [
        Self::ListSecrets,
        Self::ReadSecret,
        Self::RequestAccess,
        Self::AwaitApproval,
        Self::WithdrawApproval,
        Self::ListLeases,
        Self::RenewLease,
        Self::ReleaseLease,
        Self::WriteSecret,
        Self::RotateSecret,
        Self::DeleteSecret,
        Self::QueryAudit,
        Self::Whoami,
    ];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::ListSecrets => "list_secrets",
            Self::ReadSecret => "read_secret",
            Self::RequestAccess => "request_access",
            Self::AwaitApproval => "await_approval",
            Self::WithdrawApproval => "withdraw_approval",
            Self::ListLeases => "list_leases",
            Self::RenewLease => "renew_lease",
            Self::ReleaseLease => "release_lease",
            Self::WriteSecret => "write_secret",
            Self::RotateSecret => "rotate_secret",
            Self::DeleteSecret => "delete_secret",
            Self::QueryAudit => "query_audit",
            Self::Whoami => "whoami",
        }
    }

    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.as_str() == name)
    }

    /// The scope a key needs for it; what is left without one serves what was given before.
    pub(super) const fn scope(self) -> Option<Scope> {
        match self {
            Self::ListSecrets | Self::ReadSecret | Self::RequestAccess => Some(Scope::SecretsRead),
            Self::WriteSecret | Self::RotateSecret => Some(Scope::SecretsWrite),
            Self::DeleteSecret => Some(Scope::SecretsDelete),
            Self::QueryAudit => Some(Scope::AuditRead),
            Self::AwaitApproval
            | Self::WithdrawApproval
            | Self::ListLeases
            | Self::RenewLease
            | Self::ReleaseLease
            | Self::Whoami => None,
        }
    }

    /// Whether an agent may use it; if not, why not.
    pub(super) fn check(self, agent: &Agent) -> Result<(), Refused> {
        if let Some(scope) = self.scope().filter(|scope| !agent.scopes.allow(*scope)) {
            return Err(scope_needed(agent, scope));
        }
        if !agent.settings.tools.allows(self.as_str()) {
            return Err(tool_not_allowed(agent, self.as_str()));
        }
        Ok(())
    }

    /// The tool as it is listed.
    pub(super) fn describe(self) -> model::Tool {
        model::Tool::new(self.as_str(), self.description(), schemas::input(self))
            .with_title(self.title())
            .with_raw_output_schema(schemas::output(self))
            .with_annotations(self.annotations())
    }

    const fn title(self) -> &'static str {
        match self {
            Self::ListSecrets => "List secrets",
            Self::ReadSecret => "Read a secret",
            Self::RequestAccess => "Request access to several secrets",
            Self::AwaitApproval => "Wait for an approval",
            Self::WithdrawApproval => "Withdraw a request",
            Self::ListLeases => "List leases",
            Self::RenewLease => "Renew a lease",
            Self::ReleaseLease => "Release a lease",
            Self::WriteSecret => "Write a secret",
            Self::RotateSecret => "Rotate a secret",
            Self::DeleteSecret => "Delete a secret",
            Self::QueryAudit => "Search the audit log",
            Self::Whoami => "Who am I",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::ListSecrets => {
                "Lists the secrets this key may know of: their URIs, what they are, and what \
                 reading each needs (`approval`: a person is asked; `nothing`; `refused`). Never \
                 shows values. If `next_token` is there, call again with it as `page_token`."
            }
            Self::ReadSecret => {
                "Reads the value of one secret. A person may have to approve it first, so give a \
                 reason that says what you need it for. If status is `pending`, people have been \
                 asked: tell the person you work for, then call await_approval with the \
                 approval_id, or this tool again with the same arguments. If status is `denied`, \
                 do not ask again. The value is good under the lease that comes with it. Never \
                 write it into files, logs or messages."
            }
            Self::RequestAccess => {
                "Asks for several secrets at once, so that a person decides once. When it is \
                 approved you have a lease on each; then call read_secret with each URI. If \
                 status is `pending`, call await_approval with the approval_id, or this tool \
                 again with the same arguments."
            }
            Self::AwaitApproval => {
                "Tells where one of your approvals stands, waiting a while for the answer. If \
                 status is `pending`, nobody has answered yet: call it again, or tell the person \
                 you work for and stop. If `approved`, make the call in `next`. If `denied`, \
                 `reason` says why: do not ask again for the same."
            }
            Self::WithdrawApproval => {
                "Takes back one of your own requests that is still pending, when it is no longer \
                 needed."
            }
            Self::ListLeases => {
                "Lists your active leases: what you may read, how often and until when."
            }
            Self::RenewLease => {
                "Makes one of your leases last longer, up to its max_expires_at. Past that, ask \
                 again with read_secret."
            }
            Self::ReleaseLease => {
                "Gives one of your leases back. Do it as soon as you no longer need the value."
            }
            Self::WriteSecret => {
                "Proposes a value for a secret: a new one, or the next version of one that is \
                 there. Give `value`, or better `generate`: then the value is made here and you \
                 never see it. A person may have to approve it; it is written when they do, \
                 whether or not you still wait. If status is `pending`, call await_approval, or \
                 this tool again with the same arguments. `applied` says it is written; \
                 `conflict` that somebody else changed the secret first: look at it with \
                 list_secrets and decide again. What used the version before has to read anew."
            }
            Self::RotateSecret => {
                "Proposes that a secret gets a new value, made here and unseen: of the kind it \
                 was made as, or as `generate` says. For a key pair the answer has the new public \
                 key. Otherwise as write_secret."
            }
            Self::DeleteSecret => {
                "Proposes that a secret is deleted. Leases on it end when that is approved. An \
                 operator can undelete it for a while. Otherwise as write_secret."
            }
            Self::QueryAudit => {
                "Searches this project's audit log, newest first: who asked for what, who \
                 answered, what was released and what was refused. Holds metadata of keys, rules \
                 and resources, never a value. Narrow it with the filters; `group_by` counts \
                 instead of listing. If `next_token` is there, call again with it as \
                 `page_token` and the same filters. A person may have to approve it first."
            }
            Self::Whoami => {
                "Tells which key this connection uses, who answers for it, and what it may do."
            }
        }
    }

    fn annotations(self) -> ToolAnnotations {
        let (read_only, idempotent) = match self {
            Self::ListSecrets
            | Self::AwaitApproval
            | Self::ListLeases
            | Self::QueryAudit
            | Self::Whoami => (true, true),
            // These ask people, use leases up, and make another version each time.
            Self::ReadSecret
            | Self::RequestAccess
            | Self::RenewLease
            | Self::WriteSecret
            | Self::RotateSecret
            | Self::DeleteSecret => (false, false),
            Self::WithdrawApproval | Self::ReleaseLease => (false, true),
        };
        // Earlier versions stay, but what works with the current one stops working.
        let destructive =
            matches!(self, Self::WriteSecret | Self::RotateSecret | Self::DeleteSecret);
        ToolAnnotations::with_title(self.title())
            .read_only(read_only)
            .destructive(destructive)
            .idempotent(idempotent)
            .open_world(false)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use vouchsafe_core::caller::Claims;
    use vouchsafe_core::id::{ID_BYTES, KeyId, ProjectId, UserId};
    use vouchsafe_core::key::{KeySettings, Scopes, ToolList};

    use super::*;

    #[test]
    fn every_tool_is_one_that_every_client_takes() {
        for tool in Tool::ALL {
            let described = tool.describe();
            let name = described.name.as_ref();
            assert!((1..=48).contains(&name.len()), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(Tool::named(name), Some(tool));
            assert!(described.description.is_some() && described.title.is_some());
            let input = described.input_schema;
            assert_eq!(input.get("type"), Some(&Value::from("object")), "{name}");
            assert_eq!(input.get("additionalProperties"), Some(&Value::Bool(false)), "{name}");
            let output = described.output_schema.unwrap();
            assert_eq!(output.get("type"), Some(&Value::from("object")), "{name}");
            for schema in [&input, &output] {
                let properties = schema.get("properties").unwrap().as_object().unwrap();
                for (property, schema) in properties {
                    assert!(schema.get("type").is_some(), "{name}.{property}");
                }
                for required in
                    schema.get("required").into_iter().flat_map(|r| r.as_array().unwrap())
                {
                    assert!(properties.contains_key(required.as_str().unwrap()), "{name}");
                }
            }
        }
    }

    fn agent(scopes: &[&str], tools: &[&str]) -> Agent {
        let tools = ToolList::parse(tools.iter().copied()).unwrap();
        Agent {
            key: KeyId::from_random([1; ID_BYTES]),
            generation: 1,
            revision: 1,
            name: "claude".parse().unwrap(),
            project: ProjectId::from_random([2; ID_BYTES]),
            project_name: "default".to_owned(),
            owner: UserId::from_random([3; ID_BYTES]),
            owner_name: "jane".to_owned(),
            scopes: Scopes::parse(scopes.iter().copied()).unwrap(),
            settings: KeySettings { tools, ..KeySettings::default() },
            claims: Claims::default(),
        }
    }

    #[test]
    fn a_key_without_the_scope_keeps_what_it_has() {
        let agent = agent(&["audit:read"], &[]);
        let left: Vec<_> =
            Tool::ALL.into_iter().filter(|tool| tool.check(&agent).is_ok()).collect();
        assert!(left.contains(&Tool::ListLeases) && !left.contains(&Tool::ReadSecret), "{left:?}");
        let refused = Tool::ReadSecret.check(&agent).unwrap_err();
        assert_eq!(
            refused.message,
            "this needs the scope secrets:read; the key `claude` has audit:read"
        );
    }

    #[test]
    fn a_key_with_a_list_of_tools_uses_those_and_no_other() {
        let agent = agent(&["mcp:full"], &["read_secret", "list_*"]);
        let left: Vec<_> =
            Tool::ALL.into_iter().filter(|tool| tool.check(&agent).is_ok()).collect();
        assert_eq!(left, [Tool::ListSecrets, Tool::ReadSecret, Tool::ListLeases]);
        let refused = Tool::Whoami.check(&agent).unwrap_err();
        assert_eq!(
            refused.message,
            "the key `claude` may not use the tool whoami; it may use list_*, read_secret"
        );
    }
}
