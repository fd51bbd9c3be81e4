//! Regular expressions for routes, from the ways in which the sources compare strings.

/// How a string is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    /// It is one of them.
    Equal,
    /// It begins with one of them.
    Begin,
    /// It ends with one of them.
    End,
    /// One of them is in it.
    Contain,
    /// One of them, an expression itself, matches in it.
    Match,
}

/// The expression that matches what compares well with one of `patterns`.
pub(super) fn expression(compare: Compare, ignore_case: bool, patterns: &[&str]) -> String {
    let all: Vec<String> = patterns
        .iter()
        .map(|pattern| match compare {
            Compare::Match => (*pattern).to_owned(),
            _ => escape(pattern),
        })
        .collect();
    let any = match all.as_slice() {
        [one] => one.clone(),
        all => format!("(?:{})", all.join("|")),
    };
    let (begin, end) = match compare {
        Compare::Equal => ("^", "$"),
        Compare::Begin => ("^", ""),
        Compare::End => ("", "$"),
        Compare::Contain | Compare::Match => ("", ""),
    };
    let case = if ignore_case { "(?i)" } else { "" };
    format!("{case}{begin}{any}{end}")
}

/// An expression that matches `text` and nothing else.
fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if r"\.+*?()|[]{}^$#&-~".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions() {
        let one = |compare| expression(compare, false, &["a.b"]);
        assert_eq!(one(Compare::Equal), r"^a\.b$");
        assert_eq!(one(Compare::Begin), r"^a\.b");
        assert_eq!(one(Compare::End), r"a\.b$");
        assert_eq!(one(Compare::Contain), r"a\.b");
        assert_eq!(one(Compare::Match), "a.b");
        let two = expression(Compare::Equal, true, &["a|b", "c"]);
        assert_eq!(two, r"(?i)^(?:a\|b|c)$");
        assert_eq!(
            expression(Compare::Match, false, &["a|b", "c"]),
            "(?:a|b|c)"
        );
    }
}
