use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::affinity::Sticky;
use crate::config::PathKind;
use crate::session::End;

fn session() -> Session {
    Session {
        accepted: UNIX_EPOCH + Duration::from_millis(1_233_922_371_443),
        client: "10.0.1.2:33313".parse().expect("address"),
        listener: "mqtt".into(),
        pool: "emqx".into(),
        backend: Some("emqx1".into()),
        client_id: Some(b"c0".to_vec()),
        level: Some(4),
        keepalive: Some(60),
        connack: Some(0),
        sticky: Some(Sticky::Hit),
        waited: Some(Duration::from_micros(2_900)),
        connecting: Some(Duration::from_millis(1)),
        total: Duration::from_millis(5_007),
        bytes_up: 212,
        bytes_down: 48,
        path: PathKind::Sockmap,
        end: End::ClientClosed,
    }
}

fn refused() -> Session {
    Session {
        backend: None,
        client_id: None,
        level: None,
        keepalive: None,
        connack: None,
        sticky: None,
        waited: None,
        connecting: None,
        path: PathKind::Copy,
        end: End::Refused("tls"),
        ..session()
    }
}

#[test]
fn text_is_exact() {
    assert_eq!(
        Text(&session()).to_string(),
        "10.0.1.2:33313 [06/Feb/2009:12:12:51.443] mqtt emqx/emqx1 2/1/5007 212/48 -- \
         id=\"c0\" level=4 keepalive=60 connack=0 sticky=hit path=sockmap end=client_closed"
    );
    assert_eq!(
        Text(&refused()).to_string(),
        "10.0.1.2:33313 [06/Feb/2009:12:12:51.443] mqtt emqx/<NOSRV> -1/-1/5007 212/48 PR \
         id=- level=- keepalive=- connack=- sticky=- path=copy end=refused reason=tls"
    );
}

#[test]
fn json_is_exact() {
    assert_eq!(
        json(&session()),
        "{\"timestamp\":\"2009-02-06T12:12:51.443Z\",\"target\":\"session\",\
         \"client\":\"10.0.1.2:33313\",\"listener\":\"mqtt\",\"pool\":\"emqx\",\
         \"backend\":\"emqx1\",\"wait_ms\":2,\"connect_ms\":1,\"total_ms\":5007,\
         \"bytes_up\":212,\"bytes_down\":48,\"termination\":\"--\",\"client_id\":\"c0\",\
         \"level\":4,\"keepalive\":60,\"connack\":0,\"sticky\":\"hit\",\"path\":\"sockmap\",\
         \"end\":\"client_closed\",\"reason\":null}"
    );
    let refused = json(&refused());
    assert!(
        refused.contains("\"backend\":null,\"wait_ms\":null,\"connect_ms\":null,"),
        "{refused}"
    );
    assert!(
        refused.ends_with("\"end\":\"refused\",\"reason\":\"tls\"}"),
        "{refused}"
    );
}

#[test]
fn a_client_id_cannot_break_or_forge_a_line() {
    let id = b"x\" level=9\n10.0.0.1:1 [\r\x1b[2J\\\x00\xff\xe2\x80\xa8".to_vec();
    let line = Session {
        client_id: Some(id),
        ..session()
    };
    let text = Text(&line).to_string();
    assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{text:?}");
    assert!(
        text.contains(
            r#" id="x\" level=9\x0a10.0.0.1:1 [\x0d\x1b[2J\\\x00\xff\xe2\x80\xa8" level=4 "#
        ),
        "{text}"
    );
    let json = json(&line);
    assert!(json.bytes().all(|b| (b' '..=b'~').contains(&b)), "{json:?}");
    let value: serde_json::Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(value["level"], 4);
}

#[test]
fn an_empty_client_id_is_not_an_unknown_one() {
    let line = Text(&Session {
        client_id: Some(Vec::new()),
        ..session()
    })
    .to_string();
    assert!(line.contains(" id=\"\" "), "{line}");
}

#[test]
fn termination_states() {
    let some = Some(Duration::ZERO);
    let phases = [
        (None, None, None),
        (some, None, None),
        (some, some, None),
        (some, some, Some(0)),
    ];
    for (end, expected) in [
        (End::ClientClosed, ["CR", "CC", "CH", "--"]),
        (End::ClientAborted, ["CR", "CC", "CH", "CD"]),
        (End::BackendClosed, ["SR", "SC", "SH", "--"]),
        (End::BackendAborted, ["SR", "SC", "SH", "SD"]),
        (End::ConnectTimeout, ["cR"; 4]),
        (End::ConnackTimeout, ["sR", "sC", "sH", "sD"]),
        (End::Refused("tls"), ["PR"; 4]),
        (End::NoBackend, ["SC"; 4]),
        (End::Shutdown, ["KR", "KC", "KH", "KD"]),
        (End::DrainTimeout, ["PL"; 4]),
    ] {
        for ((waited, connecting, connack), expected) in phases.into_iter().zip(expected) {
            let line = Session {
                waited,
                connecting,
                connack,
                end,
                ..session()
            };
            let [who, phase] = termination(&line);
            assert_eq!(format!("{who}{phase}"), expected, "{end:?}");
        }
    }
}
