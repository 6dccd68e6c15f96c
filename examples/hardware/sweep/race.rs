//! One product by all its tilings: compiled side by side, each compared with the default's result, and timed in turns. Those
//! that are far behind after the first turn have no other. The fastest are tried in other orders of their tiles, and without
//! robust access.

use std::time::Instant;

use serde_json::{Value, json};
use wgrad::kernels::product::{Product, Tiling, Traits};
use wgrad::kernels::storage::{Precision, Storage, pack_halves, unpack_halves};
use wgrad::kernels::{Access, Element, Kernel};
use wgrad::StepBlock;

use super::candidates::{Order, tilings};
use super::learned::{self, Learned};
use super::shapes::{Bytes, Operation, Shape};
use super::{Kept, Size, describe};
use crate::record::{Records, short};
use crate::vulkan::{Barrier, Bound, Buffer, Gpu, Kind, Pipeline};
use crate::{Outcome, spirv};

/// What a pass should take: a thousand ticks of a coarse clock.
const PASS_SECONDS: f64 = 4e-4;
const MOST_REPEATS: f64 = 200.0;

/// Tilings that take so many times as long as the best in the first turn have no other.
const HOPELESS: f64 = 1.5;

/// How many of the fastest are tried in other orders and without robust access; one alone in the shortest form.
const FINALISTS: usize = 2;

/// Fewer workgroups than this are all there at once, in whatever order.
const WORTH_ORDERING: usize = 64;

/// Bytes of each of the three places at which results are compared.
const SAMPLED: u64 = 16 << 10;

/// How far results may be from the default's, of an element's size and of the largest one's each; the second where they are
/// rounded to halves. As `Model::tune` has them.
const TOLERANCE: f32 = 1e-4;
const HALF_TOLERANCE: f32 = 1.0 / 512.0;

/// A device with the buffers that all launches share.
struct Track<'g> {
    gpu: &'g Gpu,
    /// In the device's memory, as the engine's is; written by way of the other.
    step: Buffer<'g>,
    staged_step: Buffer<'g>,
    /// In f32 and in halves.
    inputs: [Buffer<'g>; 2],
    outputs: [Buffer<'g>; 2],
    weights: Buffer<'g>,
    result: Buffer<'g>,
    poison: Buffer<'g>,
    sample: Buffer<'g>,
}

/// What races are run on.
pub struct Race<'g> {
    /// With robust access and without.
    tracks: [Track<'g>; 2],
    traits: Traits,
    size: Size,
}

/// What came of a product.
pub struct Raced {
    pub lines: usize,
    pub failed: usize,
    pub kept: Vec<Kept>,
    pub summary: String,
}

/// A shader, compiled or not.
struct Compiled<'g> {
    tiling: Tiling,
    order: Order,
    wgsl: String,
    hash: String,
    spirv: Vec<u32>,
    workgroups: usize,
    naga_seconds: f64,
    pipeline: Result<Pipeline<'g>, String>,
}

/// A turn of a tiling.
struct Turn {
    number: usize,
    repeats: u32,
    ticks: u64,
    seconds: f64,
    clock: Value,
}

struct Runner<'c> {
    compiled: &'c Compiled<'c>,
    robust: bool,
    bound: Option<Bound<'c>>,
    error: Option<String>,
    turns: Vec<Turn>,
}

/// One product, and what its launches have in common.
struct Task {
    operation: Operation,
    shape: Shape,
    precision: Precision,
    product: Product,
    storage: Storage,
    kinds: Vec<Kind>,
    /// Bytes of the result, and whether it is of halves.
    bytes: u64,
    halves: bool,
}

