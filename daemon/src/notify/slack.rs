//! Slack: an incoming webhook, or a bot.

mod api;
mod blocks;
mod bot;
mod bots;
mod incoming;
mod signature;
mod text;

use std::sync::Arc;

use vouchsafe_core::route::{Audience, Channel};

use self::api::{Api, Wire};
use self::bot::{Bot, Parts};
pub use self::bots::SlackBots;
use self::incoming::Incoming;
use self::signature::SigningSecret;
use super::guard::Outlet;
use super::{Carrier, ChannelError, private_file};
use crate::clock::Clock;
use crate::config;
use crate::config::SlackWay;

/// How many messages Slack takes at once. It allows one a second in a channel, and says so when it
/// was more.
const AT_ONCE: usize = 2;

/// Sets one up, and keeps it among the bots where it is one.
pub(super) fn build(
    config: &config::Slack,
    private_hosts: &[String],
    clock: &Arc<dyn Clock>,
    bots: &mut SlackBots,
) -> Result<Arc<dyn Carrier>, ChannelError> {
    let failed = |problem: String| ChannelError { channel: config.name.clone(), problem };
    let outlet = Outlet::build(private_hosts, clock).map_err(failed)?;
    let wire = Wire { outlet, within: config.timeout };
    let channel = |audience, updates| Channel {
        name: config.name.clone(),
        audience,
        events: config.events,
        feed: false,
        updates,
        at_once: AT_ONCE,
    };
    match &config.way {
        SlackWay::Webhook(file) => {
            let url = private_file::read(file, "webhook_file").map_err(failed)?;
            let address = wire.outlet.address(&url);
            let address = address.map_err(|error| failed(format!("webhook_file: {error}")))?;
            Ok(Arc::new(Incoming::new(channel(Audience::Place, false), wire, address)))
        }
        SlackWay::Bot { token_file, signing_secret_file, channel: place, team, api_base } => {
            let token = private_file::read(token_file, "token_file").map_err(failed)?;
            let looked_at = wire.outlet.address(api_base).map(drop);
            looked_at.map_err(|error| failed(format!("api_base: {error}")))?;
            let api = Api::new(wire, api_base, &token).ok_or_else(|| {
                failed(
                    "token_file holds no bot token: put the one there that begins xoxb-".to_owned(),
                )
            })?;
            let signing = private_file::read(signing_secret_file, "signing_secret_file");
            let signing = SigningSecret::new(&signing.map_err(failed)?);
            let audience = if place.is_some() { Audience::Place } else { Audience::SlackUser };
            let channel = channel(audience, true);
            let (place, team) = (place.clone(), team.clone());
            let bot = Arc::new(Bot::new(Parts { channel, api, signing, place, team }));
            bots.add(Arc::clone(&bot));
            Ok(bot)
        }
    }
}
