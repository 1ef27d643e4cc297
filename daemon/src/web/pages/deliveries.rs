//! Messages: who was told, who could not be, and trying again.

mod view;

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use vouchsafe_core::caller::Reach;
use vouchsafe_core::route::{ChannelName, DeliveryStatus};

use self::view::{ChannelRow, MessageRow};
use super::Pages;
use super::filters::{Choice, given, next, page as page_of};
use super::form::{Fields, Posted, Query};
use super::gate::Place;
use super::layout::{Answer, Shell, page, see_other, status};
use super::projects::reaching;
use super::session::Visitor;
use crate::broker::{DeliveryQuery, Paged, Refused, Retry};

#[derive(Template)]
#[template(path = "pages/deliveries.html")]
struct DeliveriesPage<'a> {
    shell: Shell,
    csrf: String,
    fields: &'a Fields,
    /// For whoever runs the daemon or reads its log, in all projects.
    channels: Option<Vec<ChannelRow>>,
    statuses: Vec<Choice>,
    messages: Vec<MessageRow>,
    may_retry: bool,
    next: Option<String>,
    problem: Option<Refused>,
}

pub(super) fn routes() -> Router<Pages> {
    Router::new().route("/deliveries", get(list)).route("/deliveries/retry", post(retry))
}

async fn list(visitor: Visitor, Query(fields): Query) -> Answer {
    let user = visitor.at(Place::Deliveries).await?;
    let broker = &visitor.broker;
    let found = match query(&fields) {
        Ok(query) => broker.list_deliveries(&user, query, page_of(&fields)).await,
        Err(refused) => Err(refused),
    };
    let (found, problem) = match found {
        Ok(found) => (found, None),
        Err(refused) => (Paged { items: Vec::new(), next: String::new() }, Some(refused)),
    };
    let channels = match reaching(&visitor, Place::Channels) {
        Some(user) if user.reach == Reach::Everywhere && fields.one("page").is_empty() => {
            let channels = broker.list_channels(&user).await;
            let channels = channels.map_err(|refused| visitor.turned(&refused))?;
            Some(channels.iter().map(ChannelRow::from).collect())
        }
        Some(_) | None => None,
    };
    let template = DeliveriesPage {
        shell: Shell::inside("Deliveries", &visitor, Place::Deliveries),
        csrf: visitor.csrf(),
        channels,
        statuses: statuses(fields.one("status")),
        messages: found.items.iter().map(MessageRow::from).collect(),
        may_retry: visitor.may(Place::Retry),
        next: next("/deliveries", &fields, &["status", "channel", "approval"], &found.next),
        fields: &fields,
        problem,
    };
    let code = template.problem.as_ref().map_or(StatusCode::OK, |it| status(it.code.kind()));
    Ok(page(code, &template))
}

async fn retry(posted: Posted) -> Answer {
    let Posted { visitor, fields } = posted;
    let user = visitor.at(Place::Retry).await?;
    let which = which(&fields).map_err(|refused| visitor.turned(&refused))?;
    let queued = visitor.broker.retry_deliveries(&user, which).await;
    queued.map_err(|refused| visitor.turned(&refused))?;
    Ok(see_other("/deliveries"))
}

fn which(fields: &Fields) -> Result<Retry, Refused> {
    match (given(fields, "id")?, given(fields, "channel")?) {
        (Some(id), None) => Ok(Retry::One(id)),
        (None, Some(name)) => Ok(Retry::Channel(channel(&name)?)),
        _ => Err(Refused::invalid(
            "it is not said which message to try again",
            "Open the page again and choose one.",
        )),
    }
}

fn query(fields: &Fields) -> Result<DeliveryQuery, Refused> {
    let status = given(fields, "status")?.map(|status| {
        status
            .parse::<DeliveryStatus>()
            .map_err(|error| Refused::invalid(error.to_string(), "Choose one of them, or any."))
    });
    Ok(DeliveryQuery {
        approval: given(fields, "approval")?,
        channel: given(fields, "channel")?.map(|name| channel(&name)).transpose()?,
        status: status.transpose()?,
    })
}

fn channel(name: &str) -> Result<ChannelName, Refused> {
    name.parse::<ChannelName>().map_err(|error| {
        Refused::invalid(error.to_string(), "Its name is as in vouchsafe.toml: slack:security.")
    })
}

fn statuses(chosen: &str) -> Vec<Choice> {
    let all = DeliveryStatus::ALL.map(|status| (status.as_str(), status.as_str()));
    Choice::all([("", "any")].into_iter().chain(all), chosen)
}

impl DeliveriesPage<'_> {
    /// What is said of a list with nothing in it.
    fn nothing(&self) -> &'static str {
        let filtered =
            ["status", "channel", "approval"].iter().any(|it| !self.fields.one(it).is_empty());
        match filtered {
            _ if self.problem.is_some() => "",
            true => "No message is like that.",
            false => "No message was sent yet.",
        }
    }
}
