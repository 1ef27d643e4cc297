//! Reading which channels carry what people are told.

use super::super::parse::Options;
use super::super::source::{Fields, Reported, echo, wrong};
use crate::route::{CHANNELS_MAX, ChannelName};

const KEY: &str = "notify";
const EXAMPLE: &str = "notify = [\"slack:security\", \"email\"]";

/// `notify`: the channels by name, each of which there has to be.
pub(super) fn channels(
    fields: &mut Fields<'_, '_, '_>,
    options: &Options,
) -> Result<Vec<ChannelName>, Reported> {
    let named = fields.read_each(KEY, EXAMPLE, |value| {
        let text = value.text(EXAMPLE)?;
        let name: ChannelName = text.parse().map_err(|_| {
            let message = format!("`{}` is no channel's name", echo(text));
            wrong(message, "write email, slack:NAME or webhook:NAME")
        })?;
        match &options.channels {
            Some(channels) if !channels.contains(&name) => {
                let message = format!("there is no channel `{name}`");
                let mend = if channels.is_empty() {
                    "set it up under [notify] in vouchsafe.toml, or remove it".to_owned()
                } else {
                    let names: Vec<_> = channels.iter().map(ChannelName::as_str).collect();
                    format!("there are {}; channels are set up in vouchsafe.toml", names.join(", "))
                };
                Err(wrong(message, mend))
            }
            Some(_) | None => Ok(name),
        }
    })?;
    let Some(mut named) = named else { return Ok(Vec::new()) };
    if named.is_empty() {
        let message = "`notify` names no channel, so nobody would hear of an ask";
        return Err(fields.report_key(KEY, wrong(message, "name one, or remove the line")));
    }
    if named.len() > CHANNELS_MAX {
        let message = format!("{} channels are too many", named.len());
        return Err(fields.report_key(KEY, wrong(message, "name fewer")));
    }
    named.sort();
    named.dedup();
    Ok(named)
}
