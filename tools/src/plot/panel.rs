//! One panel: axes, the distributions as steps, budgets as lines, maxima with their values. All in
//! pixels: a logarithmic axis wants its ticks at 1, 2, 5 and its labels in words.

use plotters::coord::Shift;
use plotters::element::DashedPathElement;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::bins::{self, Bin, Span};
use super::{Series, colour, words};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// The foot of a count axis: one sample still stands clear of it.
const COUNT_FOOT: f64 = 0.6;
/// Space left of a frame, px.
const LEFT: i32 = 56;
/// Space right of it, px.
const RIGHT: i32 = 24;
/// Space below the lowest, for the labels of the time axis, px.
pub const BELOW: u32 = 22;
/// Height of one line of a legend, px.
const LINE: i32 = 17;

/// Where values stand, px.
#[derive(Clone, Copy)]
struct Frame {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
    span: Span,
    count_top: f64,
}

impl Frame {
    fn x(&self, us: f64) -> i32 {
        self.left + (self.span.share(us) * f64::from(self.right - self.left)).round() as i32
    }

    fn y(&self, count: f64) -> i32 {
        let share =
            (count.max(COUNT_FOOT) / COUNT_FOOT).log10() / (self.count_top / COUNT_FOOT).log10();
        self.bottom - (share * f64::from(self.bottom - self.top)).round() as i32
    }
}

fn pixels(size: u32) -> i32 {
    i32::try_from(size).unwrap_or(i32::MAX)
}

/// The backend writes a font smaller than it was asked for by this factor.
fn font(size_px: f64) -> FontDesc<'static> {
    ("sans-serif", size_px * 1.24).into_font()
}

fn write<'a>(
    area: &Area<'a>,
    text: &str,
    (x, y): (i32, i32),
    (h, v): (HPos, VPos),
    style: (f64, RGBColor),
) -> Drawn<'a> {
    let (size_px, ink) = style;
    let style = font(size_px).color(&ink).pos(Pos::new(h, v));
    area.draw(&Text::new(text.to_owned(), (x, y), style))
}

fn line<'a>(area: &Area<'a>, points: [(i32, i32); 2], style: impl Into<ShapeStyle>) -> Drawn<'a> {
    area.draw(&PathElement::new(points.to_vec(), style))
}

/// Title and the subtitle's lines.
pub fn head<'a>(root: &Area<'a>, title: &str, subtitle: &[String]) -> Drawn<'a> {
    let bold = font(18.0).style(FontStyle::Bold).color(&colour::INK);
    let bold = bold.pos(Pos::new(HPos::Left, VPos::Top));
    root.draw(&Text::new(title.to_owned(), (16, 8), bold))?;
    for (index, text) in (0..).zip(subtitle) {
        let at = (16, 33 + LINE * index);
        write(root, text, at, (HPos::Left, VPos::Top), (12.5, colour::PALE))?;
    }
    Ok(())
}

/// What the axes are.
pub fn foot<'a>(root: &Area<'a>) -> Drawn<'a> {
    let (width, height) = root.dim_in_pixel();
    let words = "across: latency; upwards: samples in a bin; both logarithmic; nothing removed";
    let at = (pixels(width) - RIGHT, pixels(height) - 5);
    write(root, words, at, (HPos::Right, VPos::Bottom), (11.5, colour::PALE))
}

