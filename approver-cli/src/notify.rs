//! `notify`: how people are reached, and how messages to them fared.

use clap::{Args, Subcommand};
use vouchsafe_proto::v1::retry_delivery_request::Which;
use vouchsafe_proto::v1::{
    Channel, Delivery, DeliveryStatus as ProtoStatus, ListChannelsRequest, ListDeliveriesRequest,
    RetryDeliveryRequest, TestChannelRequest, TestChannelResponse,
};

use crate::context::Context;
use crate::error::CliError;
use crate::output::Column;
use crate::pages;
use crate::record::Record;
use crate::text::{safe_line, shortened};
use crate::words::{self, DeliveryStatus};

const CHANNEL_COLUMNS: [Column; 6] = [
    ("NAME", "name"),
    ("REACHES", "reaches"),
    ("EVENTS", "events"),
    ("QUEUED", "queued"),
    ("OLDEST", "oldest_queued_at"),
    ("PROBLEM", "problem"),
];

const COLUMNS: [Column; 8] = [
    ("ID", "id"),
    ("STATUS", "status"),
    ("EVENT", "event"),
    ("CHANNEL", "channel"),
    ("TO", "user"),
    ("QUEUED", "queued_at"),
    ("TRIES", "attempts"),
    ("PROBLEM", "problem"),
];

/// Why a message failed, in a row, is cut after so much.
const PROBLEM_CHARS_MAX: usize = 60;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the channels, with what waits in them
    ///
    /// Channels are set up under [notify] in the daemon's vouchsafe.toml.
    Channels,
    /// List messages, newest first
    Deliveries(Deliveries),
    /// Send a real message over a channel, and tell what came of it
    ///
    /// Where the channel reaches people, the message goes to you. It is tried once; exit code 7 says
    /// that it was not delivered.
    Test {
        /// Name of the channel: email, slack:NAME or webhook:NAME
        channel: String,
    },
    /// Try messages again that were given up
    Retry(Retry),
}

