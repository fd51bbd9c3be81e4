//! Offsets of kernel structure members, out of `/sys/kernel/btf/vmlinux`.
//!
//! Only as much of the BTF format (Documentation/bpf/btf.rst) as finding a
//! direct member of a named structure takes.

use anyhow::{Context as _, ensure};

const MAGIC: u16 = 0xeb9f;
const KIND_STRUCT: u32 = 4;

/// Byte offset of `member` in `struct name`.
///
/// # Errors
/// When the data is not BTF of this host's byte order, or holds no such member.
pub fn member_offset(btf: &[u8], name: &str, member: &str) -> anyhow::Result<u32> {
    let word = |at: usize| -> anyhow::Result<u32> {
        let bytes = btf.get(at..at + 4).context("BTF ends early")?;
        Ok(u32::from_ne_bytes(bytes.try_into()?))
    };
    let magic = btf.get(..2).context("BTF ends early")?;
    ensure!(
        u16::from_ne_bytes(magic.try_into()?) == MAGIC,
        "not BTF data"
    );
    let header = word(4)? as usize;
    let types = header + word(8)? as usize;
    let types_end = types + word(12)? as usize;
    let strings = header + word(16)? as usize;
    let is = |offset: u32, wanted: &str| {
        let at = strings + offset as usize;
        btf.get(at..at + wanted.len()) == Some(wanted.as_bytes())
            && btf.get(at + wanted.len()) == Some(&0)
    };

    let mut at = types;
    while at < types_end {
        let (name_offset, info) = (word(at)?, word(at + 4)?);
        let (kind, vlen) = ((info >> 24) & 0x1f, (info & 0xffff) as usize);
        let bitfields = info >> 31 == 1;
        if kind == KIND_STRUCT && is(name_offset, name) {
            for entry in (0..vlen).map(|i| at + 12 + i * 12) {
                if is(word(entry)?, member) {
                    let bits = word(entry + 8)?;
                    let bits = if bitfields { bits & 0xff_ffff } else { bits };
                    return Ok(bits / 8);
                }
            }
        }
        at += 12 + trailer(kind, vlen)?;
    }
    anyhow::bail!("the kernel's BTF has no member {member} in struct {name}")
}

/// Bytes that follow the 12-byte head of a type.
fn trailer(kind: u32, vlen: usize) -> anyhow::Result<usize> {
    Ok(match kind {
        1 | 14 | 17 => 4,             // INT, VAR, DECL_TAG
        3 => 12,                      // ARRAY
        4 | 5 | 15 | 19 => vlen * 12, // STRUCT, UNION, DATASEC, ENUM64
        6 | 13 => vlen * 8,           // ENUM, FUNC_PROTO
        2 | 7..=12 | 16 | 18 => 0,    // PTR, FWD, TYPEDEF, qualifiers, FUNC, FLOAT, TYPE_TAG
        _ => anyhow::bail!("BTF kind {kind} is not known"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BTF with `int`, and `struct s { int a; int b; }`.
    fn sample() -> Vec<u8> {
        let strings = b"\0int\0s\0a\0b\0";
        let mut types = Vec::new();
        let mut push = |words: &[u32]| {
            for word in words {
                types.extend_from_slice(&word.to_ne_bytes());
            }
        };
        push(&[1, 1 << 24, 4, 32]);
        push(&[5, 4 << 24 | 2, 8, 7, 1, 0, 9, 1, 32]);
        let mut btf = Vec::new();
        btf.extend_from_slice(&MAGIC.to_ne_bytes());
        btf.extend_from_slice(&[1, 0]);
        for word in [
            24,
            0,
            types.len() as u32,
            types.len() as u32,
            strings.len() as u32,
        ] {
            btf.extend_from_slice(&word.to_ne_bytes());
        }
        btf.extend_from_slice(&types);
        btf.extend_from_slice(strings);
        btf
    }

    #[test]
    fn finds_members_by_name() {
        assert_eq!(member_offset(&sample(), "s", "a").unwrap(), 0);
        assert_eq!(member_offset(&sample(), "s", "b").unwrap(), 4);
    }

    #[test]
    fn says_what_is_missing() {
        let error = member_offset(&sample(), "s", "c").unwrap_err().to_string();
        assert_eq!(error, "the kernel's BTF has no member c in struct s");
        assert!(member_offset(&sample(), "t", "a").is_err());
        assert!(member_offset(b"garbage!", "s", "a").is_err());
        assert!(member_offset(&sample()[..30], "s", "b").is_err());
    }

    #[test]
    fn reads_this_kernels_btf() {
        let Ok(btf) = std::fs::read("/sys/kernel/btf/vmlinux") else {
            println!("SKIPPED: this kernel has no /sys/kernel/btf/vmlinux");
            return;
        };
        let cb = member_offset(&btf, "sk_buff", "cb").unwrap();
        let acked = member_offset(&btf, "tcp_sock", "bytes_acked").unwrap();
        let copied = member_offset(&btf, "tcp_sock", "copied_seq").unwrap();
        assert!(cb > 0 && acked > 0 && copied > 0 && acked != copied);
    }
}
