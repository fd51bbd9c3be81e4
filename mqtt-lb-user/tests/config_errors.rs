//! Every problem of a configuration is one line with its place, what is wrong
//! and what to do; nothing hides behind another problem.

use mqtt_lb_user::config::parse;

/// A file without a mistake; each case of the tables changes one line of it.
const GOOD: &str = r#"workers = 2
datapath = ["sockmap", "copy"]
[log]
level = "info"
[admin]
socket = "/run/x.sock"
[http]
listen = "127.0.0.1:9180"
[limits]
connect_buffer = "80k"
[timeouts]
tcp_keepalive = "1m"
[sockmap]
limit = "1M"
[listener.a]
bind = "0.0.0.0:1883"
pool = "x"
[pool.x]
balance = "hash"
[pool.x.stick]
size = "100k"
[pool.x.health]
timeout = "1s"
[[pool.x.backend]]
name = "e1"
address = "10.0.0.1:1883"
weight = 1
[[pool.x.backend]]
name = "e2"
address = "10.0.0.2:1883"
"#;

/// What stands in the good file, what stands there instead, the line it gives.
#[rustfmt::skip]
const MISTAKES: &[(&str, &str, &str)] = &[
    // Values of a wrong type.
    ("workers = 2", "workers = \"2\"", "f:1:11: workers: expected a whole number, found a string"),
    ("workers = 2", "workers = 1.5", "f:1:11: workers: expected a whole number, found a number with a fraction"),
    ("[\"sockmap\", \"copy\"]", "\"copy\"", "f:2:12: datapath: expected a list such as [\"splice\", \"sockmap\", \"copy\"], found a string"),
    ("[\"sockmap\", \"copy\"]", "[\"sockmap\", 1]", "f:2:12: datapath: expected one of \"splice\", \"sockmap\", \"copy\", found a whole number"),
    ("level = \"info\"", "level = true", "f:4:9: log.level: expected a string in quotes, found true or false"),
    ("level = \"info\"", "sessions = \"yes\"", "f:4:12: log.sessions: expected true or false, found a string"),
    ("\"1m\"", "60", "f:12:17: timeouts.tcp_keepalive: 60 has no unit: write \"60s\" or \"60ms\""),
    ("\"1m\"", "[\"1m\"]", "f:12:17: timeouts.tcp_keepalive: expected a duration such as \"10s\", found a list"),
    ("\"1M\"", "2020-01-01", "f:14:9: sockmap.limit: expected a size such as \"100k\", found a date or time"),
    ("\"127.0.0.1:9180\"", "9180", "f:8:10: http.listen: expected an address such as \"10.0.0.1:1883\", found a whole number"),
    ("[log]\nlevel = \"info\"", "log = \"info\"\n", "f:3:7: log: expected a section, found a string"),
    ("[pool.x.health]\ntimeout = \"1s\"", "[[pool.x.health]]\ntype = \"off\"", "f:22:1: pool.x.health: expected a section, found a list"),
    // What another section has to have, and what Redis is not reached by.
    ("size = \"100k\"", "shared = true", "f:1:1: pool.x.stick.shared needs a Redis server: add [share] with redis"),
    ("[sockmap]\n", "[share]\n[sockmap]\n", "f:13:1: share: redis is missing: add redis = \"redis://10.0.0.9:6379/0\""),
    ("[sockmap]\n", "[share]\nredis = \"rediss://h\"\n[sockmap]\n", "f:14:9: share.redis: TLS to Redis is not supported: write redis://, and use a network of your own or a tunnel such as stunnel"),
    // Values that are none.
    ("workers = 2", "workers = 0", "f:1:11: workers: 0 is out of range: allowed is 1 to 1024"),
    ("workers = 2", "workers = -2", "f:1:11: workers: -2 is out of range: allowed is 1 to 1024"),
    ("workers = 2", "workers = 99999999999999999999", "f:1:11: workers: 99999999999999999999 is out of range: allowed is 1 to 1024"),
    ("[\"sockmap\", \"copy\"]", "[]", "f:2:12: datapath: names no data path: write [\"splice\", \"sockmap\", \"copy\"] or [\"copy\"]"),
    ("[\"sockmap\", \"copy\"]", "[\"copy\", \"copy\"]", "f:2:12: datapath: names a data path twice: name each once"),
    ("[\"sockmap\", \"copy\"]", "[\"copy\", \"sockmap\"]", "f:2:12: datapath: names a data path behind \"copy\", which is always possible: put \"copy\" last"),
    ("[\"sockmap\", \"copy\"]", "[\"xdp\"]", "f:2:12: datapath: \"xdp\" is not one of \"splice\", \"sockmap\", \"copy\""),
    ("\"info\"", "\"inof\"", "f:4:9: log.level: log level \"inof\": want off, error, warn, info, debug or trace, or target=level, several separated by commas"),
    ("\"/run/x.sock\"", "\"\"", "f:6:10: admin.socket: \"\" is not a path for a socket: write 1 to 107 bytes, or off"),
    ("\"127.0.0.1:9180\"", "\"localhost:80\"", "f:8:10: http.listen: \"localhost:80\" is not an address: write a numeric IP and a port, such as \"10.0.0.1:1883\" or \"[::1]:1883\""),
    ("\"0.0.0.0:1883\"", "\"0.0.0.0:0\"", "f:16:8: listener.a.bind: \"0.0.0.0:0\" has port 0: give the port"),
    ("\"80k\"", "\"64k\"", "f:10:18: limits.connect_buffer: 64k is too small for a 64 KiB client id behind 8k of properties: write 73750 or more"),
    ("connect_buffer = \"80k\"", "connect_properties = \"80k\"", "f:9:1: limits: connect_buffer: the default 80k is too small for a 64 KiB client id behind 80k of properties: write 147478 or more"),
    ("connect_buffer = \"80k\"", "copy_buffer = \"2k\"", "f:10:15: limits.copy_buffer: \"2k\" is out of range: allowed is 4k to 1M"),
    ("\"80k\"", "\"80KB\"", "f:10:18: limits.connect_buffer: \"80KB\" is not a size: write a number with k, M or G (powers of 1024) or none, such as \"100k\""),
    ("\"1m\"", "\"1M\"", "f:12:17: timeouts.tcp_keepalive: \"1M\" is not a duration: write a number with ms, s, m, h or d, such as \"10s\""),
    ("\"1m\"", "\"2d\"", "f:12:17: timeouts.tcp_keepalive: \"2d\" is out of range: allowed is 0s to 9h"),
    ("\"1M\"", "\"1k\"", "f:14:9: sockmap.limit: \"1k\" is out of range: allowed is 64k to 1G"),
    ("\"100k\"", "0", "f:21:8: pool.x.stick.size: 0 is out of range: allowed is 1 to 128M"),
    ("size = \"100k\"", "snapshot = \"emqx.stick\"", "f:21:12: pool.x.stick.snapshot: \"emqx.stick\" is not the whole path of a file: write one such as \"/var/lib/mqtt-lb/emqx.stick\", or off"),
    ("size = \"100k\"", "snapshot = \"/\"", "f:21:12: pool.x.stick.snapshot: \"/\" is not the whole path of a file: write one such as \"/var/lib/mqtt-lb/emqx.stick\", or off"),
    ("size = \"100k\"", "snapshot = \"/a.tmp\"", "f:21:12: pool.x.stick.snapshot: \"/a.tmp\" may be beside another snapshot: choose a name that does not end in .tmp or .damaged"),
    ("size = \"100k\"", "snapshot_interval = \"10ms\"", "f:21:21: pool.x.stick.snapshot_interval: \"10ms\" is out of range: allowed is 1s to 1d"),
    ("\"hash\"", "\"rr\"", "f:19:11: pool.x.balance: \"rr\" is not one of \"roundrobin\", \"leastconn\", \"random\", \"source\", \"hash\""),
    ("pool = \"x\"", "pool = \"x\"\n[[listener.a.route]]\npool = \"y\"\nlevel = [3]", "f:19:8: listener.a.route.pool: there is no pool \"y\" (pools here: x)"),
    ("pool = \"x\"", "pool = \"x\"\n[[listener.a.route]]\npool = \"x\"", "f:18:1: listener.a.route: a route without a condition takes every client: add level, client_id or username, or make it the listener's pool"),
    ("pool = \"x\"", "pool = \"x\"\n[[listener.a.route]]\npool = \"x\"\nlevel = [6]", "f:20:9: listener.a.route.level: 6 is out of range: allowed is 3 to 5"),
    ("pool = \"x\"", "pool = \"x\"\n[[listener.a.route]]\npool = \"x\"\nlevel = []", "f:20:9: listener.a.route.level: names no level: write some of [3, 4, 5]"),
    ("pool = \"x\"", "pool = \"x\"\n[[listener.a.route]]\npool = \"x\"\nlevel = 4", "f:20:9: listener.a.route.level: expected a list such as [3, 4], found a whole number"),
    ("pool = \"x\"", "pool = \"x\"\n[[listener.a.route]]\npool = \"x\"\nusername = \"[\"", "f:20:12: listener.a.route.username: \"[\" is not a regular expression: unclosed character class"),
    ("balance = \"hash\"", "key.from = \"id\"", "f:19:12: pool.x.key.from: \"id\" is not one of \"client_id\", \"username\", \"will_topic\", \"source\", \"user_property\""),
    ("balance = \"hash\"", "key.property = \"tenant\"", "f:19:16: pool.x.key.property: is for from = \"user_property\" only: remove it, or change from"),
    ("[pool.x.stick]", "[pool.x.key]\nfrom = \"user_property\"\n[pool.x.stick]", "f:20:1: pool.x.key: property is missing: add property = \"NAME\""),
    ("[pool.x.stick]", "[pool.x.key]\nfrom = \"user_property\"\nproperty = \"\"\n[pool.x.stick]", "f:22:12: pool.x.key.property: is empty: write the name of one"),
    ("balance = \"hash\"", "key.match = \"(a\"", "f:19:13: pool.x.key.match: \"(a\" is not a regular expression: unclosed group"),
    ("balance = \"hash\"", "key.match = \"(\\\\w{100}){100}\"", "f:19:13: pool.x.key.match: \"(\\\\w{100}){100}\" takes more than 1 MiB when compiled: write smaller repetitions"),
    ("balance = \"hash\"", "key = { match = \"(a\", template = \"$1\" }", "f:19:17: pool.x.key.match: \"(a\" is not a regular expression: unclosed group"),
    ("balance = \"hash\"", "key.template = \"$1\"", "f:19:16: pool.x.key.template: \"$1\" names the group \"1\", which match does not have"),
    ("balance = \"hash\"", "key.template = \"\"", "f:19:16: pool.x.key.template: an empty template makes no key: write \"$0\" for the whole match"),
    ("balance = \"hash\"", "key.template = \"a$\"", "f:19:16: pool.x.key.template: \"a$\" has a $ without a group: write $1, ${name}, or $$ for a dollar"),
    ("balance = \"hash\"", "failover_codes = 0x88", "f:19:18: pool.x.failover_codes: expected a list such as [0x03, 0x88], found a whole number"),
    ("balance = \"hash\"", "failover_codes = [\"busy\"]", "f:19:18: pool.x.failover_codes: expected a whole number, found a string"),
    ("balance = \"hash\"", "failover_codes = [0x88, 0x100]", "f:19:18: pool.x.failover_codes: 0x100 is out of range: allowed is 1 to 255"),
    ("balance = \"hash\"", "failover_codes = [0]", "f:19:18: pool.x.failover_codes: 0 is out of range: allowed is 1 to 255"),
    ("balance = \"hash\"", "bounded_load = 100", "f:19:16: pool.x.bounded_load: 100 is out of range: allowed is 101 to 1000"),
    ("balance = \"hash\"", "slow_start = \"2d\"", "f:19:14: pool.x.slow_start: \"2d\" is out of range: allowed is 0s to 1d"),
    ("timeout = \"1s\"\n", "timeout = \"1s\"\n[pool.x.queue]\nsize = 0\n", "f:25:8: pool.x.queue.size: 0 is out of range: allowed is 1 to 1M"),
    ("weight = 1", "maxconn = -1", "f:27:11: pool.x.backend.maxconn: -1 is out of range: allowed is 0 to 1G"),
    ("weight = 1", "backup = 1", "f:27:10: pool.x.backend.backup: expected true or false, found a whole number"),
    ("timeout = \"1s\"", "type = \"http\"", "f:23:8: pool.x.health.type: \"http\" is not one of \"tcp\", \"mqtt\""),
    ("weight = 1", "weight = 257", "f:27:10: pool.x.backend.weight: 257 is out of range: allowed is 0 to 256"),
    ("\"e2\"", "\"a/b\"", "f:29:8: pool.x.backend.name: \"a/b\" is not a name: use 1 to 64 letters, digits and - _ . :"),
    ("[listener.a]", "[listener.\"a b\"]", "f:15:11: listener: \"a b\" is not a name: use 1 to 64 letters, digits and - _ . :"),
    ("\"10.0.0.2:1883\"", "\"[::]:1883\"", "f:30:11: pool.x.backend.address: [::]:1883 is not the address of one host: write the broker's own address"),
    ("limit = \"1M\"\n", "limit = \"1M\"\n[splice]\nports = \"10000\"\n", "f:16:9: splice.ports: \"10000\" is not a range of ports: write the first and the last one, 1024 to 65535, such as \"10000-32767\""),
    ("limit = \"1M\"\n", "limit = \"1M\"\n[splice]\nports = \"2000-1999\"\n", "f:16:9: splice.ports: \"2000-1999\" is not a range of ports: write the first and the last one, 1024 to 65535, such as \"10000-32767\""),
    ("limit = \"1M\"\n", "limit = \"1M\"\n[splice]\nports = \"1023-2000\"\n", "f:16:9: splice.ports: \"1023-2000\" is not a range of ports: write the first and the last one, 1024 to 65535, such as \"10000-32767\""),
    ("limit = \"1M\"\n", "limit = \"1M\"\n[splice]\nattach = \"generic\"\n", "f:16:10: splice.attach: \"generic\" is not one of \"auto\", \"tcx\", \"xdp\""),
    ("limit = \"1M\"\n", "limit = \"1M\"\n[splice]\ninterfaces = \"eth0\"\n", "f:16:14: splice.interfaces: expected a list such as [\"eth0\"], found a string"),
    ("limit = \"1M\"\n", "limit = \"1M\"\n[splice]\ninterfaces = [\"longer-than-15-b\"]\n", "f:16:14: splice.interfaces: \"longer-than-15-b\" is not the name of an interface: write one as `ip link` shows it"),
    ("limit = \"1M\"\n", "limit = \"1M\"\n[splice]\ninterfaces = [\"lo\", \"lo\"]\n", "f:16:14: splice.interfaces: names \"lo\" twice: name each once"),
    ("limit = \"1M\"\n", "limit = \"1M\"\n[splice]\nmax_flows = 0\n", "f:16:13: splice.max_flows: 0 is out of range: allowed is 1 to 4M"),
    ("limit = \"1M\"\n", "limit = \"1M\"\n[splice]\nidle_timeout = \"0s\"\n", "f:16:16: splice.idle_timeout: \"0s\" is out of range: allowed is 1s to 30d"),
    ("limit = \"1M\"\n", "limit = \"1M\"\n[splice]\npin = \"mqtt-lb\"\n", "f:16:7: splice.pin: \"mqtt-lb\" is not an absolute path: write a directory on bpffs, such as \"/sys/fs/bpf/mqtt-lb\""),
    ("limit = \"1M\"\n", "limit = \"1M\"\n[splice]\ndrop_flows = 1\n", "f:16:14: splice.drop_flows: expected true or false, found a whole number"),
    ("timeout = \"1s\"\n", "timeout = \"1s\"\n[pool.x.on_marked_down]\nsessions = \"drop\"\n", "f:25:12: pool.x.on_marked_down.sessions: \"drop\" is not one of \"close\", \"keep\""),
    ("timeout = \"1s\"\n", "timeout = \"1s\"\n[pool.x.on_marked_down]\nclose_rate = 0\n", "f:25:14: pool.x.on_marked_down.close_rate: 0 is out of range: allowed is 1 to 1M"),
    ("timeout = \"1s\"\n", "timeout = \"1s\"\n[pool.x.rebalance]\nrate = 0\n", "f:25:8: pool.x.rebalance.rate: 0 is out of range: allowed is 1 to 100k"),
    ("timeout = \"1s\"\n", "timeout = \"1s\"\n[pool.x.rebalance]\nmax_moved = 1.5\n", "f:25:13: pool.x.rebalance.max_moved: 1.5 is out of range: allowed is 0.01 to 1"),
    ("timeout = \"1s\"\n", "timeout = \"1s\"\n[pool.x.rebalance]\nskew = nan\n", "f:25:8: pool.x.rebalance.skew: nan is out of range: allowed is 1.01 to 100"),
    ("timeout = \"1s\"\n", "timeout = \"1s\"\n[pool.x.rebalance]\nskew = \"1.2\"\n", "f:25:8: pool.x.rebalance.skew: expected a number, found a string"),
    // Keys nobody knows.
    ("workers = 2", "worker = 2", "f:1:1: worker: unknown key, did you mean workers? (known here: admin, datapath, guard, http, ids, limits, listener, log, pool, share, sockmap, splice, timeouts, workers)"),
    ("level = ", "colour = ", "f:4:1: log.colour: unknown key (known here: format, level, sessions)"),
    ("socket = ", "socke = ", "f:6:1: admin.socke: unknown key, did you mean socket? (known here: socket)"),
    ("listen = ", "bind = ", "f:8:1: http.bind: unknown key (known here: listen)"),
    ("connect_buffer = ", "buffer = ", "f:10:1: limits.buffer: unknown key (known here: connect_buffer, connect_properties, copy_buffer, max_connections, max_pending)"),
    ("tcp_keepalive = ", "keepalive = ", "f:12:1: timeouts.keepalive: unknown key, did you mean tcp_keepalive? (known here: connack, connect, connect_packet, drain, shutdown_grace, tcp_keepalive)"),
    ("limit = ", "limits = ", "f:14:1: sockmap.limits: unknown key, did you mean limit? (known here: limit, local_brokers, max_flows, policy)"),
    ("limit = \"1M\"\n", "limit = \"1M\"\n[splice]\nport = \"1\"\n", "f:16:1: splice.port: unknown key, did you mean ports? (known here: attach, drop_flows, idle_timeout, interfaces, max_flows, pin, ports)"),
    ("bind = ", "bnid = \"\"\nbind = ", "f:16:1: listener.a.bnid: unknown key, did you mean bind? (known here: backlog, bind, pool, route)"),
    ("balance = ", "blance = ", "f:19:1: pool.x.blance: unknown key, did you mean balance? (known here: backend, balance, bounded_load, empty_client_id, failover_codes, health, key, on_marked_down, proxy_protocol, queue, rebalance, slow_start, stick)"),
    ("size = ", "len = ", "f:21:1: pool.x.stick.len: unknown key (known here: expire, nopurge, shared, size, snapshot, snapshot_interval)"),
    ("timeout = ", "timeuot = ", "f:23:1: pool.x.health.timeuot: unknown key, did you mean timeout? (known here: fall, interval, rise, timeout, type)"),
    ("timeout = \"1s\"\n", "timeout = \"1s\"\n[pool.x.on_marked_down]\nrate = 1\n", "f:25:1: pool.x.on_marked_down.rate: unknown key (known here: close_rate, sessions)"),
    ("weight = ", "wieght = ", "f:27:1: pool.x.backend.wieght: unknown key, did you mean weight? (known here: address, backup, maxconn, name, weight)"),
    // Keys that are missing.
    ("bind = \"0.0.0.0:1883\"\n", "", "f:15:1: listener.a: bind is missing: add bind = \"0.0.0.0:1883\""),
    ("pool = \"x\"\n", "", "f:15:1: listener.a: pool is missing: add pool = \"NAME\""),
    ("name = \"e2\"\n", "", "f:28:1: pool.x.backend: name is missing: add name = \"emqx1\""),
    ("address = \"10.0.0.2:1883\"\n", "", "f:28:1: pool.x.backend: address is missing: add address = \"10.0.0.1:1883\""),
    // Values that do not fit together.
    ("[pool.x.stick]\nsize = \"100k\"", "[pool.x.rebalance]\nrate = 1", "f:18:1: pool.x: rebalance moves the entries of a stick table, and there is none: add [pool.x.stick], or take [pool.x.rebalance] out"),
    ("pool = \"x\"", "pool = \"y\"", "f:17:8: listener.a.pool: there is no pool \"y\" (pools here: x)"),
    ("\"1s\"", "\"3s\"", "f:23:11: pool.x.health.timeout: 3s is longer than the interval 2s: make it shorter, or the interval longer"),
    ("\"e2\"", "\"e1\"", "f:29:8: pool.x.backend.name: \"e1\" is already the name of a backend of this pool: take another one"),
    ("\"10.0.0.2:1883\"", "\"10.0.0.1:1883\"", "f:30:11: pool.x.backend.address: 10.0.0.1:1883 is already the address of backend e1: remove one, a bigger share is a bigger weight"),
    ("\"10.0.0.2:1883\"", "\"127.0.0.1:1883\"", "f:30:11: pool.x.backend.address: 127.0.0.1:1883 is listener a of this balancer: write the address of the broker"),
    ("\"127.0.0.1:9180\"", "\"0.0.0.0:1883\"", "f:8:10: http.listen: 0.0.0.0:1883 is already the address of listener a: take another one"),
    ("[pool.x]", "[listener.b]\nbind = \"0.0.0.0:1883\"\npool = \"x\"\n[pool.x]", "f:19:8: listener.b.bind: 0.0.0.0:1883 is already the address of listener a: take another one"),
    ("size = \"100k\"", "snapshot = \"/s\"\n[pool.w]\nstick.snapshot = \"//./s\"\n[[pool.w.backend]]\nname = \"e\"\naddress = \"10.0.0.9:1\"", "f:23:18: pool.w.stick.snapshot: //./s is already the file of pool x: take another one"),
    // Not TOML.
    ("workers = 2", "workers =", "f:1:10: not TOML: no value behind the `=`, write one"),
    ("\"info\"", "info", "f:4:9: not TOML: not a number, true or false: a string needs quotes"),
    ("\"hash\"", "\"hash", "f:19:16: not TOML: invalid basic string, expected `\"`"),
    ("weight = 1", "name = \"e3\"", "f:27:1: not TOML: duplicate key"),
    ("[http]\nlisten = \"127.0.0.1:9180\"", "[limits]\nmax_pending = 1", "f:9:2: not TOML: duplicate key"),
];

