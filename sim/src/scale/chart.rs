//! A picture of how many have lost access by when: one line for each case.

use super::case::Case;
use super::font;
use super::report::{Ended, Report};

const WIDTH: usize = 1_000;
const HEIGHT: usize = 690;
/// Left, right, top and bottom of the plot.
const PLOT: [usize; 4] = [80, 970, 60, 560];
/// A dot of a letter is so many pixels wide.
const DOT: usize = 2;
/// What lies between two lines of the grid, in milliseconds.
const GRID_MS: usize = 200;
/// The bound that is to be held.
const BOUND_MS: usize = 1_000;

const WHITE: u8 = 0;
const BLACK: u8 = 1;
const GREY: u8 = 2;
const RED: u8 = 3;
/// Red, green and blue of each, and of the cases behind them; told apart also by who sees red and green alike (Okabe and Ito).
const PALETTE: [[u8; 3]; 8] =
    [[255, 255, 255], [40, 40, 40], [216, 216, 216], [204, 51, 17], [0, 0, 0], [0, 114, 178], [0, 158, 115], [230, 159, 0]];
const CASES: u8 = 4;

struct Chart {
    pixels: Vec<u8>,
    until_ms: usize,
}

/// The report as a PNG.
pub(super) fn png(report: &Report) -> anyhow::Result<Vec<u8>> {
    let latest_ms = report.ended.iter().filter_map(|ended| ended.all.max()).max().unwrap_or(0) as usize;
    let until_ms = latest_ms.max(BOUND_MS + 1).div_ceil(GRID_MS) * GRID_MS;
    let mut chart = Chart { pixels: vec![WHITE; WIDTH * HEIGHT], until_ms };
    chart.frame(report);
    for (colour, case) in (CASES..).zip(Case::ALL) {
        chart.curve(report.of(case), colour);
    }
    chart.legend(report);
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, WIDTH as u32, HEIGHT as u32);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_palette(PALETTE.concat());
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&chart.pixels)?;
    writer.finish()?;
    Ok(bytes)
}

impl Chart {
    fn frame(&mut self, report: &Report) {
        let [left, right, top, bottom] = PLOT;
        for ms in (0..=self.until_ms).step_by(GRID_MS) {
            let x = self.x(ms);
            self.fill(x, top, 1, bottom - top, GREY);
            let text = ms.to_string();
            self.text(x - width(&text) / 2, bottom + 10, &text, BLACK);
        }
        for percent in [0, 25, 50, 75, 99, 100] {
            let y = y(percent as f64 / 100.0);
            self.fill(left, y, right - left, 1, GREY);
            // There is no room for both.
            if percent != 99 {
                let text = format!("{percent}%");
                self.text(left - 8 - width(&text), y - 7, &text, BLACK);
            }
        }
        let bound = self.x(BOUND_MS);
        self.fill(bound, top, 2, bottom - top, RED);
        let settings = &report.settings;
        let (agents, regions, loss) = (settings.agents, settings.regions, f64::from(settings.loss_ppm) / 10_000.0);
        self.text(left, 20, &format!("Agents without access: {agents} in {regions} regions, {loss} % loss"), BLACK);
        let text = "milliseconds after the revocation";
        self.text((left + right - width(text)) / 2, bottom + 36, text, BLACK);
    }

    fn curve(&mut self, ended: &Ended, colour: u8) {
        let all = (ended.all.len() + ended.late).max(1) as f64;
        let [left, right, ..] = PLOT;
        let mut last = y(0.0);
        for x in left..right {
            let ms = (x - left) * self.until_ms / (right - left);
            let at = y(ended.all.within(ms as u32) as f64 / all);
            self.fill(x, at, 2, (last - at).max(2), colour);
            last = at;
        }
    }

    /// Below the plot, two cases a line.
    fn legend(&mut self, report: &Report) {
        let ms = |number: Option<u32>| number.map_or_else(|| "> 2500".to_owned(), |ms| ms.to_string());
        let [left, _, _, bottom] = PLOT;
        for (place, (colour, case)) in (CASES..).zip(Case::ALL).enumerate() {
            let (x, y, ended) = (left + 450 * (place % 2), bottom + 72 + 28 * (place / 2), report.of(case));
            let text = format!("{}: p50 {}, p99 {}", case.name(), ms(ended.percentile(50)), ms(ended.percentile(99)));
            self.fill(x, y + 4, 24, 5, colour);
            self.text(x + 34, y, &text, BLACK);
        }
    }

    fn x(&self, ms: usize) -> usize {
        PLOT[0] + ms * (PLOT[1] - PLOT[0]) / self.until_ms
    }

    fn text(&mut self, x: usize, y: usize, text: &str, colour: u8) {
        for (place, letter) in text.chars().enumerate() {
            for (row, bits) in font::rows(letter).into_iter().enumerate() {
                for column in (0..font::SIZE.0).filter(|column| bits >> (font::SIZE.0 - 1 - column) & 1 == 1) {
                    self.fill(x + DOT * (place * (font::SIZE.0 + 1) + column), y + DOT * row, DOT, DOT, colour);
                }
            }
        }
    }

    fn fill(&mut self, x: usize, y: usize, width: usize, height: usize, colour: u8) {
        for row in y..(y + height).min(HEIGHT) {
            let [from, to] = [x, x + width].map(|column| row * WIDTH + column.min(WIDTH));
            self.pixels[from..to].fill(colour);
        }
    }
}

fn width(text: &str) -> usize {
    DOT * (font::SIZE.0 + 1) * text.chars().count()
}

fn y(share: f64) -> usize {
    let [.., top, bottom] = PLOT;
    bottom - ((bottom - top) as f64 * share) as usize
}
