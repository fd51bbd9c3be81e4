//! The way of a table through a snapshot.

use std::time::{Duration, Instant};

use mqtt_lb_user::affinity::snapshot::{self, Passed, Stamp, Writer};
use mqtt_lb_user::affinity::{BackendId, Batch, Cursor, StickTable};
use mqtt_lb_user::config::Stick;

/// The table as bytes.
pub fn save(table: &StickTable, now: Instant) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer::new(&Stamp::default(), table.moment(now), &mut out);
    let mut batch = Batch::default();
    let mut next = Some(Cursor::default());
    while let Some(cursor) = next {
        next = table.copy(now, cursor, &mut batch);
        writer.page(&batch, |id| Some(id.0.to_string()), &mut out);
    }
    writer.end(&mut out);
    assert!(out.len() as u64 <= snapshot::most_bytes(table.room()));
    out
}

/// Another table, from these bytes.
pub fn load(saved: &[u8], now: Instant, passed: Duration, stick: Stick) -> StickTable {
    let mut table = StickTable::new(stick);
    let snapshot = snapshot::read(saved, table.room()).expect("whole");
    let backend = |name: &str| name.parse().ok().map(BackendId);
    let revived = snapshot.revive(Passed::Exactly(passed), stick.expire, backend);
    assert!(revived.unknown.is_empty());
    table.restore(now, revived.entries);
    table
}
