//! Executors run plans: one on a GPU, one on the CPU. This module is the face that both share; it knows plans and
//! buffers, not models or epochs.

pub(crate) mod cpu;
pub(crate) mod gpu;
pub(crate) mod rows;

use crate::data::Dataset;
use crate::device::{Backend, Device};
use crate::error::{Error, Result};
use crate::kernels::Kernel;
use crate::kernels::scale::LossScale;
use crate::kernels::storage::Storage;
use crate::optimizers::Optimizer;
use crate::parameters::Layout;
use crate::plan::{Plan, PlanKey, Store};
use crate::step::StepBlock;
use crate::verify::Verification;

/// The model-wide buffers with their first contents, in words.
pub(crate) fn model_buffers(layout: &Layout, optimizer: &Optimizer, parameters: &[f32]) -> Vec<(Store, Vec<f32>)> {
    let (chunks, ranges) = layout.chunks();
    let words = |words: &[u32]| bytemuck::cast_slice(words).to_vec();
    let mut buffers = vec![
        (Store::Parameters, parameters.to_vec()),
        (Store::Gradients, vec![0.0; layout.length]),
        (Store::Tensors, layout.table(optimizer.weight_decay())),
        (Store::TensorOf, words(&layout.tensor_of())),
        (Store::Chunks, words(chunks.as_flattened())),
        (Store::Ranges, words(ranges.as_flattened())),
        (Store::LossScale, words(bytemuck::cast_slice(&[LossScale::default()]))),
    ];
    for (index, slot) in optimizer.slots().iter().enumerate() {
        buffers.push((Store::Slot(index), vec![slot.initial; layout.slot_length(slot.used)]));
    }
    buffers
}

/// Programs that a model keeps: training, evaluation and a few sizes of batches and predictions. When there are more, the
/// oldest is dropped, and made again when it is wanted.
const MOST_PROGRAMS: usize = 16;

/// Either executor. It holds the model's buffers and the programs made from plans.
#[derive(Debug)]
pub(crate) enum Executor {
    Cpu(Box<cpu::Executor>),
    Gpu(gpu::Executor),
}

/// A plan at work on a data set: where steps are submitted and results waited for.
#[derive(Debug)]
pub(crate) enum Run {
    Cpu(Box<cpu::Run>),
    Gpu(Box<gpu::Run>),
}

/// How a run gets at its data set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Feed {
    /// Bytes of samples that may live on the device; larger sets are streamed.
    pub budget: u64,
    /// Rows of a batch.
    pub batch_size: usize,
    /// For a set that is read in pieces: the most rows that [`Run::replace`] will bring. What the run is opened with is
    /// an example of them then.
    pub window: Option<usize>,
}

impl Executor {
    pub fn new(device: &Device, buffers: Vec<(Store, Vec<f32>)>) -> Result<Self> {
        Ok(match &device.backend {
            Backend::Cpu { threads, processor } => {
                Executor::Cpu(Box::new(cpu::Executor::new(*threads, *processor, buffers)))
            }
            Backend::Gpu(context) => Executor::Gpu(gpu::Executor::new(context.clone(), buffers)?),
        })
    }

    pub fn read(&self, store: Store) -> Result<Vec<f32>> {
        match self {
            Executor::Cpu(cpu) => Ok(cpu.read(store)),
            Executor::Gpu(gpu) => gpu.read(store),
        }
    }

    pub fn write(&mut self, store: Store, values: &[f32]) -> Result<()> {
        match self {
            Executor::Cpu(cpu) => {
                cpu.write(store, values);
                Ok(())
            }
            Executor::Gpu(gpu) => gpu.write(store, values),
        }
    }

    /// Makes everything that a plan needs, unless a program for the same key is there, and binds it to a data set.
    pub fn open(
        &mut self,
        key: PlanKey,
        plan: impl FnOnce() -> Plan,
        data: &Dataset,
        weights: Option<Vec<f32>>,
        feed: Feed,
    ) -> Result<Run> {
        Ok(match self {
            Executor::Cpu(cpu) => Run::Cpu(Box::new(cpu.open(key, plan, data, weights))),
            Executor::Gpu(gpu) => Run::Gpu(Box::new(gpu.open(key, plan, data, weights, feed)?)),
        })
    }