impl<'g> Race<'g> {
    pub fn new(gpus: [&'g Gpu; 2], largest: Bytes, traits: Traits, size: Size) -> Outcome<Self> {
        let [robust, plain] = gpus;
        Ok(Race { tracks: [Track::new(robust, largest)?, Track::new(plain, largest)?], traits, size })
    }

    /// Races the tilings that are worth it, as far as earlier products tell.
    pub fn run(
        &self,
        (operation, shape, precision): (Operation, Shape, Precision),
        learned: &mut Learned,
        records: &mut Records,
    ) -> Outcome<Raced> {
        let task = Task::new(operation, shape, precision)?;
        let kind = learned::Kind { operation, precision, large: task.flops() >= learned::LARGE };
        self.tracks.iter().try_for_each(|track| track.begin(shape))?;
        let [track, plain] = &self.tracks;
        let all = tilings(task.product, self.traits, self.size);
        let wanted: Vec<_> = learned.worth_trying(kind, all).into_iter().map(|tiling| (tiling, Order::Rows)).collect();
        let compiled = task.compile(track.gpu, &wanted);
        let mut numbers = 0..;
        let mut runners: Vec<_> = compiled.iter().map(|compiled| Runner::new(compiled, track, &task)).collect();
        let expected = runners.first_mut().and_then(|default| default.results(track, &task).ok()).unwrap_or_default();
        for runner in &mut runners {
            runner.qualify(track, &task, &expected);
            runner.turn(track, &mut numbers, records);
        }
        let best = fastest(&runners).first().map_or(f64::INFINITY, |&index| runners[index].best());
        learned.learn(kind, runners.iter().map(|runner| (runner.compiled.tiling, runner.best() / best)));
        for turn in 0..2 {
            let mut order: Vec<_> = (0..runners.len()).filter(|&index| runners[index].best() <= HOPELESS * best).collect();
            if turn == 0 {
                order.reverse();
            }
            order.into_iter().for_each(|index| runners[index].turn(track, &mut numbers, records));
        }
        let count = if self.size == Size::Shortest { 1 } else { FINALISTS };
        let finalists: Vec<_> = fastest(&runners).into_iter().take(count).collect();
        let others: Vec<_> = finalists
            .iter()
            .filter(|&&index| compiled[index].workgroups >= WORTH_ORDERING || self.size != Size::Whole)
            .flat_map(|&index| Order::OTHERS.map(|order| (compiled[index].tiling, order)))
            .collect();
        let ordered = task.compile(track.gpu, &others);
        let final_tilings: Vec<_> = finalists.iter().map(|&index| (compiled[index].tiling, Order::Rows)).collect();
        let unchecked = task.compile(plain.gpu, &final_tilings);
        let mut more: Vec<_> = ordered.iter().map(|compiled| Runner::new(compiled, track, &task)).collect();
        more.extend(unchecked.iter().map(|compiled| Runner::new(compiled, plain, &task)));
        let track_of = |runner: &Runner<'_>| if runner.robust { track } else { plain };
        for runner in &mut more {
            runner.qualify(track_of(runner), &task, &expected);
        }
        // In turns with what they are compared with.
        for _ in 0..3 {
            finalists.iter().for_each(|&index| runners[index].turn(track, &mut numbers, records));
            more.iter_mut().for_each(|runner| runner.turn(track_of(runner), &mut numbers, records));
        }
        for (index, runner) in runners.iter().chain(&more).enumerate() {
            records.write("tiling", runner.line(&task, index == 0))?;
        }
        let kept = finalists.iter().chain(Some(&0).filter(|_| !finalists.contains(&0)));
        Ok(Raced {
            lines: runners.len() + more.len(),
            failed: runners.iter().chain(&more).filter(|runner| runner.error.is_some()).count(),
            kept: kept.filter_map(|&index| compiled.get(index)).map(|compiled| compiled.keep(&task)).collect(),
            summary: summary(&task, &runners, &more, &finalists),
        })
    }
}

/// The places of those that compute what they should, the fastest first.
fn fastest(runners: &[Runner<'_>]) -> Vec<usize> {
    let mut order: Vec<_> = (0..runners.len()).filter(|&index| runners[index].best().is_finite()).collect();
    order.sort_by(|&a, &b| runners[a].best().total_cmp(&runners[b].best()));
    order
}

fn summary(task: &Task, runners: &[Runner<'_>], more: &[Runner<'_>], finalists: &[usize]) -> String {
    let (Shape { batch, inputs, outputs }, flops) = (task.shape, task.flops());
    let mut text = format!("sweep {:?} {batch} x {inputs} x {outputs} {}:", task.operation, task.precision).to_lowercase();
    let one = |runner: &Runner<'_>| {
        format!("{} us ({} GFLOP/s)", short(1e6 * runner.best()), short(1e-9 * flops / runner.best()))
    };
    if let Some(&best) = finalists.first() {
        text += &format!(" best {} {}", runners[best].compiled.tiling, one(&runners[best]));
    }
    if let Some(default) = runners.first() {
        text += &format!(", default {} {}", default.compiled.tiling, one(default));
    }
    let plain = more.iter().filter(|runner| !runner.robust).map(Runner::best).fold(f64::INFINITY, f64::min);
    let ordered = more.iter().filter(|runner| runner.robust).map(Runner::best).fold(f64::INFINITY, f64::min);
    text += &format!(", without robust access {} us", short(1e6 * plain));
    if ordered.is_finite() {
        text += &format!(", in another order {} us", short(1e6 * ordered));
    }
    text
}

impl<'g> Track<'g> {
    fn new(gpu: &'g Gpu, largest: Bytes) -> Outcome<Self> {
        let mut state = 1u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let numbers: Vec<f32> = (0..1 << 16).map(|_| next()).collect();
        let bits: Vec<u32> = numbers.iter().map(|number| number.to_bits()).collect();
        let halves = pack_halves(&numbers);
        let filled = |bytes| -> Outcome<_> { Ok([gpu.filled_buffer(bytes, &bits)?, gpu.filled_buffer(bytes / 2, &halves)?]) };
        let poison = gpu.host_buffer(SAMPLED)?;
        poison.write(&vec![f32::NAN.to_bits(); (SAMPLED / 4) as usize]);
        Ok(Track {
            gpu,
            step: gpu.buffer(4 * StepBlock::WORDS as u64)?,
            staged_step: gpu.host_buffer(4 * StepBlock::WORDS as u64)?,
            inputs: filled(largest.inputs)?,
            outputs: filled(largest.outputs)?,
            weights: gpu.filled_buffer(largest.weights, &bits)?,
            result: gpu.buffer(largest.inputs.max(largest.outputs).max(largest.weights))?,
            poison,
            sample: gpu.host_buffer(3 * SAMPLED)?,
        })
    }

