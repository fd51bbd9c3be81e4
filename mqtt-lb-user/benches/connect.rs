//! Reading a CONNECT up to what routing needs, beside codecs that make a packet of it.

mod common;

use std::hint::black_box;

use bytes::BytesMut;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use mqtt_lb_user::connect::{Limits, Reader, Status};
use rumqttc::v5::mqttbytes::v5;

const LIMITS: Limits = Limits {
    buffer: 80 << 10,
    properties: 8 << 10,
};
/// More than any of the packets.
const MOST: usize = 1 << 16;

/// A length and the bytes.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text);
}

fn packet(body: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x10];
    let mut left = body.len();
    while left > 0x7f {
        packet.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    packet.push(left as u8);
    packet.extend(body);
    packet
}

/// MQTT 3.1.1, a client id and nothing else.
fn plain() -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60];
    string(&mut body, b"sensor-0123456789");
    packet(&body)
}

/// MQTT 5 with properties, a will, a user name and a password.
fn full() -> Vec<u8> {
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 5, 0xc6, 0, 60];
    let mut properties = vec![0x11, 0, 0, 14, 16]; // session expiry
    properties.extend([0x21, 0, 20]); // receive maximum
    properties.push(0x26); // user property
    string(&mut properties, b"tenant");
    string(&mut properties, b"example");
    body.push(properties.len() as u8);
    body.extend(properties);
    string(&mut body, b"sensor-0123456789");
    body.push(0); // no properties of the will
    string(&mut body, b"status/sensor-0123456789");
    string(&mut body, b"offline");
    string(&mut body, b"sensor");
    string(&mut body, b"secret-0123456789");
    packet(&body)
}

/// What mqtt-lb does with a CONNECT that has come whole.
fn ours(bytes: &[u8]) {
    let mut reader = Reader::new(LIMITS);
    let status = reader.advance(bytes);
    assert!(matches!(status, Ok(Status::Complete { .. })), "{status:?}");
    let view = reader.view(bytes).expect("the client id is known");
    black_box((view.client_id(), view.keepalive(), view.clean()));
}

fn proto_v3(bytes: &[u8]) {
    black_box(mqtt_proto::v3::Packet::decode(bytes).expect("a CONNECT"));
}

fn proto_v5(bytes: &[u8]) {
    black_box(mqtt_proto::v5::Packet::decode(bytes).expect("a CONNECT"));
}

fn rumqttc_v4(mut bytes: BytesMut) {
    black_box(rumqttc::mqttbytes::v4::Packet::read(&mut bytes, MOST).expect("a CONNECT"));
}

fn rumqttc_v5(mut bytes: BytesMut) {
    black_box(v5::Packet::read(&mut bytes, Some(MOST as u32)).expect("a CONNECT"));
}

type Decode = (fn(&[u8]), fn(BytesMut));

fn connect(criterion: &mut Criterion) {
    let packets: [(&str, Vec<u8>, Decode); 2] = [
        ("connect 3.1.1", plain(), (proto_v3, rumqttc_v4)),
        ("connect 5 full", full(), (proto_v5, rumqttc_v5)),
    ];
    for (name, bytes, (proto, rumqttc)) in &packets {
        let mut group = criterion.benchmark_group(*name);
        for (who, decode) in [("mqtt-lb", ours as fn(&[u8])), ("mqtt-proto", *proto)] {
            common::print_allocations(&format!("{name}/{who}"), || decode(bytes));
            group.bench_function(who, |bencher| bencher.iter(|| decode(black_box(bytes))));
        }
        // It eats its buffer, which is made again outside of the time.
        let fresh = || BytesMut::from(&bytes[..]);
        let one = fresh();
        common::print_allocations(&format!("{name}/rumqttc"), || rumqttc(one));
        group.bench_function("rumqttc", |bencher| {
            bencher.iter_batched(fresh, rumqttc, BatchSize::SmallInput);
        });
        group.finish();
    }
}

criterion_group!(benches, connect);
criterion_main!(benches);
