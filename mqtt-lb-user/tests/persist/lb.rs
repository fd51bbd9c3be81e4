//! A balancer's pool with a snapshot, as often as it starts.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use mqtt_lb_user::affinity::{Cursor, Row};
use mqtt_lb_user::backend::{Pool, Pools};
use mqtt_lb_user::config;
use mqtt_lb_user::metrics::Metrics;
use mqtt_lb_user::persist;

/// One life of a balancer.
pub struct Lb {
    pub metrics: Arc<Metrics>,
    pub pools: Arc<Pools>,
    pub pool: Arc<Pool>,
    pub path: PathBuf,
}

/// Starts with these backends and these keys of the stick table, and loads the snapshot.
pub fn start(dir: &Path, backends: &[&str], stick: &str) -> Lb {
    let path = dir.join("p.stick");
    let mut text = format!(
        "[listener.l]\nbind = \"127.0.0.1:1883\"\npool = \"p\"\n[pool.p.stick]\nsnapshot = {path:?}\n{stick}\n"
    );
    for (name, port) in backends.iter().zip(1..) {
        text += &format!("[[pool.p.backend]]\nname = {name:?}\naddress = \"10.0.0.1:{port}\"\n");
    }
    let config = config::parse("test", &text).unwrap_or_else(|error| panic!("{error}"));
    let metrics = Arc::new(Metrics::new());
    let pools = Arc::new(Pools::new(&config, &metrics));
    let pool = pools.get("p").expect("the pool");
    persist::load(&pool);
    Lb {
        metrics,
        pools,
        pool,
        path,
    }
}

impl Lb {
    /// Puts a client to a backend.
    pub fn set(&self, key: &[u8], backend: &str) {
        let id = self.pool.backend(backend).expect("the backend").id;
        let now = Instant::now();
        self.pool.with_table(|table| table.set(now, key, id));
    }

    /// Writes the snapshot.
    pub fn save(&self) -> persist::Saved {
        let saved = persist::save(&self.pool, &self.path).expect("written");
        saved.expect("there is a table")
    }

    /// Key, backend and home of all entries, by key.
    pub fn rows(&self) -> Vec<(Vec<u8>, String, String)> {
        let name = |id| {
            let backends = self.pool.backends();
            let backend = backends.iter().find(|backend| backend.id == id);
            backend.map_or("?".to_owned(), |backend| backend.name.clone())
        };
        let mut rows: Vec<_> = self
            .all()
            .into_iter()
            .map(|row| (row.key, name(row.backend), name(row.home)))
            .collect();
        rows.sort();
        rows
    }

    fn all(&self) -> Vec<Row> {
        let now = Instant::now();
        let page = |table: &mut mqtt_lb_user::affinity::StickTable| {
            table.page(now, Cursor::default(), usize::MAX).0
        };
        self.pool.with_table(page).expect("a table")
    }

    /// The value of a metric of snapshots, as it is shown.
    pub fn metric(&self, name: &str) -> String {
        let text = self.metrics.encode(&Default::default()).expect("encodes");
        let series = format!("mqttlb_stick_snapshot_{name} ");
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.unwrap_or_else(|| panic!("no {series}in\n{text}"))
            .to_owned()
    }
}
