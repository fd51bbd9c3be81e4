//! Answers about backends.

use std::sync::Arc;

use super::columns::aligned;
use super::{Answer, find_backend, find_pool, flows, text};
use crate::admin::Context;
use crate::admin::command::BackendCommand;
use crate::backend::Pool;
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
    for pool in pools {
        for backend in pool.backends().iter() {
            rows.push([
                pool.name.clone(),
                backend.name.clone(),
                backend.address().to_string(),
                backend.weight().to_string(),
                if backend.is_up() { "up" } else { "down" }.to_owned(),
                backend.admin_state().to_string(),
                backend.connections().to_string(),
            ]);
        }
    }
    aligned(&rows)
}
