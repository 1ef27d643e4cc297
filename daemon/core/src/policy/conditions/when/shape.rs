//! What expressions may look like, checked when they are read.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators,
};

use super::super::super::regexp::Regexp;
use super::super::super::source::{Wrong, echo, wrong};
use super::values::{FIELDS_OF_ASK, FIELDS_OF_KEY};

/// The most nodes, what macros expand to included.
const NODES_MAX: usize = 500;
/// How deep nodes may be below each other: an evaluation calls itself so often.
const DEPTH_MAX: usize = 48;
/// How often loops (`all`, `exists`, `map`, `filter`) may be in each other.
const LOOPS_MAX: u32 = 2;

/// What an expression can name.
const VARIABLES: [&str; 4] = ["ask", "key", "args", "now"];

/// Operators, as the parser names them, that give true or false.
const TRUTHS: [&str; 11] = [
    operators::LOGICAL_AND,
    operators::LOGICAL_OR,
    operators::LOGICAL_NOT,
    operators::EQUALS,
    operators::NOT_EQUALS,
    operators::LESS,
    operators::LESS_EQUALS,
    operators::GREATER,
    operators::GREATER_EQUALS,
    operators::IN,
    operators::NOT_STRICTLY_FALSE,
];
/// Operators that give something else.
const OTHERS: [&str; 8] = [
    operators::CONDITIONAL,
    operators::ADD,
    operators::SUBSTRACT,
    operators::MULTIPLY,
    operators::DIVIDE,
    operators::MODULO,
    operators::NEGATE,
    operators::INDEX,
];
/// What can be called, and whether it gives true or false.
const FUNCTIONS: [(&str, bool); 9] = [
    ("bool", true),
    ("double", false),
    ("duration", false),
    ("int", false),
    ("matches", true),
    ("size", false),
    ("string", false),
    ("timestamp", false),
    ("uint", false),
];
/// What can be called on a value.
const METHODS: [(&str, bool); 15] = [
    ("contains", true),
    ("endsWith", true),
    ("getDate", false),
    ("getDayOfMonth", false),
    ("getDayOfWeek", false),
    ("getDayOfYear", false),
    ("getFullYear", false),
    ("getHours", false),
    ("getMilliseconds", false),
    ("getMinutes", false),
    ("getMonth", false),
    ("getSeconds", false),
    ("matches", true),
    ("size", false),
    ("startsWith", true),
];

/// What was found out about an expression.
pub(super) struct Checked {
    /// The patterns of its `matches`, which were put in its place by [`pattern_call`].
    pub(super) patterns: Vec<Regexp>,
    pub(super) looks_at: LooksAt,
}

/// What an expression looks at, and has to be given.
#[expect(clippy::struct_excessive_bools, reason = "one for each variable")]
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct LooksAt {
    pub(super) ask: bool,
    /// `args`, or `ask.arguments`, which are the same.
    pub(super) arguments: bool,
    pub(super) key: bool,
    pub(super) now: bool,
}

/// What a call of `matches` with the pattern of that number becomes. No expression can be written
/// so.
pub(super) fn pattern_call(number: usize) -> String {
    format!("@matches{number}")
}

/// Checks an expression, and takes the patterns out of its `matches`: they are compiled once.
pub(super) fn check(expression: &mut IdedExpr) -> Result<Checked, Wrong> {
    measure(expression)?;
    let mut check = Check { patterns: Vec::new(), looks_at: LooksAt::default() };
    check.node(expression, &Scope { names: Vec::new(), loops: 0 })?;
    if !may_be_truth(expression) {
        let mend = "compare it with something, so that it is true or false";
        return Err(wrong("`when` gives something else than true or false", mend));
    }
    Ok(Checked { patterns: check.patterns, looks_at: check.looks_at })
}

