//! `when`: a CEL expression that must be true.
//!
//! What it may cost is settled before it runs. When it is read, its length, its nesting, its nodes
//! and its loops are bounded, and every name in it must be known; before each evaluation its cost is
//! worked out from its shape and from the sizes of what it looks at ([`cost`]), and over a bound it
//! is not evaluated. Whatever goes wrong, it does not hold.

mod cost;
mod shape;
mod values;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, LazyLock};

use cel::common::ast::IdedExpr;
use cel::parser::PrattParser;
use cel::{Env, ExecutionError, Value};

use super::super::judge::Circumstances;
use super::super::regexp::Regexp;
use super::super::source::{Wrong, echo, wrong};
use super::{Meaning, Stands, Unjudged};

/// The longest expression, in bytes.
const BYTES_MAX: usize = 2_000;
/// How deep parentheses, brackets, braces and arguments go into each other.
const NESTING_MAX: u16 = 24;
/// How many `? :` there are: the parser calls itself for each, and does not count these calls.
const CHOICES_MAX: usize = 24;
/// The most work an evaluation may be, in nodes visited: some milliseconds.
const COST_MAX: u64 = 50_000;

const MEND: &str =
    "write an expression that is true or false: when = 'ask.reason.startsWith(\"INC-\")'";

/// The functions that expressions can call: the standard ones, without optional values.
static ENV: LazyLock<Arc<Env>> =
    LazyLock::new(|| Arc::new(Env::default().with_optional_support(false).with_stdlib()));

/// An expression that was checked.
#[derive(Clone, Debug)]
pub(in crate::policy) struct When {
    text: String,
    expression: IdedExpr,
    /// The patterns of its `matches`, by their number in it.
    patterns: Vec<Regexp>,
    /// What it looks at.
    looks_at: shape::LooksAt,
}

impl When {
    /// Whether it is true of this ask. The arguments, the reason and its kind are the agent's
    /// choice, so nothing of them is repeated in what is told.
    pub(super) fn judge(&self, ask: &Circumstances<'_>) -> Stands {
        let resource = ask.resource.to_string();
        let given = values::Given::of(ask, &resource, self.looks_at).ok_or_else(too_large)?;
        if cost::of(&self.expression, &given.sizes) > COST_MAX {
            return Err(too_large());
        }
        let context = given.context(&ENV, &self.patterns);
        // Nothing is known to panic in the crate within these bounds; if something does, it is an
        // expression that could not be judged, and not the end of the daemon. What was lent to the
        // evaluation is dropped right after it, so nothing half-changed is seen again.
        let evaluate = || Value::resolve(&self.expression, &context);
        match catch_unwind(AssertUnwindSafe(evaluate)) {
            Ok(Ok(Value::Bool(holds))) => Ok((holds, holds.to_string())),
            Ok(Ok(other)) => {
                let error = format!("it gives a value of type {}", other.type_of());
                Err(Unjudged::because(error))
            }
            Ok(Err(error)) => Err(Unjudged::because(self.told(&error))),
            Err(_) => Err(Unjudged::because("it cannot be evaluated")),
        }
    }

    /// What went wrong, without any value of the ask in it.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the crate may add kinds of error")]
    fn told(&self, error: &ExecutionError) -> String {
        match error {
            // A key may be the agent's choice: `args[ask.reason]`.
            ExecutionError::NoSuchKey(key) if self.text.contains(key.as_str()) => {
                format!("there is no `{}`", echo(key))
            }
            ExecutionError::NoSuchKey(_) => "there is no such key".to_owned(),
            ExecutionError::UndeclaredReference(name) if self.text.contains(name.as_str()) => {
                format!("`{}` is not known", echo(name))
            }
            ExecutionError::NoSuchOverload(call) => format!(
                "`{}` does not take values of these types: {}",
                echo(call.function()),
                echo(&call.argument_types().join(", "))
            ),
            ExecutionError::FunctionError { function, .. } => {
                format!("`{}` cannot read its text", echo(function))
            }
            ExecutionError::UnexpectedType { .. }
            | ExecutionError::UnsupportedBinaryOperator(..)
            | ExecutionError::UnsupportedIndex(..)
            | ExecutionError::UnsupportedKeyType(_)
            | ExecutionError::UnsupportedTargetType { .. }
            | ExecutionError::ValuesNotComparable(..) => {
                "a value is of another type than is needed".to_owned()
            }
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
                "it divides by zero".to_owned()
            }
            ExecutionError::Overflow(..) => "a number is too large".to_owned(),
            ExecutionError::IndexOutOfBounds(_) => "a list is shorter than that".to_owned(),
            ExecutionError::DuplicateKey(_) => "a map has a key twice".to_owned(),
            _ => "it cannot be evaluated".to_owned(),
        }
    }
}

impl Meaning for When {
    fn read(text: &str) -> Result<Self, Wrong> {
        if text.len() > BYTES_MAX {
            let message = format!("`when` has {} bytes", text.len());
            return Err(wrong(message, format!("write {BYTES_MAX} at most, or split the rule")));
        }
        if text.matches('?').count() > CHOICES_MAX {
            let message = format!("`when` has over {CHOICES_MAX} question marks");
            return Err(wrong(message, "split the rule"));
        }
        let mut expression = parse(text)?;
        let shape::Checked { patterns, looks_at } = shape::check(&mut expression)?;
        Ok(Self { text: text.to_owned(), expression, patterns, looks_at })
    }
}

/// Parses an expression whose depth is bounded by the parser, which counts it.
fn parse(text: &str) -> Result<IdedExpr, Wrong> {
    let parser = PrattParser::new().max_recursion_depth(NESTING_MAX).error_recovery_limit(1);
    let told = |why: &str| wrong(format!("`when` is not a CEL expression: {why}"), MEND);
    // The text is an operator's, and a mistake in it must not end the daemon either.
    match catch_unwind(AssertUnwindSafe(|| parser.parse(text))) {
        Ok(Ok(expression)) => Ok(expression),
        Ok(Err(errors)) => {
            let first = errors.errors.first().map(|error| error.msg.as_str()).unwrap_or_default();
            let why = first.lines().next().unwrap_or_default();
            Err(told(&echo(why.strip_prefix("Syntax error: ").unwrap_or(why))))
        }
        Err(_) => Err(told("the parser gave up")),
    }
}

fn too_large() -> Unjudged {
    Unjudged::because("it is too large to judge")
}
