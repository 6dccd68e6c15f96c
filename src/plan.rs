//! The plan: model, loss and optimizer as a list of launches over a list of buffers. Either executor runs it. A plan is
//! made for a number of rows at most; how many rows a batch has is data, so a smaller last batch uses the same plan.
//!
//! It is made in steps, each a module: the layers are lowered to the plain plan, one launch an operation (`lower`), launches
//! are fused (`fuse`), products get their tilings (`tile`), neighbours share dispatches (`dispatches`). It knows nothing of
//! devices beyond the family that a product's tiling is chosen for.

pub(crate) mod compare;
mod dispatches;
mod fuse;
mod graph;
mod lower;
mod recipe;
mod tile;

use std::fmt;
use std::ops::Range;

use crate::kernels::product::{Choices, Traits};
use crate::kernels::storage::{Precision, Storage};
use crate::kernels::{Access, Kernel, Work};
use crate::layout::Layout;
use crate::net::losses::LossFunction;
use crate::net::optimizers::Optimizer;
use crate::net::sequential::Sequential;
use crate::net::tensor::Kind;
use crate::records::counted::Counted;
use crate::step::Betas;

pub(crate) use dispatches::Room;

/// Everything that a plan is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe<'a> {
    pub model: &'a Sequential,
    pub layout: &'a Layout,
    pub loss: &'a LossFunction,
    pub optimizer: &'a Optimizer,
    pub choices: &'a Choices,
    pub counted: &'a Counted,
}

/// The part of a step that a launch belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Building the batch.
    Gather,
    /// The layers, first to last.
    Forward,
    /// The loss and the gradient of the outputs.
    Loss,
    /// The layers, last to first.
    Backward,
    /// Sums over gradients and parameters.
    Reduce,
    /// The optimizer, and moving on.
    Update,
}

/// When a launch runs. Where gradients are accumulated, several batches make one update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Segment {
    /// With every batch.
    Batch,
    /// With every update.
    Update,
    /// At the end of every step.
    End,
}

/// Whose a buffer is, and so how long it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Store {
    /// The plan's own: activations, gradients of activations, statistics, the step block.
    Local,
    /// The model's parameters.
    Parameters,
    /// Its moving averages.
    Moving,
    /// The gradients of the parameters.
    Gradients,
    /// One of the optimizer's slots.
    Slot(usize),
    /// The tensor table.
    Tensors,
    /// Which tensor each run of 64 numbers belongs to.
    TensorOf,
    /// The chunks of the sums of squares.
    Chunks,
    /// Each tensor's range of chunks.
    Ranges,
    /// The loss scale.
    LossScale,
    /// The data set's samples.
    Samples,
    /// Its targets.
    SampleTargets,
    /// Its weights.
    SampleWeights,
    /// The order of the epoch.
    Order,
}

impl Store {
    /// Where a model's tensors of a kind lie.
    pub fn of(kind: Kind) -> Self {
        match kind {
            Kind::Trained => Store::Parameters,
            Kind::Moving => Store::Moving,
        }
    }

    /// Whether the buffer belongs to a data set.
    pub fn is_data(self) -> bool {
        matches!(self, Store::Samples | Store::SampleTargets | Store::SampleWeights | Store::Order)
    }
}

/// A buffer that launches use.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Buffer {
    /// What it holds, for labels.
    pub label: String,
    /// Whose it is.
    pub store: Store,
    /// Its length in 32-bit words; 0 where the data set decides.
    pub words: usize,
    /// What its numbers are stored in.
    pub precision: Precision,
    /// Copies of one and the same content that it holds.
    pub copies: usize,
}

/// What a launch binds: a range of a buffer, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Argument {
    /// Index into [`Plan::buffers`].
    pub buffer: usize,
    /// Where the range starts.
    pub offset: usize,
    /// Its length; 0 for the whole buffer.
    pub words: usize,
}

impl Argument {
    /// The whole of a buffer.
    pub fn whole(buffer: usize) -> Self {
        Argument { buffer, offset: 0, words: 0 }
    }

    pub fn is_whole(&self) -> bool {
        self.words == 0
    }

    /// The words that are bound, of a buffer of so many.
    pub fn range(&self, length: usize) -> Range<usize> {
        if self.is_whole() { 0..length } else { self.offset..self.offset + self.words }
    }
}

/// One launch of one operation.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// `dense_0.forward` and the like.
    pub label: String,
    pub phase: Phase,
    pub segment: Segment,
    pub kernel: Kernel,
    /// How the numbers of its bindings are stored.
    pub storage: Storage,
    /// One for each binding, in order.
    pub arguments: Vec<Argument>,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    Train,
    Evaluate,
    Predict,
}

