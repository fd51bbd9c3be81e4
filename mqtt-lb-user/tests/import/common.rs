//! Imports a text and looks at what came of it.

use std::net::IpAddr;

use mqtt_lb_user::config::{Config, parse};
use mqtt_lb_user::import::{Failed, Imported, import};

/// The configuration that an import has made, and its notes as they are printed.
pub struct Done {
    /// As the program would run it.
    pub config: Config,
    /// One line each.
    pub notes: Vec<String>,
    /// Whether the program would say so with its exit code.
    pub complete: bool,
    /// The file.
    pub text: String,
}

impl Done {
    /// The one note whose text begins with `text`, without line and text.
    pub fn note(&self, line: usize, text: &str) -> &str {
        let start = format!("{line}: {text}: ");
        let mut found = self.notes.iter().filter_map(|n| n.strip_prefix(&start));
        let note = found
            .next()
            .unwrap_or_else(|| panic!("no note {start:?} in {:#?}", self.notes));
        assert_eq!(found.next(), None, "{start}");
        note
    }

    /// The notes that make it incomplete, as `LINE: text`.
    pub fn not_taken(&self) -> Vec<&str> {
        let notes = self.notes.iter();
        notes
            .filter_map(|note| Some(note.split_once(": not taken: ")?.0))
            .collect()
    }
}

/// Host names that are known to the tests' resolver.
pub fn resolve(host: &str) -> Option<IpAddr> {
    (host == "known.example").then(|| "10.9.9.9".parse().expect("an address"))
}

/// Imports `text`, which must make a configuration.
pub fn done(text: &str) -> Done {
    let Imported { config, notes } = match import("source", text, &resolve) {
        Ok(imported) => imported,
        Err(Failed { notes, why }) => panic!("{why:?}\n{notes:#?}"),
    };
    let complete = notes
        .iter()
        .all(|n| n.weight != mqtt_lb_user::import::Weight::NotTaken);
    Done {
        config: parse("imported", &config).unwrap_or_else(|e| panic!("{e}\n{config}")),
        notes: notes.iter().map(ToString::to_string).collect(),
        complete,
        text: config,
    }
}
