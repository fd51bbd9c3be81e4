//! The PROXY header, read by somebody else: RabbitMQ lists the client's own
//! address, not the balancer's.

use std::net::IpAddr;
use std::time::Duration;

use mqtt_lb_tests::brokers::rabbitmq::{NEEDS, RabbitMq};
use mqtt_lb_tests::lb::{DataPath, Lb, config};
use mqtt_lb_tests::mqtt::{Client, Connect};
use mqtt_lb_tests::netns::Netns;
use mqtt_lb_tests::require::{met, say};
use mqtt_lb_tests::solo::{FRONT, backend};
use mqtt_lb_tests::wait;

#[test]
fn rabbitmq_lists_the_clients_address() {
    if !met(NEEDS) {
        return;
    }
    let ns = Netns::new("rabbit");
    let rabbit = RabbitMq::start(&ns, backend(1));
    let pool = "proxy_protocol = \"v2\"\n[pool.brokers.health]\ntype = \"mqtt\"";
    for (path, source) in DataPath::PURE.into_iter().zip(77..) {
        let _lb = Lb::start(&ns, path, &config(FRONT, pool, &[rabbit.address]));
        let source = IpAddr::from([127, 0, 0, source]);
        let stream = ns.connect_from(source, FRONT).expect("connect");
        let address = stream.local_addr().expect("address").to_string();
        let id = format!("real-address-{path:?}");
        let mut client = Client::connect(stream, &Connect::new(&id)).expect("CONNACK");
        client.ping().expect("ping");
        let seen = wait::until("RabbitMQ should list it", Duration::from_secs(30), || {
            let list = rabbit.mqtt_connections();
            list.into_iter()
                .find(|(client_id, _)| *client_id == id)
                .map(|(_, peer)| peer)
        });
        assert_eq!(seen, address);
        say(&format!(
            "RabbitMQ ({path:?}): {id} is connected from {seen}"
        ));
    }
}
