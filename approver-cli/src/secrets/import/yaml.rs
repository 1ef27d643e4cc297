//! YAML: a mapping, nested to make paths.
//!
//! Read as the events that its parser gives, each with its line: scalars are kept as they are
//! written, and nothing is built that an alias could blow up. An alias may stand for a scalar, and
//! for nothing else.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};
use zeroize::Zeroizing;

use super::item::{Names, Parsed, path, shown};

/// Reads all of it, unless it is no YAML.
pub(super) fn parse(text: &str, parsed: &mut Parsed) {
    let mut walk = Walk::new(parsed);
    for event in Parser::new_from_str(text) {
        match event {
            Ok((event, span)) => walk.event(event, span.start.line()),
            Err(error) => {
                walk.parsed
                    .problem(error.marker().line(), format!("it is no YAML: {}", cause(&error)));
                return;
            }
        }
        if walk.is_over {
            return;
        }
    }
}

struct Walk<'a> {
    parsed: &'a mut Parsed,
    /// The mappings around, the innermost last.
    mappings: Vec<Mapping>,
    /// The names that lead to the value that comes next.
    names: Vec<String>,
    /// Scalars that aliases may stand for.
    anchors: HashMap<usize, Zeroizing<String>>,
    /// How deep in something that is left out.
    skipped: usize,
    documents: usize,
    is_over: bool,
}

/// A mapping that is being read.
#[derive(Default)]
struct Mapping {
    seen: Names,
    next: Next,
}

/// What a mapping goes on with.
#[derive(Clone, Copy, Default)]
enum Next {
    #[default]
    Name,
    /// The value of the name on this line.
    Value(usize),
    /// The value of a name that is refused.
    Refused,
}

/// One node of the file.
enum Node {
    Scalar(Zeroizing<String>),
    Null,
    List,
    Mapping,
    /// What cannot be a value, and why.
    Refused(&'static str),
}

impl<'a> Walk<'a> {
    fn new(parsed: &'a mut Parsed) -> Self {
        Self {
            parsed,
            mappings: Vec::new(),
            names: Vec::new(),
            anchors: HashMap::new(),
            skipped: 0,
            documents: 0,
            is_over: false,
        }
    }

    fn event(&mut self, event: Event<'_>, line: usize) {
        let node = match event {
            Event::DocumentStart(_) => {
                self.documents = self.documents.saturating_add(1);
                if self.documents > 1 {
                    self.parsed.problem(line, "a second document begins; a file has one");
                    self.is_over = true;
                }
                return;
            }
            Event::MappingEnd | Event::SequenceEnd => return self.end(),
            Event::Scalar(text, style, anchor, tag) => {
                let node = scalar(&text, style, tag.as_deref());
                if let (Node::Scalar(text), true) = (&node, anchor > 0) {
                    self.anchors.insert(anchor, text.clone());
                }
                node
            }
            Event::Alias(anchor) => self.anchors.get(&anchor).cloned().map_or(
                Node::Refused("an alias for something else than a text; write it out"),
                Node::Scalar,
            ),
            Event::SequenceStart(..) => Node::List,
            Event::MappingStart(..) => Node::Mapping,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => return,
        };
        if self.skipped > 0 {
            return self.skip(&node);
        }
        match self.mappings.last().map(|mapping| mapping.next) {
            None => self.root(&node, line),
            Some(Next::Name) => self.name(&node, line),
            Some(Next::Value(name_line)) => self.value(node, name_line),
            Some(Next::Refused) => {
                self.skip(&node);
                self.next(Next::Name);
            }
        }
    }

    fn root(&mut self, node: &Node, line: usize) {
        match node {
            Node::Mapping => self.mappings.push(Mapping::default()),
            Node::Null => {}
            Node::Scalar(_) | Node::List | Node::Refused(_) => {
                self.parsed.problem(line, "it is no YAML mapping of names and values");
                self.is_over = true;
            }
        }
    }

    fn name(&mut self, node: &Node, line: usize) {
        let Node::Scalar(name) = node else {
            self.parsed.problem(line, "what stands before `:` is no name");
            self.skip(node);
            return self.next(Next::Refused);
        };
        if name.as_str() == "<<" {
            self.parsed.problem(line, "`<<` is not merged; write out what it stands for");
            return self.next(Next::Refused);
        }
        let first = self.mappings.last_mut().and_then(|mapping| mapping.seen.seen(name, line));
        self.names.push(name.to_string());
        if let Some(first) = first {
            let what = format!("{} is on line {first} already", path(&self.names));
            self.parsed.problem(line, what);
            self.names.pop();
            return self.next(Next::Refused);
        }
        self.next(Next::Value(line));
    }

    fn value(&mut self, node: Node, line: usize) {
        let refused = |what: &str| format!("{} is {what}", path(&self.names));
        match node {
            Node::Scalar(value) => self.parsed.add(line, &self.names, value, Vec::new()),
            Node::Mapping if self.parsed.may_descend(&self.names) => {
                return self.mappings.push(Mapping::default());
            }
            Node::Mapping => {
                self.parsed.problem(line, refused("nested too deep: a path has 8 parts"));
                self.skip(&Node::Mapping);
            }
            Node::List => {
                self.parsed.problem(line, refused("a list; a secret is one value"));
                self.skip(&Node::List);
            }
            Node::Null => self.parsed.problem(line, refused("null; a secret has a value")),
            Node::Refused(why) => self.parsed.problem(line, refused(why)),
        }
        self.names.pop();
        self.next(Next::Name);
    }

    fn end(&mut self) {
        if self.skipped > 0 {
            self.skipped = self.skipped.saturating_sub(1);
            return;
        }
        self.mappings.pop();
        // It was the value of this name in the mapping around.
        self.names.pop();
        self.next(Next::Name);
    }

    fn next(&mut self, next: Next) {
        if let Some(mapping) = self.mappings.last_mut() {
            mapping.next = next;
        }
    }

    /// Leaves out a node, and all that is in it.
    fn skip(&mut self, node: &Node) {
        if matches!(node, Node::List | Node::Mapping) {
            self.skipped = self.skipped.saturating_add(1);
        }
    }
}

/// A scalar as it is written, unless it stands for nothing or its tag asks for more.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Node {
    let is_text = tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str");
    if tag.is_some() && !is_text {
        return Node::Refused("tagged; write the value without the tag");
    }
    let is_null = matches!(text, "" | "~" | "null" | "Null" | "NULL");
    if is_null && style == ScalarStyle::Plain && !is_text {
        return Node::Null;
    }
    Node::Scalar(Zeroizing::new(text.to_owned()))
}

/// What is wrong with the syntax: a fixed text, without the character that one of them quotes.
fn cause(error: &ScanError) -> String {
    match error.info().split_once("character: `") {
        Some((before, _)) => shown(&format!("{before}character")),
        None => shown(error.info()),
    }
}
