//! Names that mqtt-lb takes, from those of the source.

use std::collections::BTreeSet;

/// Characters of a name at most.
const MAX: usize = 64;

/// The names of one kind, none twice.
#[derive(Debug, Default)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// `wanted` with what no name may have replaced, and a number behind it when it is
    /// taken already.
    pub(super) fn take(&mut self, wanted: &str) -> String {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        let fit = |c: char| if allowed(c) { c } else { '_' };
        let base: String = wanted.chars().map(fit).take(MAX).collect();
        let base = if base.is_empty() { "_" } else { &base };
        let numbered = (2..).map(|n| {
            let number = format!("-{n}");
            let kept = base.len().min(MAX - number.len());
            format!("{}{number}", &base[..kept])
        });
        let mut names = std::iter::once(base.to_owned()).chain(numbered);
        let free = names.find(|name| !self.taken.contains(name));
        let free = free.expect("there is always a next number");
        self.taken.insert(free.clone());
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_and_differ() {
        let mut names = Names::default();
        assert_eq!(names.take("emqx1"), "emqx1");
        assert_eq!(names.take("emqx1"), "emqx1-2");
        assert_eq!(names.take("emqx1"), "emqx1-3");
        assert_eq!(names.take("Knoten ä/1"), "Knoten___1");
        assert_eq!(names.take(""), "_");
        let long = "x".repeat(99);
        assert_eq!(names.take(&long), "x".repeat(64));
        assert_eq!(names.take(&long), format!("{}-2", "x".repeat(62)));
    }
}
