//! `show flows`: the connections as text, some at a time.

use std::collections::HashMap;
use std::fmt::Write;
use std::iter;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::backend::Pools;
use crate::config::PathKind;
use crate::datapath::Standing;
use crate::escape::Word;
use crate::flow::{LiveFlow, Shared};
use crate::metrics::path_name;

/// Positions of flows without sockets that are looked at for one piece of the answer.
const PAGE: u32 = 512;

const HEAD: &str = "# path state client backend id age idle up_bytes down_bytes\n";

/// The flows, or those on one path.
pub(super) fn show(
    shared: Arc<Shared>,
    path: Option<PathKind>,
) -> impl Iterator<Item = String> + Send {
    let names = Names::of(&shared.pools);
    let live = shared.live.all();
    let wanted = move |flow: &Arc<LiveFlow>| path.is_none_or(|path| flow.path() == path);
    let rows: String = live
        .iter()
        .filter(|flow| wanted(flow))
        .map(|flow| row(flow, &names))
        .collect();
    let with_residents = path.is_none_or(|path| path == PathKind::Splice);
    let mut from = with_residents.then_some(0);
    let pages = iter::from_fn(move || {
        let start = from?;
        let residents = shared.paths.residents()?;
        let (page, next) = residents.page(start, PAGE);
        from = next;
        Some(
            page.iter()
                .map(|flow| resident(flow, &names))
                .collect::<String>(),
        )
    });
    iter::once(HEAD.to_owned() + &rows).chain(pages)
}

/// `pool/backend` by tag.
struct Names(HashMap<u32, String>);

impl Names {
    fn of(pools: &Pools) -> Self {
        let mut names = HashMap::new();
        for pool in pools.all() {
            for backend in pool.backends().iter() {
                names.insert(backend.tag, format!("{}/{}", pool.name, backend.name));
            }
        }
        Self(names)
    }

    fn get(&self, tag: u32, address: std::net::SocketAddr) -> String {
        let name = self.0.get(&tag).cloned();
        name.unwrap_or_else(|| address.to_string())
    }
}

fn row(flow: &LiveFlow, names: &Names) -> String {
    let [up, down] = flow.bytes();
    let mut line = format!(
        "{} established {} {} ",
        path_name(flow.path()),
        flow.client,
        Word(names.get(flow.tag, flow.backend).as_bytes()),
    );
    let _ = writeln!(
        line,
        "{} {} {} {up} {down}",
        Word(flow.name()),
        seconds(flow.accepted.elapsed()),
        seconds(flow.last().elapsed()),
    );
    line
}

fn resident(flow: &Standing, names: &Names) -> String {
    let age = SystemTime::now().duration_since(flow.memo.accepted);
    let mut id = Word(&flow.memo.client_id).to_string();
    if flow.memo.cut {
        id.push('…');
    }
    format!(
        "splice {} {} {} {id} {} {} {} {}\n",
        if flow.closing {
            "closing"
        } else {
            "established"
        },
        flow.client,
        Word(names.get(flow.memo.backend, flow.backend).as_bytes()),
        seconds(age.unwrap_or_default()),
        seconds(flow.idle),
        flow.up,
        flow.down,
    )
}

fn seconds(time: Duration) -> String {
    format!("{}s", time.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::Memo;

    #[test]
    fn a_flow_without_sockets_is_one_line() {
        let mut names = Names(HashMap::new());
        names.0.insert(7, "emqx/emqx1".to_owned());
        let mut flow = Standing {
            id: 1,
            client: "192.0.2.1:4000".parse().unwrap(),
            backend: "192.0.2.9:1883".parse().unwrap(),
            memo: Memo {
                client_id: b"c 0".to_vec(),
                cut: false,
                backend: 7,
                ..Memo::default()
            },
            up: 10,
            down: 20,
            idle: Duration::from_secs(3),
            closing: false,
        };
        let line = resident(&flow, &names);
        assert_eq!(
            line,
            "splice established 192.0.2.1:4000 emqx/emqx1 \"c 0\" 0s 3s 10 20\n"
        );
        flow.memo.cut = true;
        flow.memo.backend = 8;
        flow.closing = true;
        let line = resident(&flow, &names);
        assert_eq!(
            line,
            "splice closing 192.0.2.1:4000 192.0.2.9:1883 \"c 0\"… 0s 3s 10 20\n"
        );
    }
}
