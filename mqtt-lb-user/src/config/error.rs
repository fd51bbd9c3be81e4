//! What is wrong with a configuration: every problem, each with its place.

use std::cell::RefCell;
use std::fmt;
use std::ops::Range;

/// A configuration that cannot be used, with all the reasons.
///
/// Printed as one line per problem, `FILE:LINE:COLUMN: what is wrong, what to
/// do`, in the order of the file. Lines and columns count from 1, columns in
/// characters. A problem without a place (a file that cannot be opened, a
/// command line flag) is printed as `FILE: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    lines: Vec<String>,
}

impl ConfigError {
    /// An error about the whole of `name`: a file, or the command line.
    pub(super) fn whole(name: &str, message: impl fmt::Display) -> Self {
        Self {
            lines: vec![format!("{name}: {message}")],
        }
    }

    /// The problems, one line each; never empty.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

/// What kind of problem, for the filter of [`Problems::into_error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The file is not TOML.
    Syntax,
    /// Something that stands in the file is wrong.
    Wrong,
    /// Something is missing, perhaps only because a line could not be read.
    Missing,
}

#[derive(Debug)]
struct Problem {
    span: Range<usize>,
    kind: Kind,
    message: String,
}

/// Collects problems while a file is read.
#[derive(Debug, Default)]
pub(super) struct Problems {
    found: RefCell<Vec<Problem>>,
}

impl Problems {
    /// The text at `span` is not TOML.
    pub(super) fn syntax(&self, span: Range<usize>, message: String) {
        self.add(span, Kind::Syntax, message);
    }

    /// What stands at `span` is wrong.
    pub(super) fn wrong(&self, span: Range<usize>, message: String) {
        self.add(span, Kind::Wrong, message);
    }

    /// `span` needs something that the file does not have.
    pub(super) fn missing(&self, span: Range<usize>, message: String) {
        self.add(span, Kind::Missing, message);
    }

    fn add(&self, span: Range<usize>, kind: Kind, message: String) {
        self.found.borrow_mut().push(Problem {
            span,
            kind,
            message,
        });
    }

    /// The error to report, or `None` when nothing was found.
    ///
    /// A broken line makes false problems: more syntax errors on the same line,
    /// values cut short, keys that seem to be missing. Those are left out; what
    /// is wrong on the other lines is reported all the same.
    pub(super) fn into_error(self, name: &str, text: &str) -> Option<ConfigError> {
        let places = Places::new(text);
        let mut found = self.found.into_inner();
        found.sort_by_key(|p| (p.span.start, p.kind != Kind::Syntax));
        let mut broken: Vec<usize> = Vec::new();
        for problem in found.iter().filter(|p| p.kind == Kind::Syntax) {
            broken.push(places.line(problem.span.start));
        }
        let mut lines = Vec::new();
        let mut last_broken = None;
        for problem in found {
            let (line, column) = places.line_and_column(problem.span.start);
            let consequence = match problem.kind {
                Kind::Syntax => last_broken.replace(line) == Some(line),
                Kind::Wrong => broken.contains(&line),
                Kind::Missing => !broken.is_empty(),
            };
            if !consequence {
                lines.push(format!("{name}:{line}:{column}: {}", problem.message));
            }
        }
        (!lines.is_empty()).then_some(ConfigError { lines })
    }
}

/// Line and column of byte offsets.
struct Places<'a> {
    text: &'a str,
}

impl<'a> Places<'a> {
    fn new(text: &'a str) -> Self {
        Self { text }
    }

    fn before(&self, offset: usize) -> &'a str {
        self.text.get(..offset).unwrap_or(self.text)
    }

    fn line(&self, offset: usize) -> usize {
        self.before(offset).matches('\n').count() + 1
    }

    /// Line and column, both from 1; the column counts characters.
    fn line_and_column(&self, offset: usize) -> (usize, usize) {
        let before = self.before(offset);
        let line = before.rsplit('\n').next().unwrap_or(before);
        (self.line(offset), line.chars().count() + 1)
    }
}
