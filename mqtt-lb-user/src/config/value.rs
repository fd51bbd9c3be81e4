//! Readers of single values: a TOML value in, a checked type or one line out.

use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use toml::de::DeValue;

use super::units::{duration_text, parse_duration, parse_size, size_text};

/// Bytes of a unix socket's path at most (`sun_path` without its NUL).
const MAX_SOCKET_PATH: usize = 107;

/// What a reader answers: the value, or what is wrong and what to write instead.
pub(super) type Read<T> = Result<T, String>;

/// Any string.
pub(super) fn string(value: &DeValue<'_>) -> Read<String> {
    match value {
        DeValue::String(text) => Ok(text.to_string()),
        other => Err(expected("a string in quotes", other)),
    }
}

/// `true` or `false`.
pub(super) fn boolean(value: &DeValue<'_>) -> Read<bool> {
    value
        .as_bool()
        .ok_or_else(|| expected("true or false", value))
}

/// A numeric address with a port.
pub(super) fn address(value: &DeValue<'_>) -> Read<SocketAddr> {
    match value {
        DeValue::String(text) => parse_address(text),
        other => Err(expected("an address such as \"10.0.0.1:1883\"", other)),
    }
}

/// Reads `IP:PORT`, with a port that is not 0.
///
/// # Errors
/// One line: what is wrong and how an address is written.
pub fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| {
        format!(
            "{text:?} is not an address: write a numeric IP and a port, such as \"10.0.0.1:1883\" or \"[::1]:1883\""
        )
    })?;
    match address.port() {
        0 => Err(format!("{text:?} has port 0: give the port")),
        _ => Ok(address),
    }
}

/// A path for a unix socket.
pub(super) fn socket_path(value: &DeValue<'_>) -> Read<PathBuf> {
    parse_socket_path(&string(value)?)
}

/// Reads a path that fits into a unix socket's address.
///
/// # Errors
/// One line: how long a path may be.
pub fn parse_socket_path(path: &str) -> Result<PathBuf, String> {
    match path.len() {
        1..=MAX_SOCKET_PATH if !path.contains('\0') => Ok(PathBuf::from(path)),
        _ => Err(format!(
            "{path:?} is not a path for a socket: write 1 to {MAX_SOCKET_PATH} bytes, or off"
        )),
    }
}

/// One of the words of `T`.
pub(super) fn choice<T: ValueEnum>(value: &DeValue<'_>) -> Read<T> {
    let words = words::<T>();
    match value {
        DeValue::String(text) => {
            T::from_str(text, false).map_err(|_| format!("{text:?} is not one of {words}"))
        }
        other => Err(expected(&format!("one of {words}"), other)),
    }
}

/// The words of `T`, quoted, for messages.
fn words<T: ValueEnum>() -> String {
    let names = T::value_variants().iter().filter_map(T::to_possible_value);
    let quoted: Vec<String> = names.map(|v| format!("{:?}", v.get_name())).collect();
    quoted.join(", ")
}

/// The word `"off"`, or what `read` takes.
pub(super) fn or_off<T>(
    read: impl Fn(&DeValue<'_>) -> Read<T>,
) -> impl Fn(&DeValue<'_>) -> Read<Option<T>> {
    move |value| match value.as_str() {
        Some("off") => Ok(None),
        _ => read(value).map(Some),
    }
}

/// A whole number within `range`.
pub(super) fn integer<T: Number>(range: RangeInclusive<T>) -> impl Fn(&DeValue<'_>) -> Read<T> {
    move |value| match value {
        DeValue::Integer(_) => within(number(value), &range, value, T::to_string),
        other => Err(expected("a whole number", other)),
    }
}

/// A number within `range` that may have a fraction.
pub(super) fn fraction(range: RangeInclusive<f64>) -> impl Fn(&DeValue<'_>) -> Read<f64> {
    move |value| {
        let number = match value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            DeValue::Integer(integer) => integer.as_str().parse().ok(),
            other => return Err(expected("a number", other)),
        };
        within(number, &range, value, f64::to_string)
    }
}

/// A number with an optional size suffix, within `range`.
pub(super) fn size<T: Number>(range: RangeInclusive<T>) -> impl Fn(&DeValue<'_>) -> Read<T> {
    move |value| {
        let size = match value {
            DeValue::Integer(_) => number(value),
            DeValue::String(text) => T::try_from(parse_size(text)?).ok(),
            other => return Err(expected("a size such as \"100k\"", other)),
        };
        within(size, &range, value, |bound| {
            bound
                .to_string()
                .parse()
                .map_or_else(|_| bound.to_string(), size_text)
        })
    }
}

/// A duration within `range`.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&DeValue<'_>) -> Read<Duration> {
    move |value| match value {
        DeValue::String(text) => within(Some(parse_duration(text)?), &range, value, |bound| {
            duration_text(*bound)
        }),
        DeValue::Integer(n) => Err(format!("{n} has no unit: write \"{n}s\" or \"{n}ms\"")),
        other => Err(expected("a duration such as \"10s\"", other)),
    }
}

/// An unsigned number of the configuration.
pub(super) trait Number: TryFrom<u64> + PartialOrd + Copy + Display {}

impl<T: TryFrom<u64> + PartialOrd + Copy + Display> Number for T {}

fn number<T: Number>(value: &DeValue<'_>) -> Option<T> {
    let integer = value.as_integer()?;
    let n = u64::from_str_radix(integer.as_str(), integer.radix()).ok()?;
    T::try_from(n).ok()
}

fn within<T: PartialOrd>(
    value: Option<T>,
    range: &RangeInclusive<T>,
    written: &DeValue<'_>,
    text: impl Fn(&T) -> String,
) -> Read<T> {
    value.filter(|value| range.contains(value)).ok_or_else(|| {
        let written = match written {
            DeValue::Integer(n) => n.to_string(),
            DeValue::Float(n) => n.to_string(),
            other => format!("{:?}", other.as_str().unwrap_or_default()),
        };
        let (least, most) = (text(range.start()), text(range.end()));
        format!("{written} is out of range: allowed is {least} to {most}")
    })
}

/// The message for a value of the wrong type.
pub(super) fn expected(what: &str, found: &DeValue<'_>) -> String {
    let kind = match found {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    };
    format!("expected {what}, found {kind}")
}
