//! Where log records go: standard error, as text or as JSON.

use std::fmt;
use std::io::IsTerminal;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::{self, FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, layer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use crate::config::{Log, LogFormat};
use crate::session;

/// Why the log cannot be set up.
#[derive(Debug)]
pub enum LogError {
    /// This part of the level directive is none.
    Directive(String),
    /// The process has a logger already.
    Installed(TryInitError),
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directive(part) => write!(
                f,
                "log level {part:?}: want off, error, warn, info, debug or trace, or \
                 target=level, several separated by commas"
            ),
            Self::Installed(error) => write!(f, "logging is already set up: {error}"),
        }
    }
}

impl std::error::Error for LogError {}

/// Reads a level directive: levels (`info`) and `target=level` pairs, separated
/// by commas, as in `warn,mqtt_lb_user::backend=debug`.
///
/// # Errors
/// Names the first part that is neither. A lone word that is not a level is one
/// of them, so that a misspelt level is not taken for a target.
pub fn filter(level: &str) -> Result<Targets, LogError> {
    level.split(',').try_fold(quiet_loader(), |targets, part| {
        let bad = || LogError::Directive(part.to_owned());
        let parse = |level: &str| match level.trim() {
            "" => Err(bad()),
            level => level.parse::<LevelFilter>().map_err(|_| bad()),
        };
        match part.split_once('=') {
            None => Ok(targets.with_default(parse(part)?)),
            Some((target, level)) => {
                let target = target.trim();
                let word = |c: char| c.is_ascii_alphanumeric() || "_:-.".contains(c);
                if target.is_empty() || !target.chars().all(word) {
                    return Err(bad());
                }
                Ok(targets.with_target(target, parse(level)?))
            }
        }
    })
}

/// The loader of the kernel programs tells of every relocation at level debug, thousands
/// of lines; who wants them names it.
fn quiet_loader() -> Targets {
    let targets = Targets::new().with_target("aya", LevelFilter::WARN);
    targets.with_target("aya_obj", LevelFilter::WARN)
}

/// Starts logging for the whole process, records of the `log` crate (such as
/// those of the kernel programs) included.
///
/// Session lines follow `log.sessions` alone, whatever the level is.
///
/// # Errors
/// A bad level directive, or a second call.
pub fn init(log: &Log) -> Result<(), LogError> {
    let sessions = if log.sessions {
        LevelFilter::INFO
    } else {
        LevelFilter::OFF
    };
    let filter = filter(&log.level)?.with_target(session::TARGET, sessions);
    let registry = tracing_subscriber::registry().with(filter);
    let result = match log.format {
        LogFormat::Text => {
            let ansi = std::io::stderr().is_terminal();
            let lines = layer().with_ansi(ansi).with_writer(std::io::stderr);
            registry
                .with(lines.event_format(Lines(format::format().compact())))
                .try_init()
        }
        LogFormat::Json => {
            let lines = layer().json().with_writer(std::io::stderr);
            let json = format::format().json().flatten_event(true);
            registry.with(lines.event_format(Lines(json))).try_init()
        }
    };
    result.map_err(LogError::Installed)
}

/// Session lines as they are, all others in the format `F`.
struct Lines<F>(F);

impl<S, N, F> FormatEvent<S, N> for Lines<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.metadata().target() != session::TARGET {
            return self.0.format_event(context, writer, event);
        }
        let mut message = Message {
            writer: writer.by_ref(),
            result: Ok(()),
        };
        event.record(&mut message);
        message.result?;
        writeln!(writer)
    }
}

/// Writes an event's message and nothing else of it.
struct Message<'a> {
    writer: Writer<'a>,
    result: fmt::Result,
}

impl Visit for Message<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.result = write!(self.writer, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::Level;

    #[test]
    fn directives() {
        let filter = filter("warn, mqtt_lb_user::backend=debug").expect("valid");
        assert!(filter.would_enable("mqtt_lb_user::backend::monitor", &Level::DEBUG));
        assert!(!filter.would_enable("mqtt_lb_user::flow", &Level::INFO));
        assert!(filter.would_enable("mqtt_lb_user::flow", &Level::WARN));
    }

    #[test]
    fn bad_directives_are_named() {
        for (level, part) in [
            ("", ""),
            ("inof", "inof"),
            ("info,", ""),
            ("info,a=loud", "a=loud"),
            ("=info", "=info"),
        ] {
            match filter(level) {
                Err(LogError::Directive(named)) => assert_eq!(named, part, "{level}"),
                other => panic!("{level:?} gave {other:?}"),
            }
        }
        let error = filter("inof").expect_err("no level").to_string();
        assert!(
            error.starts_with("log level \"inof\": want off, error,"),
            "{error}"
        );
        assert!(!error.contains('\n'));
    }
}
