//! Draws curves as SVG: samples/s over batch size and over width, both axes logarithmic.

use std::fmt::Write;

use crate::report::Curve;

const PANEL: (f64, f64) = (470.0, 300.0);
const LEFT: f64 = 70.0;
const TOP: f64 = 46.0;
/// Room between panels, for the second one's numbers.
const GAP: f64 = 80.0;

/// Colours that people with colour blindness tell apart (Okabe and Ito's).
const COLOURS: [&str; 6] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"];

/// A panel's place and scales.
struct Panel<'a> {
    left: f64,
    curves: Vec<&'a Curve>,
    x: (f64, f64),
    y: (f64, f64),
}

/// The whole picture.
pub fn draw(curves: &[Curve]) -> String {
    let mut devices: Vec<&str> = curves.iter().map(|curve| curve.device.as_str()).collect();
    devices.dedup();
    devices.sort_unstable();
    devices.dedup();
    let width = LEFT + 2.0 * PANEL.0 + GAP + 30.0;
    let height = TOP + PANEL.1 + 70.0 + 20.0 * devices.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let panels = [
        ("batch size", "784-512-10 over batch size", LEFT),
        ("width", "784-W-W-10 over width W, batch 1024", LEFT + PANEL.0 + GAP),
    ];
    for (over, title, left) in panels {
        if let Some(panel) = Panel::new(curves.iter().filter(|curve| curve.over == over).collect(), left) {
            panel.draw(&mut svg, title, over, &devices);
        }
    }
    for (index, device) in devices.iter().enumerate() {
        let y = TOP + PANEL.1 + 66.0 + 20.0 * index as f64;
        line(&mut svg, (LEFT, y - 4.0), (LEFT + 24.0, y - 4.0), colour(index), 2.0);
        text(&mut svg, (LEFT + 32.0, y), "start", device);
    }
    svg + "</svg>\n"
}

fn colour(index: usize) -> &'static str {
    COLOURS[index % COLOURS.len()]
}

impl<'a> Panel<'a> {
    /// `None` if there is nothing to draw.
    fn new(curves: Vec<&'a Curve>, left: f64) -> Option<Self> {
        let points = || curves.iter().flat_map(|curve| &curve.points);
        let x = bounds(points().map(|(x, _)| *x as f64))?;
        let y = bounds(points().flat_map(|(_, rate)| [rate.min, rate.max]))?;
        // Whole decades on the axis of rates.
        let y = (10f64.powf(y.0.log10().floor()), 10f64.powf(y.1.log10().ceil().max(y.0.log10().floor() + 1.0)));
        Some(Panel { left, curves, x, y })
    }

    fn place(&self, x: f64, y: f64) -> (f64, f64) {
        let share = |value: f64, (from, to): (f64, f64)| (value / from).ln() / (to / from).ln();
        let across = if self.x.0 < self.x.1 { share(x, self.x) } else { 0.5 };
        (self.left + (0.04 + 0.92 * across) * PANEL.0, TOP + (1.0 - share(y, self.y)) * PANEL.1)
    }

    fn draw(&self, svg: &mut String, title: &str, over: &str, devices: &[&str]) {
        self.axes(svg, title, over);
        for curve in &self.curves {
            let index = devices.iter().position(|device| *device == curve.device).unwrap_or(0);
            let mut before = None;
            for (x, rate) in &curve.points {
                let at = self.place(*x as f64, rate.median);
                if let Some(before) = before {
                    line(svg, before, at, colour(index), 2.0);
                }
                line(svg, self.place(*x as f64, rate.min), self.place(*x as f64, rate.max), colour(index), 1.0);
                let _ = writeln!(
                    svg,
                    "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\" fill=\"{}\"/>",
                    at.0,
                    at.1,
                    colour(index)
                );
                before = Some(at);
            }
        }
    }

    fn axes(&self, svg: &mut String, title: &str, over: &str) {
        let (right, bottom) = (self.left + PANEL.0, TOP + PANEL.1);
        let decades = (self.y.0.log10().round() as i32)..=(self.y.1.log10().round() as i32);
        for decade in decades {
            let (_, y) = self.place(self.x.0, 10f64.powi(decade));
            line(svg, (self.left, y), (right, y), "#dddddd", 1.0);
            text(svg, (self.left - 8.0, y + 4.0), "end", &short(decade));
        }
        let mut ticks: Vec<usize> = self.curves.iter().flat_map(|curve| curve.points.iter().map(|(x, _)| *x)).collect();
        ticks.sort_unstable();
        ticks.dedup();
        for tick in ticks {
            let (x, _) = self.place(tick as f64, self.y.0);
            line(svg, (x, bottom), (x, bottom + 5.0), "black", 1.0);
            text(svg, (x, bottom + 20.0), "middle", &tick.to_string());
        }
        line(svg, (self.left, bottom), (right, bottom), "black", 1.0);
        line(svg, (self.left, TOP), (self.left, bottom), "black", 1.0);
        text(svg, ((self.left + right) / 2.0, TOP - 24.0), "middle", title);
        text(svg, (self.left, TOP - 8.0), "middle", "samples/s");
        text(svg, (right, bottom + 38.0), "end", over);
    }
}

fn bounds(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.filter(|value| *value > 0.0).fold(None, |bounds, value| match bounds {
        None => Some((value, value)),
        Some((least, most)) => Some((value.min(least), value.max(most))),
    })
}

/// A power of ten as people say it: 10k, 1M.
fn short(decade: i32) -> String {
    match decade {
        6.. => format!("{}M", 10i64.pow(decade as u32 - 6)),
        3..=5 => format!("{}k", 10i64.pow(decade as u32 - 3)),
        _ => format!("{}", 10f64.powi(decade)),
    }
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
        from.0, from.1, to.0, to.1
    );
}

fn text(svg: &mut String, at: (f64, f64), anchor: &str, words: &str) {
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{words}</text>", at.0, at.1);
}
