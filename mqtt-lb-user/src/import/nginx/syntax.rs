//! nginx.conf as directives: words, `;`, blocks in braces, quotes and comments.

use crate::import::note::{Notes, Said};

/// Blocks inside of each other at most; deeper ones are left out.
const MAX_DEPTH: usize = 16;

/// A directive with its block, if it has one.
#[derive(Debug, Clone)]
pub(super) struct Directive {
    pub(super) said: Said,
    /// Its name and its arguments; never empty.
    pub(super) words: Vec<String>,
    pub(super) block: Option<Vec<Directive>>,
}

impl Directive {
    /// The words, to match on.
    pub(super) fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.words[0]
    }

    /// What stands in its block.
    pub(super) fn inner(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }
}

/// The directives of `text`; what is no directive is noted.
pub(super) fn directives(text: &str, notes: &mut Notes) -> Vec<Directive> {
    let mut open: Vec<(Option<Directive>, Vec<Directive>)> = vec![(None, Vec::new())];
    let mut words: Vec<(usize, String)> = Vec::new();
    for (line, token) in tokens(text) {
        match token {
            Token::Word(word) => words.push((line, word)),
            Token::End => {
                if let Some(directive) = directive(&mut words) {
                    push(&mut open, directive);
                }
            }
            Token::Open => {
                let head = directive(&mut words);
                if open.len() == MAX_DEPTH {
                    let why = "blocks are not read that deep";
                    notes.not_taken(&Said::new(line, "{"), why);
                }
                open.push((head, Vec::new()));
            }
            Token::Close => {
                stray(&mut words, notes);
                close(&mut open, line, notes);
            }
        }
    }
    stray(&mut words, notes);
    while open.len() > 1 {
        let line = open
            .last()
            .and_then(|(head, _)| Some(head.as_ref()?.said.line));
        notes.not_taken(
            &Said::new(line.unwrap_or(1), "{"),
            "the block is not closed",
        );
        close(&mut open, line.unwrap_or(1), notes);
    }
    open.pop()
        .map(|(_, directives)| directives)
        .unwrap_or_default()
}

fn push(open: &mut [(Option<Directive>, Vec<Directive>)], directive: Directive) {
    if open.len() <= MAX_DEPTH {
        if let Some((_, directives)) = open.last_mut() {
            directives.push(directive);
        }
    }
}

fn close(open: &mut Vec<(Option<Directive>, Vec<Directive>)>, line: usize, notes: &mut Notes) {
    if open.len() == 1 {
        return notes.not_taken(&Said::new(line, "}"), "it closes no block");
    }
    if let Some((Some(mut head), block)) = open.pop() {
        head.block = Some(block);
        push(open, head);
    }
}

fn directive(words: &mut Vec<(usize, String)>) -> Option<Directive> {
    let line = words.first()?.0;
    let words: Vec<String> = words.drain(..).map(|(_, word)| word).collect();
    let said = Said::new(line, &words.join(" "));
    Some(Directive {
        said,
        words,
        block: None,
    })
}

fn stray(words: &mut Vec<(usize, String)>, notes: &mut Notes) {
    if let Some(directive) = directive(words) {
        notes.not_taken(&directive.said, "it lacks its `;`");
    }
}

enum Token {
    Word(String),
    End,
    Open,
    Close,
}

/// The tokens with the line each begins on.
fn tokens(text: &str) -> Vec<(usize, Token)> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => line += 1,
            c if c.is_whitespace() => {}
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            ';' => tokens.push((line, Token::End)),
            '{' => tokens.push((line, Token::Open)),
            '}' => tokens.push((line, Token::Close)),
            '"' | '\'' => {
                let (start, mut word) = (line, String::new());
                while let Some(inner) = chars.next().filter(|inner| *inner != c) {
                    line += usize::from(inner == '\n');
                    match inner {
                        '\\' => word.extend(escaped(chars.next())),
                        inner => word.push(inner),
                    }
                }
                tokens.push((start, Token::Word(word)));
            }
            c => {
                let mut word = String::new();
                let mut next = Some(c);
                while let Some(c) = next {
                    match c {
                        '\\' => word.extend(escaped(chars.next())),
                        '$' if chars.peek() == Some(&'{') => {
                            word.push(c);
                            while let Some(c) = chars.next_if(|c| *c != '}' && *c != '\n') {
                                word.push(c);
                            }
                        }
                        c => word.push(c),
                    }
                    next = chars.next_if(|c| !c.is_whitespace() && !";{".contains(*c));
                }
                tokens.push((line, Token::Word(word)));
            }
        }
    }
    tokens
}

/// What a backslash makes of the character behind it: only quotes and separators
/// lose it, as in nginx.
fn escaped(c: Option<char>) -> Vec<char> {
    match c {
        Some(c) if c.is_whitespace() || "\"';{}#\\".contains(c) => vec![c],
        Some(c) => vec!['\\', c],
        None => vec!['\\'],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Vec<Directive>, Vec<String>) {
        let mut notes = Notes::default();
        let read = directives(text, &mut notes);
        (read, notes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn directives_as_nginx_reads_them() {
        let (read, notes) = read(
            "# all\nstream {\n  upstream b { server 10.0.0.1:1883 weight=2; }\n  \
             map $x $y { ~^\\d+$ \"a b\"; }\n  hash ${cid}x 'c;d';\n}\n",
        );
        assert_eq!(notes, [""; 0]);
        let stream = &read[0];
        assert_eq!(
            (read.len(), stream.said.line, stream.name()),
            (1, 2, "stream")
        );
        let [upstream, map, hash] = stream.inner() else {
            panic!("{stream:?}");
        };
        assert_eq!(upstream.words, ["upstream", "b"]);
        let server = &upstream.inner()[0];
        assert_eq!(server.words, ["server", "10.0.0.1:1883", "weight=2"]);
        assert_eq!(server.said, Said::new(3, "server 10.0.0.1:1883 weight=2"));
        assert_eq!(map.inner()[0].words, ["~^\\d+$", "a b"]);
        assert_eq!(hash.words, ["hash", "${cid}x", "c;d"]);
    }

    #[test]
    fn what_is_not_closed_is_noted() {
        let (directives, notes) = read("}\na b\nc { d; e }\nf {\n g;\n");
        let names: Vec<&str> = directives.iter().map(Directive::name).collect();
        assert_eq!(names, ["a", "f"]);
        assert_eq!(directives[1].inner()[0].name(), "g");
        assert_eq!(notes.len(), 3, "{notes:?}");
        let (_, notes) = read(&"a { ".repeat(10_000));
        assert!(notes.iter().any(|note| note.contains("that deep")));
    }
}