/// Draws the series over each other. `first_colour` numbers them among all of the picture; the
/// lowest panel labels the time axis.
pub fn draw<'a>(
    area: &Area<'a>,
    series: &[Series],
    first_colour: usize,
    span: Span,
    lowest: bool,
) -> Drawn<'a> {
    let drawn: Vec<Vec<Bin>> =
        series.iter().map(|series| bins::bins(series.histogram, span)).collect();
    let tallest = drawn.iter().flatten().map(|bin| bin.count).max().unwrap_or(1);
    let (width, height) = area.dim_in_pixel();
    let legend_lines = i32::try_from(series.len()).unwrap_or(i32::MAX);
    let frame = Frame {
        left: LEFT,
        right: pixels(width) - RIGHT,
        top: 2 + LINE * legend_lines,
        bottom: pixels(height) - if lowest { pixels(BELOW) } else { 4 },
        span,
        // Room for the label over the highest of a mark.
        count_top: (tallest.max(1) as f64) * 3.0,
    };
    axes(area, &frame, lowest)?;
    for (index, (series, bins)) in series.iter().zip(&drawn).enumerate() {
        steps(area, &frame, bins, colour::of(first_colour + index))?;
        legend(area, series, index, colour::of(first_colour + index))?;
    }
    let heights = mark_heights(series, frame.bottom - frame.top);
    for (index, (series, height)) in series.iter().zip(heights).enumerate() {
        budget(area, &frame, series, index)?;
        maximum(area, &frame, series, height, colour::of(first_colour + index))?;
    }
    Ok(())
}

/// How high each maximum's mark is. A lone one reaches over the samples; of several the largest is
/// the lowest, so that no label lies across another's line.
fn mark_heights(series: &[Series], height: i32) -> Vec<i32> {
    if series.len() == 1 {
        return vec![height - 9];
    }
    let larger = |than: u64| series.iter().filter(|one| one.histogram.max() > than).count();
    let mut taken = Vec::with_capacity(series.len());
    for one in series {
        let mut rank = larger(one.histogram.max());
        while taken.contains(&rank) {
            rank += 1;
        }
        taken.push(rank);
    }
    let above = |rank: usize| (LINE + 2) * i32::try_from(rank).unwrap_or(0);
    taken.into_iter().map(|rank| (height / 5).clamp(18, 64) + above(rank)).collect()
}

fn axes<'a>(area: &Area<'a>, frame: &Frame, lowest: bool) -> Drawn<'a> {
    let Frame { left, right, top, bottom, span, count_top } = *frame;
    for (us, labelled) in ticks(span.from_us, span.to_us) {
        let x = frame.x(us);
        line(area, [(x, top), (x, bottom)], colour::GRID)?;
        if lowest && labelled {
            let at = (x, bottom + 5);
            write(area, &words::axis_us(us), at, (HPos::Center, VPos::Top), (11.5, colour::INK))?;
        }
    }
    // In a low row only the highest decade is named.
    let decades: Vec<f64> =
        ticks(1.0, count_top).filter(|(count, _)| is_decade(*count)).map(|(n, _)| n).collect();
    let fits = usize::try_from((bottom - top) / 14).unwrap_or(0);
    let every = decades.len().div_ceil(fits.max(1)).max(1);
    for (index, count) in decades.iter().enumerate() {
        let y = frame.y(*count);
        line(area, [(left, y), (right, y)], colour::GRID)?;
        if index.is_multiple_of(every) {
            let at = (left - 6, y);
            let label = words::axis_count(*count);
            write(area, &label, at, (HPos::Right, VPos::Center), (11.0, colour::PALE))?;
        }
    }
    line(area, [(left, bottom), (right, bottom)], colour::PALE)?;
    line(area, [(left, top), (left, bottom)], colour::PALE)
}

fn is_decade(value: f64) -> bool {
    let exponent = value.log10();
    (exponent - exponent.round()).abs() < 1e-9
}

/// 1, 2, 5 of every decade, labelled where there is room for them; more where it is not even two
/// decades wide.
fn ticks(from: f64, to: f64) -> impl Iterator<Item = (f64, bool)> {
    let decades = (from.log10().floor() as i32)..=(to.log10().ceil() as i32);
    let roomy = to / from < 2e4;
    let digits: &[f64] =
        if to / from < 50.0 { &[1.0, 2.0, 3.0, 4.0, 5.0, 7.0] } else { &[1.0, 2.0, 5.0] };
    let of_decade = |exponent: i32| digits.iter().map(move |digit| (*digit, 10f64.powi(exponent)));
    decades.flat_map(of_decade).filter_map(move |(digit, decade)| {
        let value = digit * decade;
        // Between neighbours a rounding error decides nothing.
        let inside = value >= from * 0.999 && value <= to * 1.001;
        inside.then_some((value, digit < 1.5 || roomy))
    })
}

