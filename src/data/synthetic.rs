//! Drawn digits: a stand-in for MNIST that needs no file and no network. This module owns the drawing; the outlines it
//! draws are in `synthetic/glyphs.rs`.
//!
//! Only additions, multiplications, divisions and square roots are used, which IEEE 754 defines to the bit, so that a
//! seed gives the same bytes on every machine.

mod glyphs;

use super::Dataset;
use super::mnist::{CLASSES, Mnist, PIXELS, Source};
use crate::error::{Error, Result};
use crate::random::Random;

/// Pixels along an edge of an image.
const EDGE: usize = 28;

/// Points drawn between two control points of a curve.
const STEPS: usize = 4;

/// The streams of the samples for testing start here; those for training start at 0.
const TEST: u64 = 1 << 32;

/// Keeps these samples apart from other uses of the same seed.
const SALT: u64 = 0x6469_6769_7473;

/// As many drawn digits as MNIST has: 60,000 for training and 10,000 for testing, each 784 bytes. A net of 784-512-10
/// gets about 98 % of the test samples right after five epochs, as it does on MNIST; they are no MNIST all the same.
///
/// # Errors
///
/// As [`digits`].
///
/// ```no_run
/// let data = wgrad::mnist::synthetic(7)?;
/// assert_eq!((data.train.len(), data.test.len()), (60_000, 10_000));
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn synthetic(seed: u64) -> Result<Mnist> {
    digits(60_000, 10_000, seed)
}

/// `train` and `test` drawn digits in MNIST's form. Each sample depends on the seed and its own index alone: a smaller
/// set is the start of a larger one. The samples for testing are drawn in the same way, and none is among the others.
///
/// # Errors
///
/// [`Error::Configuration`] where the samples don't fit in memory.
///
/// ```
/// let few = wgrad::data::synthetic::digits(20, 5, 7)?;
/// let more = wgrad::data::synthetic::digits(40, 5, 7)?;
/// assert_eq!(few.train.features(), wgrad::mnist::PIXELS);
/// assert_eq!(few.train.class_counts(), more.train.take(20).class_counts());
/// println!("{}", few.source);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn digits(train: usize, test: usize, seed: u64) -> Result<Mnist> {
    Ok(Mnist { train: part(train, seed, 0)?, test: part(test, seed, TEST)?, source: Source::Synthetic { seed } })
}

fn part(samples: usize, seed: u64, first_stream: u64) -> Result<Dataset> {
    let (mut pixels, mut labels) = (zeros(samples.saturating_mul(PIXELS))?, zeros(samples)?);
    fill(&mut pixels, &mut labels, |row, image| {
        let mut random = Random::new(seed ^ SALT, first_stream + row as u64);
        let digit = random.below(CLASSES);
        draw(digit, &mut random, image);
        digit as u8
    });
    Dataset::from_images(pixels, PIXELS, labels, CLASSES)
}

fn zeros(count: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if bytes.try_reserve_exact(count).is_err() {
        return Err(Error::configuration("synthetic digits", "as many as fit in memory", format!("{count} bytes")));
    }
    bytes.resize(count, 0);
    Ok(bytes)
}

/// Calls `draw` with each row and its pixels, and keeps the label that it returns.
#[cfg(feature = "native")]
fn fill(pixels: &mut [u8], labels: &mut [u8], draw: impl Fn(usize, &mut [u8]) -> u8 + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    let share = labels.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (part, (pixels, labels)) in pixels.chunks_mut(share * PIXELS).zip(labels.chunks_mut(share)).enumerate() {
            let draw = &draw;
            scope.spawn(move || {
                let rows = pixels.chunks_exact_mut(PIXELS).zip(labels).enumerate();
                rows.for_each(|(row, (image, label))| *label = draw(part * share + row, image));
            });
        }
    });
}

#[cfg(not(feature = "native"))]
fn fill(pixels: &mut [u8], labels: &mut [u8], draw: impl Fn(usize, &mut [u8]) -> u8) {
    let rows = pixels.chunks_exact_mut(PIXELS).zip(labels).enumerate();
    rows.for_each(|(row, (image, label))| *label = draw(row, image));
}

/// x to the right and y down; in a glyph's box of 0 … 1, or in pixels.
type Point = [f32; 2];

fn draw(digit: usize, random: &mut Random, image: &mut [u8]) {
    let hand = Hand::new(random);
    let variants = glyphs::GLYPHS[digit];
    let mut ink = [0.0; PIXELS];
    for stroke in variants[random.below(variants.len())] {
        let points: Vec<Point> = stroke.iter().map(|&point| hand.place(point, random)).collect();
        hand.draw_curve(&points, &mut ink);
    }
    for (byte, ink) in image.iter_mut().zip(ink) {
        let noise = if ink > 0.0 { random.uniform(-0.12, 0.06) } else { 0.0 };
        *byte = (255.0 * (ink * hand.pressure + noise).clamp(0.0, 1.0)) as u8;
    }
}

/// How one digit is written.
struct Hand {
    /// From the box, centred on 0, to pixels: width, slant, tilt and height.
    transform: [[f32; 2]; 2],
    centre: Point,
    /// How far a control point may stray, in the box's units.
    jitter: f32,
    /// Half the width of the stroke, in pixels.
    radius: f32,
    /// How dark a stroke is, 0 … 1.
    pressure: f32,
}

