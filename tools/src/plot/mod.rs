//! Distributions as pictures: latency against count, both axes logarithmic, every maximum marked.
//!
//! Up to three series share one panel, more get a row each. SVG only: it is text, needs no font
//! library, and a reader can zoom into the tail, which is where the news is.

mod bins;
mod colour;
mod panel;
pub mod quantile;
mod words;

use hdrhistogram::Histogram;
use plotters::prelude::*;

use bins::Span;

/// Size of a picture, px.
const SIZE: (u32, u32) = (900, 500);
/// Height of the title, px.
const HEAD: u32 = 38;
/// Height of a line of the subtitle, px.
const HEAD_LINE: u32 = 17;
/// Height of the line under the lowest axis, px.
const FOOT: u32 = 20;
/// More series than this get a row each.
const ONE_PANEL_MAX: usize = 3;
/// Height that a row has at least, px; the picture grows for it.
const ROW_MIN: u32 = 58;

/// One distribution of a picture.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    /// What it is, for the reader.
    pub name: &'a str,
    /// Values in ns.
    pub histogram: &'a Histogram<u64>,
    /// What it must stay under, ns; drawn as a line.
    pub budget_ns: Option<u64>,
}

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PlotError {
    /// Nothing to draw.
    #[error("nothing to draw: none of the {0} series has a sample; measure longer")]
    Empty(usize),
    /// The drawing itself failed.
    #[error("cannot draw the plot: {0}")]
    Draw(String),
}

/// Draws the series as one SVG document. The subtitle is the place for provenance: kernel, profile,
/// counted or wall time, cycles.
///
/// # Errors
/// [`PlotError`].
pub fn distribution_svg(
    title: &str,
    subtitle: &str,
    series: &[Series],
) -> Result<String, PlotError> {
    let span = Span::of(series).ok_or(PlotError::Empty(series.len()))?;
    let (width, _) = SIZE;
    let rows: Vec<&[Series]> = match series.len() {
        0..=ONE_PANEL_MAX => vec![series],
        _ => series.chunks(1).collect(),
    };
    let rows_count = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    let lines = words::wrapped(subtitle);
    let head = HEAD + HEAD_LINE * u32::try_from(lines.len()).unwrap_or(1);
    let height = SIZE.1.max(head + FOOT + panel::BELOW + ROW_MIN.saturating_mul(rows_count));
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, (width, height)).into_drawing_area();
        root.fill(&WHITE).map_err(drawing)?;
        panel::head(&root, title, &lines).map_err(drawing)?;
        let mut rest = root.margin(head, FOOT, 0, 0);
        let each = (height - head - FOOT - panel::BELOW) / rows_count.max(1);
        for (index, row) in rows.iter().enumerate() {
            let lowest = index + 1 == rows.len();
            // The lowest has the labels of the time axis beside its share.
            let cut = if lowest { each + panel::BELOW } else { each };
            let (area, below) = rest.split_vertically(cut);
            panel::draw(&area, row, index, span, lowest).map_err(drawing)?;
            rest = below;
        }
        panel::foot(&root).map_err(drawing)?;
        root.present().map_err(drawing)?;
    }
    Ok(text)
}

fn drawing(error: impl std::fmt::Display) -> PlotError {
    PlotError::Draw(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[(u64, u64)]) -> Histogram<u64> {
        let mut histogram = Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap();
        for (value, count) in values {
            histogram.record_n(*value, *count).unwrap();
        }
        histogram
    }

    #[test]
    fn maximum_budget_and_provenance_stand_in_the_picture() {
        let wake = histogram(&[(4_200, 90_000), (7_000, 9_000), (43_700, 1)]);
        let series = [Series { name: "wake-up", histogram: &wake, budget_ns: Some(500_000) }];
        let svg = distribution_svg("The title", "kernel 6.12 & more", &series).unwrap();
        for text in ["The title", "kernel 6.12 &amp; more", "wake-up", "max 43.7", "budget 500"] {
            assert!(svg.contains(text), "{text} is missing");
        }
        assert!(svg.contains("width=\"900\" height=\"500\""));
    }

    #[test]
    fn every_series_marks_its_own_maximum() {
        let many: Vec<_> =
            (1..=8).map(|n| histogram(&[(n * 1_000, 50), (n * 11_000, 1)])).collect();
        let names: Vec<String> = (1..=8).map(|n| format!("path {n}")).collect();
        let series: Vec<Series> = many
            .iter()
            .zip(&names)
            .map(|(histogram, name)| Series { name, histogram, budget_ns: None })
            .collect();
        let svg = distribution_svg("t", "s", &series).unwrap();
        for n in 1..=8 {
            assert!(svg.contains(&format!("path {n}")) && svg.contains(&format!("max {}", n * 11)));
        }
    }

    #[test]
    fn a_series_without_samples_says_so_and_none_at_all_is_refused() {
        let (full, empty) = (histogram(&[(5_000, 10)]), histogram(&[]));
        let one = Series { name: "full", histogram: &full, budget_ns: None };
        let none = Series { name: "empty", histogram: &empty, budget_ns: None };
        assert!(distribution_svg("t", "s", &[one, none]).unwrap().contains("no samples"));
        assert!(matches!(distribution_svg("t", "s", &[none]), Err(PlotError::Empty(1))));
        assert!(matches!(distribution_svg("t", "s", &[]), Err(PlotError::Empty(0))));
    }
}