    /// Starts a pass over the samples in the given order.
    pub fn begin(&mut self, run: &mut Run, order: &[u32], step: StepBlock) -> Result<()> {
        match (self, run) {
            (Executor::Cpu(cpu), Run::Cpu(run)) => {
                cpu.begin(run, order, step);
                Ok(())
            }
            (_, Run::Gpu(run)) => run.begin(order, step),
            _ => Ok(()),
        }
    }

    /// Runs up to `steps` steps, or sees to it that the device will; returns how many. At the start of a pass those may be
    /// more, if they were recorded ahead, but never more than the pass has.
    pub fn submit(&mut self, run: &mut Run, steps: usize) -> Result<usize> {
        match (self, run) {
            (Executor::Cpu(cpu), Run::Cpu(run)) => Ok(cpu.submit(run, steps)),
            (_, Run::Gpu(run)) => run.submit(steps),
            _ => Ok(0),
        }
    }

    /// Records up to `steps` steps for the next pass, where recording is work; its first [`Executor::submit`] takes them.
    pub fn record_ahead(&mut self, run: &mut Run, steps: usize) -> Result<()> {
        match run {
            Run::Cpu(_) => Ok(()),
            Run::Gpu(run) => run.record_ahead(steps),
        }
    }

    /// Waits for the oldest submission; returns four numbers a step (see `shaders/advance_step.wgsl`), or the outputs'
    /// padded rows.
    pub async fn wait(&mut self, run: &mut Run) -> Result<Vec<f32>> {
        match run {
            Run::Cpu(run) => Ok(run.wait()),
            Run::Gpu(run) => run.wait().await,
        }
    }
}

impl Executor {
    /// Runs one step launch by launch, each against its reference. See `verify.rs`.
    pub fn verify_step(&mut self, run: &mut Run, verification: &mut Verification) -> Result<()> {
        match (self, run) {
            (Executor::Cpu(cpu), Run::Cpu(run)) => cpu.verify_step(run, verification),
            (_, Run::Gpu(run)) => run.verify_step(verification),
            _ => Ok(()),
        }
    }
}

impl Executor {
    /// Runs one step and adds the seconds that each launch took to its place in `seconds`. `false` where the device
    /// cannot tell; nothing runs then.
    pub fn time_step(&mut self, run: &mut Run, seconds: &mut [Vec<f64>]) -> Result<bool> {
        match (self, run) {
            (Executor::Cpu(cpu), Run::Cpu(run)) => Ok(cpu.time_step(run, seconds)),
            (_, Run::Gpu(run)) => run.time_step(seconds),
            _ => Ok(false),
        }
    }
}

impl Run {
    /// Binds other samples, of the same kind and as many as the feed allows, in place of those bound so far. Steps that
    /// have been submitted keep theirs; [`Executor::begin`] comes before further ones.
    pub fn replace(&mut self, data: Dataset, weights: Option<Vec<f32>>) {
        match self {
            Run::Cpu(run) => run.replace(data, weights),
            Run::Gpu(run) => run.replace(data, weights),
        }
    }

    /// Submissions that have not been waited for.
    pub fn in_flight(&self) -> usize {
        match self {
            Run::Cpu(run) => run.in_flight(),
            Run::Gpu(run) => run.in_flight(),
        }
    }

    /// The plan at work.
    pub fn plan(&self) -> &Plan {
        match self {
            Run::Cpu(run) => run.plan(),
            Run::Gpu(run) => run.plan(),
        }
    }
}

/// Runs one kernel once, on memory of its own: `arguments` are the words of each binding in order, which come back as the
/// kernel leaves them. The first word of the step block's rows decides how many rows there are; `capacity` is the most
/// that the launch is made for.
pub(crate) fn launch_once(
    device: &Device,
    (kernel, storage): (&Kernel, Storage),
    capacity: usize,
    arguments: &mut [Vec<u32>],
) -> Result<()> {
    let bindings = kernel.bindings(storage);
    if arguments.len() != bindings.len() {
        return Err(Error::shape(kernel.definition().name, format!("{} arguments", bindings.len()), arguments.len()));
    }
    if storage != Storage::default() {
        device.check_half_precision()?;
    }
    match &device.backend {
        Backend::Cpu { threads, processor } => {
            cpu::run_once(*threads, *processor, kernel, arguments);
            Ok(())
        }
        Backend::Gpu(context) => gpu::run_once(context, (kernel, storage), capacity, arguments),
    }
}
