//! augmentation_forward: y(u) = x(A·(u − c) + c − t + e(u)) for each image, sampled bilinearly, with a rectangle cut out. Which
//! A, t, e and rectangle follows from random words of the row's own. Moves 8 bytes an element, in half precision half of that.
//!
//! The affine map is Keras's, from a pixel of the output to where it is taken from, around the image's centre. The displacement
//! e is what cubic B-splines make of random numbers at the nodes of a coarse grid. That it has no second pass is why: every
//! pixel is computed by itself from x and the hash.

use std::ops::Range;

use super::hash::{BatchDraws, Draws};
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::cpu::Cpu;
use crate::net::layers::{FillMode, MAX_NODES};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// Where the words of the grid's nodes begin.
const FIRST_NODE: u32 = 16;
/// Pixels that the CPU device moves at a time.
const STRIP: usize = 32;

/// The parameters of `augmentation_forward`. Pairs are across and down.
#[derive(Clone, Debug, PartialEq)]
pub struct AugmentationForward {
    /// Width and height of an image in pixels, of 2¹⁴ at most.
    pub size: [usize; 2],
    /// Numbers of a pixel.
    pub channels: usize,
    /// The largest shift in pixels.
    pub translation: [f32; 2],
    /// The largest angle in turns.
    pub rotation: f32,
    /// How far the zoom is from 1 at most.
    pub zoom: f32,
    /// The largest shear, of across by down and of down by across.
    pub shear: [f32; 2],
    /// The elastic displacement, if any.
    pub elastic: Option<Elastic>,
    /// Sides of the rectangle that is cut out, at most.
    pub cutout: [usize; 2],
    /// What is taken for pixels beyond the edges.
    pub fill_mode: FillMode,
    /// The number in the rectangle, and beyond the edges where they are constant.
    pub fill_value: f32,
    /// Whose random words it is made of.
    pub draws: Draws,
}

/// An elastic displacement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Elastic {
    /// The largest number at a node, in pixels.
    pub amplitude: f32,
    /// Nodes for each pixel: the inverse of their distance. At most 32 nodes may lie in a direction.
    pub nodes_a_pixel: f32,
}

impl Elastic {
    /// How many nodes there are along so many pixels: from the one before the first pixel to the second behind the last.
    pub fn nodes(&self, pixels: usize) -> usize {
        ((pixels.max(1) - 1) as f32 * self.nodes_a_pixel) as usize + 4
    }
}

/// What becomes of one image.
struct Change<F> {
    /// A.
    matrix: [[F; 2]; 2],
    /// c − t.
    shift: [F; 2],
    /// The rectangle that is cut out.
    hole: [Range<usize>; 2],
}

/// A number from −1 up to, not including, 1.
#[inline(always)]
fn around_zero(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 8_388_608.0) - 1.0
}

/// A whole number below `count`, which is at most 2¹⁶.
fn below(word: u32, count: usize) -> usize {
    ((word >> 16) as usize * count) >> 16
}

/// What the four nodes around a place count, t being how far it is between the two in the middle.
#[inline(always)]
fn spline<F: Real>(t: F) -> [F; 4] {
    let [two, three, four, six] = [2.0, 3.0, 4.0, 6.0].map(F::of);
    let s = F::one() - t;
    [
        s * s * s / six,
        (four - three * t * t * (two - t)) / six,
        (four - three * s * s * (two - s)) / six,
        t * t * t / six,
    ]
}

/// A place beyond the edges of a side of `size` pixels as one within or beside it.
#[inline(always)]
fn folded<F: Real>(mode: FillMode, place: F, size: F) -> F {
    let half = F::of(0.5);
    let inside = match mode {
        FillMode::Constant | FillMode::Nearest => place,
        FillMode::Reflect => {
            let period = size + size;
            let turned = place + half - period * ((place + half) / period).floor();
            size - (turned - size).abs() - half
        }
        FillMode::Wrap => place - size * (place / size).floor(),
    };
    inside.max(-F::one()).min(size)
}

/// a to b and c to d across, then what that gives downwards.
#[inline(always)]
fn between<F: Real>([a, b, c, d]: [F; 4], across: F, down: F) -> F {
    let (upper, lower) = (a + across * (b - a), c + across * (d - c));
    upper + down * (lower - upper)
}

impl AugmentationForward {
    fn columns(&self) -> usize {
        self.size[0] * self.size[1] * self.channels
    }

