//! `[log]`: what is logged, and in which shape.

use clap::ValueEnum;
use toml::de::DeValue;

use super::section::Section;
use super::value::{Read, boolean, choice, string};
use crate::logging;

/// How the program logs.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// Text lines or one JSON object a line.
    pub format: LogFormat,
    /// `tracing` filter directive, such as `info` or `mqtt_lb_user=debug`.
    pub level: String,
    /// Whether to write one line per finished session.
    pub sessions: bool,
}

/// Shape of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum LogFormat {
    /// HAProxy's tcplog shape for sessions, plain text for the rest.
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: "info".to_owned(),
            sessions: true,
        }
    }
}

impl Log {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let default = Self::default();
        let log = Self {
            format: section.or("format", default.format, choice),
            level: section.or("level", default.level, level),
            sessions: section.or("sessions", default.sessions, boolean),
        };
        section.finish();
        log
    }
}

/// A directive that the log takes.
fn level(value: &DeValue<'_>) -> Read<String> {
    let text = string(value)?;
    match logging::filter(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    }
}
