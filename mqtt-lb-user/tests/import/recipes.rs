//! The two published recipes as `docs/recipes.md` shows them: what an import makes of
//! each is the file that stands beside it there.

use std::path::{Path, PathBuf};

use crate::common::done;
use mqtt_lb_user::config::{Config, load};

fn root() -> PathBuf {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_root.parent().expect("workspace").to_owned()
}

/// The block in `language` of the page of recipes.
fn recipe(language: &str) -> String {
    let page = std::fs::read_to_string(root().join("docs/recipes.md")).expect("the page");
    let behind = page
        .split_once(&format!("```{language}\n"))
        .expect("a block")
        .1;
    behind.split_once("```").expect("its end").0.to_owned()
}

fn example(name: &str) -> Config {
    load(&root().join("examples").join(name)).expect("a valid example")
}

#[test]
fn haproxy() {
    let imported = done(&recipe("haproxy"));
    let expected = Config {
        // The recipe names its socket, the example has the default.
        admin: Some("/run/haproxy/admin.sock".into()),
        ..example("haproxy-recipe.toml")
    };
    assert_eq!(imported.config, expected, "{}", imported.text);
    assert!(imported.complete, "{:#?}", imported.notes);
    let said = imported.note(22, "len 32");
    assert!(said.starts_with("not needed: keys are whole"), "{said}");
    assert!(imported.note(3, "mode 660").starts_with("differs: "));
    assert_eq!(imported.notes.len(), 5, "{:#?}", imported.notes);
}

#[test]
fn nginx() {
    let imported = done(&recipe("nginx"));
    assert_eq!(imported.config, example("nginx-plus-recipe.toml"));
    assert!(imported.complete, "{:#?}", imported.notes);
    assert_eq!(imported.notes.len(), 2, "{:#?}", imported.notes);
}

/// As the article has it, which HAProxy starts and which does not stick there.
const ARTICLE: &str = "\
global
  log stdout format raw daemon debug
  nbproc 1
  nbthread 2
  cpu-map auto:1/1-2 0-1
  stats socket :29999 level admin expose-fd listeners

defaults
  log global
  mode tcp
  option tcplog
  maxconn 1024000
  timeout connect 30000
  timeout client 600s
  timeout server 600s

frontend emqx_tcp
  mode tcp
  option tcplog
  bind *:1883
  default_backend emqx_tcp_back

backend emqx_tcp_back
  mode tcp
  stick-table type string len 32 size 100k expire 30m
  stick on req.payload(0,0),mqtt_field_value(connect,client_identifier)
  server emqx1 10.0.0.1:1883 check-send-proxy send-proxy-v2
  server emqx2 10.0.0.2:1883 check-send-proxy send-proxy-v2
";

#[test]
fn the_article() {
    let imported = done(ARTICLE);
    let config = &imported.config;
    assert_eq!(
        (config.workers, config.limits.max_connections),
        (2, 1_024_000)
    );
    assert_eq!(config.timeouts.connect.as_secs(), 30);
    let pool = &config.pools[&config.listeners["emqx_tcp"].pool];
    let recipe = example("haproxy-recipe.toml").pools["emqx"].clone();
    assert_eq!(pool.stick, recipe.stick);
    assert_eq!(pool.proxy_protocol, recipe.proxy_protocol);
    assert_eq!(pool.backends, recipe.backends[..2]);
    // Nobody can talk to the balancer on that port any more.
    let socket = "6: stats socket :29999 level admin expose-fd listeners";
    assert_eq!(imported.not_taken(), [socket]);
    assert!(
        imported
            .note(27, "server emqx1 10.0.0.1:1883")
            .contains("no `check`")
    );
}
