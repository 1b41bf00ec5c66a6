//! YAML as a tree of scalars, lists and maps with their lines: bounded, without aliases.

use saphyr_parser::{Event, Parser, Span, StrInput};

/// No configuration nests deeper than a handful; each level is a stack frame.
const DEPTH_MAX: usize = 64;
/// A ConfigMap's 1 MiB cannot hold more; a file of brackets must not fill memory.
const NODE_COUNT_MAX: usize = 200_000;

/// A value and where it begins.
#[derive(Debug)]
pub(super) struct Node {
    /// Counted from one.
    pub(super) line: u32,
    pub(super) value: Value,
}

/// What a node is.
#[derive(Debug)]
pub(super) enum Value {
    /// Text as the syntax has it, unquoted; nothing at all is the empty text.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Pair>),
}

/// An entry of a map; keys may stand several times.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) key: String,
    /// Where the key is.
    pub(super) line: u32,
    pub(super) node: Node,
}

/// Why a text is no tree.
#[derive(Debug)]
pub(super) struct Broken {
    /// Counted from one.
    pub(super) line: u32,
    /// What is the matter.
    pub(super) message: String,
}

/// The documents of a text, in order.
pub(super) fn documents(text: &str) -> Result<Vec<Node>, Broken> {
    let mut builder = Builder { parser: Parser::new_from_str(text), node_count: 0 };
    let mut nodes = Vec::new();
    loop {
        match builder.event()? {
            (Event::StreamEnd, _) => return Ok(nodes),
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {}
            (event, span) => nodes.push(builder.node(event, span, 0)?),
        }
    }
}

struct Builder<'a> {
    parser: Parser<'a, StrInput<'a>>,
    node_count: usize,
}

impl<'a> Builder<'a> {
    fn event(&mut self) -> Result<(Event<'a>, Span), Broken> {
        match self.parser.next_event() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                Err(Broken { line: line(error.marker().line()), message: error.info().to_owned() })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    /// The node that begins with this event.
    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Broken> {
        let line = line(span.start.line());
        let broken = |message: String| Err(Broken { line, message });
        self.node_count += 1;
        if self.node_count > NODE_COUNT_MAX {
            return broken(format!("more than {NODE_COUNT_MAX} values"));
        }
        if depth > DEPTH_MAX {
            return broken(format!("nested deeper than {DEPTH_MAX}"));
        }
        let value = match event {
            Event::Scalar(text, ..) => Value::Scalar(text.into_owned()),
            Event::SequenceStart(..) => Value::List(self.list(depth)?),
            Event::MappingStart(..) => Value::Map(self.map(depth)?),
            Event::Alias(_) => {
                return broken("aliases (`*name`) are not allowed, as in Fluent Bit".to_owned());
            }
            other => return broken(format!("a value is missing before {other:?}")),
        };
        Ok(Node { line, value })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, Broken> {
        let mut nodes = Vec::new();
        loop {
            let (event, span) = self.event()?;
            if event == Event::SequenceEnd {
                return Ok(nodes);
            }
            nodes.push(self.node(event, span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<Pair>, Broken> {
        let mut pairs = Vec::new();
        loop {
            let (event, span) = self.event()?;
            if event == Event::MappingEnd {
                return Ok(pairs);
            }
            let key = self.node(event, span, depth + 1)?;
            let Value::Scalar(text) = key.value else {
                let message = "a list or map cannot be a key".to_owned();
                return Err(Broken { line: key.line, message });
            };
            let (event, span) = self.event()?;
            let node = self.node(event, span, depth + 1)?;
            pairs.push(Pair { key: text, line: key.line, node });
        }
    }
}

fn line(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
