//! Order of 32-bit numbers that wrap: TCP's sequence numbers (RFC 9293, 3.4) and
//! timestamps (RFC 7323, 5.2).

/// Whether `a` comes after `b`: less than half of the number space ahead of it.
#[inline(always)]
pub const fn is_newer(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) > 0
}

/// The one that comes after the other.
#[inline(always)]
pub const fn newest(a: u32, b: u32) -> u32 {
    if is_newer(a, b) { a } else { b }
}

/// The one that comes before the other.
#[inline(always)]
pub const fn oldest(a: u32, b: u32) -> u32 {
    if is_newer(a, b) { b } else { a }
}

/// The newest of a hint and what a packet says; a hint of 0 is none yet.
#[inline(always)]
pub const fn hinted(hint: u32, said: u32) -> u32 {
    if hint == 0 { said } else { newest(said, hint) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn order_survives_the_wrap() {
        assert!(is_newer(0, u32::MAX));
        assert!(!is_newer(u32::MAX, 0));
        assert!(!is_newer(7, 7));
        assert_eq!(newest(3, u32::MAX - 3), 3);
    }

    #[test]
    fn the_first_word_is_taken_as_it_is() {
        assert_eq!(hinted(0, 0x9000_0000), 0x9000_0000);
        assert_eq!(hinted(5, 0x9000_0000), 5);
    }

    proptest! {
        #[test]
        fn a_step_forward_is_newer(from: u32, step in 1u32..0x8000_0000) {
            let to = from.wrapping_add(step);
            prop_assert!(is_newer(to, from));
            prop_assert!(!is_newer(from, to));
            prop_assert_eq!(newest(from, to), to);
            prop_assert_eq!(newest(to, from), to);
            prop_assert_eq!(oldest(from, to), from);
            prop_assert_eq!(oldest(to, from), from);
        }
    }
}
