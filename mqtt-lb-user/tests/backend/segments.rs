//! How many segments a stream came in: what was written at once comes in one.

use std::io;
use std::mem::size_of_val;
use std::os::fd::AsRawFd;

use tokio::net::TcpStream;

/// TCP segments with data that have arrived: `tcpi_data_segs_in` of TCP_INFO, the 32-bit
/// word at byte 152 of the kernel's struct.
pub fn data_segments_in(stream: &TcpStream) -> u32 {
    let mut info = [0u32; 39];
    let mut len = size_of_val(&info) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which `info` has.
    let result = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            info.as_mut_ptr().cast(),
            &mut len,
        )
    };
    assert_eq!(result, 0, "TCP_INFO: {}", io::Error::last_os_error());
    assert_eq!(len as usize, size_of_val(&info));
    info[38]
}
