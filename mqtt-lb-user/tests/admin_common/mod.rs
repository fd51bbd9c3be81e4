//! What the tests of the admin surface have in common: two pools to look at.

use std::sync::Arc;

use mqtt_lb_user::admin::Context;
use mqtt_lb_user::backend::Pools;
use mqtt_lb_user::config;
use mqtt_lb_user::metrics::Metrics;

const CONFIG: &str = r#"
[listener.mqtt]
bind = "127.0.0.1:1883"
pool = "emqx"

[pool.emqx]
balance = "roundrobin"
stick = { size = "10k", expire = "30m" }

[pool.emqx.health]
type = "off"

[[pool.emqx.backend]]
name = "emqx1"
address = "127.0.0.1:11883"

[[pool.emqx.backend]]
name = "emqx2"
address = "127.0.0.1:21883"
weight = 3

[pool.plain]
balance = "hash"

[pool.plain.health]
type = "off"

[[pool.plain.backend]]
name = "mosquitto"
address = "127.0.0.1:31883"
"#;

/// A process that is starting, with a pool that has a stick table and one that has none.
pub fn context() -> Arc<Context> {
    let config = config::parse("test", CONFIG).expect("valid");
    let metrics = Arc::new(Metrics::new());
    let pools = Pools::new(&config, &metrics);
    Arc::new(Context::new(Arc::new(pools), metrics))
}
