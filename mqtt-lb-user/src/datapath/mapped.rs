//! A BPF array mapped into memory: shared with the programs, edited in place.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;

use anyhow::{Context as _, ensure};

/// The elements of an array map that was created with `BPF_F_MMAPABLE`.
///
/// The kernel lays elements out at multiples of 8 bytes; `T` must have such a size.
pub struct Mapped<T> {
    base: NonNull<T>,
    len: u32,
}

// SAFETY: hands out addresses only; the mapping lives as long as the value, and whoever
// uses an address answers for how.
unsafe impl<T> Send for Mapped<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Mapped<T> {}

impl<T> Mapped<T> {
    const SIZE_FITS: () = assert!(size_of::<T>().is_multiple_of(8) && size_of::<T>() > 0);

    /// Maps the array `fd` of `len` elements of `T`.
    ///
    /// # Errors
    /// The kernel refuses: the map is smaller, or was not created to be mapped.
    pub fn new(fd: BorrowedFd<'_>, len: u32) -> anyhow::Result<Self> {
        let () = Self::SIZE_FITS;
        ensure!(len > 0, "an array without elements cannot be mapped");
        // SAFETY: a new shared mapping; the kernel refuses what is not such a map.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len as usize * size_of::<T>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                fd.as_raw_fd(),
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error()).context("mapping a BPF array into memory");
        }
        let base = NonNull::new(base.cast()).context("a BPF array was mapped at address 0")?;
        Ok(Self { base, len })
    }

    /// Address of element `i`; valid as long as this value.
    ///
    /// # Panics
    /// There is no such element.
    pub fn at(&self, i: u32) -> *mut T {
        assert!(i < self.len, "element {i} of {} does not exist", self.len);
        // SAFETY: in bounds, checked above.
        unsafe { self.base.as_ptr().add(i as usize) }
    }

    /// Number of elements.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> u32 {
        self.len
    }
}

impl<T> Drop for Mapped<T> {
    fn drop(&mut self) {
        // SAFETY: the mapping made by `new`, of that size.
        unsafe {
            libc::munmap(
                self.base.as_ptr().cast(),
                self.len as usize * size_of::<T>(),
            );
        }
    }
}
