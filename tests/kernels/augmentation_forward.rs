//! augmentation_forward, each image moved, bent and cut.
//!
//! Bound: places are sums of a few products of the size of the image's sides (or of the displacement), with a cosine, a sine
//! and splines that are off by some units: off by 32 units of that size in all. Between pixels an image changes by at most
//! twice its largest number a pixel in each direction, across edges too, as all fill modes are continuous in the place; the
//! sampling itself rounds numbers of that size six times. Which pixels are cut out is a matter of whole numbers.

use wgrad::kernels::augmentation_forward::{AugmentationForward, Elastic};
use wgrad::kernels::hash::Draws;
use wgrad::kernels::padded;
use wgrad::{Device, FillMode, StepBlock};

use crate::harness::{Array, Case, Output, Random, Trials, UNIT, batches, step_of};

const MODES: [FillMode; 4] = [FillMode::Constant, FillMode::Nearest, FillMode::Reflect, FillMode::Wrap];

/// Width, height and channels: sides of one pixel, numbers of a row of every remainder of four, more than one strip across.
const SHAPES: [([usize; 2], usize); 8] =
    [([1, 1], 1), ([1, 7], 1), ([2, 1], 1), ([4, 3], 1), ([3, 5], 3), ([13, 5], 2), ([28, 28], 1), ([67, 3], 1)];

pub fn cases(trials: &mut Trials) {
    for (size, channels) in SHAPES {
        let name = format!("{}x{}x{channels}", size[1], size[0]);
        trials.in_half(&name, move |device| {
            [(3, 3), (5, 134)].into_iter().try_for_each(|batch| case(all(size, channels), batch).check_half(device))
        });
        trials.add(&name, move |device| {
            batches().zip(MODES.into_iter().cycle()).try_for_each(|(batch, fill_mode)| {
                case(AugmentationForward { fill_mode, ..all(size, channels) }, batch).check(device)
            })
        });
    }
    for fill_mode in MODES {
        let wide = AugmentationForward { fill_mode, translation: [13.0, 5.0], zoom: 0.9, ..all([13, 5], 1) };
        trials.add(&format!("{fill_mode:?}").to_lowercase(), move |device| case(wide.clone(), (31, 31)).check(device));
    }
    trials.add("after_larger", |device| case(all([5, 3], 1), (5, 7)).check_after_larger(device));
    trials.add("draws", |device| {
        for (seed, layer, batch) in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (u64::MAX, u32::MAX, u32::MAX)] {
            let kernel = AugmentationForward { draws: Draws { seed, layer }, ..all([7, 6], 1) };
            let case = case(kernel, (9, 9));
            Case { step: StepBlock { batch, ..case.step }, ..case }.check(device)?;
        }
        Ok(())
    });
    trials.add("nan", |device| {
        let mut case = case(AugmentationForward { translation: [2.0, 2.0], ..none([7, 6], 1) }, (5, 5));
        case.inputs[0].set(2 * padded(42) + 17, f32::NAN);
        case.check(device)
    });
    trials.add("nothing", |device| {
        let mut case = case(none([7, 6], 1), (5, 5));
        let words = case.inputs[0].words.clone();
        case.outputs[0].bound = Box::new(|_, _| 0.0);
        let [_, found] = case.launched(device)?;
        ensure(found[0][..5 * padded(42)] == words[..5 * padded(42)], || "the image is another".into())
    });
    trials.add("translates", translates);
    trials.add("turns_around_the_centre", turns);
    trials.add("zooms_and_shears", zooms_and_shears);
    trials.add("bends", bends);
    trials.add("cuts_out", cuts_out);
}

/// What changes nothing.
fn none(size: [usize; 2], channels: usize) -> AugmentationForward {
    AugmentationForward {
        size,
        channels,
        translation: [0.0; 2],
        rotation: 0.0,
        zoom: 0.0,
        shear: [0.0; 2],
        elastic: None,
        cutout: [0; 2],
        fill_mode: FillMode::Constant,
        fill_value: 0.25,
        draws: Draws { seed: 11, layer: 3 },
    }
}

/// Everything at once.
fn all(size: [usize; 2], channels: usize) -> AugmentationForward {
    AugmentationForward {
        translation: [0.2 * size[0] as f32, 0.3 * size[1] as f32],
        rotation: 0.4,
        zoom: 0.3,
        shear: [0.2, 0.1],
        elastic: Some(Elastic { amplitude: 3.0, nodes_a_pixel: 0.3 }),
        cutout: size.map(|side| side / 2),
        ..none(size, channels)
    }
}

