use std::collections::HashMap;

use super::*;

struct Stream {
    top: Top,
    real: HashMap<u64, u64>,
    now: Instant,
}

impl Stream {
    fn new(size: usize) -> Self {
        Self {
            top: Top::new(size),
            real: HashMap::new(),
            now: Instant::now(),
        }
    }

    fn connect(&mut self, number: u64) {
        *self.real.entry(number).or_default() += 1;
        let visit = Visit {
            number,
            pool: 0,
            id: &number.to_le_bytes(),
            flapping: false,
        };
        self.top.visit(self.now, &visit);
    }

    /// What space-saving promises, against counts of everything.
    fn holds(&self) {
        let rows = self.top.rows(usize::MAX);
        assert!(rows.len() <= self.top.size());
        for row in &rows {
            let number = u64::from_le_bytes(row.id[..].try_into().expect("a number"));
            let real = self.real[&number];
            assert!(row.at_least() <= real, "{row:?}: {real}");
            assert!(real <= row.connects, "{row:?}: {real}");
        }
        for (number, real) in &self.real {
            let listed = rows.iter().any(|row| row.id == number.to_le_bytes());
            assert!(listed || *real <= self.top.error(), "{number}: {real}");
        }
    }
}

/// Many ids that come once or twice, among them a few that come all the time.
fn noise(stream: &mut Stream, connects: u32) {
    let mut state = 7u32;
    for nth in 0..connects {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        match nth % 10 {
            0 => stream.connect(1),
            1 | 2 => stream.connect(2),
            _ => stream.connect(100 + u64::from(state >> 16) % 5000),
        }
    }
}

#[test]
fn counts_are_within_their_bounds_and_the_frequent_are_found() {
    let mut stream = Stream::new(50);
    noise(&mut stream, 10_000);
    stream.holds();
    assert!(stream.top.error() <= 10_000 / 50);
    let rows = stream.top.rows(2);
    let ids: Vec<_> = rows.iter().map(|row| row.id[0]).collect();
    assert_eq!(ids, [2, 1], "{rows:?}");
    assert_eq!(stream.top.total(), 10_000);
}

#[test]
fn with_room_for_all_every_count_is_exact() {
    let mut stream = Stream::new(3);
    for number in [5, 6, 5, 7, 5, 6] {
        stream.connect(number);
    }
    let rows = stream.top.rows(10);
    let counts: Vec<_> = rows.iter().map(|row| (row.connects, row.error)).collect();
    assert_eq!(counts, [(3, 0), (2, 0), (1, 0)]);
    stream.holds();
}

#[test]
fn the_bounds_hold_when_the_room_changes() {
    let mut stream = Stream::new(50);
    noise(&mut stream, 3000);
    for size in [10, 200, 20, 0, 5] {
        stream.top.resize(size);
        stream.holds();
        noise(&mut stream, 1000);
        stream.holds();
    }
}

#[test]
fn a_long_id_is_cut_and_takeovers_are_of_those_listed() {
    let mut top = Top::new(1);
    let now = Instant::now();
    let id = [b'x'; SHOWN + 1];
    let visit = Visit {
        number: 1,
        pool: 9,
        id: &id,
        flapping: true,
    };
    top.visit(now, &visit);
    top.taken_over(1);
    top.taken_over(2);
    let row = &top.rows(1)[0];
    assert_eq!((row.id.len(), row.cut, row.pool), (SHOWN, true, 9));
    assert_eq!((row.flaps, row.takeovers), (1, 1));
}

#[test]
fn its_memory_is_bounded() {
    let mut top = Top::new(100);
    let id = [b'x'; 60_000];
    for number in 0..10_000 {
        let visit = Visit {
            number,
            pool: 0,
            id: &id,
            flapping: false,
        };
        top.visit(Instant::now(), &visit);
    }
    assert!(top.memory_bytes() < 100 * 600, "{}", top.memory_bytes());
}
