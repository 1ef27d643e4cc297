//! The words of the contract's enums, as people and programs read them.

use clap::ValueEnum;
use vouchsafe_core::route::Event;
use vouchsafe_proto::v1;

pub(crate) fn approval_status(number: i32) -> String {
    v1::ApprovalStatus::try_from(number)
        .map_or_else(|_| unknown(), |known| word(known.as_str_name(), "APPROVAL_STATUS_"))
}

pub(crate) fn lease_status(number: i32) -> String {
    v1::LeaseStatus::try_from(number)
        .map_or_else(|_| unknown(), |known| word(known.as_str_name(), "LEASE_STATUS_"))
}

pub(crate) fn operation(number: i32) -> String {
    v1::Operation::try_from(number)
        .map_or_else(|_| unknown(), |known| word(known.as_str_name(), "OPERATION_"))
}

pub(crate) fn ballot(number: i32) -> String {
    v1::Ballot::try_from(number)
        .map_or_else(|_| unknown(), |known| word(known.as_str_name(), "BALLOT_"))
}

pub(crate) fn grant_kind(number: i32) -> String {
    v1::GrantKind::try_from(number)
        .map_or_else(|_| unknown(), |known| word(known.as_str_name(), "GRANT_KIND_"))
}

pub(crate) fn role(number: i32) -> String {
    v1::Role::try_from(number)
        .map_or_else(|_| unknown(), |known| word(known.as_str_name(), "ROLE_"))
}

pub(crate) fn level(number: i32) -> String {
    v1::Level::try_from(number)
        .map_or_else(|_| unknown(), |known| word(known.as_str_name(), "LEVEL_"))
}

/// `put`, `imported`, `generated`, `rotated`, `proposed` or `rolled-back`; empty where it is not said.
pub(crate) fn secret_origin(number: i32) -> String {
    match v1::SecretOrigin::try_from(number) {
        Ok(v1::SecretOrigin::Unspecified) => String::new(),
        Ok(known) => word(known.as_str_name(), "SECRET_ORIGIN_").replace('_', "-"),
        Err(_) => unknown(),
    }
}

/// `people`, `rule`, `session` or `break-glass`; empty where nobody approved anything.
pub(crate) fn approved_by(number: i32) -> String {
    match v1::ApprovedBy::try_from(number) {
        Ok(v1::ApprovedBy::Unspecified) => String::new(),
        Ok(known) => word(known.as_str_name(), "APPROVED_BY_").replace('_', "-"),
        Err(_) => unknown(),
    }
}

pub(crate) fn delivery_status(number: i32) -> String {
    v1::DeliveryStatus::try_from(number)
        .map_or_else(|_| unknown(), |known| word(known.as_str_name(), "DELIVERY_STATUS_"))
}

/// `quiet` or `digest`; empty where a message waits for neither.
pub(crate) fn delivery_hold(number: i32) -> String {
    match v1::DeliveryHold::try_from(number) {
        Ok(v1::DeliveryHold::Unspecified) => String::new(),
        Ok(known) => word(known.as_str_name(), "DELIVERY_HOLD_"),
        Err(_) => unknown(),
    }
}

/// Names of events as people read them: `approval.*` stands for all of that kind.
pub(crate) fn events(names: &[String]) -> Vec<String> {
    let mut left: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut told = Vec::new();
    for kind in ["approval.", "lease."] {
        let all = Event::ALL.iter().map(|event| event.as_str());
        if all.filter(|name| name.starts_with(kind)).all(|name| left.contains(&name)) {
            left.retain(|name| !name.starts_with(kind));
            told.push(format!("{kind}*"));
        }
    }
    told.extend(left.into_iter().map(str::to_owned));
    told
}

/// `--status` of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DeliveryStatus {
    Queued,
    Sent,
    Failed,
    Answered,
}

impl DeliveryStatus {
    pub(crate) fn to_proto(self) -> i32 {
        match self {
            Self::Queued => v1::DeliveryStatus::Queued,
            Self::Sent => v1::DeliveryStatus::Sent,
            Self::Failed => v1::DeliveryStatus::Failed,
            Self::Answered => v1::DeliveryStatus::Answered,
        }
        .into()
    }
}

/// `--status` of approvals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ApprovalStatus {
    Pending,
    Approved,
    Denied,
    Expired,
    Withdrawn,
}

impl ApprovalStatus {
    pub(crate) fn to_proto(self) -> i32 {
        match self {
            Self::Pending => v1::ApprovalStatus::Pending,
            Self::Approved => v1::ApprovalStatus::Approved,
            Self::Denied => v1::ApprovalStatus::Denied,
            Self::Expired => v1::ApprovalStatus::Expired,
            Self::Withdrawn => v1::ApprovalStatus::Withdrawn,
        }
        .into()
    }
}

/// `--status` of leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LeaseStatus {
    Active,
    Expired,
    Revoked,
    Released,
    Exhausted,
}

impl LeaseStatus {
    pub(crate) fn to_proto(self) -> i32 {
        match self {
            Self::Active => v1::LeaseStatus::Active,
            Self::Expired => v1::LeaseStatus::Expired,
            Self::Revoked => v1::LeaseStatus::Revoked,
            Self::Released => v1::LeaseStatus::Released,
            Self::Exhausted => v1::LeaseStatus::Exhausted,
        }
        .into()
    }
}