#[derive(Args, Debug)]
pub(crate) struct Deliveries {
    /// Only those about this approval, by its id or the beginning of it
    #[arg(long, value_name = "ID")]
    approval: Option<String>,
    /// Only those over this channel
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
    /// Only those of this status
    #[arg(long, value_enum, value_name = "STATUS")]
    status: Option<DeliveryStatus>,
    /// At most this many; 0 for all
    #[arg(long, value_name = "N", default_value_t = pages::LIMIT)]
    limit: u32,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(crate) struct Retry {
    /// Id of the message, or its beginning
    id: Option<String>,
    /// All that were given up over this channel
    #[arg(long, value_name = "NAME")]
    channel: Option<String>,
}

pub(crate) async fn run(command: Command, context: &Context) -> Result<(), CliError> {
    match command {
        Command::Channels => channels(context).await,
        Command::Deliveries(given) => deliveries(given, context).await,
        Command::Test { channel } => test(channel, context).await,
        Command::Retry(given) => retry(given, context).await,
    }
}

async fn channels(context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let answer = daemon.notify().list_channels(ListChannelsRequest {}).await?.into_inner();
    let is_json = context.out.is_json();
    let told = |of: &Channel| {
        channel(of, if is_json { of.events.clone() } else { words::events(&of.events) })
    };
    let channels: Vec<Record> = answer.channels.iter().map(told).collect();
    let none =
        "no channels: nobody is told of anything; set one up under [notify] in vouchsafe.toml";
    context.out.list(&CHANNEL_COLUMNS, &channels, none)
}

async fn deliveries(given: Deliveries, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = ListDeliveriesRequest {
        approval_id: given.approval.unwrap_or_default(),
        channel: given.channel.unwrap_or_default(),
        status: given.status.map(DeliveryStatus::to_proto).unwrap_or_default(),
        page: None,
    };
    let page = pages::gather(given.limit, async |page| {
        let request = ListDeliveriesRequest { page: Some(page), ..request.clone() };
        let answer = daemon.notify().list_deliveries(request).await?.into_inner();
        Ok((answer.deliveries, answer.next_token))
    })
    .await?;
    let is_json = context.out.is_json();
    let page = page.map(|message| if is_json { delivery(&message) } else { row(&message) });
    context.out.page(&COLUMNS, &page, "no messages")
}

async fn test(channel: String, context: &Context) -> Result<(), CliError> {
    let daemon = context.daemon().await?;
    let request = TestChannelRequest { channel: channel.clone() };
    let test = daemon.notify().test_channel(request).await?.into_inner();
    if context.out.is_json() {
        context.out.record(&tested(&channel, &test))?;
    }
    let name = safe_line(&channel);
    let to =
        if test.to.is_empty() { String::new() } else { format!(" to {}", safe_line(&test.to)) };
    let said = safe_line(&test.said);
    if !test.delivered {
        let message = format!("{name} did not take the message{to}: {said}");
        return Err(CliError::fault(message)
            .with_next("mend what it says; channels are set up in the daemon's vouchsafe.toml"));
    }
    if context.out.is_json() {
        return Ok(());
    }
    let said = if said.is_empty() { said } else { format!(", and said: {said}") };
    context.out.say(&format!("{name} took the message{to}{said}"))
}

async fn retry(given: Retry, context: &Context) -> Result<(), CliError> {
    let which = match (given.id, given.channel) {
        (Some(id), _) => Which::Id(id),
        (None, channel) => Which::Channel(channel.unwrap_or_default()),
    };
    let daemon = context.daemon().await?;
    let request = RetryDeliveryRequest { which: Some(which) };
    let queued = daemon.notify().retry_delivery(request).await?.into_inner().queued;
    if context.out.is_json() {
        return context.out.record(&Record::new().number("queued", queued));
    }
    let said = match queued {
        0 => "no message was given up, so none is tried again".to_owned(),
        1 => "1 message is tried again".to_owned(),
        count => format!("{count} messages are tried again"),
    };
    context.out.say(&said)
}

fn channel(channel: &Channel, events: Vec<String>) -> Record {
    Record::new()
        .text("name", &channel.name)
        .text("reaches", if channel.personal { "people" } else { "a place" })
        .texts("events", events)
        .number("queued", channel.queued)
        .time("oldest_queued_at", channel.oldest_queued_at)
        .text("problem", &channel.problem)
        .time("paused_until", channel.paused_until)
}

fn tested(channel: &str, test: &TestChannelResponse) -> Record {
    Record::new()
        .text("channel", channel)
        .flag("delivered", test.delivered)
        .text("to", &test.to)
        .text("said", &test.said)
}

/// What fits on a line.
fn row(message: &Delivery) -> Record {
    let status = words::delivery_status(message.status);
    let hold = words::delivery_hold(message.hold);
    let waits = message.status() == ProtoStatus::Queued && message.attempts == 0;
    let status = if waits && !hold.is_empty() { format!("{status}, {hold}") } else { status };
    Record::new()
        .text("id", &message.id)
        .text("status", status)
        .text("event", &message.event)
        .text("channel", &message.channel)
        .text("user", &message.user)
        .time("queued_at", message.queued_at)
        .number("attempts", message.attempts)
        .text("problem", shortened(&message.problem, PROBLEM_CHARS_MAX))
}

/// A message, whole, as programs read it.
pub(crate) fn delivery(message: &Delivery) -> Record {
    Record::new()
        .text("id", &message.id)
        .text("status", words::delivery_status(message.status))
        .text("event", &message.event)
        .text("channel", &message.channel)
        .text("user", &message.user)
        .text("project", &message.project)
        .text("approval_id", &message.approval_id)
        .text("hold", words::delivery_hold(message.hold))
        .time("queued_at", message.queued_at)
        .time("due_at", message.due_at)
        .number("attempts", message.attempts)
        .time("settled_at", message.settled_at)
        .text("problem", &message.problem)
        .number("audit_seq", message.audit_seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_tells_what_a_message_waits_for() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let cell = |message: &Delivery, name| row(message).cell(name, now);
        let message = Delivery { status: 1, hold: 1, ..Delivery::default() };
        assert_eq!(cell(&message, "status"), "queued, quiet");
        // It has been tried since: that is not what it waits for any more.
        let tried = Delivery { attempts: 2, problem: "x".repeat(90), ..message };
        assert_eq!(cell(&tried, "status"), "queued");
        assert_eq!(cell(&tried, "problem").chars().count(), PROBLEM_CHARS_MAX);
        let sent = Delivery { status: 2, hold: 2, ..Delivery::default() };
        assert_eq!(
            (cell(&sent, "status"), cell(&sent, "user")),
            ("sent".to_owned(), "-".to_owned())
        );
    }

    #[test]
    fn a_channel_tells_whether_it_reaches_people() {
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let email = Channel { personal: true, events: vec!["*".to_owned()], ..Channel::default() };
        let told = |of: &Channel| channel(of, of.events.clone());
        assert_eq!(told(&email).cell("reaches", now), "people");
        assert_eq!(told(&email).cell("events", now), "*");
        assert_eq!(told(&Channel::default()).cell("reaches", now), "a place");
    }
}