    fn change<F: Real>(&self, draws: BatchDraws, row: u32) -> Change<F> {
        let [down, across, turn, zoom] = draws.words(row, 0).map(around_zero);
        let [shear_across, shear_down, ..] = draws.words(row, 1).map(around_zero);
        let angle = F::near(std::f64::consts::TAU) * (F::of(self.rotation) * F::of(turn));
        let zoom = F::one() + F::of(self.zoom) * F::of(zoom);
        let shear = [F::of(self.shear[0]) * F::of(shear_across), F::of(self.shear[1]) * F::of(shear_down)];
        let (sine, cosine) = angle.sin_cos();
        let matrix = [
            [zoom * (cosine - sine * shear[1]), zoom * (cosine * shear[0] - sine)],
            [zoom * (sine + cosine * shear[1]), zoom * (sine * shear[0] + cosine)],
        ];
        let shifted =
            |axis: usize, share: f32| centre::<F>(self.size[axis]) - F::of(self.translation[axis]) * F::of(share);
        let words = draws.words(row, 2);
        let hole = [0, 1].map(|axis| {
            let length = below(words[axis], self.cutout[axis] + 1);
            let start = below(words[2 + axis], self.size[axis] - length + 1);
            start..start + length
        });
        Change { matrix, shift: [shifted(0, across), shifted(1, down)], hole }
    }

    /// The number at a node of the grid, in both directions.
    #[inline(always)]
    fn node(&self, elastic: Elastic, draws: BatchDraws, row: u32, [across, down]: [usize; 2]) -> [f32; 2] {
        let index = down * elastic.nodes(self.size[0]) + across;
        let [first, second, ..] = draws.words(row, FIRST_NODE + index as u32);
        [around_zero(first), around_zero(second)]
    }

    /// Where the displacement takes a pixel from, beside the affine map.
    fn displacement<F: Real>(&self, elastic: Elastic, draws: BatchDraws, row: u32, pixel: [usize; 2]) -> [F; 2] {
        let places = pixel.map(|pixel| pixel as f32 * elastic.nodes_a_pixel);
        let [across, down] = places.map(|place| spline(F::of(place) - F::of(place.floor())));
        let mut sum = [F::zero(); 2];
        for (i, &down) in down.iter().enumerate() {
            for (j, &across) in across.iter().enumerate() {
                let node = self.node(elastic, draws, row, [places[0] as usize + j, places[1] as usize + i]);
                sum = [0, 1].map(|axis| sum[axis] + down * across * F::of(node[axis]));
            }
        }
        sum.map(|sum| F::of(elastic.amplitude) * sum)
    }

    /// A pixel's number in one channel of an image, or what stands for it beyond the edges.
    #[inline(always)]
    fn pixel<F: Real>(&self, image: &[F], channel: usize, pixel: [i32; 2]) -> F {
        let size = self.size.map(|size| size as i32);
        let mut near = pixel;
        for (near, size) in near.iter_mut().zip(size) {
            if !(0..size).contains(near) {
                match self.fill_mode {
                    FillMode::Constant => return F::of(self.fill_value),
                    FillMode::Nearest | FillMode::Reflect => {}
                    FillMode::Wrap => *near += if *near < 0 { size } else { -size },
                }
            }
            *near = (*near).clamp(0, size - 1);
        }
        image[(near[1] as usize * self.size[0] + near[0] as usize) * self.channels + channel]
    }

    /// The numbers of the four pixels around a place.
    #[inline(always)]
    fn corners<F: Real>(&self, image: &[F], channel: usize, [across, down]: [i32; 2]) -> [F; 4] {
        [[0, 0], [1, 0], [0, 1], [1, 1]].map(|[i, j]| self.pixel(image, channel, [across + i, down + j]))
    }
}

/// The centre of a side, between its pixels' own.
fn centre<F: Real>(size: usize) -> F {
    F::of(0.5) * F::of(size as f32 - 1.0)
}

impl Operation for AugmentationForward {
    const DEFINITION: Definition = Definition {
        name: "augmentation_forward",
        source: include_str!("../../shaders/augmentation_forward.wgsl"),
        bindings: &[Binding::STEP, Binding::read("x").stored(), Binding::write("y").stored()],
    };