    /// Says how many rows a batch has.
    fn begin(&self, shape: Shape) -> Outcome<()> {
        let step = StepBlock::default().start(shape.batch as u32, shape.batch as u32);
        self.staged_step.write(bytemuck::cast_slice(&[step]));
        let bytes = 4 * StepBlock::WORDS as u64;
        self.gpu.timed(|recorder| recorder.copy(&self.staged_step, 0, &self.step, 0, bytes)).map(drop)
    }

    /// The buffers of a launch, in the order of its bindings.
    fn buffers(&self, task: &Task) -> Vec<(&Buffer<'g>, u64)> {
        let kind = usize::from(task.precision == Precision::F16);
        let (inputs, outputs) = (&self.inputs[kind], &self.outputs[kind]);
        let all = match task.operation {
            Operation::Forward => vec![&self.step, inputs, &self.weights, &self.result],
            Operation::Weights => vec![&self.step, inputs, outputs, &self.result],
            Operation::Input => vec![&self.step, outputs, &self.weights, inputs, &self.result],
        };
        all.into_iter().map(|buffer| (buffer, 0)).collect()
    }
}

impl Task {
    fn flops(&self) -> f64 {
        2.0 * (self.shape.batch * self.shape.inputs * self.shape.outputs) as f64
    }

    fn new(operation: Operation, shape: Shape, precision: Precision) -> Outcome<Self> {
        let any = Tiling::Direct { rows: 1, columns: 1, workgroup: 64 };
        let (kernel, storage) = operation.kernel(shape, any, precision);
        let bindings = kernel.bindings(storage);
        let kind = |access| if access == Access::Step { Kind::Uniform } else { Kind::Storage };
        let product = kernel.product(shape.batch, precision).ok_or("expected a product")?;
        let halves = bindings.iter().any(|binding| binding.is_output() && binding.element == Element::Half);
        let whole = Bytes::of(shape);
        let bytes = match operation {
            Operation::Forward => whole.outputs,
            Operation::Weights => whole.weights,
            Operation::Input => whole.inputs,
        };
        Ok(Task {
            operation,
            shape,
            precision,
            product,
            storage,
            kinds: bindings.iter().map(|binding| kind(binding.access)).collect(),
            bytes: if halves { bytes / 2 } else { bytes },
            halves,
        })
    }

    fn kernel(&self, tiling: Tiling) -> Kernel {
        self.operation.kernel(self.shape, tiling, self.precision).0
    }

