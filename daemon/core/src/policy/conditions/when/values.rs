//! What expressions look at, as CEL values.

use std::collections::HashMap;
use std::sync::Arc;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelTimestamp,
    CelUInt,
};
use cel::common::value::Val;
use cel::{Context, Env};
use chrono::DateTime;
use serde_json::Value as Json;

use super::super::super::judge::Circumstances;
use super::super::super::regexp::Regexp;
use super::cost::{Size, Sizes};
use super::shape::{LooksAt, pattern_call};
use crate::text::Reason;
use crate::time::UnixTime;

/// What there is of an ask.
pub(super) const FIELDS_OF_ASK: [&str; 5] =
    ["reason", "reason_kind", "resource", "operation", "arguments"];
/// What there is of a key.
pub(super) const FIELDS_OF_KEY: [&str; 3] = ["name", "owner", "level"];

/// The largest arguments that are looked at, in bytes; each value counts for some besides its text.
const ARGUMENTS_MAX: u64 = 32 * 1024;

type Boxed<'v> = Box<dyn Val + 'v>;

/// The values of one ask, and how large they are.
pub(super) struct Given<'v> {
    pub(super) sizes: Sizes,
    ask: Option<Boxed<'v>>,
    key: Option<Boxed<'v>>,
    args: Option<Boxed<'v>>,
    now: Option<Boxed<'v>>,
}

impl<'v> Given<'v> {
    /// What an expression looks at of an ask; nothing where that is too much.
    pub(super) fn of(
        ask: &Circumstances<'v>,
        resource: &'v str,
        looks_at: LooksAt,
    ) -> Option<Self> {
        let mut sizes = Sizes::default();
        let arguments: Option<&'v Json> = looks_at.arguments.then_some(ask.arguments);
        if let Some(arguments) = arguments {
            sizes.args = size(arguments);
            if sizes.args.total > ARGUMENTS_MAX {
                return None;
            }
        }
        let of_ask = looks_at.ask.then(|| {
            let fields = [
                ("reason", ask.reason.map_or("", Reason::original)),
                ("reason_kind", ask.reason_kind.unwrap_or_default()),
                ("resource", resource),
                ("operation", ask.operation.as_str()),
            ];
            let of_fields = fields.iter().map(|(_, text)| Size::text(text));
            sizes.ask = Size::of_all(of_fields.chain([sizes.args]), FIELDS_OF_ASK.len());
            map(fields, arguments.map(|arguments| ("arguments", value(arguments))))
        });
        let key = looks_at.key.then(|| {
            let fields = [("name", ask.key), ("owner", ask.owner), ("level", ask.level.as_str())];
            let of_fields = fields.iter().map(|(_, text)| Size::text(text));
            sizes.key = Size::of_all(of_fields, FIELDS_OF_KEY.len());
            map(fields, None)
        });
        Some(Self {
            sizes,
            ask: of_ask,
            key,
            args: arguments.map(value),
            now: if looks_at.now { Some(timestamp(ask.now)?) } else { None },
        })
    }

    /// What an evaluation is given: these, the standard functions, and its patterns.
    pub(super) fn context(self, env: &Arc<Env>, patterns: &[Regexp]) -> Context<'v, 'v> {
        let mut context = Context::with_env(Arc::clone(env));
        let values = [("ask", self.ask), ("key", self.key), ("args", self.args), ("now", self.now)];
        for (name, value) in values {
            if let Some(value) = value {
                context.add_variable_as_val(name, value);
            }
        }
        for (number, pattern) in patterns.iter().enumerate() {
            let pattern = pattern.clone();
            let matches = move |text: Arc<String>| pattern.matches(&text);
            // It can only fail for a name that is taken, and nothing else is called so; without
            // it, the expression does not hold.
            let _taken = context.add_function(&pattern_call(number), matches).is_err();
        }
        context
    }
}

fn map<'v, const N: usize>(
    fields: [(&'static str, &'v str); N],
    other: Option<(&'static str, Boxed<'v>)>,
) -> Boxed<'v> {
    let texts = fields.into_iter().map(|(name, text)| (name, boxed_text(text)));
    let fields = texts.chain(other).map(|(name, value)| (CelMapKey::from(name), value));
    Box::new(CelMap::from(fields.collect::<HashMap<_, _>>()))
}

fn boxed_text(text: &str) -> Boxed<'_> {
    Box::new(CelString::from(text))
}

fn timestamp<'v>(at: UnixTime) -> Option<Boxed<'v>> {
    let at = DateTime::from_timestamp_millis(at.ms())?;
    Some(Box::new(CelTimestamp::from(at.fixed_offset())))
}

/// A JSON value as CEL has it; texts are lent.
fn value(json: &Json) -> Boxed<'_> {
    match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(truth) => Box::new(CelBool::from(*truth)),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Box::new(CelInt::from(number)),
            (None, Some(number)) => Box::new(CelUInt::from(number)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        },
        Json::String(text) => boxed_text(text),
        Json::Array(values) => {
            Box::new(CelList::from(values.iter().map(value).collect::<Vec<_>>()))
        }
        Json::Object(members) => {
            let members = members.iter().map(|(name, json)| (name.as_str().into(), value(json)));
            Box::new(CelMap::from(members.collect::<HashMap<_, _>>()))
        }
    }
}

/// How large a JSON value is as CEL has it.
fn size(json: &Json) -> Size {
    match json {
        Json::Null | Json::Bool(_) | Json::Number(_) => Size::small(),
        Json::String(text) => Size::text(text),
        Json::Array(values) => Size::of_all(values.iter().map(size), values.len()),
        Json::Object(members) => {
            let all = members.iter().flat_map(|(name, json)| [Size::text(name), size(json)]);
            Size::of_all(all, members.len())
        }
    }
}