/// The nodes right below one.
pub(super) fn below(expression: &Expr) -> Vec<&IdedExpr> {
    match expression {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Call(call) => call.target.as_deref().into_iter().chain(&call.args).collect(),
        Expr::Comprehension(all) => {
            let ComprehensionExpr { iter_range, accu_init, loop_cond, loop_step, result, .. } =
                all.as_ref();
            vec![iter_range, accu_init, loop_cond, loop_step, result]
        }
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Map(map) => map.entries.iter().flat_map(|entry| in_entry(&entry.expr)).collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Struct(it) => it.entries.iter().flat_map(|entry| in_entry(&entry.expr)).collect(),
    }
}

fn in_entry(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

/// Refuses an expression that is too large to be walked.
fn measure(expression: &IdedExpr) -> Result<(), Wrong> {
    let mut left = vec![(expression, 1)];
    let mut nodes = 0;
    while let Some((node, depth)) = left.pop() {
        nodes += 1;
        if depth > DEPTH_MAX || nodes > NODES_MAX {
            return Err(wrong("`when` is too large", "write less in it, or split the rule"));
        }
        left.extend(below(&node.expr).into_iter().map(|node| (node, depth + 1)));
    }
    Ok(())
}

/// Whether it may give true or false, as far as its shape tells.
fn may_be_truth(expression: &IdedExpr) -> bool {
    match &expression.expr {
        Expr::Literal(value) => matches!(value, LiteralValue::Boolean(_)),
        Expr::Call(call) if call.func_name == operators::CONDITIONAL => {
            call.args.iter().skip(1).all(may_be_truth)
        }
        Expr::Call(call) => {
            let name = call.func_name.as_str();
            let known = FUNCTIONS.iter().chain(&METHODS).find(|(known, _)| *known == name);
            TRUTHS.contains(&name)
                || name == operators::INDEX
                || name.starts_with('@')
                || known.is_some_and(|(_, truth)| *truth)
        }
        Expr::Comprehension(all) => may_be_truth(&all.accu_init),
        Expr::Select(_) => true,
        Expr::Unspecified | Expr::Ident(_) | Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => {
            false
        }
    }
}

struct Check {
    patterns: Vec<Regexp>,
    looks_at: LooksAt,
}

/// Where in an expression a node is.
#[derive(Clone)]
struct Scope {
    /// The names that loops around it give their elements and results.
    names: Vec<String>,
    loops: u32,
}

impl Scope {
    fn has(&self, name: &str) -> bool {
        self.names.iter().any(|known| known == name)
    }
}

impl Check {
    fn node(&mut self, node: &mut IdedExpr, scope: &Scope) -> Result<(), Wrong> {
        match &mut node.expr {
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(name, scope),
            Expr::Select(select) => match &select.operand.expr {
                Expr::Ident(name) if !scope.has(name) => self.field(name, &select.field, scope),
                _ => self.node(&mut select.operand, scope),
            },
            Expr::Call(call) => self.call(call, scope),
            Expr::List(list) => self.nodes(&mut list.elements, scope),
            Expr::Map(map) => map.entries.iter_mut().try_for_each(|entry| match &mut entry.expr {
                EntryExpr::MapEntry(entry) => {
                    self.node(&mut entry.key, scope)?;
                    self.node(&mut entry.value, scope)
                }
                EntryExpr::StructField(_) => Err(not_supported("a message")),
            }),
            Expr::Comprehension(all) => self.comprehension(all, scope),
            Expr::Struct(_) => Err(not_supported("a message")),
            Expr::Unspecified => Err(not_supported("an empty expression")),
        }
    }

    fn nodes(&mut self, nodes: &mut [IdedExpr], scope: &Scope) -> Result<(), Wrong> {
        nodes.iter_mut().try_for_each(|node| self.node(node, scope))
    }

    fn variable(&mut self, name: &str, scope: &Scope) -> Result<(), Wrong> {
        if scope.has(name) {
            return Ok(());
        }
        match name {
            // As a whole it holds the arguments too.
            "ask" => (self.looks_at.ask, self.looks_at.arguments) = (true, true),
            "args" => self.looks_at.arguments = true,
            "key" => self.looks_at.key = true,
            "now" => self.looks_at.now = true,
            other => {
                let mend = format!("there are {}", VARIABLES.join(", "));
                return Err(wrong(format!("`when` names `{}`", echo(other)), mend));
            }
        }
        Ok(())
    }

    fn field(&mut self, name: &str, field: &str, scope: &Scope) -> Result<(), Wrong> {
        let fields: &[&str] = match name {
            "ask" => &FIELDS_OF_ASK,
            "key" => &FIELDS_OF_KEY,
            _ => return self.variable(name, scope),
        };
        if !fields.contains(&field) {
            let message = format!("`when` names `{name}.{}`", echo(field));
            return Err(wrong(message, format!("`{name}` has {}", fields.join(", "))));
        }
        if name == "key" {
            self.looks_at.key = true;
        } else {
            self.looks_at.ask = true;
            self.looks_at.arguments |= field == "arguments";
        }
        Ok(())
    }

    fn call(&mut self, call: &mut CallExpr, scope: &Scope) -> Result<(), Wrong> {
        let name = call.func_name.as_str();
        let among = |known: &[(&str, bool)]| known.iter().any(|(known, _)| *known == name);
        let known = match call.target {
            Some(_) => among(&METHODS),
            None => TRUTHS.contains(&name) || OTHERS.contains(&name) || among(&FUNCTIONS),
        };
        if !known {
            let message = format!("`when` calls `{}`", echo(name));
            let names = FUNCTIONS.iter().chain(&METHODS).map(|(name, _)| *name);
            let mut names: Vec<_> = names.chain(["has", "all", "exists", "exists_one"]).collect();
            names.sort_unstable();
            names.dedup();
            return Err(wrong(message, format!("there are {}, map, filter", names.join(", "))));
        }
        if name == "matches" {
            self.take_pattern(call)?;
        }
        if let Some(target) = call.target.as_deref_mut() {
            self.node(target, scope)?;
        }
        self.nodes(&mut call.args, scope)
    }

    /// Takes the pattern out of `text.matches(pattern)` or `matches(text, pattern)`. The crate
    /// would compile it anew at each call, and it might be the agent's.
    fn take_pattern(&mut self, call: &mut CallExpr) -> Result<(), Wrong> {
        const MEND: &str = "write ask.reason.matches(\"^INC-[0-9]+\")";
        let literal = call.args.pop();
        let text = call.target.take().map(|target| *target).or_else(|| call.args.pop());
        let (Some(text), Some(literal), true) = (text, literal, call.args.is_empty()) else {
            return Err(wrong("`matches` takes a text and a pattern", MEND));
        };
        let Expr::Literal(LiteralValue::String(pattern)) = &literal.expr else {
            return Err(wrong("the pattern of `matches` is not a text in quotes", MEND));
        };
        let pattern: Regexp = pattern.inner().parse().map_err(|error| {
            wrong(format!("`{}` is not a pattern: {error}", echo(pattern.inner())), MEND)
        })?;
        call.func_name = pattern_call(self.patterns.len());
        call.args.push(text);
        self.patterns.push(pattern);
        Ok(())
    }

    fn comprehension(&mut self, all: &mut ComprehensionExpr, scope: &Scope) -> Result<(), Wrong> {
        if scope.loops >= LOOPS_MAX {
            let message = "`when` has loops in loops in loops";
            return Err(wrong(message, "write two in each other at most"));
        }
        self.node(&mut all.iter_range, scope)?;
        self.node(&mut all.accu_init, scope)?;
        let mut inner = Scope { loops: scope.loops + 1, ..scope.clone() };
        inner.names.push(all.accu_var.clone());
        self.node(&mut all.result, &inner)?;
        inner.names.push(all.iter_var.clone());
        inner.names.extend(all.iter_var2.clone());
        self.node(&mut all.loop_cond, &inner)?;
        self.node(&mut all.loop_step, &inner)
    }
}

fn not_supported(what: &str) -> Wrong {
    wrong(format!("`when` holds {what}"), "write a comparison, or a call such as startsWith")
}