/// What a plan must know of the data set it reads.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DataFormat {
    pub byte_scale: Option<f32>,
    /// Class ids or rows; `None` when there are no targets.
    pub target_ids: Option<bool>,
    pub weighted: bool,
}

/// What distinguishes the plans of one model from each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PlanKey {
    pub mode: Mode,
    /// Rows of a batch, at most.
    pub capacity: usize,
    pub format: DataFormat,
    /// Whether activations and the optimizer's updates ride in the products' epilogues.
    pub fused: bool,
    /// What activations and their gradients are stored in.
    pub precision: Precision,
    /// Whether gradients are added up over several batches before an update.
    pub accumulates: bool,
    /// Which of the model's lists of metrics is counted; 0 for none.
    pub metrics: u32,
    /// What products' tilings are chosen for.
    pub device: Traits,
    /// What a dispatch may take.
    pub room: Room,
}

/// A list of launches over a list of buffers.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub key: PlanKey,
    pub buffers: Vec<Buffer>,
    pub launches: Vec<Launch>,
    /// Which of them share a dispatch, in order.
    pub dispatches: Vec<Range<usize>>,
    /// The buffer of the step's block.
    pub step: usize,
    /// That of the next step's: what a run starts with is written there.
    pub next: usize,
    /// The ring of learning rates, one for each slot: the host fills it as it submits steps.
    pub learning_rates: usize,
    /// The statistics' buffer; `None` where nothing is counted.
    pub statistics: Option<usize>,
    /// Numbers of a step's slot in it.
    pub slot: usize,
    /// The tables that metrics are counted in, where there are any.
    pub counts: Option<usize>,
    /// The model's outputs, in a plan for predictions; others may have none in memory.
    pub outputs: usize,
}

/// How many steps' statistics a plan's ring holds.
pub(crate) const STATISTICS_SLOTS: usize = 1024;

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, launch) in self.launches.iter().enumerate() {
            // What shares the dispatch of the launch before is marked.
            let joins = !self.dispatches.iter().any(|dispatch| dispatch.start == index);
            let phase = format!("{}{:?}", if joins { "+" } else { "" }, launch.phase).to_lowercase();
            write!(f, "{phase:<9} {:<34} {:<22}", launch.label, launch.kernel.definition().name)?;
            for (binding, argument) in launch.kernel.bindings(launch.storage).iter().zip(&launch.arguments) {
                let arrow = if binding.is_output() { "→" } else { "" };
                write!(f, " {arrow}{}", self.buffers[argument.buffer].label)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

impl Plan {
    /// What a dispatch of these launches is called.
    pub fn label(launches: &[Launch]) -> String {
        let labels: Vec<_> = launches.iter().map(|launch| launch.label.as_str()).collect();
        labels.join(" + ")
    }

    /// The launches of a step, with those of the update or without.
    pub fn of_step(&self, updates: bool) -> impl Iterator<Item = &Launch> {
        self.launches.iter().filter(move |launch| updates || launch.segment != Segment::Update)
    }

    /// The dispatches of a step, by their place in the plan.
    pub fn dispatches_of_step(&self, updates: bool) -> impl Iterator<Item = usize> + '_ {
        let runs = move |dispatch: &Range<usize>| updates || self.launches[dispatch.start].segment != Segment::Update;
        (0..self.dispatches.len()).filter(move |&index| runs(&self.dispatches[index]))
    }

    /// The launches of each dispatch.
    pub fn dispatched(&self) -> impl Iterator<Item = &[Launch]> {
        self.dispatches.iter().map(|dispatch| &self.launches[dispatch.clone()])
    }

    /// What a launch does in a step on as many rows as the plan has room for.
    pub fn work(&self, launch: &Launch) -> Work {
        let bytes = |argument: &Argument| match argument.words {
            // Copies are not what must be moved at least.
            0 => 4 * (self.buffers[argument.buffer].words / self.buffers[argument.buffer].copies) as u64,
            words => 4 * words as u64,
        };
        let bindings = launch.kernel.bindings(launch.storage).into_iter().zip(&launch.arguments);
        let bound = bindings.map(|(binding, argument)| match binding.access {
            Access::Update => 2 * bytes(argument),
            _ => bytes(argument),
        });
        launch.kernel.work(self.key.capacity, bound.sum())
    }

    /// What each update moves the step block's running products on by.
    pub fn betas(&self) -> Betas {
        let advance = self.launches.iter().find_map(|launch| match &launch.kernel {
            Kernel::AdvanceStep(advance) => Some(advance.betas),
            _ => None,
        });
        advance.unwrap_or(Betas::NONE)
    }
}
