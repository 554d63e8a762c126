//! Colours that people who see colours differently can tell apart (the set of Okabe and Ito, without
//! its yellow, which is too pale for a line on white).

use plotters::style::RGBColor;

const SET: [RGBColor; 7] = [
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x30, 0x30, 0x30),
];

/// Text.
pub const INK: RGBColor = RGBColor(0x22, 0x22, 0x22);
/// Text of less weight, and axes.
pub const PALE: RGBColor = RGBColor(0x66, 0x66, 0x66);
/// The grid.
pub const GRID: RGBColor = RGBColor(0xDD, 0xDD, 0xDD);
/// A budget.
pub const BUDGET: RGBColor = RGBColor(0xA0, 0x00, 0x40);

/// The colour of the series of that number.
pub fn of(index: usize) -> RGBColor {
    SET.get(index % SET.len()).copied().unwrap_or(INK)
}
