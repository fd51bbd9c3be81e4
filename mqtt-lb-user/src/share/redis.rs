//! Talks to Redis: one connection for requests and messages (RESP3).

use std::io;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, ConnectionInfo, ProtocolVersion,
    RedisConnectionInfo, RedisResult, Value, cmd,
};

use super::inbox::Letterbox;
use super::replica::STEP;
use super::request::{Answer, Push, Request};
use super::version::Version;
use crate::config;

const PUSH: &str = include_str!("push.lua");
const CLEAR: &str = include_str!("clear.lua");

/// The names of one pool's keys and channel. `/` is in no name of a pool, so that no pool's
/// keys begin like another's.
pub(super) struct Keys {
    entries: Vec<u8>,
    clears: String,
    channel: String,
}

impl Keys {
    pub fn new(prefix: &str, pool: &str) -> Self {
        Self {
            entries: format!("{prefix}/entry/{pool}/").into_bytes(),
            clears: format!("{prefix}/clears/{pool}"),
            channel: format!("{prefix}/changes/{pool}"),
        }
    }

    /// The channel of the pool's messages.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    fn entry(&self, key: &[u8]) -> Vec<u8> {
        [&self.entries, key].concat()
    }
}

/// A connection that is logged in and knows the scripts.
pub(super) struct Connection {
    inner: MultiplexedConnection,
    push: String,
    clear: String,
}

impl Connection {
    /// Connects; messages of `channels` go to `letterbox` from then on.
    ///
    /// # Errors
    /// What Redis or the network says.
    pub async fn open(
        share: &config::Share,
        channels: impl Iterator<Item = &str>,
        letterbox: Letterbox,
    ) -> RedisResult<Self> {
        let server = &share.redis;
        let client = Client::open(ConnectionInfo {
            addr: ConnectionAddr::Tcp(server.host.clone(), server.port),
            redis: RedisConnectionInfo {
                db: server.db,
                username: server.user.clone(),
                password: server.password.clone(),
                protocol: ProtocolVersion::RESP3,
            },
        })?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(share.timeout)
            .set_response_timeout(share.timeout)
            .set_push_sender(move |push| {
                letterbox.put(push);
                Ok::<_, io::Error>(())
            });
        let mut inner = client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        for channel in channels {
            inner.subscribe(channel).await?;
        }
        let mut load = async |script| {
            let mut load = cmd("SCRIPT");
            load.arg("LOAD").arg(script);
            load.query_async(&mut inner).await
        };
        let (push, clear) = (load(PUSH).await?, load(CLEAR).await?);
        Ok(Self { inner, push, clear })
    }

    /// Whether it still answers.
    ///
    /// # Errors
    /// If it does not.
    pub async fn ping(&mut self) -> RedisResult<()> {
        cmd("PING").query_async::<Value>(&mut self.inner).await?;
        Ok(())
    }

    /// Asks Redis about a pool.
    ///
    /// # Errors
    /// What Redis or the network says; nothing is known then of what was done.
    pub async fn ask(&mut self, keys: &Keys, request: &Request) -> RedisResult<Answer> {
        match request {
            Request::Push(pushes) => {
                self.push_command(keys, pushes)
                    .query_async::<Value>(&mut self.inner)
                    .await?;
                Ok(Answer::Done)
            }
            Request::Clear(clears, keep) => {
                self.clear_command(keys, clears, *keep)
                    .query_async::<Value>(&mut self.inner)
                    .await?;
                Ok(Answer::Done)
            }
            Request::Clears => {
                let mut all = cmd("HGETALL");
                let fields = all.arg(&keys.clears).query_async(&mut self.inner).await?;
                Ok(Answer::Clears(fields))
            }
            Request::Scan(cursor) => self.scan(keys, *cursor).await,
            Request::Get(wanted) => {
                let names = wanted.iter().map(|key| keys.entry(key)).collect();
                Ok(Answer::Values(self.values(names).await?))
            }
        }
    }

    async fn scan(&mut self, keys: &Keys, cursor: u64) -> RedisResult<Answer> {
        // Names of pools and prefixes hold nothing that is special in a pattern.
        let mut scan = cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(keys.entry(b"*"));
        scan.arg("COUNT").arg(STEP);
        let (next, mut found): (u64, Vec<Vec<u8>>) = scan.query_async(&mut self.inner).await?;
        found.retain(|name| name.starts_with(&keys.entries));
        let values = self.values(found.clone()).await?;
        let entries = found
            .into_iter()
            .zip(values)
            .filter_map(|(mut name, value)| {
                let key = name.split_off(keys.entries.len());
                Some((key, value?))
            });
        Ok(Answer::Scanned(next, entries.collect()))
    }

    async fn values(&mut self, names: Vec<Vec<u8>>) -> RedisResult<Vec<Option<Vec<u8>>>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        cmd("MGET").arg(names).query_async(&mut self.inner).await
    }

    fn push_command(&self, keys: &Keys, pushes: &[Push]) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(&self.push).arg(pushes.len());
        for push in pushes {
            command.arg(keys.entry(&push.key));
        }
        command.arg(&keys.channel).arg(keys.entries.len());
        for push in pushes {
            command.arg(push.record.encode()).arg(millis(push.keep));
        }
        command
    }

    fn clear_command(&self, keys: &Keys, clears: &[(String, Version)], keep: Duration) -> Cmd {
        let mut command = cmd("EVALSHA");
        command.arg(&self.clear).arg(1).arg(&keys.clears);
        command.arg(&keys.channel).arg(millis(keep));
        for (field, version) in clears {
            command.arg(field).arg(version.text());
        }
        command
    }
}

/// Redis takes no time to live of zero.
fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
