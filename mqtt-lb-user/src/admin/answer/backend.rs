//! Answers about backends.

use std::sync::Arc;
use std::time::Instant;

use super::columns::aligned;
use super::{Answer, find_backend, find_pool, flows, text};
use crate::admin::Context;
use crate::admin::command::BackendCommand;
use crate::affinity::RAMPED;
use crate::backend::{Backend, Pool};
use crate::flow::closer;

pub(super) fn answer(command: BackendCommand, context: &Context) -> Result<Answer, String> {
    match command {
        BackendCommand::Show { pool } => {
            let pools = match pool {
                Some(name) => vec![find_pool(context, &name)?],
                None => context.pools.all(),
            };
            Ok(text(backends(&pools)))
        }
        BackendCommand::SetState {
            pool,
            backend,
            state,
            deadline,
        } => {
            let backend = find_backend(&*find_pool(context, &pool)?, &backend)?;
            backend.set_admin_state(state);
            if let Some(deadline) = deadline {
                closer::close_after(flows(context)?, &backend, deadline);
            }
            Ok(text(format!("backend {pool}/{}: {state}\n", backend.name)))
        }
        BackendCommand::SetWeight {
            pool,
            backend,
            weight,
        } => {
            let pool = find_pool(context, &pool)?;
            let backend = find_backend(&pool, &backend)?;
            pool.set_weight(&backend, weight);
            let Backend { pool, name, .. } = &*backend;
            Ok(text(format!("backend {pool}/{name}: weight {weight}\n")))
        }
        BackendCommand::Shutdown { pool, backend } => {
            let backend = find_backend(&*find_pool(context, &pool)?, &backend)?;
            let count = closer::close(flows(context)?, &backend, false);
            Ok(text(format!(
                "ending {count} sessions of {pool}/{}\n",
                backend.name
            )))
        }
    }
}

fn backends(pools: &[Arc<Pool>]) -> String {
    let head = [
        "# pool",
        "name",
        "address",
        "weight",
        "health",
        "state",
        "connections",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    let now = Instant::now();
    for pool in pools {
        let slow_start = pool.settings().slow_start;
        for backend in pool.backends().iter() {
            rows.push([
                pool.name.clone(),
                backend.name.clone(),
                backend.address().to_string(),
                match (backend.weight(), backend.ramp(now, slow_start)) {
                    (weight, RAMPED) => weight.to_string(),
                    (weight, percent) => format!("{weight}@{percent}%"),
                },
                if backend.is_up() { "up" } else { "down" }.to_owned(),
                match (backend.admin_state(), backend.is_backup()) {
                    (state, false) => state.to_string(),
                    (state, true) => format!("{state}/backup"),
                },
                match (backend.connections(), backend.maxconn()) {
                    (now, None) => now.to_string(),
                    (now, Some(most)) => format!("{now}/{most}"),
                },
            ]);
        }
    }
    aligned(&rows)
}
