//! Holding a call until people have answered, as long as a client can be expected to hold on.

use std::time::Duration;

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, timeout};
use vouchsafe_core::approval::{Pending, Status};
use vouchsafe_core::caller::Agent;
use vouchsafe_core::id::ApprovalId;

use super::Door;
use super::outlet::Waiting;
use super::results::{self, Reply, Step};
use crate::broker::Refused;

/// The longest a call is held, whatever is configured: many clients give up after a minute.
const HOLD_MAX: Duration = Duration::from_secs(45);
const PROGRESS_EVERY: Duration = Duration::from_secs(5);
/// How long a message about progress may take to be handed over.
const PROGRESS_TIME_MAX: Duration = Duration::from_secs(1);

/// What came of holding a call.
#[derive(Debug)]
pub(super) enum Held {
    /// It is done.
    Done(Reply),
    /// The client gets its handle.
    Pending {
        /// What people have been asked.
        pending: Box<Pending>,
        /// Whether it was held as long as it may be; if not, there was no place to wait in, or the
        /// daemon stops, and asking again at once helps nobody.
        waited: bool,
    },
    /// The client has gone; the approval stays.
    Gone,
}

/// What ended one wait.
enum Woken {
    Settled(Option<Status>),
    TimeUp,
    Draining,
    Gone,
}

impl Door {
    /// Asks; where people have to answer first, waits for them and asks again. What was asked and
    /// what is asked again are the same call, so there is one way to a value.
    pub(super) async fn hold<F, Asked>(
        &self,
        agent: &Agent,
        context: &RequestContext<RoleServer>,
        ask: F,
    ) -> Result<Held, Refused>
    where
        F: Fn(Agent) -> Asked + Send,
        Asked: Future<Output = Result<Step, Refused>> + Send,
    {
        let until = Instant::now() + self.broker.block_for().min(HOLD_MAX);
        let mut pending = match ask(agent.clone()).await? {
            Step::Done(reply) => return Ok(Held::Done(reply)),
            Step::Pending(pending) => pending,
        };
        let Some(_place) = self.broker.may_wait() else {
            return Ok(Held::Pending { pending, waited: false });
        };
        let _waiting = self.metrics.waits();
        let mut progress = Progress::new(context);
        loop {
            match self.wait(agent, &pending, context, &mut progress, until).await? {
                Woken::TimeUp => return Ok(Held::Pending { pending, waited: true }),
                Woken::Draining => return Ok(Held::Pending { pending, waited: false }),
                Woken::Gone => {
                    self.broker.note_disconnect(agent, pending.ask.id);
                    return Ok(Held::Gone);
                }
                Woken::Settled(settled) => {
                    let step = match settled {
                        // A change is made by now: to ask again would be to ask for another one.
                        Some(Status::Approved) if pending.ask.change.is_some() => {
                            self.outcome(agent, pending.ask.id).await?
                        }
                        // Its key can have changed while it waited.
                        Some(Status::Approved) => ask(self.broker.refreshed(agent).await?).await?,
                        // Asking again would ask people again: what came of this ask is the answer.
                        _ => self.outcome(agent, pending.ask.id).await?,
                    };
                    match step {
                        Step::Done(reply) => return Ok(Held::Done(reply)),
                        Step::Pending(again) => pending = again,
                    }
                }
            }
        }
    }

    /// What came of an ask that was not granted, or that was about a change.
    async fn outcome(&self, agent: &Agent, id: ApprovalId) -> Result<Step, Refused> {
        Ok(results::standing(self.broker.await_approval(agent, &id.to_string()).await?))
    }

    /// Waits until the ask is settled or the wait is over; refused once the key that asked would
    /// not be let in any more.
    async fn wait(
        &self,
        agent: &Agent,
        pending: &Pending,
        context: &RequestContext<RoleServer>,
        progress: &mut Progress,
        until: Instant,
    ) -> Result<Woken, Refused> {
        let id = pending.ask.id;
        let draining = self.broker.draining();
        // Subscribed before looking: what is settled in between is seen by the look.
        let mut wake = self.broker.subscribe(id);
        match self.broker.status_of(id).await? {
            Some(Status::Pending) => self.broker.still_valid(agent).await?,
            settled => return Ok(Woken::Settled(settled)),
        }
        loop {
            tokio::select! {
                biased;
                () = context.ct.cancelled() => return Ok(Woken::Gone),
                () = draining.cancelled() => return Ok(Woken::Draining),
                () = tokio::time::sleep_until(until) => return Ok(Woken::TimeUp),
                () = wake.changed() => {
                    match self.broker.status_of(id).await? {
                        Some(Status::Pending) => self.broker.still_valid(agent).await?,
                        settled => return Ok(Woken::Settled(settled)),
                    }
                }
                () = progress.due() => progress.tell(pending, context).await,
            }
        }
    }
}

/// Messages about progress, for a client that asked for them.
struct Progress {
    every: Option<Interval>,
    told: u32,
}

impl Progress {
    fn new(context: &RequestContext<RoleServer>) -> Self {
        let every = context.meta.get_progress_token().map(|_token| {
            let mut every = interval(PROGRESS_EVERY);
            every.set_missed_tick_behavior(MissedTickBehavior::Delay);
            every
        });
        Self { every, told: 0 }
    }

    /// Ready at once, then every five seconds; never where nobody asked for it.
    async fn due(&mut self) {
        match &mut self.every {
            Some(every) => {
                every.tick().await;
            }
            None => std::future::pending().await,
        }
    }

    async fn tell(&mut self, pending: &Pending, context: &RequestContext<RoleServer>) {
        self.told += 1;
        let telling = timeout(PROGRESS_TIME_MAX, Waiting::on(pending).tell(self.told, context));
        if !matches!(telling.await, Ok(true)) {
            tracing::debug!("a message about progress did not get through");
        }
    }
}