fn steps<'a>(area: &Area<'a>, frame: &Frame, bins: &[Bin], ink: RGBColor) -> Drawn<'a> {
    let mut outline = vec![(frame.left, frame.bottom)];
    for bin in bins {
        let y = if bin.count == 0 { frame.bottom } else { frame.y(bin.count as f64) };
        outline.extend([(frame.x(bin.from_us), y), (frame.x(bin.to_us), y)]);
    }
    outline.push((frame.right, frame.bottom));
    area.draw(&Polygon::new(outline.clone(), ink.mix(0.18)))?;
    // The outline only where there are samples: a line along the foot would look like some.
    for run in outline.split(|(_, y)| *y == frame.bottom).filter(|run| !run.is_empty()) {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { continue };
        let mut closed = vec![(first.0, frame.bottom)];
        closed.extend_from_slice(run);
        closed.push((last.0, frame.bottom));
        area.draw(&PathElement::new(closed, ink.stroke_width(2)))?;
    }
    Ok(())
}

fn legend<'a>(area: &Area<'a>, series: &Series, index: usize, ink: RGBColor) -> Drawn<'a> {
    let y = 1 + LINE * i32::try_from(index).unwrap_or(0);
    area.draw(&Rectangle::new([(LEFT, y + 3), (LEFT + 11, y + 13)], ink.filled()))?;
    let text = words::legend(series.name, series.histogram);
    write(area, &text, (LEFT + 17, y + 2), (HPos::Left, VPos::Top), (12.5, colour::INK))
}

fn budget<'a>(area: &Area<'a>, frame: &Frame, series: &Series, index: usize) -> Drawn<'a> {
    let Some(budget_ns) = series.budget_ns else { return Ok(()) };
    let x = frame.x(budget_ns as f64 / 1e3);
    let path = [(x, frame.top), (x, frame.bottom)];
    area.draw(&DashedPathElement::new(path, 6, 4, colour::BUDGET.stroke_width(2)))?;
    let label = format!("budget {}", words::time(budget_ns));
    let y = frame.top + 3 + LINE * i32::try_from(index).unwrap_or(0);
    let (x, side) = beside(frame, x);
    write(area, &label, (x, y), (side, VPos::Top), (12.0, colour::BUDGET))
}

/// A mark at the maximum, its value beside it.
fn maximum<'a>(
    area: &Area<'a>,
    frame: &Frame,
    series: &Series,
    height: i32,
    ink: RGBColor,
) -> Drawn<'a> {
    if series.histogram.is_empty() {
        return Ok(());
    }
    let max_ns = series.histogram.max();
    let x = frame.x(max_ns as f64 / 1e3);
    let top = frame.bottom - height;
    line(area, [(x, top), (x, frame.bottom)], ink.stroke_width(2))?;
    area.draw(&TriangleMarker::new((x, top), 6, ink.filled()))?;
    let label = format!("max {}", words::time(max_ns));
    let (x, side) = beside(frame, x);
    // Readable over samples too: about 8 px a letter.
    let width = 8 * i32::try_from(label.len()).unwrap_or(0);
    let (from, to) =
        if matches!(side, HPos::Left) { (x - 2, x + width) } else { (x - width, x + 2) };
    area.draw(&Rectangle::new([(from, top - 8), (to, top + 8)], WHITE.mix(0.8).filled()))?;
    write(area, &label, (x, top), (side, VPos::Center), (13.0, colour::INK))
}

/// Where a label of a vertical line stands: right of it, but left near the right end.
fn beside(frame: &Frame, x: i32) -> (i32, HPos) {
    if x > frame.right - 100 { (x - 9, HPos::Right) } else { (x + 9, HPos::Left) }
}