    /// The shaders of these tilings in these orders, on as many threads as there are; those that have no such order left out.
    fn compile<'g>(&self, gpu: &'g Gpu, wanted: &[(Tiling, Order)]) -> Vec<Compiled<'g>> {
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get()).min(wanted.len().max(1));
        let share = |thread: usize| -> Vec<(usize, Compiled<'g>)> {
            let own = wanted.iter().enumerate().skip(thread).step_by(threads);
            own.filter_map(|(index, &(tiling, order))| Some((index, self.one(gpu, tiling, order)?))).collect()
        };
        let mut all: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
            // A thread that panics has lost its share; the others' is kept.
            running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        });
        all.sort_by_key(|&(index, _)| index);
        all.into_iter().map(|(_, compiled)| compiled).collect()
    }

    fn one<'g>(&self, gpu: &'g Gpu, tiling: Tiling, order: Order) -> Option<Compiled<'g>> {
        let kernel = self.kernel(tiling);
        let wgsl = order.apply(&kernel.shader(self.storage))?;
        let clock = Instant::now();
        let code = spirv::compile(&wgsl, &gpu.about, matches!(tiling, Tiling::Cooperative(_))).map_err(|error| error.to_string());
        let naga_seconds = clock.elapsed().as_secs_f64();
        let (spirv, pipeline) = match code {
            Ok(code) => {
                let pipeline = gpu.pipeline(&code, &self.kinds).map_err(|error| error.to_string());
                (code, pipeline)
            }
            Err(error) => (Vec::new(), Err(error)),
        };
        let workgroups = kernel.workgroups(self.shape.batch);
        Some(Compiled { tiling, order, hash: spirv::hash(&wgsl), wgsl, spirv, workgroups, naga_seconds, pipeline })
    }

    /// Where results are compared: the beginning, the middle and the end.
    fn places(&self) -> [(u64, u64); 3] {
        let length = SAMPLED.min(self.bytes);
        [0, (self.bytes - length) / 2 / 16 * 16, self.bytes - length].map(|at| (at, length))
    }
}

impl Compiled<'_> {
    /// A grid folded in two where it is long, as wgrad folds it.
    fn groups(&self) -> [u32; 2] {
        let down = self.workgroups.div_ceil(65_535).max(1);
        [self.workgroups.div_ceil(down) as u32, down as u32]
    }

    fn keep(&self, task: &Task) -> Kept {
        Kept { hash: self.hash.clone(), wgsl: self.wgsl.clone(), spirv: self.spirv.clone(), kinds: task.kinds.clone() }
    }
}

impl<'c> Runner<'c> {
    fn new(compiled: &'c Compiled<'c>, track: &Track<'_>, task: &Task) -> Self {
        let bound = match &compiled.pipeline {
            Ok(pipeline) => pipeline.bind(&track.buffers(task)).map_err(|error| error.to_string()),
            Err(error) => Err(error.clone()),
        };
        let error = bound.as_ref().err().cloned();
        Runner { compiled, robust: track.gpu.about.robust, bound: bound.ok(), error, turns: Vec::new() }
    }

    /// The least seconds of a launch; infinite where it computes something else.
    fn best(&self) -> f64 {
        let seconds = self.turns.iter().map(|turn| turn.seconds).filter(|_| self.error.is_none());
        seconds.fold(f64::INFINITY, f64::min)
    }

    /// Three pieces of what it computes, poisoned before.
    fn results(&self, track: &Track<'_>, task: &Task) -> Outcome<Vec<f32>> {
        let bound = self.bound.as_ref().ok_or("not compiled")?;
        track.gpu.timed(|recorder| {
            task.places().iter().for_each(|&(at, length)| recorder.copy(&track.poison, 0, &track.result, at, length));
            recorder.barrier(Barrier::Everything);
            recorder.dispatch(bound, self.compiled.groups());
            recorder.barrier(Barrier::Everything);
            for (index, (at, length)) in task.places().into_iter().enumerate() {
                recorder.copy(&track.result, at, &track.sample, index as u64 * SAMPLED, length);
            }
        })?;
        let words = track.sample.read();
        let mut all = Vec::new();
        for (index, (_, length)) in task.places().into_iter().enumerate() {
            let start = index * (SAMPLED / 4) as usize;
            let piece = &words[start..start + (length / 4) as usize];
            match task.halves {
                true => all.extend(unpack_halves(piece)),
                false => all.extend(piece.iter().map(|&word| f32::from_bits(word))),
            }
        }
        Ok(all)
    }