fn case(kernel: AugmentationForward, (rows, capacity): (usize, usize)) -> Case {
    let columns = kernel.size[0] * kernel.size[1] * kernel.channels;
    let mut random = Random::new(columns * rows);
    let amplitude = kernel.elastic.map_or(0.0, |elastic| f64::from(elastic.amplitude));
    let places = (kernel.size[0] + kernel.size[1]) as f64 + 2.0 * amplitude;
    let largest = 2.0;
    let bound = UNIT * (32.0 * places * 2.0 * 2.0 * largest + 12.0 * largest);
    Case {
        kernel: kernel.into(),
        step: step_of(rows),
        capacity,
        inputs: vec![Array::matrix(rows, columns, capacity, |_, _| random.uniform(-2.0, 2.0))],
        outputs: vec![Output::matrix(rows, columns, capacity).within(move |_, _| bound)],
    }
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}

const ROWS: usize = 128;
const SIZE: [usize; 2] = [10, 7];

/// Where the pixels of each image are taken from: of images whose channels are across and down.
fn places(device: &Device, kernel: AugmentationForward) -> Result<Vec<impl Fn(usize, usize) -> [f64; 2]>, String> {
    let kernel = AugmentationForward { channels: 2, ..kernel };
    let width = kernel.size[0];
    let mut case = case(kernel, (ROWS, ROWS));
    let columns = 2 * SIZE[0] * SIZE[1];
    case.inputs[0] = Array::matrix(ROWS, columns, ROWS, |_, feature| match feature % 2 {
        0 => (feature / 2 % width) as f32,
        _ => (feature / 2 / width) as f32,
    });
    let [_, found] = case.launched(device)?;
    let images = found[0].chunks_exact(padded(columns)).map(|image| {
        let image: Vec<f64> = image.iter().map(|&word| f32::from_bits(word).into()).collect();
        move |across: usize, down: usize| [0, 1].map(|axis| image[2 * (down * width + across) + axis])
    });
    Ok(images.collect())
}

/// The two pixels in the middle are (4, 3) and (5, 3): what is to the right and below of the first, less itself.
fn matrix(place: &impl Fn(usize, usize) -> [f64; 2]) -> [[f64; 2]; 2] {
    let ([x, y], right, below) = (place(4, 3), place(5, 3), place(4, 4));
    [[right[0] - x, below[0] - x], [right[1] - y, below[1] - y]]
}

/// Numbers are spread over all from −limit to limit.
fn spread(numbers: &[f64], limit: f64) -> Result<(), String> {
    let largest = numbers.iter().fold(0.0, |largest: f64, n| largest.max(n.abs()));
    let mean = numbers.iter().sum::<f64>() / numbers.len() as f64;
    // Four deviations of the mean of 128 uniform numbers; that none of them is in the outer tenth has probability 10⁻⁶.
    let holds = largest < 1.0001 * limit && largest > 0.9 * limit && mean.abs() < 0.21 * limit;
    ensure(holds, || format!("{largest} at most and {mean} on average of {limit}"))
}

fn near(found: f64, expected: f64) -> Result<(), String> {
    ensure((found - expected).abs() < 1e-4, || format!("{found} instead of {expected}"))
}

/// Each image as a whole, neither turned nor stretched.
fn translates(device: &Device) -> Result<(), String> {
    let places = places(device, AugmentationForward { translation: [3.0, 2.0], ..none(SIZE, 2) })?;
    let shifts: Vec<_> = places.iter().map(|place| place(4, 3)).collect();
    spread(&shifts.iter().map(|shift| shift[0] - 4.0).collect::<Vec<_>>(), 3.0)?;
    spread(&shifts.iter().map(|shift| shift[1] - 3.0).collect::<Vec<_>>(), 2.0)?;
    for (place, shift) in places.iter().zip(shifts) {
        let other = place(5, 4);
        near(other[0] - shift[0], 1.0)?;
        near(other[1] - shift[1], 1.0)?;
    }
    Ok(())
}

/// By an angle, around what is half way between the two pixels in the middle.
fn turns(device: &Device) -> Result<(), String> {
    let mut angles = Vec::new();
    for place in places(device, AugmentationForward { rotation: 0.5, ..none(SIZE, 2) })? {
        let [[a, b], [c, d]] = matrix(&place);
        near(a, d)?;
        near(b, -c)?;
        near(a * a + c * c, 1.0)?;
        angles.push(c.atan2(a));
        near((place(4, 3)[0] + place(5, 3)[0]) / 2.0, 4.5)?;
        near((place(4, 3)[1] + place(5, 3)[1]) / 2.0, 3.0)?;
    }
    spread(&angles, std::f64::consts::PI)
}

