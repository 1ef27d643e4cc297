//! Secrets as MCP resources. Reading one asks as `read_secret` does; there is no place for a status
//! in what it gives, so what is not a value is an error.

use rmcp::model::{
    CacheScope, ErrorCode, InputRequiredResult, ListResourcesResult, ReadResourceRequestParams,
    ReadResourceResponse, ReadResourceResult, Resource as Listed, ResourceContents,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Value, json};
use vouchsafe_core::approval::{Pending, Status};
use vouchsafe_core::caller::Agent;
use vouchsafe_core::resource::Resource;
use vouchsafe_core::text;

use super::calls::gone;
use super::results::{self, Reply};
use super::tools::Tool;
use super::wait::Held;
use super::{Door, error};
use crate::broker::{Code, Page, Plea, SecretListing};

/// People have been asked.
const PENDING: ErrorCode = ErrorCode(1001);
/// Somebody said no.
const DENIED: ErrorCode = ErrorCode(1002);
/// Nobody said enough in time, or it was taken back.
const EXPIRED: ErrorCode = ErrorCode(1003);

/// Rounds that a client is sent to ask again by itself before it is told. Clients do ten.
const ROUNDS_MAX: u32 = 8;
const DESCRIPTION_CHARS_MAX: usize = 300;

impl Door {
    /// The secrets that this key may know of.
    pub(super) async fn resources(
        &self,
        agent: &Agent,
        cursor: String,
    ) -> Result<ListResourcesResult, ErrorData> {
        let mut result = ListResourcesResult::default();
        if Tool::ListSecrets.check(agent).is_ok() {
            let page = Page { size: 0, token: cursor };
            let listed = self.broker.list_secrets_for(agent, None, page).await;
            let listed = listed.map_err(|refused| error(&refused))?;
            result.resources = listed.items.iter().map(describe).collect();
            result.next_cursor = Some(listed.next).filter(|next| !next.is_empty());
        }
        Ok(result.with_ttl_ms(0).with_cache_scope(CacheScope::Private))
    }

    /// One secret's value.
    pub(super) async fn resource(
        &self,
        agent: &Agent,
        request: ReadResourceRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let resource = match request.uri.parse::<Resource>() {
            Ok(resource @ Resource::Secret(_)) => resource,
            Ok(Resource::Tool { .. } | Resource::Audit | Resource::Policy) | Err(_) => {
                return Err(not_found(&request.uri));
            }
        };
        if let Err(refused) = Tool::ReadSecret.check(agent) {
            let refused = self.broker.refuse_agent(agent, "resources/read", refused).await;
            return Err(error(&refused));
        }
        let _place = self.place().map_err(|refused| error(&refused))?;
        let wanted = &resource;
        let held = self
            .hold(agent, context, |agent| async move {
                Tool::ReadSecret.check(&agent)?;
                let released = self.broker.read_secret(&agent, wanted, Plea::default()).await?;
                Ok(results::release(released))
            })
            .await;
        match held {
            Ok(Held::Done(reply)) => contents(&request.uri, &reply),
            Ok(Held::Pending { pending, waited }) => {
                let round = round(request.request_state.as_deref()) + 1;
                let modern = context.protocol_version().is_some_and(|v| !v.has_initialize());
                come_again(&pending, Some(round).filter(|_| waited && modern))
            }
            Ok(Held::Gone) => Err(gone()),
            Err(refused) if refused.code == Code::SecretNotFound => Err(not_found(&request.uri)),
            Err(refused) => Err(error(&refused)),
        }
    }
}

fn describe(listing: &SecretListing) -> Listed {
    let name = listing.uri.strip_prefix("vouchsafe://secrets/").unwrap_or(&listing.uri);
    let described = Listed::new(listing.uri.clone(), name);
    if listing.description.is_empty() {
        return described;
    }
    described.with_description(text::echo(&listing.description, DESCRIPTION_CHARS_MAX))
}

/// The value, from the result that `read_secret` would have given; else why there is none.
fn contents(uri: &str, reply: &Reply) -> Result<ReadResourceResponse, ErrorData> {
    let member = |name: &str| reply.content.get(name).and_then(Value::as_str).unwrap_or_default();
    let contents = match (reply.status, member("encoding")) {
        ("ok", "base64") => {
            ResourceContents::blob(member("value"), uri).with_mime_type("application/octet-stream")
        }
        ("ok" | "redacted", _) => {
            ResourceContents::text(member("value"), uri).with_mime_type("text/plain")
        }
        (status, _) => {
            let code = if status == Status::Denied.as_str() { DENIED } else { EXPIRED };
            let message = format!("the approval ended as {status}");
            return Err(ErrorData::new(code, message, Some(reply.content.clone())));
        }
    };
    Ok(ReadResourceResult::new(vec![contents])
        .with_ttl_ms(0)
        .with_cache_scope(CacheScope::Private)
        .into())
}

/// A client of the newer protocol is sent to ask again by itself, for a few rounds; any other is
/// told.
fn come_again(pending: &Pending, round: Option<u32>) -> Result<ReadResourceResponse, ErrorData> {
    if let Some(round) = round.filter(|round| *round <= ROUNDS_MAX) {
        // It says nothing but how often this was answered so: what is asked again is decided anew,
        // and a client that lies asks more often, which it may.
        let state = format!("{}.{round}", pending.ask.id);
        return Ok(InputRequiredResult::from_request_state(state).into());
    }
    let message = "people have been asked and have not answered yet: read it again";
    Err(ErrorData::new(PENDING, message, Some(results::handle(pending))))
}

fn round(state: Option<&str>) -> u32 {
    state
        .and_then(|state| state.rsplit_once('.'))
        .and_then(|(_id, round)| round.parse().ok())
        .unwrap_or(0)
        .min(ROUNDS_MAX)
}

fn not_found(uri: &str) -> ErrorData {
    let uri = text::echo(uri, DESCRIPTION_CHARS_MAX);
    ErrorData::resource_not_found("there is no such resource", Some(json!({ "uri": uri })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_are_counted_and_never_beyond_the_last() {
        for (state, counted) in [
            (None, 0),
            (Some("ap_0.3"), 3),
            (Some("ap_0"), 0),
            (Some("ap_0.x"), 0),
            (Some("ap_0.4294967295"), ROUNDS_MAX),
        ] {
            assert_eq!(round(state), counted, "{state:?}");
        }
    }
}
