//! `[pool.NAME.health]`: active health checks.

use std::time::Duration;

use clap::ValueEnum;
use toml::Spanned;

use super::section::Section;
use super::units::duration_text;
use super::value::{choice, duration, integer, or_off};

/// Active health checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Health {
    /// What a check does.
    pub kind: CheckKind,
    /// Time between two checks.
    pub interval: Duration,
    /// Time a check may take.
    pub timeout: Duration,
    /// Good checks in a row until a backend is up.
    pub rise: u32,
    /// Bad checks in a row until a backend is down.
    pub fall: u32,
}

/// What a health check does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub enum CheckKind {
    /// Connect, send the PROXY header where the pool has one, close.
    Tcp,
    /// Connect, PROXY header, CONNECT, and wait for any CONNACK.
    Mqtt,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            kind: CheckKind::Tcp,
            interval: Duration::from_secs(2),
            timeout: Duration::from_secs(1),
            rise: 2,
            fall: 3,
        }
    }
}

impl Health {
    /// `None` when the file switches the checks off.
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let default = Self::default();
        let time = || duration(Duration::from_millis(10)..=Duration::from_secs(3600));
        let kind = section.or("type", Some(default.kind), or_off(choice));
        let interval = section.get("interval", time());
        let timeout = section.get("timeout", time());
        let rise = section.or("rise", default.rise, integer(1..=100));
        let fall = section.or("fall", default.fall, integer(1..=100));
        // A wrong interval is reported already and says nothing about the timeout.
        let known = interval.is_some() || !section.has("interval");
        let interval = interval.map_or(default.interval, Spanned::into_inner);
        let longer = timeout
            .as_ref()
            .filter(|t| known && *t.get_ref() > interval);
        if let Some(timeout) = longer {
            let message = format!(
                "{} is longer than the interval {}: make it shorter, or the interval longer",
                duration_text(*timeout.get_ref()),
                duration_text(interval),
            );
            section.wrong("timeout", timeout.span(), &message);
        }
        section.finish();
        Some(Self {
            kind: kind?,
            interval,
            // An interval below the usual timeout shortens the timeout with it.
            timeout: timeout.map_or(default.timeout.min(interval), Spanned::into_inner),
            rise,
            fall,
        })
    }
}