    fn header(&self, header: &mut Header) {
        let elastic = self.elastic.unwrap_or(Elastic { amplitude: 0.0, nodes_a_pixel: 0.0 });
        header
            .number("WORKGROUP", WORKGROUP)
            .number("COLUMNS", self.columns())
            .number("COLUMN_BLOCKS", blocks(self.columns()))
            .number("WIDTH", self.size[0])
            .number("HEIGHT", self.size[1])
            .number("CHANNELS", self.channels)
            .float("TRANSLATION_ACROSS", self.translation[0])
            .float("TRANSLATION_DOWN", self.translation[1])
            .float("ROTATION", self.rotation)
            .float("ZOOM", self.zoom)
            .float("SHEAR_ACROSS", self.shear[0])
            .float("SHEAR_DOWN", self.shear[1])
            .flag("ELASTIC", self.elastic.is_some())
            .float("AMPLITUDE", elastic.amplitude)
            .float("NODES_A_PIXEL", elastic.nodes_a_pixel)
            .number("NODES_ACROSS", elastic.nodes(self.size[0]))
            .number("CUTOUT_WIDTH", self.cutout[0])
            .number("CUTOUT_HEIGHT", self.cutout[1])
            .flag("CONSTANT", self.fill_mode == FillMode::Constant)
            .flag("REFLECT", self.fill_mode == FillMode::Reflect)
            .flag("WRAP", self.fill_mode == FillMode::Wrap)
            .float("FILL_VALUE", self.fill_value);
        self.draws.header(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::HASH]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * blocks(self.columns())).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (x, y) = (inputs[0].floats(), outputs[0].floats());
        let (draws, stride, rows) = (self.draws.of_batch(step), padded(self.columns()), step.rows as usize);
        y[..padded(rows) * stride].fill(F::zero());
        for row in 0..rows {
            let change = self.change::<F>(draws, row as u32);
            for feature in 0..self.columns() {
                let (number, channel) = (feature / self.channels, feature % self.channels);
                let pixel = [number % self.size[0], number / self.size[0]];
                let y = &mut y[row * stride + feature];
                if change.hole[0].contains(&pixel[0]) && change.hole[1].contains(&pixel[1]) {
                    *y = F::of(self.fill_value);
                    continue;
                }
                let from_centre = [0, 1].map(|axis| F::of(pixel[axis] as f32) - centre::<F>(self.size[axis]));
                let still = [F::zero(); 2];
                let moved = self.elastic.map_or(still, |e| self.displacement(e, draws, row as u32, pixel));
                let place = [0, 1].map(|axis| {
                    let [across, down] = change.matrix[axis];
                    let place = across * from_centre[0] + down * from_centre[1] + change.shift[axis] + moved[axis];
                    folded(self.fill_mode, place, F::of(self.size[axis] as f32))
                });
                let first = place.map(|place| place.floor());
                let corner = first.map(|first| first.wide() as i32);
                let corners = self.corners(&x[row * stride..], channel, corner);
                *y = between(corners, place[0] - first[0], place[1] - first[1]);
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (x, y) = (inputs[0].floats(), outputs[0].floats());
        let (draws, stride, rows) = (self.draws.of_batch(step), padded(self.columns()), step.rows as usize);
        let (y, padding) = y[..padded(rows) * stride].split_at_mut(rows * stride);
        padding.fill(0.0);
        let instructions = cpu.instructions();
        cpu.pool.for_rows(y, stride, |first, y| {
            // Inlined, or it would not be compiled for the instructions that are chosen here.
            instructions.dispatch(
                #[inline(always)]
                || {
                    let mut grid = Grid::new();
                    let lines = y.chunks_exact_mut(stride).zip(x[first * stride..].chunks_exact(stride));
                    for (row, (y, x)) in (first as u32..).zip(lines) {
                        self.augment(&mut grid, draws, row, (&x[..self.columns()], y));
                        y[self.columns()..].fill(0.0);
                    }
                },
            );
        });
    }
}

/// The displacements of an image on the CPU device. The sums over the nodes across are made once for a strip of columns, and
/// serve all its rows.
struct Grid {
    /// The numbers at the nodes, row after row.
    nodes: [[[f32; 2]; MAX_NODES]; MAX_NODES],
    /// Of each row of nodes, the sums across for the strip's columns, in both directions.
    sums: [[[f32; STRIP]; 2]; MAX_NODES],
}

impl Grid {
    fn new() -> Self {
        Grid { nodes: [[[0.0; 2]; MAX_NODES]; MAX_NODES], sums: [[[0.0; STRIP]; 2]; MAX_NODES] }
    }

