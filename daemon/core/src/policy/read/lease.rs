//! Reading `lease`.

use super::super::defaults;
use super::super::rule::LeaseTerms;
use super::super::source::{Fields, Reported, echo, wrong};
use super::{SECOND, duration};
use crate::time::format_duration;

const KEYS: [&str; 3] = ["default", "max", "uses"];
const USES_MAX: u32 = 1_000_000;
const EXAMPLE: &str = "lease = { default = \"15m\", max = \"1h\", uses = 20 }";

/// What leases under a rule are good for.
pub(super) fn lease(fields: &mut Fields<'_, '_, '_>) -> Result<LeaseTerms, Reported> {
    let Some(mut lease) = fields.table("lease", "lease.", EXAMPLE)? else {
        return Ok(LeaseTerms { default: defaults::LEASE, max: defaults::LEASE_MAX, uses: None });
    };
    lease.refuse_others(|key| {
        if KEYS.contains(&key) {
            return Ok(());
        }
        let mend = format!("a lease has {}", KEYS.join(", "));
        Err(wrong(format!("`{}` is not a key of a lease", echo(key)), mend))
    });
    let default = lease.read("default", |value| duration(value, SECOND));
    let max = lease.read("max", |value| duration(value, SECOND));
    let uses = lease.read("uses", |value| value.number(1, USES_MAX));
    let (default, max) = match (default?, max?) {
        (None, None) => (defaults::LEASE, defaults::LEASE_MAX),
        (None, Some(max)) => (defaults::LEASE.min(max), max),
        (Some(default), None) => (default, defaults::LEASE_MAX.max(default)),
        (Some(default), Some(max)) => (default, max),
    };
    if default > max {
        let (default, max) = (format_duration(default), format_duration(max));
        let message = format!("`lease.default` is {default} and `lease.max` only {max}");
        return Err(lease.report_at("default", wrong(message, "make max the longer one")));
    }
    Ok(LeaseTerms { default, max, uses: uses? })
}