/// `--operation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Operation {
    List,
    Use,
    Read,
    Write,
    Delete,
    Call,
}

impl Operation {
    pub(crate) fn to_proto(self) -> i32 {
        match self {
            Self::List => v1::Operation::List,
            Self::Use => v1::Operation::Use,
            Self::Read => v1::Operation::Read,
            Self::Write => v1::Operation::Write,
            Self::Delete => v1::Operation::Delete,
            Self::Call => v1::Operation::Call,
        }
        .into()
    }
}

/// `--operation` of a broken glass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GlassOperation {
    /// See the value
    Read,
    /// Use the value without seeing it
    Use,
}

impl GlassOperation {
    pub(crate) fn to_proto(self) -> i32 {
        match self {
            Self::Read => v1::Operation::Read,
            Self::Use => v1::Operation::Use,
        }
        .into()
    }
}

/// `--for`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GrantKind {
    /// One use
    Once,
    /// Until the lease ends
    Lease,
    /// Until the lease ends, and again for the key's session time, where the rule allows it
    Session,
}

impl GrantKind {
    pub(crate) fn to_proto(self) -> i32 {
        match self {
            Self::Once => v1::GrantKind::Once,
            Self::Lease => v1::GrantKind::Lease,
            Self::Session => v1::GrantKind::Session,
        }
        .into()
    }
}

/// `--level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    /// A person is asked for everything but `list`
    Strict,
    /// A person is asked for reading, writing, deleting, and calls that are not read-only
    Balanced,
    /// A person is asked for reading, deleting, and destructive calls
    Permissive,
    /// A person is asked for deleting and destructive calls
    Auto,
}

impl Level {
    pub(crate) fn to_proto(self) -> i32 {
        match self {
            Self::Strict => v1::Level::Strict,
            Self::Balanced => v1::Level::Balanced,
            Self::Permissive => v1::Level::Permissive,
            Self::Auto => v1::Level::Auto,
        }
        .into()
    }
}

/// `--roles`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Answers asks
    Approver,
    /// Reads the audit log
    Auditor,
    /// Manages secrets, rules and keys
    Operator,
    /// May do everything
    Admin,
}

impl Role {
    pub(crate) fn to_proto(self) -> i32 {
        match self {
            Self::Approver => v1::Role::Approver,
            Self::Auditor => v1::Role::Auditor,
            Self::Operator => v1::Role::Operator,
            Self::Admin => v1::Role::Admin,
        }
        .into()
    }
}

fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_ascii_lowercase()
}

fn unknown() -> String {
    "unknown".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enums_are_lower_case_words() {
        assert_eq!(approval_status(1), "pending");
        assert_eq!(lease_status(5), "exhausted");
        assert_eq!(operation(0), "unspecified");
        assert_eq!(role(99), "unknown");
        assert_eq!(approved_by(4), "break-glass");
        assert_eq!(approved_by(0), "");
        assert_eq!(secret_origin(6), "rolled-back");
        assert_eq!((delivery_hold(0), delivery_hold(1)), (String::new(), "quiet".to_owned()));
        assert_eq!((secret_origin(0), secret_origin(99)), (String::new(), "unknown".to_owned()));
    }

    #[test]
    fn all_events_of_a_kind_are_one_word() {
        let names = |names: &[&str]| -> Vec<_> { names.iter().map(|n| (*n).to_owned()).collect() };
        let all: Vec<_> = Event::ALL.iter().map(|event| event.as_str()).collect();
        assert_eq!(events(&names(&all)), ["approval.*", "lease.*", "break_glass", "alert"]);
        assert_eq!(events(&names(&["alert", "lease.issued"])), ["alert", "lease.issued"]);
        assert_eq!(events(&names(&["*"])), ["*"]);
    }

    #[test]
    fn arguments_say_what_the_contract_says() {
        for status in ApprovalStatus::value_variants() {
            let name = status.to_possible_value().unwrap();
            assert_eq!(approval_status(status.to_proto()), name.get_name());
        }
        for status in LeaseStatus::value_variants() {
            let name = status.to_possible_value().unwrap();
            assert_eq!(lease_status(status.to_proto()), name.get_name());
        }
        for status in DeliveryStatus::value_variants() {
            let name = status.to_possible_value().unwrap();
            assert_eq!(delivery_status(status.to_proto()), name.get_name());
        }
        for operation in Operation::value_variants() {
            let name = operation.to_possible_value().unwrap();
            assert_eq!(super::operation(operation.to_proto()), name.get_name());
        }
        for level in Level::value_variants() {
            let name = level.to_possible_value().unwrap();
            assert_eq!(super::level(level.to_proto()), name.get_name());
        }
        for kind in GrantKind::value_variants() {
            let name = kind.to_possible_value().unwrap();
            assert_eq!(grant_kind(kind.to_proto()), name.get_name());
        }
        for operation in GlassOperation::value_variants() {
            let name = operation.to_possible_value().unwrap();
            assert_eq!(super::operation(operation.to_proto()), name.get_name());
        }
    }
}
