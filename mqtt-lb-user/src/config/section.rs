//! One section of the file: takes its keys out and reports the rest as unknown.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problems;
use super::value::{Read, expected};

/// A table of the file while it is read.
///
/// Every key that is asked for becomes a known one; [`Section::finish`] reports
/// those that nobody asked for.
pub(super) struct Section<'a> {
    path: String,
    span: Range<usize>,
    table: &'a DeTable<'a>,
    known: Vec<&'static str>,
    problems: &'a Problems,
}

impl<'a> Section<'a> {
    /// The whole file.
    pub(super) fn root(table: &'a DeTable<'a>, problems: &'a Problems) -> Self {
        Self {
            path: String::new(),
            span: 0..0,
            table,
            known: Vec::new(),
            problems,
        }
    }

    /// The value of `key`; `None` when it is absent or wrong (and then reported).
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&DeValue<'_>) -> Read<T>,
    ) -> Option<Spanned<T>> {
        let value = self.value(key)?;
        match read(value.get_ref()) {
            Ok(read) => Some(Spanned::new(value.span(), read)),
            Err(message) => {
                self.wrong(key, value.span(), &message);
                None
            }
        }
    }

    /// The value of `key`, or `default` when it is absent.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl Fn(&DeValue<'_>) -> Read<T>,
    ) -> T {
        self.get(key, read).map_or(default, Spanned::into_inner)
    }

    /// The value of a key that must be there; `example` shows how to write it.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl Fn(&DeValue<'_>) -> Read<T>,
    ) -> Option<Spanned<T>> {
        if !self.has(key) {
            self.missing(&format!("{key} is missing: add {key} = {example}"));
        }
        self.get(key, read)
    }

    /// The subsection `[… .key]`, if there is one.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'a>> {
        let value = self.value(key)?;
        self.open(key, value)
    }

    /// The subsections `[… .key.NAME]` with their names, in the order of the file.
    pub(super) fn named(&mut self, key: &'static str) -> Vec<(Spanned<&'a str>, Section<'a>)> {
        let Some(DeValue::Table(tables)) = self.value(key).map(Spanned::get_ref) else {
            if let Some(value) = self.value(key) {
                let what = format!("sections [{}.NAME]", self.path_of(key));
                self.wrong(key, value.span(), &expected(&what, value.get_ref()));
            }
            return Vec::new();
        };
        let parent = self.path_of(key);
        let mut sections = Vec::new();
        for (name, value) in tables {
            let path = format!("{parent}.{}", name.get_ref());
            let name = Spanned::new(name.span(), name.get_ref().as_ref());
            match value.get_ref() {
                DeValue::Table(table) => {
                    sections.push((name, self.child(path, value.span(), table)));
                }
                other => {
                    let what = format!("a section [{parent}.NAME]");
                    let message = format!("{path}: {}", expected(&what, other));
                    self.problems.wrong(name.span(), message);
                }
            }
        }
        sections.sort_by_key(|(name, _)| name.span().start);
        sections
    }

    /// The subsections `[[… .key]]` in the order of the file.
    pub(super) fn list(&mut self, key: &'static str) -> Vec<Section<'a>> {
        match self.value(key).map(|value| (value, value.get_ref())) {
            None => Vec::new(),
            Some((_, DeValue::Array(array))) => array
                .iter()
                .filter_map(|value| self.open(key, value))
                .collect(),
            Some((value, other)) => {
                let what = format!("sections [[{}]]", self.path_of(key));
                self.wrong(key, value.span(), &expected(&what, other));
                Vec::new()
            }
        }
    }

    /// Reports the keys nobody asked for.
    pub(super) fn finish(self) {
        for (key, _) in self.table {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                self.wrong(name, key.span(), &unknown(name, &self.known));
            }
        }
    }

    /// Whether the file has `key`, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Reports that the value of `key` at `span` is wrong.
    pub(super) fn wrong(&self, key: &str, span: Range<usize>, message: &str) {
        self.place(key, span).wrong(self.problems, message);
    }

    /// Reports that the value of `key` at `span` names what does not exist.
    pub(super) fn dangling(&self, key: &str, span: Range<usize>, message: &str) {
        let path = self.path_of(key);
        self.problems.missing(span, format!("{path}: {message}"));
    }

    /// The place of the value of `key` at `span`, to report it later.
    pub(super) fn place(&self, key: &str, span: Range<usize>) -> Place {
        Place {
            path: self.path_of(key),
            span,
        }
    }

    /// Reports that the section lacks something.
    pub(super) fn missing(&self, message: &str) {
        let path = match self.path.as_str() {
            "" => String::new(),
            path => format!("{path}: "),
        };
        self.problems
            .missing(self.span.clone(), format!("{path}{message}"));
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.table.get(key)
    }

    fn open(&self, key: &str, value: &'a Spanned<DeValue<'a>>) -> Option<Section<'a>> {
        match value.get_ref() {
            DeValue::Table(table) => Some(self.child(self.path_of(key), value.span(), table)),
            other => {
                self.wrong(key, value.span(), &expected("a section", other));
                None
            }
        }
    }

    fn child(&self, path: String, span: Range<usize>, table: &'a DeTable<'a>) -> Section<'a> {
        Section {
            path,
            span,
            table,
            known: Vec::new(),
            problems: self.problems,
        }
    }

    fn path_of(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }
}

/// Where a value stands.
#[derive(Debug, Clone)]
pub(super) struct Place {
    path: String,
    span: Range<usize>,
}

impl Place {
    /// Reports that the value here is wrong.
    pub(super) fn wrong(&self, problems: &Problems, message: &str) {
        problems.wrong(self.span.clone(), format!("{}: {message}", self.path));
    }
}

/// The message for an unknown key, with the nearest known one where it is near.
fn unknown(key: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|word| (strsim::damerau_levenshtein(key, word), word))
        .min()
        .filter(|(distance, word)| *distance <= 1.max(word.len() / 3));
    let hint = near.map_or(String::new(), |(_, word)| format!(", did you mean {word}?"));
    let mut known = known.to_vec();
    known.sort_unstable();
    format!("unknown key{hint} (known here: {})", known.join(", "))
}