    /// Whether it computes what the default computes; if not, that is its error.
    fn qualify(&mut self, track: &Track<'_>, task: &Task, expected: &[f32]) {
        if self.error.is_some() {
            return;
        }
        let rounds = task.halves || matches!(self.compiled.tiling, Tiling::Cooperative(_));
        let tolerance = if rounds { HALF_TOLERANCE } else { TOLERANCE };
        self.error = match self.results(track, task) {
            Err(error) => Some(error.to_string()),
            Ok(found) => disagreement(&found, expected, tolerance),
        };
    }

    /// One pass; a failure is its error, and the last of its turns.
    fn turn(&mut self, track: &Track<'_>, numbers: &mut impl Iterator<Item = usize>, records: &Records) {
        let Some(bound) = self.bound.as_ref().filter(|_| self.error.is_none()) else { return };
        let groups = self.compiled.groups();
        let pass = |repeats: u32| {
            track.gpu.timed(|recorder| {
                for _ in 0..repeats {
                    recorder.dispatch(bound, groups);
                    recorder.barrier(Barrier::Compute);
                }
            })
        };
        let timed = pass(1).and_then(|once| {
            let repeats = (PASS_SECONDS / once.seconds.max(1e-7)).ceil().clamp(1.0, MOST_REPEATS) as u32;
            Ok((repeats, if repeats > 1 { pass(repeats)? } else { once }))
        });
        match timed {
            Ok((repeats, timing)) => self.turns.push(Turn {
                number: numbers.next().unwrap_or_default(),
                repeats,
                ticks: timing.ticks,
                seconds: timing.seconds / f64::from(repeats),
                clock: records.clock().get("mhz").cloned().unwrap_or(Value::Null),
            }),
            Err(error) => self.error = Some(error.to_string()),
        }
    }

    fn line(&self, task: &Task, default: bool) -> Value {
        let Compiled { tiling, order, hash, spirv, workgroups, naga_seconds, pipeline, .. } = self.compiled;
        let turns: Vec<_> = self
            .turns
            .iter()
            .map(|turn| {
                json!({ "turn": turn.number, "repeats": turn.repeats, "ticks": turn.ticks, "seconds": turn.seconds,
                    "clock_mhz": turn.clock })
            })
            .collect();
        json!({
            "operation": task.product.operation, "shape": describe(task.shape), "size": task.product.size,
            "precision": task.precision, "tiling": tiling, "name": tiling.to_string(), "robust": self.robust,
            "order": order.name(), "default": default, "workgroups": workgroups, "invocations": tiling.workgroup(),
            "flops": 2 * task.shape.batch * task.shape.inputs * task.shape.outputs,
            "naga_seconds": naga_seconds, "compile_seconds": pipeline.as_ref().ok().map(|made| made.seconds),
            "statistics": pipeline.as_ref().ok().map(|made| &made.statistics), "words": spirv.len(), "shader": hash,
            "error": self.error, "passes": turns,
        })
    }
}

/// What is wrong with results, if anything is.
fn disagreement(found: &[f32], expected: &[f32], tolerance: f32) -> Option<String> {
    if found.len() != expected.len() || expected.is_empty() {
        return Some(format!("{} numbers, the default has {}", found.len(), expected.len()));
    }
    let largest = expected.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
    let close = |(found, expected): (&f32, &f32)| (found - expected).abs() <= tolerance * (expected.abs() + largest);
    let wrong = found.iter().zip(expected).position(|pair| !close(pair))?;
    Some(format!("number {wrong} is {}, the default has {}", found[wrong], expected[wrong]))
}

#[cfg(test)]
mod tests {
    use super::disagreement;

    #[test]
    fn results_that_differ_are_found() {
        assert_eq!(disagreement(&[1.0, 2.0], &[1.0, 2.00001], 1e-4), None);
        for wrong in [[1.0, 2.1], [1.0, f32::NAN]] {
            assert!(disagreement(&wrong, &[1.0, 2.0], 1e-4).is_some_and(|text| text.starts_with("number 1")));
        }
        assert!(disagreement(&[], &[], 1e-4).is_some());
        assert!(disagreement(&[1.0], &[1.0, 2.0], 1e-4).is_some());
    }
}
