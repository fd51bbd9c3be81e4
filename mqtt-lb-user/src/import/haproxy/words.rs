//! Lines of a haproxy.cfg as words: quotes, backslashes and comments
//! (HAProxy's configuration manual, 2.2 "Quoting and escaping").

use crate::import::note::Said;

/// A line with its words.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) said: Said,
    pub(super) words: Vec<String>,
    /// Why its words are not what HAProxy would see.
    pub(super) unclear: Option<&'static str>,
}

impl Line {
    /// The words, to match on.
    pub(super) fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}

/// The lines of `text` that say something.
pub(super) fn lines(text: &str) -> Vec<Line> {
    (1..)
        .zip(text.lines())
        .map(|(number, text)| line(number, text))
        .filter(|line| !line.words.is_empty())
        .collect()
}

fn line(number: usize, text: &str) -> Line {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut unclear = None;
    let mut quote = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '#') => break,
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (Some(q), c) if c == q => quote = None,
            (Some('\''), c) => word.get_or_insert_default().push(c),
            (_, '\\') => {
                let escaped = chars.next().unwrap_or('\\');
                word.get_or_insert_default().push(match escaped {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    c => c,
                });
            }
            (Some(_), '$')
                if chars
                    .peek()
                    .is_some_and(|c| !c.is_whitespace() && *c != '"') =>
            {
                unclear =
                    Some("it uses a variable of the environment: write its value and import again");
                word.get_or_insert_default().push(c);
            }
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        unclear = Some("a quote is not closed");
    }
    words.extend(word);
    Line {
        said: Said::new(number, text.trim()),
        words,
        unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_as_haproxy_reads_them() {
        for (text, words) in [
            ("  bind  *:1883 # all", vec!["bind", "*:1883"]),
            ("a 'b c' \"d e\" f\\ g", vec!["a", "b c", "d e", "f g"]),
            ("x \"\" y", vec!["x", "", "y"]),
            ("x \\#1 '#2'", vec!["x", "#1", "#2"]),
            ("x 'a\\b' \"a\\\\b\"", vec!["x", "a\\b", "a\\b"]),
            ("reg ^a$", vec!["reg", "^a$"]),
        ] {
            let line = line(1, text);
            assert_eq!(line.words, words, "{text}");
            assert_eq!(line.unclear, None, "{text}");
        }
        assert!(lines("# nothing\n\n   \n").is_empty());
        assert!(line(1, "server a \"${HOST}:1883\"").unclear.is_some());
        assert!(line(1, "server 'a").unclear.is_some());
    }
}