impl Hand {
    fn new(random: &mut Random) -> Self {
        let (width, height) = (random.uniform(8.0, 17.0), random.uniform(15.0, 21.0));
        let (slant, tilt) = (bell(random, 0.5), bell(random, 0.25));
        Hand {
            transform: [[width, -slant * height], [tilt * width, height]],
            centre: [13.5 + bell(random, 3.0), 13.5 + bell(random, 3.0)],
            jitter: random.uniform(0.04, 0.165),
            radius: random.uniform(0.6, 1.7),
            pressure: random.uniform(0.8, 1.05),
        }
    }

    fn place(&self, [x, y]: Point, random: &mut Random) -> Point {
        let x = x - 0.5 + bell(random, 2.0 * self.jitter);
        let y = y - 0.5 + bell(random, 2.0 * self.jitter);
        let [[xx, xy], [yx, yy]] = self.transform;
        [self.centre[0] + xx * x + xy * y, self.centre[1] + yx * x + yy * y]
    }

    /// A Catmull-Rom curve through `points`; a point given twice is a corner.
    fn draw_curve(&self, points: &[Point], ink: &mut [f32; PIXELS]) {
        let last = points.len() - 1;
        let mut from = points[0];
        for at in 0..last {
            let around = [points[at.saturating_sub(1)], points[at], points[at + 1], points[last.min(at + 2)]];
            for step in 1..=STEPS {
                let to = between(around, step as f32 / STEPS as f32);
                self.draw_line(from, to, ink);
                from = to;
            }
        }
    }

    /// Darkens each pixel near the line by how much of it the pen covers: wholly within the radius, fading out over
    /// one pixel around it.
    fn draw_line(&self, from: Point, to: Point, ink: &mut [f32; PIXELS]) {
        let reach = self.radius + 0.5;
        let span = |axis: usize| {
            let (low, high) = (from[axis].min(to[axis]) - reach, from[axis].max(to[axis]) + reach);
            // `as` takes what is below 0 to 0.
            low.ceil() as usize..((high.floor() + 1.0) as usize).min(EDGE)
        };
        for y in span(1) {
            for x in span(0) {
                let covered = (reach - distance([x as f32, y as f32], from, to)).clamp(0.0, 1.0);
                let pixel = &mut ink[y * EDGE + x];
                *pixel = pixel.max(covered);
            }
        }
    }
}

/// Around 0, between ±`most`, the middle more likely than the ends.
fn bell(random: &mut Random, most: f32) -> f32 {
    (random.unit() + random.unit() + random.unit() - 1.5) * (most / 1.5)
}

/// The point at `t`, 0 … 1, between the middle two of four.
fn between([p0, p1, p2, p3]: [Point; 4], t: f32) -> Point {
    [0, 1].map(|axis| {
        let (a, b, c, d) = (p0[axis], p1[axis], p2[axis], p3[axis]);
        let (linear, square, cube) = (c - a, 2.0 * a - 5.0 * b + 4.0 * c - d, 3.0 * b - a - 3.0 * c + d);
        b + 0.5 * t * (linear + t * (square + t * cube))
    })
}

/// From `point` to the nearest point of the line between `from` and `to`.
fn distance(point: Point, from: Point, to: Point) -> f32 {
    let along = [to[0] - from[0], to[1] - from[1]];
    let away = [point[0] - from[0], point[1] - from[1]];
    let length = along[0] * along[0] + along[1] * along[1];
    let t = if length > 0.0 { ((away[0] * along[0] + away[1] * along[1]) / length).clamp(0.0, 1.0) } else { 0.0 };
    let [x, y] = [away[0] - t * along[0], away[1] - t * along[1]];
    (x * x + y * y).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::InputRows;

    fn bytes(data: &Dataset) -> &[u8] {
        match data.inputs() {
            InputRows::Bytes { values, .. } => values,
            InputRows::Floats(_) => panic!("digits are bytes"),
        }
    }

    #[test]
    fn a_sample_depends_on_its_seed_and_index_alone() {
        let (few, more, other) = (digits(10, 10, 3).unwrap(), digits(50, 20, 3).unwrap(), digits(10, 10, 4).unwrap());
        assert_eq!(bytes(&few.train), bytes(&more.train.take(10)));
        assert_eq!(bytes(&few.test), bytes(&more.test.take(10)));
        assert_ne!(bytes(&few.train), bytes(&other.train));
        assert_ne!(bytes(&few.train), bytes(&few.test));
    }

    #[test]
    fn a_seed_gives_the_same_bytes_on_every_machine_and_in_every_release() {
        let data = digits(100, 0, 7).unwrap().train;
        // FNV-1a over the pixels. The number is what this code gave when it was released: it pins, it proves nothing.
        let hash = bytes(&data)
            .iter()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        assert_eq!(hash, 15_336_443_900_796_195_012);
    }

    #[test]
    fn every_image_has_ink_and_background() {
        let data = digits(2000, 0, 5).unwrap().train;
        for (row, image) in bytes(&data).chunks_exact(PIXELS).enumerate() {
            let dark = image.iter().filter(|&&byte| byte > 127).count();
            assert!((8..350).contains(&dark), "image {row} has {dark} dark pixels");
        }
        let counts = data.class_counts().unwrap();
        assert!(counts.iter().all(|&count| (140..260).contains(&count)), "{counts:?}");
    }
}
