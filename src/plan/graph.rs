//! The list that a plan is made on: lowering appends launches to it, fusion passes rewrite it. Each value is a buffer that
//! one launch writes; parameters, gradients and slots are buffers of the model's, of which launches bind ranges.

use super::{Argument, Buffer, Launch, Mode, Phase, Plan, PlanKey, Recipe, STATISTICS_SLOTS, Segment, Store};
use crate::kernels::advance_step::Counter;
use crate::kernels::gradients::Keep;
use crate::kernels::scale::{Gradients, LossScale};
use crate::kernels::storage::{Precision, Storage};
use crate::kernels::update::TENSOR_ENTRY;
use crate::kernels::{Kernel, padded};
use crate::layout::Place;
use crate::step::StepBlock;

/// A matrix [batch, features], rows padded to four numbers: what goes from one layer to the next.
pub(super) type Value = Argument;

/// The launches so far, with the buffers that they bind.
pub(super) struct Graph<'a> {
    pub recipe: Recipe<'a>,
    pub key: PlanKey,
    pub buffers: Vec<Buffer>,
    pub launches: Vec<Launch>,
    /// The block of the step, and of the one after it.
    pub step: Argument,
    pub next: Argument,
    /// The ring of the steps' learning rates.
    pub learning_rates: Argument,
    /// The segment that launches are appended to.
    pub segment: Segment,
    /// What the model makes of a batch.
    pub outputs: Argument,
    /// Where each step's statistics go.
    pub statistics: Option<Argument>,
    /// Numbers of a step's slot there.
    pub slot: usize,
    /// Where metrics are counted.
    pub counts: Option<Argument>,
}

impl<'a> Graph<'a> {
    pub fn new(recipe: Recipe<'a>, key: PlanKey) -> Self {
        let nothing = Argument::whole(0);
        let (buffers, launches) = (Vec::new(), Vec::new());
        let mut graph = Graph {
            recipe,
            key,
            buffers,
            launches,
            segment: Segment::Batch,
            step: nothing,
            next: nothing,
            learning_rates: nothing,
            outputs: nothing,
            statistics: None,
            slot: Counter::COUNT,
            counts: None,
        };
        graph.step = graph.local("step", StepBlock::WORDS);
        graph.next = graph.local("next", StepBlock::WORDS);
        graph
    }

    /// A buffer; those of the model and the data set are there once.
    pub fn buffer(&mut self, label: &str, store: Store, words: usize) -> Argument {
        let known = self.buffers.iter().position(|buffer| store != Store::Local && buffer.store == store);
        let buffer = known.unwrap_or_else(|| {
            self.buffers.push(Buffer { label: label.to_string(), store, words, precision: Precision::F32, copies: 1 });
            self.buffers.len() - 1
        });
        Argument::whole(buffer)
    }

    pub fn local(&mut self, label: &str, words: usize) -> Argument {
        self.buffer(label, Store::Local, words)
    }

    /// Room for a value.
    pub fn value(&mut self, label: &str, columns: usize, precision: Precision) -> Value {
        let numbers = padded(self.key.capacity) * padded(columns);
        let words = match precision {
            Precision::F32 => numbers,
            Precision::F16 => numbers / 2,
        };
        let value = self.local(label, words);
        self.buffers[value.buffer].precision = precision;
        value
    }

    /// Room for the gradient of a value.
    pub fn gradient(&mut self, label: &str, columns: usize) -> Value {
        self.value(label, columns, self.gradient_precision())
    }

    /// What gradients of activations are stored in, where there are any.
    pub fn gradient_precision(&self) -> Precision {
        if self.key.mode == Mode::Train { self.key.precision } else { Precision::F32 }
    }

    /// Whether gradients of parameters are added up over several batches.
    pub fn keep(&self) -> Keep {
        if self.key.accumulates { Keep::Accumulate } else { Keep::Overwrite }
    }

    /// The ring of the steps' slots; how long they are is settled by then.
    pub fn statistics(&mut self) -> Argument {
        let words = self.slot * STATISTICS_SLOTS;
        let statistics = self.statistics.unwrap_or_else(|| self.local("statistics", words));
        self.statistics = Some(statistics);
        statistics
    }

    pub fn parameters(&mut self) -> Argument {
        self.buffer("parameters", Store::Parameters, self.recipe.layout.length)
    }

    pub fn gradients(&mut self) -> Argument {
        self.buffer("gradients", Store::Gradients, self.recipe.layout.length)
    }

    pub fn tensors(&mut self) -> Argument {
        self.buffer("tensors", Store::Tensors, self.recipe.layout.tensors.len() * TENSOR_ENTRY)
    }

    /// Adds a launch. How its numbers are stored is settled in the end, by [`store`](Self::store).
    pub fn launch(
        &mut self,
        phase: Phase,
        label: impl Into<String>,
        kernel: impl Into<Kernel>,
        arguments: &[Argument],
    ) {
        let (label, kernel, arguments) = (label.into(), kernel.into(), arguments.to_vec());
        let (storage, segment) = (Storage::default(), self.segment);
        self.launches.push(Launch { label, phase, segment, kernel, storage, arguments });
    }

