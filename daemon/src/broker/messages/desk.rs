//! What people may see of channels and messages, and do about them.

use vouchsafe_core::audit::{Action, Outcome};
use vouchsafe_core::caller::{Reach, User};
use vouchsafe_core::id::{ApprovalId, MessageId};
use vouchsafe_core::route::{Audience, Body, Channel, ChannelName, DeliveryStatus, Event, Message};
use vouchsafe_core::text::echo;

use super::super::approvals::find_covered;
use super::super::doors::live_user;
use super::super::paging::newest_first;
use super::super::users;
use super::super::{
    Broker, ChannelTest, ChannelView, Code, DeliveryQuery, Page, Paged, Refused, Retry, Stop,
    entries, random,
};
use crate::store::{Before, Delivery, DeliveryFilter, Reader};

/// Messages that are queued again at once at most.
const RETRY_MAX: u32 = 1_000;
/// Messages that are shown with an approval at most.
const SHOWN_MAX: u32 = 200;

impl Broker {
    /// Every channel, with what waits in it.
    pub async fn list_channels(&self, user: &User) -> Result<Vec<ChannelView>, Refused> {
        let user = user.clone();
        let waiting = self
            .look("list_channels", move |reader| {
                live_user(reader, &user)?;
                Ok(reader.waiting_deliveries()?)
            })
            .await?;
        let channels = self.inner.settings.channels.iter();
        Ok(channels
            .map(|channel| {
                let waits = waiting.iter().find(|waiting| waiting.channel == channel.name);
                ChannelView {
                    channel: channel.clone(),
                    queued: waits.map_or(0, |waiting| waiting.messages),
                    oldest: waits.map(|waiting| waiting.oldest),
                    paused: self.pause_of(&channel.name).map(|pause| (pause.why, pause.until)),
                }
            })
            .collect())
    }

    /// The channels that do not take messages now, and why.
    pub(in crate::broker) fn failing_channels(&self) -> Vec<(ChannelName, String)> {
        let channels = self.inner.settings.channels.iter();
        channels
            .filter_map(|channel| Some((channel.name.clone(), self.pause_of(&channel.name)?.why)))
            .collect()
    }

    /// Sends a real message over a channel, to whoever asks where it reaches people. It is tried
    /// once.
    pub async fn test_channel(
        &self,
        user: &User,
        channel: &ChannelName,
    ) -> Result<ChannelTest, Refused> {
        let id = MessageId::from_random(random()?);
        let subject =
            entries::by_user(Action::CHANNEL_TESTED, user).detail("channel", channel.as_str());
        let known = match self.channel(channel) {
            Ok(known) => known,
            Err(refused) => return Err(self.refuse(subject, refused).await),
        };
        let (by, now) = (user.clone(), self.now().wall);
        let record = self
            .look("test_channel", move |reader| {
                live_user(reader, &by)?;
                users::find(reader, &by.name)
            })
            .await?;
        let composer = self.composer(&known);
        let to = match known.audience {
            Audience::Place => None,
            Audience::Email | Audience::SlackUser => {
                let to = composer.addressed(&record).map_err(|why| {
                    let next = format!("Set it with `vouchsafe users update {}`.", record.name);
                    Refused::new(Code::NoAddress, why, next)
                });
                match to {
                    Ok(to) => Some(to),
                    Err(refused) => return Err(self.refuse(subject, refused).await),
                }
            }
        };
        let address = to.as_ref().map(|to| to.address.clone());
        let message = Message {
            id,
            event: Event::Alert,
            at: now,
            project: None,
            to,
            headline: format!("Vouchsafe reaches you over {channel}"),
            body: Body::Test { by: user.name.clone() },
            link: Some(composer.link("/inbox")),
            replaces: Vec::new(),
        };
        let result = self.inner.post.deliver(channel, &message).await;
        let (delivered, said) = match result {
            Ok(receipt) => (true, receipt.said),
            Err(failed) => (false, failed.why),
        };
        let outcome = if delivered { Outcome::Ok } else { Outcome::Failed };
        let entry = subject.clone().outcome(outcome).detail("said", echo(&said, 300));
        self.run("test_channel", subject, move |tx| {
            tx.append(&entry)?;
            Ok(())
        })
        .await?;
        Ok(ChannelTest { delivered, said, to: address })
    }

