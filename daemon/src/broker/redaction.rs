//! What must not be in an answer to a key that may not see values.
//!
//! The values are read and opened for each answer anew and nothing of them is kept: what was put a
//! moment ago is masked, and what is no secret any more is not. A key that may see values costs
//! nothing.

use std::sync::Arc;

use vouchsafe_core::caller::Agent;
use vouchsafe_core::id::ProjectId;
use vouchsafe_core::key::Scope;
use vouchsafe_core::redact::{self, Redactor};

use super::{Broker, Code, Refused, Stop, cause};
use crate::store::StoredValue;
use crate::vault::{Place, Sealed, Vault, VaultError};

/// Values that an answer is searched for at most, each version counted.
pub(super) const REDACTED_VALUES_MAX: usize = 10_000;
/// The most bytes that they have together, sealed.
pub(super) const REDACTED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Values that room is made for at first.
const VALUES_ROOM: usize = 256;

/// The values of one project, as they are read.
struct Values {
    vault: Arc<Vault>,
    project: ProjectId,
    redactor: redact::Builder,
    count: usize,
    bytes: usize,
    failed: Option<Failed>,
}

/// Why there is no redactor.
enum Failed {
    TooMany,
    Sealed(StoredValue, VaultError),
}

impl Broker {
    /// What masks the values that this agent may not see: those of its project's live secrets, of
    /// each the current version and the one before it. None where its key has `secrets:reveal`.
    ///
    /// Where it is refused, nothing may leave: a value does not open, or there are more than
    /// [`REDACTED_VALUES_MAX`] of them or [`REDACTED_BYTES_MAX`].
    pub async fn redactor_for(&self, agent: &Agent) -> Result<Option<Redactor>, Refused> {
        if agent.scopes.allow(Scope::SecretsReveal) {
            return Ok(None);
        }
        let (vault, project) = (Arc::clone(&self.inner.vault), agent.project);
        self.look("redactor_for", move |reader| {
            let mut values = Values::new(vault, project);
            reader.each_value_in_use(project, |value| values.add(value))?;
            Ok(Some(values.redactor()?))
        })
        .await
    }
}

impl Values {
    fn new(vault: Arc<Vault>, project: ProjectId) -> Self {
        let redactor = Redactor::builder(VALUES_ROOM);
        Self { vault, project, redactor, count: 0, bytes: 0, failed: None }
    }

    /// One more; whether more are wanted.
    fn add(&mut self, value: StoredValue) -> bool {
        self.count += 1;
        self.bytes = self.bytes.saturating_add(value.sealed.len());
        if self.count > REDACTED_VALUES_MAX || self.bytes > REDACTED_BYTES_MAX {
            self.failed = Some(Failed::TooMany);
            return false;
        }
        let StoredValue { secret, version, sealed } = value;
        let (place, sealed) =
            (Place::secret(self.project, secret, version), Sealed::from_bytes(sealed));
        let taught = self.vault.teach(&mut self.redactor, &place, &sealed);
        if let Err(error) = taught {
            let value = StoredValue { secret, version, sealed: Vec::new() };
            self.failed = Some(Failed::Sealed(value, error));
        }
        taught.is_ok()
    }

    fn redactor(self) -> Result<Redactor, Stop> {
        match self.failed {
            None => Ok(self.redactor.build()),
            Some(Failed::TooMany) => Err(too_many().into()),
            Some(Failed::Sealed(StoredValue { secret, version, .. }, error)) => {
                tracing::error!(
                    error = cause(&error),
                    %secret,
                    version,
                    "a sealed value does not open, so nothing leaves for keys that may not see it"
                );
                Err(Refused::internal().into())
            }
        }
    }
}

fn too_many() -> Refused {
    Refused::new(
        Code::TooManyValues,
        format!(
            "the project has more secrets than an answer can be searched for: \
             {REDACTED_VALUES_MAX} values or {} MiB",
            REDACTED_BYTES_MAX / (1024 * 1024)
        ),
        "An operator can delete secrets, move some to another project, or give the key the scope \
         secrets:reveal.",
    )
}
