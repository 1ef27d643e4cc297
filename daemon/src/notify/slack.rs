//! Slack: an incoming webhook, or a bot.

use std::sync::Arc;

use super::{Carrier, ChannelError};
use crate::config;

pub(super) fn build(
    _config: &config::Slack,
    _private_hosts: &[String],
) -> Result<Arc<dyn Carrier>, ChannelError> {
    unimplemented!("slack")
}
