//! ICMP errors about a packet that we forwarded.

use mqtt_lb_ebpf::splice_slot::state;
use mqtt_lb_ebpf::splice_stat::Stat;

use crate::flow::ARRIVES;
use crate::layers::Layers;
use crate::row::{Hit, Row, Shot, fire};

const TRANSLATED: &[Stat] = &[Stat::IcmpTranslated];
const DROPPED: &[Stat] = &[Stat::IcmpDropped];

/// "Fragmentation needed" and "packet too big".
fn too_big(s: &Shot) -> (u8, u8) {
    if s.flow.family == 4 { (3, 4) } else { (2, 0) }
}

/// Bytes of a quoted IP header.
fn header(s: &Shot) -> usize {
    if s.flow.family == 4 { 20 } else { 40 }
}

fn router(s: &Shot) -> [u8; 16] {
    let mut address = s.segment.addresses[0];
    address[3] ^= 0x55;
    address
}

/// An error that quotes `quoted` bytes behind the IP header.
fn error(s: &mut Shot, (kind, code): (u8, u8), quoted: usize) {
    let mut sent = s.flow.sent_to(&s.slot, s.d);
    sent.payload = vec![0x77; 500];
    sent.options = crate::packet::option::timestamps(3, 4);
    s.frame = Some(sent.icmp_error(router(s), kind, code, header(s) + quoted));
}

/// The other side's packet is quoted as it was sent, to the address it was sent from.
fn is_translated(hit: &Hit) {
    let (flow, d) = (&hit.shot.flow, hit.shot.d);
    let outer = Layers::of(&hit.output).expect("IP");
    let width = outer.addresses.len() / 2;
    let at = outer.inner + 8;
    let inner = match flow.family {
        4 => Layers::v4(&hit.output, at),
        _ => Layers::v6(&hit.output, at),
    };
    let inner = inner.expect("a quoted packet");
    let [sender, front] = ARRIVES[1 - d];
    let address = |end: usize| &flow.addresses[end][..width];
    let quoted = [address(sender), address(front)].concat();
    assert_eq!(hit.output[inner.addresses.clone()], quoted);
    let outwards = [address(front), address(sender)].concat();
    assert_eq!(hit.output[outer.addresses.clone()], outwards);
    let seq = &hit.output[inner.inner + 4..inner.inner + 8];
    let sent = hit.shot.slot.lanes[1 - d].seq_end;
    assert_eq!(*seq, sent.to_be_bytes());
    assert_eq!(hit.output[..6], hit.shot.slot.lanes[1 - d].peer_mac);
    assert_eq!(hit.after.seen, hit.shot.slot.seen);
}

#[test]
fn errors_about_a_flow_go_to_the_side_that_sent_the_packet() {
    let rows = [
        Row::forwards("too big, quoting 8 bytes", &|s| error(s, too_big(s), 8)),
        Row::forwards("too big, quoting the header", &|s| error(s, too_big(s), 20)),
        Row::forwards("too big, quoting an odd number", &|s| {
            error(s, too_big(s), 37)
        }),
        Row::forwards("too big, quoting much", &|s| error(s, too_big(s), 400)),
        Row::forwards("no route", &|s| {
            let kind = if s.flow.family == 4 { 3 } else { 1 };
            error(s, (kind, 0), 20);
        }),
        Row::forwards("no port", &|s| {
            let code = if s.flow.family == 4 { (3, 3) } else { (1, 4) };
            error(s, code, 20);
        }),
        Row::forwards("time exceeded", &|s| {
            let kind = if s.flow.family == 4 { 11 } else { 3 };
            error(s, (kind, 0), 20);
        }),
        Row::forwards("out of another interface", &|s| {
            s.slot.lanes[1 - s.d].ifindex = 5;
            error(s, too_big(s), 20);
        }),
    ];
    fire(&rows.map(|row| row.counts(TRANSLATED).then(&is_translated)));
}

#[test]
fn errors_that_cannot_be_translated_are_dropped() {
    fire(&[Row::drops("the other side is not known", DROPPED, &|s| {
        s.slot.lanes[1 - s.d].ifindex = 0;
        error(s, too_big(s), 20);
    })]);
}

#[test]
fn other_messages_pass() {
    fire(&[
        Row::passes("an echo request", &[], &|s| {
            let kind = if s.flow.family == 4 { 8 } else { 128 };
            error(s, (kind, 0), 20);
        }),
        Row::passes("a redirect", &[], &|s| {
            let kind = if s.flow.family == 4 { 5 } else { 137 };
            error(s, (kind, 0), 20);
        }),
        Row::passes("about a flow that is not handed over", &[], &|s| {
            s.slot.state = state::LEARN;
            error(s, too_big(s), 20);
        }),
        Row::passes("about a packet of another flow", &[], &|s| {
            s.flow.ports[ARRIVES[s.d][0]] ^= 1;
            error(s, too_big(s), 20);
        }),
        Row::passes("about a packet that came and was not ours", &[], &|s| {
            let came = s.flow.segment(&s.slot, s.d);
            let (kind, code) = too_big(s);
            s.frame = Some(came.icmp_error(router(s), kind, code, header(s) + 20));
        }),
        Row::passes("that quotes too little", &[], &|s| error(s, too_big(s), 3)),
        Row::passes("that is longer than its frame", &[], &|s| {
            error(s, too_big(s), 20);
            s.frame.as_mut().expect("set").pop();
        }),
        Row::passes("that quotes another protocol", &[], &|s| {
            error(s, too_big(s), 20);
            let at = if s.flow.family == 4 {
                14 + 20 + 8 + 9
            } else {
                14 + 40 + 8 + 6
            };
            s.frame.as_mut().expect("set")[at] = 17;
        }),
    ]);
}
