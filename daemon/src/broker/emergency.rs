//! The emergency stop: nothing that it covers is released until somebody resumes.

use vouchsafe_core::id::{KeyId, ProjectId};
use vouchsafe_core::stop::{self, Stopped};
use vouchsafe_core::text::echo;

use super::{Code, Refused, Stop};
use crate::store::Reader;

/// Characters of a stop's reason that a message repeats.
const REASON_SHOWN_MAX: usize = 300;

/// Refuses what a key wants while a stop covers it: a read, a use, an ask, a renewal.
pub(super) fn check_not_stopped(
    reader: &Reader<'_>,
    project: ProjectId,
    key: KeyId,
) -> Result<(), Stop> {
    match reader.stop_over(project, Some(key))? {
        None => Ok(()),
        Some(stop) => Err(stopped(&stop).into()),
    }
}

fn stopped(stop: &stop::Stop) -> Refused {
    let what = match stop.what {
        Stopped::All => "everything",
        Stopped::Project(_) => "this project",
        Stopped::Key(_) => "this key",
    };
    Refused::new(
        Code::Stopped,
        format!("{what} is stopped since {}: {}", stop.at, echo(&stop.reason, REASON_SHOWN_MAX)),
        "Wait; nothing is released until a person resumes. What people have been asked stays, and \
         its time stands still.",
    )
}
