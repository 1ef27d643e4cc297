//! Refusals as gRPC says them.

use std::collections::HashMap;

use tonic::{Code as Grpc, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::broker::{Code, Kind, Refused};

/// The `domain` of every `ErrorInfo`.
const DOMAIN: &str = "vouchsafe";

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let next = (!refused.next.is_empty()).then(|| ("next".to_owned(), refused.next));
        let metadata = HashMap::from_iter(next);
        let details = ErrorDetails::with_error_info(refused.code.as_str(), DOMAIN, metadata);
        Self::with_error_details(grpc_code(refused.code), refused.message, details)
    }
}

/// The one table of codes.
const fn grpc_code(code: Code) -> Grpc {
    match code.kind() {
        Kind::Unauthenticated => Grpc::Unauthenticated,
        // To a person the rules are a state of things that they can change.
        Kind::Forbidden if matches!(code, Code::PolicyRefused) => Grpc::FailedPrecondition,
        Kind::Forbidden => Grpc::PermissionDenied,
        Kind::NotFound => Grpc::NotFound,
        Kind::Invalid => Grpc::InvalidArgument,
        Kind::Conflict => Grpc::FailedPrecondition,
        Kind::Exists => Grpc::AlreadyExists,
        Kind::Busy => Grpc::ResourceExhausted,
        Kind::Unavailable => Grpc::Unavailable,
        Kind::Unknown => Grpc::Aborted,
        Kind::Internal => Grpc::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_its_code_its_message_and_what_to_do_next() {
        let refused = Refused::new(Code::ApprovalSettled, "ap_1 was denied", "Ask again.");
        let status = Status::from(refused);
        assert_eq!(status.code(), Grpc::FailedPrecondition);
        assert_eq!(status.message(), "ap_1 was denied");
        let info = status.get_details_error_info().unwrap();
        assert_eq!((info.reason.as_str(), info.domain.as_str()), ("APPROVAL_SETTLED", "vouchsafe"));
        assert_eq!(info.metadata.get("next").map(String::as_str), Some("Ask again."));
    }

    #[test]
    fn each_code_has_the_grpc_code_of_the_contract() {
        for (code, grpc) in [
            (Code::WrongCredential, Grpc::Unauthenticated),
            (Code::RoleNeeded, Grpc::PermissionDenied),
            (Code::OwnRequest, Grpc::PermissionDenied),
            (Code::PolicyRefused, Grpc::FailedPrecondition),
            (Code::SecretNotFound, Grpc::NotFound),
            (Code::AmbiguousId, Grpc::InvalidArgument),
            (Code::AlreadyExists, Grpc::AlreadyExists),
            (Code::StaleDigest, Grpc::FailedPrecondition),
            (Code::StoreBusy, Grpc::ResourceExhausted),
            (Code::StoreFull, Grpc::Unavailable),
            (Code::OutcomeUnknown, Grpc::Aborted),
            (Code::Internal, Grpc::Internal),
        ] {
            assert_eq!(grpc_code(code), grpc, "{code}");
        }
    }
}
