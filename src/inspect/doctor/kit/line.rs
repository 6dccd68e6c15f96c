//! What a dispatch costs, from chains of several lengths: a line through their times.

/// A line through (dispatches, seconds).
#[derive(Clone, Copy, Debug)]
pub struct Line {
    /// Seconds of a chain of none.
    pub a: f64,
    /// Seconds of a dispatch.
    pub b: f64,
    /// The largest distance of a point from the line, in shares of the point.
    pub worst: f64,
}

/// The line that is least wrong in shares of the points' values, so that short chains count as much as long ones.
pub fn fit(points: &[(f64, f64)]) -> Line {
    let (mut w, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &(n, seconds) in points.iter().filter(|point| point.1 > 0.0) {
        let weight = 1.0 / (seconds * seconds);
        w += weight;
        x += weight * n;
        y += weight * seconds;
        xx += weight * n * n;
        xy += weight * n * seconds;
    }
    let b = (w * xy - x * y) / (w * xx - x * x);
    let a = (y - b * x) / w;
    let off = |&(n, seconds): &(f64, f64)| ((a + b * n - seconds) / seconds).abs();
    Line { a, b, worst: points.iter().filter(|point| point.1 > 0.0).map(off).fold(0.0, f64::max) }
}

#[cfg(test)]
mod tests {
    use super::fit;

    #[test]
    fn a_line_is_found_again() {
        let points: Vec<_> = [1.0, 2.0, 4.0, 8.0, 512.0].map(|n| (n, 5e-6 + 2e-6 * n)).to_vec();
        let line = fit(&points);
        assert!((line.a - 5e-6).abs() < 1e-12 && (line.b - 2e-6).abs() < 1e-12 && line.worst < 1e-6, "{line:?}");
    }
}
