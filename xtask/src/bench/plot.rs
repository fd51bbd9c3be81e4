//! The results as pictures: bars, a panel for each figure.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::backend::SVGBackend;
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::element::{PathElement, Rectangle, Text};
use plotters::style::{Color, IntoFont, RGBColor, ShapeStyle, TextStyle};

use super::candidate::Candidate;

const WIDTH: i32 = 460;
const MARGIN: i32 = 12;
const TITLE: i32 = 26;
const ROW: i32 = 19;
const BAR: i32 = 13;
/// Where the bars begin, and how long they can be.
const BEGIN: i32 = 180;
const LENGTH: i32 = 210;
/// Longer bars are cut: the number is beside them.
const MOST: f64 = 3.0;

const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const FAINT: RGBColor = RGBColor(0x99, 0x99, 0x99);

/// A figure of all candidates.
pub struct Panel {
    /// What it is.
    pub title: String,
    /// Whether the bars are ratios, with a line at 1.
    pub is_ratio: bool,
    /// The candidates, their bar and the text beside it; no bar where there is no
    /// number to be trusted.
    pub bars: Vec<(Candidate, Option<f64>, String)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Draws panels, as many beside each other as `columns`.
///
/// # Errors
/// If the file cannot be written.
pub fn draw(file: &Path, panels: &[Panel], columns: usize) -> Result<()> {
    let rows = panels.iter().map(|panel| panel.bars.len()).max();
    let height = TITLE + ROW * rows.unwrap_or(0) as i32 + MARGIN;
    let columns = columns.min(panels.len()).max(1);
    let lines = panels.len().div_ceil(columns) as i32;
    let size = (
        (WIDTH * columns as i32) as u32,
        (height * lines + MARGIN) as u32,
    );
    let root = SVGBackend::new(file, size).into_drawing_area();
    let failed = |error: &dyn std::fmt::Display| anyhow!("cannot draw {}: {error}", file.display());
    root.fill(&RGBColor(255, 255, 255))
        .map_err(|e| failed(&e))?;
    for (n, panel) in panels.iter().enumerate() {
        let at = (
            WIDTH * (n % columns) as i32 + MARGIN,
            height * (n / columns) as i32 + MARGIN,
        );
        panel.draw(&root, at).map_err(|e| failed(&e))?;
    }
    root.present().map_err(|e| failed(&e))
}

impl Panel {
    fn draw(&self, area: &Area, (x, y): (i32, i32)) -> Result<()> {
        let text = |text: &str, at, size, color: RGBColor| {
            let style = TextStyle::from(("sans-serif", size).into_font()).color(&color);
            area.draw(&Text::new(text.to_owned(), at, style))
        };
        text(&self.title, (x, y), 15, INK)?;
        let values = self.bars.iter().filter_map(|(_, value, _)| *value);
        let most = values.fold(if self.is_ratio { 1.0 } else { 0.0 }, f64::max);
        let most = if self.is_ratio { most.min(MOST) } else { most };
        let length = |value: f64| (f64::from(LENGTH) * (value / most).clamp(0.0, 1.0)) as i32;
        let bars = y + TITLE;
        for (n, (candidate, value, label)) in self.bars.iter().enumerate() {
            let top = bars + ROW * n as i32;
            text(&candidate.name(), (x, top), 13, INK)?;
            let end = x + BEGIN + value.map_or(0, length);
            let bar = [(x + BEGIN, top), (end, top + BAR)];
            area.draw(&Rectangle::new(bar, color(*candidate).filled()))?;
            text(label, (end + 5, top), 13, INK)?;
        }
        if self.is_ratio {
            let at = x + BEGIN + length(1.0);
            let bottom = bars + ROW * self.bars.len() as i32 - 3;
            let line = vec![(at, bars - 3), (at, bottom)];
            area.draw(&PathElement::new(line, ShapeStyle::from(&FAINT)))?;
        }
        Ok(())
    }
}

fn color(candidate: Candidate) -> RGBColor {
    match candidate {
        Candidate::Direct => RGBColor(0xbb, 0xbb, 0xbb),
        Candidate::MqttLb(_) => RGBColor(0x2a, 0x7f, 0xb8),
        Candidate::Haproxy(_) => RGBColor(0xe0, 0x8e, 0x2b),
        Candidate::Nginx => RGBColor(0x5c, 0xa0, 0x4c),
    }
}

#[cfg(test)]
mod tests {
    use super::super::candidate::haproxy;
    use super::*;

    #[test]
    fn panels_become_a_picture() {
        let dir = tempfile::TempDir::new().expect("a directory");
        let file = dir.path().join("one.svg");
        let panel = |title: &str| Panel {
            title: title.to_owned(),
            is_ratio: true,
            bars: vec![
                (Candidate::Direct, Some(1.0), "1.00".into()),
                (haproxy(1, false), Some(40.0), "40.00".into()),
                (Candidate::Nginx, None, "–".into()),
            ],
        };
        draw(&file, &[panel("rate"), panel("p50"), panel("p99")], 2).expect("a picture");
        let text = std::fs::read_to_string(&file).expect("the picture");
        assert!(text.starts_with("<svg") && text.contains("nginx njs"));
        assert!(text.contains("40.00") && text.contains("p99"));
        // A bar that is cut is as long as one of the most that is shown.
        assert!(text.contains(&format!("width=\"{LENGTH}\"")), "{text}");
    }
}
