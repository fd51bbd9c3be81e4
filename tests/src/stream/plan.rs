//! What each test connection does: how much it sends, in which pieces, and who
//! closes first. All of it follows from one seed.

use std::ops::Range;
use std::time::Duration;

use super::pattern::Pattern;
use crate::mqtt::{self, Connect};
use crate::rng::Rng;

/// How one end of a direction paces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// Bytes of one system call.
    pub chunk: Range<usize>,
    /// System calls between two pauses; 0 never pauses.
    pub every: usize,
    /// Longest pause.
    pub pause: Duration,
    /// Wait before the first byte; a writer waits behind the packet in front.
    pub delay: Duration,
}

impl Pace {
    /// As fast as it goes, in pieces of 16 KiB.
    pub const FAST: Pace = Pace {
        chunk: 16_384..16_384,
        every: 0,
        pause: Duration::ZERO,
        delay: Duration::ZERO,
    };
}

/// One direction of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Direction {
    /// The bytes.
    pub pattern: Pattern,
    /// Bytes that go out in the same write as the packet in front
    /// (CONNECT or CONNACK).
    pub pipelined: usize,
    /// Bytes kept back until the other direction has ended: half-close.
    pub tail: u64,
    /// The sender's pace.
    pub write: Pace,
    /// The receiver's pace.
    pub read: Pace,
}

impl Direction {
    /// `len` bytes at full speed.
    pub fn fast(seed: u64, len: u64) -> Self {
        let pattern = Pattern { seed, len };
        Self {
            pattern,
            pipelined: 0,
            tail: 0,
            write: Pace::FAST,
            read: Pace::FAST,
        }
    }
}

/// One connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// Its number, which is part of its client id.
    pub id: u32,
    /// The CONNECT packet.
    pub connect: Vec<u8>,
    /// Protocol level of the CONNECT.
    pub level: u8,
    /// Sizes of the pieces the CONNECT goes out in; the rest follows whole.
    pub cuts: Vec<usize>,
    /// Wait before connecting.
    pub start: Duration,
    /// Client to broker.
    pub up: Direction,
    /// Broker to client.
    pub down: Direction,
}

/// Client ids of flows are this and the flow's number.
pub const ID_PREFIX: &str = "stream-";

impl Flow {
    /// A flow with a small CONNECT and the given directions.
    pub fn new(id: u32, up: Direction, down: Direction) -> Self {
        let client_id = format!("{ID_PREFIX}{id}");
        let connect = Connect::new(&client_id).encode();
        let (level, cuts, start) = (mqtt::V311, Vec::new(), Duration::ZERO);
        Self {
            id,
            connect,
            level,
            cuts,
            start,
            up,
            down,
        }
    }

    /// The CONNACK its broker answers with.
    pub fn connack(&self) -> &'static [u8] {
        mqtt::connack(self.level)
    }

    /// The number of the flow with this client id.
    pub fn number(client_id: &[u8]) -> Option<u32> {
        let digits = client_id.strip_prefix(ID_PREFIX.as_bytes())?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }
}

/// `count` flows of many kinds, with streams of up to `longest` bytes.
pub fn mixed(seed: u64, count: u32, longest: usize) -> Vec<Flow> {
    let mut rng = Rng::new(seed);
    (0..count).map(|id| one(&mut rng, id, longest)).collect()
}

fn one(rng: &mut Rng, id: u32, longest: usize) -> Flow {
    let mut flow = Flow::new(id, direction(rng, longest), direction(rng, longest));
    // A quiet moment behind CONNACK for two flows of three: there a flow may
    // change its data path. The others never rest.
    if !id.is_multiple_of(3) {
        for direction in [&mut flow.up, &mut flow.down] {
            direction.write.delay =
                Duration::from_millis(250) + rng.up_to(Duration::from_millis(100));
            direction.read.delay = Duration::ZERO;
        }
    }
    // At most one end waits for the other's FIN, or neither would ever close.
    match id % 3 {
        1 => flow.up.tail = rng.within(&(1..20_000)) as u64,
        2 => flow.down.tail = rng.within(&(1..20_000)) as u64,
        _ => {}
    }
    flow.up.tail = flow.up.tail.min(flow.up.pattern.len);
    flow.down.tail = flow.down.tail.min(flow.down.pattern.len);
    // CONNECT from tiny to 20 KB, whole or in pieces.
    let password = vec![b'p'; [0, 10, 300, 20_000][rng.within(&(0..4))]];
    flow.level = if rng.chance(0.5) {
        mqtt::V5
    } else {
        mqtt::V311
    };
    let client_id = format!("{ID_PREFIX}{id}");
    let mut connect = Connect::new(&client_id);
    connect.level = flow.level;
    if !password.is_empty() {
        connect.login = Some(("user", &password));
    }
    flow.connect = connect.encode();
    flow.cuts = (0..rng.within(&(0..5)))
        .map(|_| rng.within(&(1..40)))
        .collect();
    flow.start = rng.up_to(Duration::from_millis(1_500));
    flow
}

fn direction(rng: &mut Rng, longest: usize) -> Direction {
    // Empty, short and long streams.
    let len = match rng.within(&(0..8)) {
        0 => 0,
        1..=3 => rng.within(&(1..4_000)),
        _ => rng.within(&(4_000..longest)),
    };
    Direction {
        pattern: Pattern {
            seed: rng.word(),
            len: len as u64,
        },
        pipelined: if rng.chance(0.5) {
            rng.within(&(1..30_000))
        } else {
            0
        },
        tail: 0,
        write: pace(rng),
        read: pace(rng),
    }
}

fn pace(rng: &mut Rng) -> Pace {
    let most = [200, 1_500, 9_000, 65_536][rng.within(&(0..4))];
    Pace {
        chunk: 1..most,
        every: rng.within(&(4..40)),
        pause: Duration::from_millis(rng.within(&(0..20)) as u64),
        delay: rng.up_to(Duration::from_millis(200)),
    }
}