fn problems(text: &str) -> Vec<String> {
    match parse("f", text) {
        Ok(_) => Vec::new(),
        Err(error) => {
            assert_eq!(error.to_string(), error.lines().join("\n"));
            error.lines().to_vec()
        }
    }
}

#[test]
fn the_good_file_is_good() {
    assert_eq!(problems(GOOD), [""; 0]);
}

#[test]
fn one_mistake_gives_exactly_one_line() {
    for (good, bad, expected) in MISTAKES {
        assert_eq!(GOOD.matches(good).count(), 1, "{good}");
        assert_eq!(problems(&GOOD.replace(good, bad)), [*expected], "{bad}");
    }
}

#[test]
fn every_mistake_of_a_file_is_reported_in_its_order() {
    let text = r#"workers = 0
[listener]
bind = "0.0.0.0:1883"
[listener.a]
bind = "0.0.0.0:1883"
pool = "y"
backlog = 0
[[pool]]
name = "x"
"#;
    assert_eq!(
        problems(text),
        [
            "f:1:11: workers: 0 is out of range: allowed is 1 to 1024",
            "f:3:1: listener.bind: expected a section [listener.NAME], found a string",
            "f:6:8: listener.a.pool: there is no pool \"y\" (the file has no pool)",
            "f:7:11: listener.a.backlog: 0 is out of range: allowed is 1 to 65535",
            "f:8:1: pool: expected sections [pool.NAME], found a list",
        ]
    );
}

