//! Executors run plans: one on a GPU, one on the CPU. This module is the face that both share; it knows plans and
//! buffers, not models or epochs.

pub(crate) mod cpu;
pub(crate) mod gpu;
pub(crate) mod rows;

use crate::data::Dataset;
use crate::device::{Backend, Device};
use crate::error::{Error, Result};
use crate::net::schedules::Schedule;
use crate::plan::compare::Verification;
use crate::plan::{Plan, PlanKey, Store};
use crate::step::StepBlock;

/// Programs that a model keeps: training, evaluation and a few sizes of batches and predictions. When there are more, the
/// oldest is dropped, and made again when it is wanted.
const MOST_PROGRAMS: usize = 16;

/// Either executor. It holds the model's buffers and the programs made from plans.
#[derive(Debug)]
pub(crate) enum Executor {
    Cpu(Box<cpu::Executor>),
    Gpu(gpu::Executor),
    /// One that could not be made, and why.
    Unavailable(String),
}

/// A plan at work on a data set: where steps are submitted and results waited for.
#[derive(Debug)]
pub(crate) enum Run {
    Cpu(Box<cpu::Run>),
    Gpu(Box<gpu::Run>),
}

/// The learning rates of a run's steps: a ring on the device, filled as steps are submitted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rates {
    Constant(f32),
    Schedule(Schedule),
}

impl Rates {
    pub fn of(&self, batch: u32) -> f32 {
        match self {
            Rates::Constant(rate) => *rate,
            Rates::Schedule(schedule) => schedule.at(batch),
        }
    }
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

fn unavailable(reason: &str) -> Error {
    Error::Unavailable { reason: reason.into() }
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

    pub async fn read(&self, store: Store) -> Result<Vec<f32>> {
        match self {
            Executor::Cpu(cpu) => Ok(cpu.read(store)),
            Executor::Gpu(gpu) => gpu.read(store).await,
            Executor::Unavailable(reason) => Err(unavailable(reason)),
        }
    }

    pub fn write(&mut self, store: Store, values: &[f32]) -> Result<()> {
        match self {
            Executor::Cpu(cpu) => {
                cpu.write(store, values);
                Ok(())
            }
            Executor::Gpu(gpu) => gpu.write(store, values),
            Executor::Unavailable(reason) => Err(unavailable(reason)),
        }
    }

    /// Whether a program for this key is there.
    pub fn has(&self, key: &PlanKey) -> bool {
        match self {
            Executor::Cpu(cpu) => cpu.has(key),
            Executor::Gpu(gpu) => gpu.has(key),
            Executor::Unavailable(_) => false,
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
            Executor::Unavailable(reason) => return Err(unavailable(reason)),
        })
    }

    /// Starts a pass over the samples in the given order, at these learning rates.
    pub fn begin(&mut self, run: &mut Run, order: &[u32], step: StepBlock, rates: Rates) -> Result<()> {
        match (self, run) {
            (Executor::Cpu(cpu), Run::Cpu(run)) => {
                cpu.begin(run, order, step, rates);
                Ok(())
            }
            (_, Run::Gpu(run)) => run.begin(order, step, rates),
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

    /// Waits for the oldest submission; returns a slot of numbers a step ([`Plan::slot`]), or the outputs'
    /// padded rows.
    pub async fn wait(&mut self, run: &mut Run) -> Result<Vec<f32>> {
        match run {
            Run::Cpu(run) => Ok(run.wait()),
            Run::Gpu(run) => run.wait().await,
        }
    }
}

impl Executor {
    /// Sets the tables of metrics to zero, where a run has any: before a pass.
    pub fn clear_counts(&mut self, run: &Run) -> Result<()> {
        match (self, run) {
            (Executor::Cpu(cpu), Run::Cpu(run)) => {
                cpu.clear_counts(run);
                Ok(())
            }
            (_, Run::Gpu(run)) => run.clear_counts(),
            _ => Ok(()),
        }
    }

    /// Sets the tables of metrics to what [`Executor::counts`] has read, be it on another device.
    pub fn write_counts(&mut self, run: &Run, counts: &[u32]) -> Result<()> {
        match (self, run) {
            (Executor::Cpu(cpu), Run::Cpu(run)) => {
                cpu.write_counts(run, counts);
                Ok(())
            }
            (_, Run::Gpu(run)) => run.write_counts(counts),
            _ => Ok(()),
        }
    }

    /// The tables of metrics as the steps that were waited for have left them; nothing where a run has none.
    pub async fn counts(&self, run: &Run) -> Result<Vec<u32>> {
        match (self, run) {
            (Executor::Cpu(cpu), Run::Cpu(run)) => Ok(cpu.counts(run)),
            (_, Run::Gpu(run)) => run.counts().await,
            _ => Ok(Vec::new()),
        }
    }
}

impl Executor {
    /// Runs one step launch by launch, each against its reference. See `verify.rs`.
    pub async fn verify_step(&mut self, run: &mut Run, verification: &mut Verification) -> Result<()> {
        match (self, run) {
            (Executor::Cpu(cpu), Run::Cpu(run)) => cpu.verify_step(run, verification),
            (_, Run::Gpu(run)) => run.verify_step(verification).await,
            _ => Ok(()),
        }
    }
}

impl Executor {
    /// Runs one step and adds the seconds that each launch took to its place in `seconds`. `false` where the device
    /// cannot tell; nothing runs then.
    pub async fn time_step(&mut self, run: &mut Run, seconds: &mut [Vec<f64>]) -> Result<bool> {
        match (self, run) {
            (Executor::Cpu(cpu), Run::Cpu(run)) => Ok(cpu.time_step(run, seconds)),
            (_, Run::Gpu(run)) => run.time_step(seconds).await,
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