fn zooms_and_shears(device: &Device) -> Result<(), String> {
    let mut zooms = Vec::new();
    for place in places(device, AugmentationForward { zoom: 0.4, ..none(SIZE, 2) })? {
        let [[a, b], [c, d]] = matrix(&place);
        near(a, d)?;
        near(b, 0.0)?;
        near(c, 0.0)?;
        near((place(4, 3)[0] + place(5, 3)[0]) / 2.0, 4.5)?;
        zooms.push(a - 1.0);
    }
    spread(&zooms, 0.4)?;
    let mut shears = [Vec::new(), Vec::new()];
    for place in places(device, AugmentationForward { shear: [0.5, 0.2], ..none(SIZE, 2) })? {
        let [[a, b], [c, d]] = matrix(&place);
        near(a, 1.0)?;
        near(d, 1.0)?;
        shears[0].push(b);
        shears[1].push(c);
    }
    spread(&shears[0], 0.5)?;
    spread(&shears[1], 0.2)
}

/// By as much as splines of uniform numbers have: a third of the squares at the nodes, (151/315)² of which stay.
fn bends(device: &Device) -> Result<(), String> {
    let elastic = Some(Elastic { amplitude: 0.8, nodes_a_pixel: 0.37 });
    let places = places(device, AugmentationForward { elastic, ..none(SIZE, 2) })?;
    let inner = (1..8).flat_map(|across| (1..6).map(move |down| (across, down)));
    let moved = places.iter().flat_map(|place| {
        let own = |(across, down)| [place(across, down)[0] - across as f64, place(across, down)[1] - down as f64];
        inner.clone().map(own)
    });
    let moved: Vec<_> = moved.collect();
    for axis in [0, 1] {
        let mean = moved.iter().map(|moved| moved[axis]).sum::<f64>() / moved.len() as f64;
        let squares = moved.iter().map(|moved| moved[axis].powi(2)).sum::<f64>() / moved.len() as f64;
        let expected = 0.8 / 3f64.sqrt() * 151.0 / 315.0;
        // Of the 35 pixels of an image some four move by themselves: 500 numbers, whose deviation is 3 % of itself.
        let holds = mean.abs() < 0.2 * expected && (squares.sqrt() / expected - 1.0).abs() < 0.12;
        ensure(holds, || format!("mean {mean}, deviation {} instead of {expected}", squares.sqrt()))?;
    }
    // Neighbours move alike.
    let steps = places.iter().map(|place| (place(5, 3)[0] - place(4, 3)[0] - 1.0).powi(2));
    let step = (steps.sum::<f64>() / ROWS as f64).sqrt();
    ensure(step < 0.15 && step > 0.01, || format!("neighbours are {step} apart"))
}

/// Whole rectangles of all sizes, everywhere.
fn cuts_out(device: &Device) -> Result<(), String> {
    let (columns, most) = (SIZE[0] * SIZE[1], [6, 3]);
    let mut case = case(AugmentationForward { cutout: most, ..none(SIZE, 1) }, (ROWS, ROWS));
    case.inputs[0] = Array::matrix(ROWS, columns, ROWS, |_, _| 1.0);
    let [_, found] = case.launched(device)?;
    let mut seen = [[false; 10]; 6]; // sides, first and last pixels, each across and down
    for image in found[0].chunks_exact(padded(columns)) {
        let cut: Vec<_> = (0..columns).filter(|&at| f32::from_bits(image[at]) == 0.25).collect();
        let kept = (0..columns).filter(|&at| f32::from_bits(image[at]) == 1.0).count();
        ensure(kept + cut.len() == columns, || "a number is neither the image's nor the fill value".into())?;
        let (Some(first), Some(last)) = (cut.first(), cut.last()) else { continue };
        let (start, end) = ([first % 10, first / 10], [last % 10, last / 10]);
        let sides = [0, 1].map(|axis| end[axis] + 1 - start[axis]);
        ensure(sides[0] * sides[1] == cut.len(), || format!("{cut:?} is no rectangle"))?;
        ensure(sides[0] <= most[0] && sides[1] <= most[1], || format!("{sides:?} pixels are cut out"))?;
        for (seen, found) in seen.iter_mut().zip(sides.into_iter().chain(start).chain(end)) {
            seen[found] = true;
        }
    }
    let wanted = [1..7, 1..4, 0..7, 0..5, 3..10, 2..7];
    let all = seen.iter().zip(wanted).all(|(seen, wanted)| seen[wanted].iter().all(|&seen| seen));
    ensure(all, || format!("not every size and place is seen: {seen:?}"))
}