    /// The channel of this name.
    fn channel(&self, name: &ChannelName) -> Result<Channel, Refused> {
        let channels = &self.inner.settings.channels;
        if let Some(known) = channels.iter().find(|known| known.name == *name) {
            return Ok(known.clone());
        }
        let names: Vec<_> = channels.iter().map(|known| known.name.as_str()).collect();
        let next = if names.is_empty() {
            "Set one up under [notify] in vouchsafe.toml, and start the daemon again.".to_owned()
        } else {
            format!("There are {}.", names.join(", "))
        };
        Err(Refused::new(Code::ChannelNotFound, format!("there is no channel {name}"), next))
    }

    /// Messages newest first.
    pub async fn list_deliveries(
        &self,
        user: &User,
        query: DeliveryQuery,
        page: Page,
    ) -> Result<Paged<Delivery>, Refused> {
        let user = user.clone();
        self.look("list_deliveries", move |reader| {
            live_user(reader, &user)?;
            let approval = match &query.approval {
                Some(typed) => Some(find_covered(reader, &user.reach, typed)?.ask().id),
                None => None,
            };
            let filter =
                DeliveryFilter { approval, channel: query.channel.clone(), status: query.status };
            newest_first(
                &page,
                |before, limit| Ok(reader.deliveries_before(&filter, before, limit)?),
                |delivery| Before { at: delivery.queued_at, id: delivery.id.to_string() },
                |delivery| {
                    let covered = covers(reader, &user.reach, &delivery)?;
                    Ok(covered.then_some(delivery))
                },
            )
        })
        .await
    }

    /// Queues messages again that were given up; how many.
    pub async fn retry_deliveries(&self, user: &User, which: Retry) -> Result<u32, Refused> {
        let subject = entries::by_user(Action::MESSAGE_RETRIED, user);
        if let Retry::Channel(name) = &which
            && let Err(refused) = self.channel(name)
        {
            return Err(self.refuse(subject, refused).await);
        }
        let (by, give_up_after) = (user.clone(), self.inner.settings.give_up_after);
        let queued = self
            .run("retry_deliveries", subject, move |tx| {
                live_user(tx, &by)?;
                let ids = match &which {
                    Retry::One(typed) => vec![find(tx, typed)?],
                    Retry::Channel(name) => {
                        let failed = DeliveryStatus::Failed;
                        let all = tx.channel_deliveries(name, failed, RETRY_MAX)?;
                        all.into_iter().map(|delivery| delivery.id).collect()
                    }
                };
                let now = tx.now().wall;
                let mut queued = 0_u32;
                for id in &ids {
                    if tx.requeue_delivery(*id, now, now.plus(give_up_after))? {
                        queued += 1;
                        let entry = entries::by_user(Action::MESSAGE_RETRIED, &by);
                        tx.append(&entry.detail("message", id.to_string()))?;
                    } else if let Retry::One(_) = which {
                        return Err(Refused::new(
                            Code::NothingToRetry,
                            format!("the message {id} was not given up"),
                            "`vouchsafe notify deliveries --status failed` shows which were.",
                        )
                        .into());
                    }
                }
                Ok(queued)
            })
            .await?;
        self.inner.delivering.wake();
        Ok(queued)
    }
}

/// The messages about an approval, as they are shown with it.
pub(in crate::broker) fn shown(
    reader: &Reader<'_>,
    approval: ApprovalId,
) -> Result<Vec<Delivery>, Stop> {
    Ok(reader.deliveries_of(approval, SHOWN_MAX)?)
}

/// Whether a message is about a project that is within reach; what is about none is for those who
/// reach everything.
fn covers(reader: &Reader<'_>, reach: &Reach, delivery: &Delivery) -> Result<bool, Stop> {
    match (reach, &delivery.project) {
        (Reach::Everywhere, _) => Ok(true),
        (Reach::Projects(_), None) => Ok(false),
        (Reach::Projects(_), Some(name)) => {
            let project = reader.project_named(name)?;
            Ok(project.is_some_and(|project| reach.covers(project.id)))
        }
    }
}

fn find(reader: &Reader<'_>, typed: &str) -> Result<MessageId, Stop> {
    let not_found = || {
        Refused::new(
            Code::MessageNotFound,
            format!("there is no message `{}`", echo(typed, 40)),
            "`vouchsafe notify deliveries` shows which there are.",
        )
    };
    let prefix = MessageId::search_prefix(typed).ok_or_else(not_found)?;
    match reader.delivery_ids(&prefix)?.as_slice() {
        [id] => Ok(*id),
        [] => Err(not_found().into()),
        _ => Err(Refused::new(
            Code::AmbiguousId,
            format!("more than one message's id begins with {prefix}"),
            "Write more of its characters.",
        )
        .into()),
    }
}
