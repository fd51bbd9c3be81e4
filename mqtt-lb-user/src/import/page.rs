//! The text of a [`Draft`], and which value stands on which of its lines.

use super::draft::{Draft, TableId};
use super::note::Weight;

/// A written draft.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) text: String,
    lines: Vec<Option<Place>>,
}

/// What a line of a [`Page`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) table: TableId,
    /// The value by its place in the table; `None` is the header.
    pub(super) entry: Option<usize>,
}

impl Page {
    /// What line `number`, from 1, says; `None` for comments and for what is not there.
    pub(super) fn place(&self, number: usize) -> Option<Place> {
        *self.lines.get(number.checked_sub(1)?)?
    }

    /// Writes `draft`, which was made from `file`.
    pub(super) fn write(draft: &Draft, file: &str) -> Self {
        let mut page = Self {
            text: String::new(),
            lines: Vec::new(),
        };
        page.head(draft, file);
        for id in draft.in_order() {
            page.table(draft, id);
        }
        page
    }

    fn head(&mut self, draft: &Draft, file: &str) {
        self.line(&format!("# Made from {file} by `mqtt-lb import`."));
        self.line("# Behind each value stands the line of that file which says it.");
        let missing = draft.notes.iter().filter(|n| n.weight == Weight::NotTaken);
        for (i, note) in missing.enumerate() {
            if i == 0 {
                self.line("#");
                self.line("# What it does not do that the original does:");
            }
            self.line(&format!("#   line {note}"));
        }
    }

    fn table(&mut self, draft: &Draft, id: TableId) {
        let table = &draft[id];
        let out = draft.is_out(id);
        let mark = if out { "# " } else { "" };
        self.line("");
        if let Some(why) = &table.left_out {
            self.line(&format!("# Left out: {why}"));
        }
        let header = table.header();
        if !header.is_empty() {
            let place = (!out).then_some(Place {
                table: id,
                entry: None,
            });
            self.push(&format!("{mark}{header}"), place);
        }
        for (at, entry) in table.entries.iter().enumerate() {
            let out = out || entry.left_out;
            let mark = if out { "# " } else { "" };
            let line = entry.said.line;
            let text = format!("{mark}{} = {} # line {line}", entry.key, entry.value);
            let place = (!out).then_some(Place {
                table: id,
                entry: Some(at),
            });
            self.push(&text, place);
        }
    }

    fn line(&mut self, text: &str) {
        self.push(text, None);
    }

    fn push(&mut self, text: &str, place: Option<Place>) {
        self.text += text;
        self.text.push('\n');
        self.lines.push(place);
    }
}
