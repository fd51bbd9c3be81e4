//! Templates: a text with the groups of a regular expression in it.

use super::pattern::Pattern;

/// What a key is made of: text, and groups of the pool's `match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

/// A part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// As it stands.
    Text(String),
    /// The group of that number; 0 is all that has matched.
    Group(usize),
}

impl Default for Template {
    /// `$0`.
    fn default() -> Self {
        Self(vec![Part::Group(0)])
    }
}

impl Template {
    /// Reads a template: `$1`, `${1}` and `${name}` are groups of `pattern`, `$$` is a
    /// dollar. Without a pattern there is `$0` only, the whole value.
    ///
    /// # Errors
    /// One line: which group there is not, or how one is written.
    pub fn new(text: &str, pattern: Option<&Pattern>) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('$') {
            push(&mut parts, before);
            rest = if let Some(behind) = behind.strip_prefix('$') {
                push(&mut parts, "$");
                behind
            } else {
                let (name, behind) = name(behind).ok_or_else(|| {
                    format!(
                        "{text:?} has a $ without a group: write $1, ${{name}}, or $$ for a dollar"
                    )
                })?;
                let group = find(name, pattern).ok_or_else(|| {
                    format!("{text:?} names the group {name:?}, which match does not have")
                })?;
                parts.push(Part::Group(group));
                behind
            };
        }
        push(&mut parts, rest);
        match parts.is_empty() {
            true => Err("an empty template makes no key: write \"$0\" for the whole match".into()),
            false => Ok(Self(parts)),
        }
    }

    /// Its parts, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }
}

fn push(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Text(last)) => last.push_str(text),
        _ => parts.push(Part::Text(text.to_owned())),
    }
}

/// The name behind a dollar, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    if let Some(braced) = text.strip_prefix('{') {
        return braced.split_once('}');
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    (digits > 0).then(|| text.split_at(digits))
}

/// The number of the group of that name.
fn find(name: &str, pattern: Option<&Pattern>) -> Option<usize> {
    let mut names = pattern.map(|p| p.regex().capture_names());
    match (name.parse(), &mut names) {
        (Ok(0), _) => Some(0),
        (Ok(number), Some(names)) => (number < names.len()).then_some(number),
        (Err(_), Some(names)) => names.position(|group| group == Some(name)),
        (_, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Result<Vec<Part>, String> {
        let pattern = Pattern::new("^(?<site>[a-z]+)/([0-9]+)").unwrap();
        Template::new(text, Some(&pattern)).map(|template| template.0)
    }

    fn text(text: &str) -> Part {
        Part::Text(text.to_owned())
    }

    #[test]
    fn groups_are_named_by_number_or_name() {
        use Part::Group;
        assert_eq!(parts("$1"), Ok(vec![Group(1)]));
        assert_eq!(parts("${site}-$2"), Ok(vec![Group(1), text("-"), Group(2)]));
        assert_eq!(parts("x$1y"), Ok(vec![text("x"), Group(1), text("y")]));
        assert_eq!(parts("${2}0"), Ok(vec![Group(2), text("0")]));
        assert_eq!(parts("$0"), Ok(Template::default().0));
    }

    #[test]
    fn a_dollar_is_written_twice() {
        assert_eq!(parts("a$$1"), Ok(vec![text("a$1")]));
        assert!(parts("5 $").unwrap_err().contains("$ without a group"));
        assert!(parts("${1").unwrap_err().contains("$ without a group"));
    }

    #[test]
    fn a_group_that_is_not_there_is_an_error() {
        assert!(parts("$3").unwrap_err().contains("the group \"3\""));
        assert!(parts("${area}").unwrap_err().contains("the group \"area\""));
        assert!(parts("${}").unwrap_err().contains("the group \"\""));
        assert!(parts("").unwrap_err().contains("empty template"));
    }

    #[test]
    fn without_a_pattern_there_is_the_whole_value() {
        let parts = Template::new("x-$0", None).unwrap().0;
        assert_eq!(parts, [text("x-"), Part::Group(0)]);
        assert!(Template::new("$1", None).is_err());
    }
}