#[test]
fn an_empty_file_lacks_listener_and_pool() {
    assert_eq!(
        problems(""),
        [
            "f:1:1: no listener: add [listener.NAME]",
            "f:1:1: no pool: add [pool.NAME]",
        ]
    );
    assert_eq!(
        problems("[listener.a]\nbind = \"0.0.0.0:1883\"\npool = \"x\"\n[pool.x]\n"),
        ["f:4:1: pool.x: no backend: add [[pool.x.backend]] with name and address",]
    );
}

/// A broken line hides neither what is wrong elsewhere nor makes up problems.
#[test]
fn a_syntax_error_does_not_hide_the_rest() {
    let text = GOOD
        .replace("bind = \"0.0.0.0:1883\"", "bind = 0.0.0.0:1883")
        .replace("[pool.x]", "[pool.x")
        .replace("weight = 1", "weight = 300");
    assert_eq!(
        problems(&text),
        [
            "f:16:11: not TOML: not a number, true or false: a string needs quotes",
            "f:18:8: not TOML: unclosed table, expected `]`",
            "f:27:10: pool.x.backend.weight: 300 is out of range: allowed is 0 to 256",
        ]
    );
}

#[test]
fn columns_count_characters() {
    let text = GOOD
        .replace("workers = 2", "\"é€\" = 1")
        .replace("level =", "\"ü\" = 1 # ü\nlevel =");
    let lines = problems(&text);
    assert!(lines[0].starts_with("f:1:1: é€: unknown key"), "{lines:?}");
    assert!(
        lines[1].starts_with("f:4:1: log.ü: unknown key"),
        "{lines:?}"
    );
    let inline = GOOD.replace("level = \"info\"", "format = { \"ü\" = 1, level = x }");
    assert_eq!(
        problems(&inline)[0],
        "f:4:29: not TOML: not a number, true or false: a string needs quotes"
    );
}
