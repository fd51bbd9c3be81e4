//! `mqtt-lb import`: a configuration of HAProxy or NGINX in, one of mqtt-lb out.
//!
//! Pure: text in, text and notes out. `haproxy` and `nginx` read their own language
//! into a [`draft`]; the `judge` has the configuration's own reader look at the result,
//! so that what comes out always runs. What is not understood becomes a note, never
//! a guess.

mod address;
mod draft;
mod haproxy;
mod judge;
mod name;
mod nginx;
mod note;
mod page;
mod pattern;
mod toml_text;

use std::net::IpAddr;

pub use note::{Note, Said, Weight};

use draft::Draft;

/// What a host name stands for; `None` when it stands for nothing.
pub type Resolve<'a> = &'a dyn Fn(&str) -> Option<IpAddr>;

/// An import that can run.
#[derive(Debug)]
pub struct Imported {
    /// The configuration, which [`crate::config::parse`] takes.
    pub config: String,
    /// What there is to say, in the order of the source.
    pub notes: Vec<Note>,
}

impl Imported {
    /// Whether it does all that the original does for clients, brokers and operators.
    pub fn complete(&self) -> bool {
        self.notes.iter().all(|n| n.weight != Weight::NotTaken)
    }
}

/// An import of which nothing that could run is left.
#[derive(Debug)]
pub struct Failed {
    /// What there is to say, in the order of the source.
    pub notes: Vec<Note>,
    /// Why nothing is left, one line each.
    pub why: Vec<String>,
}

/// Imports `text`, the content of the file `name`; `resolve` looks up host names.
///
/// # Errors
/// The text is neither of the two languages, or has no listener with a pool of brokers
/// that mqtt-lb could run.
pub fn import(name: &str, text: &str, resolve: Resolve<'_>) -> Result<Imported, Failed> {
    let mut draft = Draft::default();
    match language(text) {
        Some(Language::Haproxy) => haproxy::read(text, resolve, &mut draft),
        Some(Language::Nginx) => nginx::read(text, resolve, &mut draft),
        None => {
            let why = "this is neither a haproxy.cfg (sections such as `frontend NAME`) nor an \
                       nginx.conf (blocks such as `upstream NAME { … }`)";
            return Err(Failed {
                notes: Vec::new(),
                why: vec![why.to_owned()],
            });
        }
    }
    // Control characters would end the comments that name the file.
    let name = name.replace(char::is_control, "?");
    match judge::settle(&mut draft, &name) {
        Ok(config) => Ok(Imported {
            config,
            notes: draft.notes.into_vec(),
        }),
        Err(why) => Err(Failed {
            notes: draft.notes.into_vec(),
            why,
        }),
    }
}

/// What a file is written in.
enum Language {
    Haproxy,
    Nginx,
}

/// The language of `text`, by the first line that only one of them can have.
fn language(text: &str) -> Option<Language> {
    text.lines().find_map(|line| {
        let line = line.split('#').next().unwrap_or_default().trim();
        let mut words = line.split_whitespace();
        let word = words.next()?;
        let only = words.count() == usize::from(!["global", "defaults"].contains(&word));
        if haproxy::is_section(word) && !line.contains(['{', ';']) && (only || word == "defaults") {
            return Some(Language::Haproxy);
        }
        line.ends_with(['{', ';', '}']).then_some(Language::Nginx)
    })
}