    /// Sums across for the strip that begins with column `left`.
    #[inline(always)]
    fn sum_across(&mut self, elastic: Elastic, rows: usize, left: usize) {
        for column in 0..STRIP {
            let place = (left + column) as f32 * elastic.nodes_a_pixel;
            let (weights, first) = (spline(place - place.floor()), (place as usize).min(MAX_NODES - 4));
            for (nodes, sums) in self.nodes[..rows].iter().zip(&mut self.sums) {
                for (axis, sums) in sums.iter_mut().enumerate() {
                    let terms = weights.iter().zip(&nodes[first..]);
                    sums[column] = elastic.amplitude * terms.map(|(weight, node)| weight * node[axis]).sum::<f32>();
                }
            }
        }
    }

    /// Adds the displacements of the strip's pixels in row `down`.
    #[inline(always)]
    fn displace(&self, elastic: Elastic, down: usize, places: &mut [[f32; STRIP]; 2]) {
        let place = down as f32 * elastic.nodes_a_pixel;
        let (weights, first) = (spline(place - place.floor()), (place as usize).min(MAX_NODES - 4));
        for (weight, sums) in weights.iter().zip(&self.sums[first..]) {
            for (places, sums) in places.iter_mut().zip(sums) {
                places.iter_mut().zip(sums).for_each(|(place, sum)| *place += weight * sum);
            }
        }
    }
}

impl AugmentationForward {
    /// One image on the CPU device.
    #[inline(always)]
    fn augment(&self, grid: &mut Grid, draws: BatchDraws, row: u32, (x, y): (&[f32], &mut [f32])) {
        let [width, height] = self.size;
        let change = self.change::<f32>(draws, row);
        if let Some(elastic) = self.elastic {
            for down in 0..elastic.nodes(height) {
                for across in 0..elastic.nodes(width) {
                    grid.nodes[down][across] = self.node(elastic, draws, row, [across, down]);
                }
            }
        }
        for left in (0..width).step_by(STRIP) {
            if let Some(elastic) = self.elastic {
                grid.sum_across(elastic, elastic.nodes(height), left);
            }
            for down in 0..height {
                let mut places = self.places(&change, left, down);
                if let Some(elastic) = self.elastic {
                    grid.displace(elastic, down, &mut places);
                }
                let first = (down * width + left) * self.channels;
                let pixels = STRIP.min(width - left);
                self.sample(x, places, &mut y[first..first + pixels * self.channels]);
            }
        }
        let hole = |down: usize| change.hole[0].clone().map(move |across| (down * width + across) * self.channels);
        for at in change.hole[1].clone().flat_map(hole) {
            y[at..at + self.channels].fill(self.fill_value);
        }
    }

    /// Where the affine map takes a strip's pixels from.
    #[inline(always)]
    fn places(&self, change: &Change<f32>, left: usize, down: usize) -> [[f32; STRIP]; 2] {
        let from_centre = down as f32 - centre::<f32>(self.size[1]);
        [0, 1].map(|axis| {
            let [across, down] = change.matrix[axis];
            let start = down * from_centre + change.shift[axis];
            std::array::from_fn(|i| across * ((left + i) as f32 - centre::<f32>(self.size[0])) + start)
        })
    }

    /// A strip's pixels from their places.
    #[inline(always)]
    fn sample(&self, x: &[f32], mut places: [[f32; STRIP]; 2], y: &mut [f32]) {
        let (mut first, channels) = ([[0; STRIP]; 2], self.channels);
        for (axis, (places, first)) in places.iter_mut().zip(&mut first).enumerate() {
            for (place, first) in places.iter_mut().zip(first) {
                let inside = folded(self.fill_mode, *place, self.size[axis] as f32);
                let below = inside.floor();
                (*place, *first) = (inside - below, below as i32);
            }
        }
        let [width, height] = self.size.map(|size| size as i32);
        let next_line = self.size[0] * channels;
        for (i, y) in y.chunks_exact_mut(channels).enumerate() {
            let corner = [first[0][i], first[1][i]];
            let [across, down] = corner;
            let within = across >= 0 && across < width - 1 && down >= 0 && down < height - 1;
            let start = if within { (down as usize * self.size[0] + across as usize) * channels } else { 0 };
            for (channel, y) in y.iter_mut().enumerate() {
                let corners = if within {
                    let x = &x[start + channel..=start + channel + next_line + channels];
                    [x[0], x[channels], x[next_line], x[next_line + channels]]
                } else {
                    self.corners(x, channel, corner)
                };
                *y = between(corners, places[0][i], places[1][i]);
            }
        }
    }
}
