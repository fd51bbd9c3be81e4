//! What the core needs of the hook it runs on.

/// Bytes of an Ethernet header.
pub const ETHERNET: u32 = 14;

/// How a TCP checksum changes.
#[derive(Clone, Copy)]
pub struct Change {
    /// Offset of the TCP header.
    pub tcp: u32,
    /// Difference of what the checksum covers in the segment.
    pub segment: u16,
    /// Difference of the pseudo header.
    pub pseudo: u16,
}

/// A packet at a hook. Methods that change it invalidate pointers into it.
pub trait Hook: Copy {
    /// Verdict: not ours.
    const PASS: i32;
    /// Verdict: drop.
    const DROP: i32;
    /// Longest segment that is summed to verify it, bytes.
    const SUM_MAX: u32;
    /// Whether a checksum that a local sender has only begun must be completed:
    /// nobody does behind this hook.
    const COMPLETES: bool;

    /// Address of the first byte.
    fn data(self) -> usize;
    /// Address behind the last byte that can be read directly.
    fn data_end(self) -> usize;
    /// Bytes of the frame.
    fn frame_len(self) -> u32;
    /// Interface it has come in on.
    fn ifindex(self) -> u32;
    /// Whether it is several segments in one.
    fn is_gso(self) -> bool;
    /// Whether the kernel vouches for its checksum.
    fn is_trusted(self) -> bool;
    /// Reads `len` bytes at `at`, 1 to 128.
    ///
    /// # Safety
    /// `to` has room for them.
    unsafe fn load(self, at: u32, to: *mut u8, len: u32) -> bool;
    /// Writes `len` bytes at `at`.
    ///
    /// # Safety
    /// `from` has them.
    unsafe fn store(self, at: u32, from: *const u8, len: u32) -> bool;
    /// Brings the TCP checksum up to date with what has changed. `V6`: the pseudo
    /// header is IPv6's.
    fn update<const V6: bool>(self, change: Change) -> bool;
    /// Tells a checksum of the whole packet, where the hook keeps one, of a change
    /// that no checksum in the packet makes up for.
    fn changed(self, difference: u16);
    /// Verdict: out of that interface.
    fn send(self, ifindex: u32) -> i32;

    /// Reads an array at `at`.
    #[inline(always)]
    fn get<const N: usize>(self, at: u32) -> Option<[u8; N]> {
        let mut bytes = [0u8; N];
        self.fill(at, &mut bytes).then_some(bytes)
    }

    /// Reads an array at `at` into `bytes`.
    #[inline(always)]
    fn fill<const N: usize>(self, at: u32, bytes: &mut [u8; N]) -> bool {
        // SAFETY: the buffer has N bytes.
        unsafe { self.load(at, bytes.as_mut_ptr(), N as u32) }
    }

    /// Writes an array at `at`.
    #[inline(always)]
    fn put<const N: usize>(self, at: u32, bytes: &[u8; N]) -> bool {
        // SAFETY: the buffer has N bytes.
        unsafe { self.store(at, bytes.as_ptr(), N as u32) }
    }
}
