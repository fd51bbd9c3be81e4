//! `[share]`: the Redis through which balancers share their stick tables.

use std::fmt;
use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo as _};
use toml::Spanned;
use toml::de::DeValue;

use super::backend::check_name;
use super::section::Section;
use super::value::{Read, duration, size, string};

/// How balancers share their stick tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The server.
    pub redis: Redis,
    /// What all keys and channels in Redis begin with.
    pub prefix: String,
    /// Changes of a table that may wait for Redis, each for another key.
    pub queue: usize,
    /// How long a starting balancer waits for what Redis knows before it serves.
    pub wait: Duration,
    /// Time after which Redis counts as gone when it does not answer.
    pub timeout: Duration,
}

/// A Redis server and how to log in.
#[derive(Clone, PartialEq, Eq)]
pub struct Redis {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// User of an ACL; `None` is Redis' `default`.
    pub user: Option<String>,
    /// Password, if one is needed.
    pub password: Option<String>,
    /// Number of the database.
    pub db: i64,
}

impl fmt::Display for Redis {
    /// Without user and password: for logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "redis://[{}]:{}/{}", self.host, self.port, self.db),
            false => write!(f, "redis://{}:{}/{}", self.host, self.port, self.db),
        }
    }
}

impl fmt::Debug for Redis {
    /// As [`fmt::Display`]: a password has no place in an error message either.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Share {
    /// Reads the section; `None` when the server is missing or wrong, which is reported.
    pub(super) fn read(mut section: Section<'_>) -> Option<Self> {
        let redis = section.require("redis", "\"redis://10.0.0.9:6379/0\"", url);
        let prefix = section.or("prefix", "mqtt-lb".to_owned(), prefix);
        let queue = section.or("queue", 64 << 10, size(1..=16 << 20));
        let wait = section.or(
            "wait",
            Duration::from_secs(1),
            duration(Duration::ZERO..=Duration::from_secs(60)),
        );
        let timeout = section.or(
            "timeout",
            Duration::from_secs(1),
            duration(Duration::from_millis(10)..=Duration::from_secs(60)),
        );
        section.finish();
        redis.map(Spanned::into_inner).map(|redis| Self {
            redis,
            prefix,
            queue,
            wait,
            timeout,
        })
    }
}

fn prefix(value: &DeValue<'_>) -> Read<String> {
    let text = string(value)?;
    check_name(&text)?;
    Ok(text)
}

fn url(value: &DeValue<'_>) -> Read<Redis> {
    parse_url(&string(value)?)
}

/// Reads `redis://[user:password@]host[:port][/db]`. No message repeats the text, which may
/// hold a password.
fn parse_url(text: &str) -> Read<Redis> {
    const HOW: &str = "write \"redis://[user:password@]host:port/db\"";
    match text.split_once("://").map(|(scheme, _)| scheme) {
        Some("redis") => {}
        Some("rediss") => {
            return Err(
                "TLS to Redis is not supported: write redis://, and use a network of your own or \
                 a tunnel such as stunnel"
                    .to_owned(),
            );
        }
        _ => return Err(format!("this is not the address of a Redis server: {HOW}")),
    }
    if text.contains(['?', '#']) {
        return Err(format!(
            "? and # have no meaning here: {HOW}, with %3F and %23 in a password"
        ));
    }
    let info = text
        .into_connection_info()
        .map_err(|error| format!("this address is wrong ({error}): {HOW}"))?;
    match info.addr {
        ConnectionAddr::Tcp(host, port) if !host.is_empty() && port > 0 && info.redis.db >= 0 => {
            Ok(Redis {
                host,
                port,
                user: info.redis.username,
                password: info.redis.password,
                db: info.redis.db,
            })
        }
        _ => Err(format!("host, port or database is wrong: {HOW}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redis(host: &str, port: u16, login: Option<(&str, &str)>, db: i64) -> Redis {
        Redis {
            host: host.to_owned(),
            port,
            user: login
                .map(|(user, _)| user.to_owned())
                .filter(|user| !user.is_empty()),
            password: login.map(|(_, password)| password.to_owned()),
            db,
        }
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("redis://10.0.0.9", redis("10.0.0.9", 6379, None, 0)),
            (
                "redis://cache.local:7000/3",
                redis("cache.local", 7000, None, 3),
            ),
            ("redis://[::1]:6379/", redis("::1", 6379, None, 0)),
            (
                "redis://lb:se%40cret@h:1/0",
                redis("h", 1, Some(("lb", "se@cret")), 0),
            ),
            ("redis://:pass@h", redis("h", 6379, Some(("", "pass")), 0)),
        ] {
            assert_eq!(
                parse_url(text).map_err(|e| format!("{text}: {e}")),
                Ok(expected)
            );
        }
    }

    #[test]
    fn what_is_no_address_is_refused_without_its_password() {
        for text in [
            "",
            "10.0.0.9:6379",
            "rediss://u:secret@h",
            "unix:///secret.sock",
            "redis://u:secret@h:port",
            "redis://u:secret@h/x",
            "redis://u:secret@h/-1",
            "redis://u:secret@h/0?protocol=resp3",
            "redis://u:secret@h:0",
            "http://secret@h",
        ] {
            let error = parse_url(text).expect_err(text);
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let redis = redis("h", 1, Some(("user", "secret")), 2);
        assert_eq!(format!("{redis} {redis:?}"), "redis://h:1/2 redis://h:1/2");
    }
}