    /// The launch that writes a value, if one does.
    pub fn writer(&self, value: Argument) -> Option<usize> {
        self.launches.iter().position(|launch| launch.written().any(|written| written.overlaps(&value)))
    }

    /// The launches that read a value, a launch that reads it twice being there twice. A plan's outputs are read by whoever
    /// asked for them.
    pub fn readers(&self, value: Argument) -> Vec<Reader> {
        let mut readers = Vec::new();
        for (index, launch) in self.launches.iter().enumerate() {
            let read = launch.read().filter(|read| read.overlaps(&value));
            readers.extend(read.map(|_| Reader::Launch(index)));
        }
        if self.key.mode == Mode::Predict && self.outputs.overlaps(&value) {
            readers.push(Reader::Host);
        }
        readers
    }

    /// Whether this launch alone reads the value, and once.
    pub fn only_reader_is(&self, value: Argument, launch: usize) -> bool {
        self.readers(value) == [Reader::Launch(launch)]
    }

    /// Settles how each launch's numbers are stored: that follows from its buffers; where gradients are scaled, a launch that
    /// has to do with them binds the scale too.
    pub fn store(&mut self) {
        let scaled = self.gradient_precision() == Precision::F16;
        for index in 0..self.launches.len() {
            let binds_scale = scaled && self.launches[index].kernel.gradients() != Gradients::None;
            let scale = binds_scale.then(|| self.buffer("loss_scale", Store::LossScale, LossScale::WORDS));
            let launch = &mut self.launches[index];
            for (binding, argument) in launch.arguments.iter().enumerate() {
                if self.buffers[argument.buffer].precision == Precision::F16 {
                    launch.storage = launch.storage.with_half(binding);
                }
            }
            if let Some(scale) = scale {
                launch.storage = launch.storage.with_scale();
                launch.arguments.push(scale);
            }
        }
    }

    /// Drops the buffers that no launch binds any more.
    pub fn compact(&mut self) {
        let kept = [self.step, self.next, self.learning_rates].into_iter().chain(self.statistics).chain(self.counts);
        let host = (self.key.mode == Mode::Predict).then_some(self.outputs);
        let bound = self.launches.iter().flat_map(|launch| launch.arguments.iter().copied());
        let mut used = vec![false; self.buffers.len()];
        kept.chain(host).chain(bound).for_each(|argument| used[argument.buffer] = true);
        let mut places = Vec::new();
        let mut count = 0;
        for &used in &used {
            places.push(count);
            count += usize::from(used);
        }
        let mut used = used.into_iter();
        self.buffers.retain(|_| used.next().unwrap_or(true));
        let place = |argument: &mut Argument| argument.buffer = places[argument.buffer];
        [&mut self.step, &mut self.next, &mut self.learning_rates, &mut self.outputs]
            .into_iter()
            .chain(&mut self.statistics)
            .chain(&mut self.counts)
            .for_each(place);
        self.launches.iter_mut().flat_map(|launch| &mut launch.arguments).for_each(place);
    }
}

/// Who reads a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Launch(usize),
    Host,
}

impl Argument {
    /// The range of a buffer in the parameters' layout that a layer's tensors fill.
    pub(super) fn of_place(self, place: &Place) -> Argument {
        Argument { offset: place.offset, words: place.length, ..self }
    }

    /// Whether a range of one buffer has a word in common with that of another of the same layout.
    pub(super) fn overlaps_range_of(&self, other: &Argument) -> bool {
        self.overlaps(&Argument { buffer: self.buffer, ..*other })
    }

    /// Whether both have a word in common.
    pub(super) fn overlaps(&self, other: &Argument) -> bool {
        let whole = self.is_whole() || other.is_whole();
        let apart = self.offset + self.words <= other.offset || other.offset + other.words <= self.offset;
        self.buffer == other.buffer && (whole || !apart)
    }
}

impl Launch {
    fn uses(&self, written: bool) -> impl Iterator<Item = Argument> + '_ {
        let bindings = self.kernel.definition().bindings.iter();
        let chosen = bindings.zip(&self.arguments).filter(move |(binding, _)| binding.is_output() == written);
        chosen.map(|(_, argument)| *argument)
    }

    /// What it writes or updates.
    pub(super) fn written(&self) -> impl Iterator<Item = Argument> + '_ {
        self.uses(true)
    }

    /// What it only reads.
    pub(super) fn read(&self) -> impl Iterator<Item = Argument> + '_ {
        self.uses(false)
    }
}

impl From<Graph<'_>> for Plan {
    fn from(graph: Graph<'_>) -> Plan {
        let Graph { key, buffers, launches, step, next, learning_rates, outputs, statistics, slot, counts, .. } = graph;
        let room = if key.fused { key.room } else { Default::default() };
        Plan {
            key,
            dispatches: super::dispatches::dispatches(&launches, room, key.accumulates, key.device.family),
            buffers,
            launches,
            step: step.buffer,
            next: next.buffer,
            learning_rates: learning_rates.buffer,
            statistics: statistics.map(|statistics| statistics.buffer),
            slot,
            counts: counts.map(|counts| counts.buffer),
            outputs: outputs.buffer,
        }
    }
}
