//! What the configuration's own reader refuses is left out, until it takes the rest.
//!
//! So an import knows no ranges and no keys of its own, and never hands out a file
//! that mqtt-lb would not run.

use super::draft::Draft;
use super::page::{Page, Place};
use crate::config;

/// Stands for the file in the messages that are taken apart again here.
const NAME: &str = "import";

/// Leaves out what is refused, each time with a note; the text of what remains.
///
/// # Errors
/// Nothing remains that could run; why, one line each.
pub(super) fn settle(draft: &mut Draft, file: &str) -> Result<String, Vec<String>> {
    loop {
        let page = Page::write(draft, file);
        let Err(error) = config::parse(NAME, &page.text) else {
            return Ok(page.text);
        };
        let mut done = false;
        for line in error.lines() {
            let (number, message) = place_and_message(line);
            if let Some(place) = page.place(number) {
                done |= strike(draft, place, message);
            }
        }
        if !done {
            let messages = error.lines().iter().map(|l| place_and_message(l).1);
            return Err(messages.map(str::to_owned).collect());
        }
    }
}

/// Takes `import:LINE:COLUMN: message` apart; line 0 when there is no place.
fn place_and_message(line: &str) -> (usize, &str) {
    let rest = line.strip_prefix(NAME).and_then(|l| l.strip_prefix(':'));
    let rest = rest.unwrap_or(line).trim_start();
    let parts = rest.split_once(':').and_then(|(number, rest)| {
        let (_, message) = rest.split_once(": ")?;
        Some((number.parse().ok()?, message))
    });
    parts.unwrap_or((0, rest))
}

/// Leaves out what stands at `place`; whether it was still there.
fn strike(draft: &mut Draft, place: Place, message: &str) -> bool {
    if draft.is_out(place.table) {
        return false;
    }
    let table = &mut draft[place.table];
    let entry = place.entry.map(|at| (at, &table.entries[at]));
    let said = entry.map_or(&table.said, |(_, entry)| &entry.said).clone();
    match entry {
        Some((_, entry)) if entry.left_out => return false,
        Some((at, entry)) if table.can_lose(entry.key) => table.entries[at].left_out = true,
        _ => table.left_out = Some(message.to_owned()),
    }
    draft.notes.not_taken(&said, message);
    true
}
