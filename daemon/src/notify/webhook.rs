//! Webhooks: one message, one POST to an address that the operator gave.
//!
//! The standard template sends our own JSON, signed as of Standard Webhooks, to another program.
//! The others send what ntfy, Microsoft Teams and Discord show to people.

mod discord;
mod ntfy;
mod secrets;
mod standard;
mod teams;
mod told;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::StatusCode;
use serde_json::Value;
use vouchsafe_core::route::{Audience, Channel, Message, Receipt, Undelivered};

use self::secrets::Secrets;
use super::guard::{Address, Answer, Outlet};
use super::{Carrier, ChannelError, private_file};
use crate::clock::Clock;
use crate::config::{self, WebhookTemplate, WebhookUrl};

/// By which receivers know a double.
const ID: HeaderName = HeaderName::from_static("webhook-id");
/// When this try was made, in seconds since 1970.
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
/// What proves that it is ours: `v1,BASE64` for each secret.
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// One endpoint.
#[derive(Debug)]
pub(super) struct Hook {
    channel: Channel,
    outlet: Outlet,
    address: Address,
    template: Template,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

/// What is sent, with what only that needs.
#[derive(Debug)]
enum Template {
    Standard(Secrets),
    Ntfy { topic: String },
    Teams,
    Discord,
}

impl Hook {
    /// Reads its files and looks at its address; nothing is connected to.
    pub(super) fn build(
        config: &config::Webhook,
        private_hosts: &[String],
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, ChannelError> {
        let failed = |problem: String| ChannelError { channel: config.name.clone(), problem };
        let outlet = Outlet::build(private_hosts, clock).map_err(failed)?;
        let (url, field) = match &config.url {
            WebhookUrl::Given(url) => (url.clone(), "url"),
            WebhookUrl::File(path) => {
                let url = private_file::read(path, "url_file").map_err(failed)?;
                (url.as_str().to_owned(), "url_file")
            }
        };
        let address =
            outlet.address(&url).map_err(|error| failed(format!("its {field}: {error}")))?;
        let (template, address) = template(config, address).map_err(failed)?;
        let channel = Channel {
            name: config.name.clone(),
            audience: Audience::Place,
            events: config.events,
            feed: matches!(template, Template::Standard(_)),
            updates: false,
            at_once: config.at_once,
        };
        let clock = Arc::clone(clock);
        Ok(Self { channel, outlet, address, template, timeout: config.timeout, clock })
    }

    async fn post(&self, message: &Message) -> Result<Receipt, Undelivered> {
        let body = self.template.body(message).ok_or_else(|| {
            Undelivered::never("this is for one person, and a webhook reaches whoever looks")
        })?;
        let body = body.to_string().into_bytes();
        let headers = self.headers(message, &body).map_err(|_| {
            // Ours are letters, digits and base64.
            Undelivered::never("its headers cannot be written")
        })?;
        let answer = self.outlet.post(&self.address, headers, body, self.timeout).await?;
        judge(self.address.host(), &answer)
    }

    fn headers(
        &self,
        message: &Message,
        body: &[u8],
    ) -> Result<HeaderMap, http::header::InvalidHeaderValue> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let id = message.id.to_string();
        let seconds = self.clock.now().wall.ms().div_euclid(1_000);
        headers.insert(ID, HeaderValue::from_str(&id)?);
        headers.insert(TIMESTAMP, HeaderValue::from(seconds));
        if let Template::Standard(secrets) = &self.template {
            let signature = secrets.sign(&id, seconds, body);
            headers.insert(SIGNATURE, HeaderValue::from_str(&signature)?);
        }
        Ok(headers)
    }
}

impl Carrier for Hook {
    fn channel(&self) -> &Channel {
        &self.channel
    }

    fn deliver<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Receipt, Undelivered>> {
        self.post(message).boxed()
    }
}

impl Template {
    /// The body; none for what is nobody else's.
    fn body(&self, message: &Message) -> Option<Value> {
        match self {
            Self::Standard(_) => standard::body(message),
            Self::Ntfy { topic } => ntfy::body(message, topic),
            Self::Teams => teams::body(message),
            Self::Discord => discord::body(message),
        }
    }
}

/// The template, and where its messages go.
fn template(config: &config::Webhook, address: Address) -> Result<(Template, Address), String> {
    Ok(match config.template {
        WebhookTemplate::Standard => {
            let file = config.secrets_file.as_deref();
            let file = file.ok_or("it has no secrets_file, and what is sent is signed")?;
            let text = private_file::read(file, "secrets_file")?;
            let secrets = Secrets::parse(&text)
                .map_err(|problem| format!("secrets_file {}: {problem}", file.display()))?;
            (Template::Standard(secrets), address)
        }
        WebhookTemplate::Ntfy => {
            let (topic, root) = ntfy::topic(&address).ok_or(
                "its address has no topic: it is such as https://ntfy.sh/TOPIC, with 1 to 64 \
                 letters, digits, - and _",
            )?;
            (Template::Ntfy { topic }, root)
        }
        WebhookTemplate::Teams => (Template::Teams, address),
        WebhookTemplate::Discord => (Template::Discord, address),
    })
}

/// What a status says of the message. The body is not repeated: it is whoever answers' own, and may
/// hold the address.
fn judge(host: &str, answer: &Answer) -> Result<Receipt, Undelivered> {
    let status = answer.status;
    if status.is_success() {
        return Ok(Receipt { handle: None, said: format!("{host} took it ({status})") });
    }
    let said = format!("{host} answered {status}");
    Err(match status {
        StatusCode::GONE => Undelivered::never(format!(
            "{said}: it wants no more messages; take the channel away, or correct its address"
        )),
        status if status.is_redirection() => Undelivered::never(format!(
            "{said}: redirects are not followed; write the address that it leads to"
        )),
        StatusCode::TOO_MANY_REQUESTS => Undelivered::channel(said, answer.retry_after),
        status if status.is_server_error() => Undelivered::channel(said, answer.retry_after),
        _ => Undelivered::message(said, answer.retry_after),
    })
}

#[cfg(test)]
mod tests;
