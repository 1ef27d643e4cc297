//! What an evaluation may cost at most, from the shape of the expression and the sizes of what it
//! looks at. A text that doubles in each step of a chain, or a loop in a loop, is seen here before
//! it happens.

use cel::common::ast::{ComprehensionExpr, Expr, IdedExpr, LiteralValue, operators};

use super::shape::below;

/// How much of a text or a list is looked at for the cost of one node.
const WEIGHT_OF_A_NODE: u64 = 64;
/// What a number, a time or the frame of a container weighs.
const WEIGHT: u64 = 16;

/// At most how large a value is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Size {
    /// All of it, in bytes or thereabouts.
    pub(super) total: u64,
    /// The elements of the longest list or map that is or is in it.
    pub(super) items: u64,
    /// The largest value in a list or map that is or is in it.
    pub(super) each: u64,
}

/// The sizes of the variables.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sizes {
    pub(super) ask: Size,
    pub(super) key: Size,
    pub(super) args: Size,
}

/// At most how many nodes an evaluation visits, or does the work of.
pub(super) fn of(expression: &IdedExpr, sizes: &Sizes) -> u64 {
    let mut names = vec![("ask", sizes.ask), ("key", sizes.key), ("args", sizes.args)];
    bound(expression, &mut names).cost
}

/// What a node gives at most, and costs.
#[derive(Clone, Copy, Default)]
struct Bound {
    size: Size,
    cost: u64,
}

impl Size {
    /// A text of so many bytes.
    pub(super) fn text(text: &str) -> Self {
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        Self { total: bytes.saturating_add(WEIGHT), ..Self::default() }
    }

    /// A number, a time, or true or false.
    pub(super) const fn small() -> Self {
        Self { total: WEIGHT, items: 0, each: 0 }
    }

    /// A list or a map of these, keys among them.
    pub(super) fn of_all(elements: impl Iterator<Item = Self>, items: usize) -> Self {
        let items = u64::try_from(items).unwrap_or(u64::MAX);
        let whole = Self { total: WEIGHT, items, each: 0 };
        elements.fold(whole, |whole, element| Self {
            total: whole.total.saturating_add(element.total),
            items: whole.items.max(element.items),
            each: whole.each.max(element.total).max(element.each),
        })
    }

    fn or(self, other: Self) -> Self {
        Self {
            total: self.total.max(other.total),
            items: self.items.max(other.items),
            each: self.each.max(other.each),
        }
    }

    /// Both together, as `+` makes of texts and lists.
    fn and(self, other: Self) -> Self {
        Self {
            total: self.total.saturating_add(other.total),
            items: self.items.saturating_add(other.items),
            each: self.each.max(other.each),
        }
    }

    /// One of the values in it.
    const fn element(self) -> Self {
        Self { total: self.each, items: self.items, each: self.each }
    }

    /// The cost of looking at all of it.
    const fn cost(self) -> u64 {
        self.total / WEIGHT_OF_A_NODE
    }
}

/// The names in force are those of the loops around a node, the innermost last.
fn bound<'e>(node: &'e IdedExpr, names: &mut Vec<(&'e str, Size)>) -> Bound {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => leaf(Size::text(text.inner())),
        Expr::Literal(LiteralValue::Bytes(bytes)) => {
            let total = u64::try_from(bytes.inner().len()).unwrap_or(u64::MAX);
            leaf(Size { total, ..Size::small() })
        }
        Expr::Ident(name) => {
            let known = names.iter().rev().find(|(known, _)| known == name);
            leaf(known.map_or(Size::small(), |(_, size)| *size))
        }
        Expr::Select(select) => {
            let Bound { size, cost } = bound(&select.operand, names);
            Bound { size: size.element(), cost: cost.saturating_add(1) }
        }
        Expr::Comprehension(all) => comprehension(all, names),
        Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => {
            let (parts, cost) = parts(node, names);
            let size = Size::of_all(parts.iter().copied(), parts.len());
            Bound { size, cost: cost.saturating_add(size.cost()) }
        }
        Expr::Call(call) => {
            let (parts, cost) = parts(node, names);
            called(&call.func_name, &parts, cost)
        }
        Expr::Literal(_) | Expr::Unspecified => leaf(Size::small()),
    }
}

const fn leaf(size: Size) -> Bound {
    Bound { size, cost: 1 }
}

/// The sizes of what is below a node, and what all of it costs with the node itself.
fn parts<'e>(node: &'e IdedExpr, names: &mut Vec<(&'e str, Size)>) -> (Vec<Size>, u64) {
    let mut cost = 1_u64;
    let mut sizes = Vec::new();
    for part in below(&node.expr) {
        let part = bound(part, names);
        cost = cost.saturating_add(part.cost);
        sizes.push(part.size);
    }
    (sizes, cost)
}

fn called(name: &str, parts: &[Size], cost: u64) -> Bound {
    let together = parts.iter().fold(Size::default(), |all, part| all.and(*part));
    let looked_at = cost.saturating_add(together.cost());
    match name {
        operators::CONDITIONAL => {
            let size = parts.iter().skip(1).fold(Size::default(), |all, part| all.or(*part));
            Bound { size, cost }
        }
        operators::INDEX => {
            let size = parts.first().copied().unwrap_or_default().element();
            Bound { size, cost: looked_at }
        }
        operators::LOGICAL_AND | operators::LOGICAL_OR => Bound { size: Size::small(), cost },
        operators::ADD => Bound { size: together, cost: looked_at },
        "string" => {
            let size = Size { total: together.total.saturating_add(WEIGHT_OF_A_NODE), ..together };
            Bound { size, cost: looked_at }
        }
        // A pattern looks at each byte for longer than a comparison does.
        _ if name.starts_with("@matches") => {
            let cost = cost.saturating_add(together.total / 8);
            Bound { size: Size::small(), cost }
        }
        _ => Bound { size: Size::small(), cost: looked_at },
    }
}

fn comprehension<'e>(all: &'e ComprehensionExpr, names: &mut Vec<(&'e str, Size)>) -> Bound {
    let range = bound(&all.iter_range, names);
    let init = bound(&all.accu_init, names);
    let outer = names.len();
    // The result so far counts for nothing here: a truth, a number, or a list that is put together
    // in place, whose size is worked out below.
    names.push((&all.accu_var, Size::default()));
    names.push((&all.iter_var, range.size.element()));
    names.extend(all.iter_var2.as_deref().map(|name| (name, range.size.element())));
    let condition = bound(&all.loop_cond, names);
    let step = bound(&all.loop_step, names);
    names.truncate(outer);

    let rounds = range.size.items;
    let round = step.cost.saturating_add(condition.cost).saturating_add(1);
    let size = match all.accu_init.expr {
        Expr::List(_) => Size {
            total: rounds.saturating_mul(step.size.each.saturating_add(WEIGHT)),
            items: rounds.max(step.size.items),
            each: step.size.each,
        },
        _ => Size::small(),
    };
    let cost =
        [range.cost, init.cost, rounds.saturating_mul(round), range.size.cost(), size.cost()]
            .into_iter()
            .fold(2_u64, u64::saturating_add);
    Bound { size, cost }
}
