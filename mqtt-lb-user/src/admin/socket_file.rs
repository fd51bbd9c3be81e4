//! The admin socket's file: made for its owner only, removed at the end.

use std::fmt;
use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// Connections that may wait for accept.
const BACKLOG: i32 = 16;

/// Why there is no admin socket.
#[derive(Debug)]
pub struct SocketError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    Live,
    NoSocket,
    Io(&'static str, io::Error),
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "admin socket {}: ", self.path.display())?;
        match &self.cause {
            Cause::Live => f.write_str(
                "another process listens there: stop it, or set another path in [admin] socket",
            ),
            Cause::NoSocket => f.write_str(
                "the file is no socket: remove it, or set another path in [admin] socket",
            ),
            Cause::Io(what, error) => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl std::error::Error for SocketError {}

/// The file of a socket we listen on; removed when dropped, if it is still ours.
///
/// To be dropped before the listener: while that is open, nobody takes the file
/// for a dead one, and no other file gets its inode number.
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            // Nobody is left to tell, and a file left behind is replaced at the next start.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens on a new socket file of mode 0600 and makes the directory if it is
/// missing. The file of a process that is dead is replaced.
pub(super) fn listen(path: &Path) -> Result<(UnixListener, SocketFile), SocketError> {
    let fail = |cause| SocketError {
        path: path.to_owned(),
        cause,
    };
    let io = |what| move |error| fail(Cause::Io(what, error));
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(io("make its directory"))?;
    }
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(fail(Cause::Io("look at the file", error))),
        Ok(file) if !file.file_type().is_socket() => return Err(fail(Cause::NoSocket)),
        Ok(_) if is_live(path).map_err(io("ask who listens there"))? => {
            return Err(fail(Cause::Live));
        }
        Ok(_) => fs::remove_file(path).map_err(io("replace the file"))?,
    }
    let listener = bind(path).map_err(io("listen"))?;
    let identity = identity(path).map_err(io("look at the file"))?;
    Ok((
        listener,
        SocketFile {
            path: path.to_owned(),
            identity,
        },
    ))
}

/// The file takes the mode that its socket has when it is bound: at no time may
/// anybody else open it, and the process's umask stays as it is.
fn bind(path: &Path) -> io::Result<UnixListener> {
    let socket = File::from(OwnedFd::from(socket()?));
    socket.set_permissions(Permissions::from_mode(0o600))?;
    let socket = Socket::from(OwnedFd::from(socket));
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    Ok(UnixListener::from(OwnedFd::from(socket)))
}

fn is_live(path: &Path) -> io::Result<bool> {
    match socket()?.connect(&SockAddr::unix(path)?) {
        Ok(()) => Ok(true),
        // Its backlog is full.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error),
    }
}

fn socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_owner_may_open_it_and_it_goes_away() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("made/for/it/admin.sock");
        let (_listener, file) = listen(&path).expect("listens");
        let mode = fs::metadata(&path).expect("file").permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_dead_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("admin.sock");
        let (live, file) = listen(&path).expect("listens");
        let error = listen(&path).err().expect("refused").to_string();
        assert!(error.contains("another process listens there"), "{error}");
        assert!(!error.contains('\n'));
        std::mem::forget(file);
        drop(live);
        assert!(path.exists(), "no dead file to replace");
        listen(&path).expect("replaced");
    }

    #[test]
    fn the_file_of_another_is_left_alone() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("admin.sock");
        let (_first, file) = listen(&path).expect("listens");
        fs::remove_file(&path).expect("removed by somebody");
        let (_second, _file) = listen(&path).expect("listens");
        drop(file);
        assert!(path.exists(), "the first removed the file of the second");
    }

    #[test]
    fn a_file_that_is_no_socket_is_left_alone() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("precious");
        fs::write(&path, "data").expect("file");
        let error = listen(&path).err().expect("refused").to_string();
        assert!(
            error.ends_with("remove it, or set another path in [admin] socket"),
            "{error}"
        );
        assert_eq!(fs::read(&path).expect("still there"), b"data");
    }
}
