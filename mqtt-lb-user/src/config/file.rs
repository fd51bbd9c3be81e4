//! From the text of a file to a [`Config`], or to everything that is wrong with it.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use super::backend::check_name;
use super::clash::Addresses;
use super::error::{ConfigError, Problems};
use super::section::{Place, Section};
use super::syntax::explain;
use super::value::{address, integer, or_off, socket_path};
use super::{Config, Ids, Limits, Listener, Log, PathKind, Pool, Share, Sockmap, Splice, Timeouts};

/// Bytes of a configuration file at most; a device or a wrong file is refused.
const MAX_FILE: u64 = 16 << 20;

/// Reads and validates the configuration in the file `path`.
///
/// # Errors
/// The file cannot be read, or any of its problems (see [`ConfigError`]).
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_FILE + 1).read_to_end(&mut bytes))
        .map_err(|error| ConfigError::whole(&name, format_args!("cannot be read: {error}")))?;
    if bytes.len() as u64 > MAX_FILE {
        let message = "is larger than 16 MiB: this is not a configuration file";
        return Err(ConfigError::whole(&name, message));
    }
    match String::from_utf8(bytes) {
        Ok(text) => parse(&name, &text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes());
            let problems = Problems::default();
            problems.syntax(at..at, "is not UTF-8: save the file as UTF-8".to_owned());
            Err(problems
                .into_error(&name, &text)
                .expect("one problem was added"))
        }
    }
}

/// Validates the configuration in `text`; `name` stands in front of its problems.
///
/// # Errors
/// Any problem of the text (see [`ConfigError`]).
pub fn parse(name: &str, text: &str) -> Result<Config, ConfigError> {
    let problems = Problems::default();
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let message = explain(text, &span, error.message());
        problems.syntax(span, message);
    }
    let config = read(Section::root(document.get_ref(), &problems), &problems);
    match problems.into_error(name, text) {
        None => Ok(config),
        Some(error) => Err(error),
    }
}

/// Reads the whole file; what is wrong goes to `problems`.
fn read(mut root: Section<'_>, problems: &Problems) -> Config {
    let default = Config::default();
    let mut addresses = Addresses::new();
    let mut config = Config {
        workers: root.or("workers", default.workers, integer(1..=1024)),
        datapath: root.or("datapath", default.datapath, PathKind::read_list),
        log: root.section("log").map_or(default.log, Log::read),
        admin: root
            .section("admin")
            .map_or(default.admin.clone(), |s| read_admin(s, default.admin)),
        http: default.http,
        limits: root.section("limits").map_or(default.limits, Limits::read),
        timeouts: root
            .section("timeouts")
            .map_or(default.timeouts, Timeouts::read),
        ids: root.section("ids").map_or(default.ids, Ids::read),
        splice: root.section("splice").map_or(default.splice, Splice::read),
        sockmap: root
            .section("sockmap")
            .map_or(default.sockmap, Sockmap::read),
        share: root.section("share").and_then(Share::read),
        listeners: default.listeners,
        pools: default.pools,
    };

    let pools = root.named("pool");
    let names: Vec<&str> = pools.iter().map(|(name, _)| *name.get_ref()).collect();
    for (name, section) in root.named("listener") {
        check("listener", &name, problems);
        let name = *name.get_ref();
        if let Some(listener) = Listener::read(section, name, &names, &mut addresses) {
            config.listeners.insert(name.to_owned(), listener);
        }
    }
    for (name, section) in pools {
        check("pool", &name, problems);
        let name = *name.get_ref();
        let pool = Pool::read(section, name, &mut addresses);
        if pool.shared && !root.has("share") {
            root.missing(&format!(
                "pool.{name}.stick.shared needs a Redis server: add [share] with redis"
            ));
        }
        config.pools.insert(name.to_owned(), pool);
    }
    config.http = match root.section("http") {
        Some(section) => read_http(section, default.http, &mut addresses),
        None => default.http,
    };
    for key in ["listener", "pool"] {
        if !root.has(key) {
            root.missing(&format!("no {key}: add [{key}.NAME]"));
        }
    }
    root.finish();
    for (place, message) in addresses.clashes() {
        place.wrong(problems, &message);
    }
    config
}

/// Reports a name that no listener or pool (`key`) may have.
fn check(key: &str, name: &Spanned<&str>, problems: &Problems) {
    if let Err(message) = check_name(name.get_ref()) {
        problems.wrong(name.span(), format!("{key}: {message}"));
    }
}

/// `[admin]`: the unix admin socket.
fn read_admin(mut section: Section<'_>, default: Option<PathBuf>) -> Option<PathBuf> {
    let socket = section.or("socket", default, or_off(socket_path));
    section.finish();
    socket
}

/// `[http]`: the endpoint for metrics and health.
fn read_http(
    mut section: Section<'_>,
    default: Option<SocketAddr>,
    addresses: &mut Addresses<Place>,
) -> Option<SocketAddr> {
    let listen = section.get("listen", or_off(address));
    if let Some(listen) = &listen {
        if let Some(http) = *listen.get_ref() {
            let place = section.place("listen", listen.span());
            addresses.bound(http, "the HTTP endpoint".to_owned(), place);
        }
    }
    section.finish();
    listen.map_or(default, Spanned::into_inner)
}
