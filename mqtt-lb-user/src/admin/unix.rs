//! The unix admin socket.

use std::io;
use std::os::unix::net::UnixListener as StdListener;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::conversation::{self, Patience};
use super::socket_file::{self, SocketError, SocketFile};
use super::{Context, stopped};

/// Connections at a time; more wait in the socket's backlog.
const CONNECTIONS: usize = 16;

const PATIENCE: Patience = Patience {
    first: Duration::from_secs(30),
    idle: Duration::from_secs(300),
};

/// An open admin socket; its file goes away with it.
pub struct Server {
    // Declared first: the file goes before the socket closes.
    file: SocketFile,
    listener: StdListener,
}

impl Server {
    /// Opens the socket: a file of mode 0600, its directory made if missing, the
    /// file of a dead process replaced.
    ///
    /// # Errors
    /// Another process listens there, the file is no socket, or it cannot be made.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        let (listener, file) = socket_file::listen(path)?;
        Ok(Self { listener, file })
    }

    /// Answers commands until `shutdown` is true or its sender is gone.
    ///
    /// # Errors
    /// The runtime cannot watch the socket.
    pub async fn serve(
        self,
        context: Arc<Context>,
        shutdown: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let listener = UnixListener::from_std(self.listener)?;
        let _file = self.file;
        let mut talks = JoinSet::new();
        let mut stopped = pin!(stopped(shutdown));
        loop {
            tokio::select! {
                () = &mut stopped => return Ok(()),
                Some(_) = talks.join_next() => {}
                accepted = listener.accept(), if talks.len() < CONNECTIONS => match accepted {
                    Ok((stream, _)) => {
                        let context = Arc::clone(&context);
                        talks.spawn(async move {
                            if let Err(error) =
                                conversation::hold(stream, &context, PATIENCE).await
                            {
                                tracing::debug!("admin connection ended: {error}");
                            }
                        });
                    }
                    Err(error) => {
                        tracing::warn!("admin socket cannot accept: {error}");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                },
            }
        }
    }
}
