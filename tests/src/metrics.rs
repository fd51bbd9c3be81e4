//! Reading a scrape in the OpenMetrics text format.

/// One scrape.
#[derive(Debug, Clone, Default)]
pub struct Scrape(Vec<Sample>);

#[derive(Debug, Clone)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Scrape {
    /// Parses the text; label values hold no commas or quotes in these tests.
    pub fn parse(text: &str) -> Self {
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        Self(lines.map(sample).collect())
    }

    /// Sum of all samples of that name which carry all the given labels;
    /// 0 when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.0
            .iter()
            .filter(|s| s.name == name && s.has(labels))
            .map(|s| s.value)
            .sum()
    }

    /// Like [`Scrape::sum`], for a series that must be there even at zero.
    pub fn gauge(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        assert!(self.has(name, labels), "no series {name}{labels:?}");
        self.sum(name, labels)
    }

    /// Values of one label over all samples of a name, with what each counts.
    pub fn by_label(&self, name: &str, label: &str) -> Vec<(&str, f64)> {
        let ours = self.0.iter().filter(|s| s.name == name);
        let labelled = ours.filter_map(|s| {
            let found = s.labels.iter().find(|(key, _)| key == label)?;
            Some((found.1.as_str(), s.value))
        });
        labelled.collect()
    }

    /// Whether there is a sample of that name with the given labels.
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.0.iter().any(|s| s.name == name && s.has(labels))
    }
}

impl Sample {
    fn has(&self, labels: &[(&str, &str)]) -> bool {
        labels.iter().all(|(k, v)| {
            self.labels
                .iter()
                .any(|(key, value)| k == key && v == value)
        })
    }
}

fn sample(line: &str) -> Sample {
    let (series, value) = line
        .rsplit_once(' ')
        .unwrap_or_else(|| panic!("no value: {line}"));
    let (name, labels) = series.split_once('{').unwrap_or((series, ""));
    let labels = labels
        .trim_end_matches('}')
        .split(',')
        .filter_map(|pair| pair.split_once('='));
    Sample {
        name: name.to_owned(),
        labels: labels
            .map(|(k, v)| (k.to_owned(), v.trim_matches('"').to_owned()))
            .collect(),
        value: value
            .parse()
            .unwrap_or_else(|_| panic!("not a number: {line}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_found_by_name_and_labels() {
        let text =
            "# TYPE a counter\na_total{x=\"1\",y=\"b c\"} 3\na_total{x=\"2\"} 4\nb 0.5\n# EOF\n";
        let scrape = Scrape::parse(text);
        assert_eq!(scrape.sum("a_total", &[]), 7.0);
        assert_eq!(scrape.sum("a_total", &[("x", "1"), ("y", "b c")]), 3.0);
        assert_eq!(scrape.sum("b", &[]), 0.5);
        assert_eq!(scrape.sum("a", &[]), 0.0);
        assert!(!scrape.has("a_total", &[("x", "3")]));
    }
}
