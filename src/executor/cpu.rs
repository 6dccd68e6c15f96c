//! The CPU executor: the same plans on the host's memory. Every buffer is made before the first step; a step moves buffers
//! out and back, which allocates nothing.

use std::collections::{HashMap, VecDeque};

use crate::clock::Stopwatch;
use crate::cpu::Cpu;
use crate::cpu::buffer::Buffer;
use crate::cpu::machine::Processor;
use crate::data::Dataset;
use crate::error::Result;
use crate::executor::{MOST_PROGRAMS, Rates, rows};
use crate::kernels::gather_batch::INPUT_SLOTS;
use crate::kernels::{Access, Binding, Element, Input, Kernel, Output};
use crate::plan::compare::Verification;
use crate::plan::{Argument, Launch, Mode, Plan, PlanKey, STATISTICS_SLOTS, Store};
use crate::step::{Betas, StepBlock};

/// A model's buffers and programs on the CPU.
#[derive(Debug)]
pub(crate) struct Executor {
    /// All buffers, of the model and of every program.
    arena: Vec<Buffer>,
    stores: HashMap<Store, usize>,
    /// Programs: a plan, and where in the arena each of its buffers is.
    programs: Vec<(Plan, Vec<usize>)>,
    /// Places in the arena that a dropped program has left.
    free: Vec<usize>,
    cpu: Cpu,
}

/// A program at work on a data set.
#[derive(Debug)]
pub(crate) struct Run {
    plan: Plan,
    places: Vec<usize>,
    data: Dataset,
    /// The samples as words, if the set does not hold them so.
    packed: Option<Vec<u32>>,
    weights: Option<Vec<f32>>,
    order: Vec<u32>,
    rates: Rates,
    results: VecDeque<Vec<f32>>,
}

impl Run {
    pub fn replace(&mut self, data: Dataset, weights: Option<Vec<f32>>) {
        self.packed = rows::borrowed_samples(&data).is_none().then(|| pack(&data));
        (self.data, self.weights) = (data, weights);
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn in_flight(&self) -> usize {
        self.results.len()
    }

    pub fn wait(&mut self) -> Vec<f32> {
        self.results.pop_front().unwrap_or_default()
    }

    /// A buffer of the data set, as words.
    fn data(&self, store: Store) -> &[u32] {
        match store {
            Store::Samples => match &self.packed {
                Some(words) => words,
                None => rows::borrowed_samples(&self.data).unwrap_or(&[]),
            },
            Store::SampleTargets => rows::borrowed_targets(&self.data),
            Store::SampleWeights => bytemuck::cast_slice(self.weights.as_deref().unwrap_or(&[])),
            _ => &self.order,
        }
    }
}

impl Executor {
    pub fn new(threads: usize, processor: Processor, buffers: Vec<(Store, Vec<f32>)>) -> Self {
        let stores = buffers.iter().enumerate().map(|(index, (store, _))| (*store, index)).collect();
        let arena = buffers.into_iter().map(|(_, values)| Buffer::from(values.as_slice())).collect();
        Executor { arena, stores, programs: Vec::new(), free: Vec::new(), cpu: Cpu::new(threads, processor) }
    }

    pub fn read(&self, store: Store) -> Vec<f32> {
        self.stores.get(&store).map_or_else(Vec::new, |&index| self.arena[index].to_vec())
    }

    pub fn write(&mut self, store: Store, values: &[f32]) {
        if let Some(&index) = self.stores.get(&store) {
            self.arena[index].copy_from_slice(values);
        }
    }

    pub fn has(&self, key: &PlanKey) -> bool {
        self.programs.iter().any(|(plan, _)| plan.key == *key)
    }

    pub fn open(
        &mut self,
        key: PlanKey,
        plan: impl FnOnce() -> Plan,
        data: &Dataset,
        weights: Option<Vec<f32>>,
    ) -> Run {
        let program = match self.programs.iter().position(|(plan, _)| plan.key == key) {
            Some(index) => index,
            None => self.add(plan()),
        };
        // The last are those that are in use.
        let program = self.programs.remove(program);
        self.programs.push(program.clone());
        let (plan, places) = program;
        let packed = rows::borrowed_samples(data).is_none().then(|| pack(data));
        Run {
            plan,
            places,
            data: data.clone(),
            packed,
            weights,
            order: Vec::new(),
            rates: Rates::Constant(0.0),
            results: VecDeque::new(),
        }
    }

    fn add(&mut self, plan: Plan) -> usize {
        // No run of the first is open then: a call opens two programs at most, one call at a time has the model, and what is
        // opened becomes the last.
        if self.programs.len() == MOST_PROGRAMS {
            let (_, places) = self.programs.remove(0);
            for place in places.into_iter().filter(|&place| place >= self.stores.len()) {
                self.arena[place] = Buffer::default();
                self.free.push(place);
            }
        }
        let mut places = Vec::new();
        for buffer in &plan.buffers {
            places.push(match self.stores.get(&buffer.store) {
                Some(&index) => index,
                None => {
                    let words = if buffer.store.is_data() { 0 } else { buffer.words };
                    let place = self.free.pop().unwrap_or_else(|| {
                        self.arena.push(Buffer::default());
                        self.arena.len() - 1
                    });
                    self.arena[place] = Buffer::zeros(words);
                    place
                }
            });
        }
        self.programs.push((plan, places));
        self.programs.len() - 1
    }

    pub fn begin(&mut self, run: &mut Run, order: &[u32], step: StepBlock, rates: Rates) {
        run.rates = rates;
        run.order.clear();
        run.order.extend_from_slice(order);
        self.set_step(run, step);
    }

    fn block(&self, run: &Run, buffer: usize) -> StepBlock {
        bytemuck::pod_read_unaligned(bytemuck::cast_slice(&self.arena[run.places[buffer]]))
    }

    /// The block of the step that comes next.
    fn step(&self, run: &Run) -> StepBlock {
        self.block(run, run.plan.next)
    }

    fn set_step(&mut self, run: &Run, step: StepBlock) {
        let words: &mut [u8] = bytemuck::cast_slice_mut(&mut self.arena[run.places[run.plan.next]]);
        words.copy_from_slice(bytemuck::bytes_of(&step));
    }

    /// The block that a launch sees: every operation binds one first.
    fn step_of(&self, run: &Run, launch: &Launch) -> StepBlock {
        launch.arguments.first().map_or_else(StepBlock::default, |argument| self.block(run, argument.buffer))
    }

    pub fn submit(&mut self, run: &mut Run, steps: usize) -> usize {
        let steps = if run.plan.key.mode == Mode::Predict { 1 } else { steps.min(STATISTICS_SLOTS / 2) };
        let first = self.step(run).slot as usize;
        for _ in 0..steps {
            self.one_step(run);
        }
        let results = match run.plan.statistics {
            Some(statistics) => {
                let ring = &self.arena[run.places[statistics]];
                let words = run.plan.slot;
                let slot = |slot: usize| &ring[words * (slot % STATISTICS_SLOTS)..][..words];
                (first..first + steps).flat_map(slot).copied().collect()
            }
            None => self.take_outputs(run),
        };
        run.results.push_back(results);
        steps
    }

    pub fn clear_counts(&mut self, run: &Run) {
        if let Some(counts) = run.plan.counts {
            self.arena[run.places[counts]].fill(0.0);
        }
    }

    pub fn write_counts(&mut self, run: &Run, values: &[u32]) {
        if let Some(counts) = run.plan.counts {
            let table = &mut self.arena[run.places[counts]];
            table.iter_mut().zip(values).for_each(|(count, value)| *count = f32::from_bits(*value));
        }
    }

    pub fn counts(&self, run: &Run) -> Vec<u32> {
        run.plan
            .counts
            .map_or_else(Vec::new, |counts| bytemuck::cast_slice::<f32, u32>(&self.arena[run.places[counts]]).to_vec())
    }

    /// One training or evaluation step: every launch in order. Allocates nothing.
    pub fn one_step(&mut self, run: &Run) {
        let step = self.open_step(run);
        for launch in run.plan.of_step(step.updates()) {
            self.launch(run, launch);
        }
    }

    /// Says what the step to come is told; returns its block as it stands before.
    fn open_step(&mut self, run: &Run) -> StepBlock {
        let step = self.step(run);
        let ring = &mut self.arena[run.places[run.plan.learning_rates]];
        ring[step.slot as usize % INPUT_SLOTS] = run.rates.of(step.batch);
        step
    }

    /// One step, each launch timed; `false` where there is no clock.
    pub fn time_step(&mut self, run: &Run, seconds: &mut [Vec<f64>]) -> bool {
        if cfg!(not(feature = "native")) {
            return false;
        }
        self.open_step(run);
        for (launch, seconds) in run.plan.launches.iter().zip(seconds) {
            let clock = Stopwatch::start();
            self.launch(run, launch);
            seconds.push(clock.seconds());
        }
        true
    }

    pub fn verify_step(&mut self, run: &Run, verification: &mut Verification) -> Result<()> {
        let opened = self.open_step(run);
        for launch in run.plan.of_step(opened.updates()) {
            let (step, before) = (self.step_of(run, launch), self.arguments(run, launch));
            self.launch(run, launch);
            verification.check(launch, &step, before, self.arguments(run, launch))?;
        }
        verification.steps += 1;
        Ok(())
    }

    /// Copies of what a launch binds.
    fn arguments(&self, run: &Run, launch: &Launch) -> Vec<Vec<u32>> {
        launch.arguments.iter().map(|argument| words(&self.arena, run, argument).to_vec()).collect()
    }

    /// The rows of one batch of predictions; a plan for predictions has no launch that moves on, so this does.
    fn take_outputs(&mut self, run: &Run) -> Vec<f32> {
        let step = self.step(run);
        let outputs = &self.arena[run.places[run.plan.outputs]];
        let stride = outputs.len() / crate::kernels::padded(run.plan.key.capacity);
        let rows = outputs[..stride * step.rows as usize].to_vec();
        self.set_step(run, step.advance(Betas::NONE));
        rows
    }

    fn launch(&mut self, run: &Run, launch: &Launch) {
        let step = self.step_of(run, launch);
        let bindings = launch.kernel.definition().bindings;
        let outputs = || bindings.iter().zip(&launch.arguments).filter(|(binding, _)| binding.is_output());
        // Outputs are moved out of the arena for the launch, so that inputs can be borrowed from it meanwhile.
        let mut taken: [Buffer; MOST_OUTPUTS] = Default::default();
        for (slot, (_, argument)) in taken.iter_mut().zip(outputs()) {
            *slot = std::mem::take(&mut self.arena[run.places[argument.buffer]]);
        }
        {
            let mut output_views: [Output<'_, f32>; MOST_OUTPUTS] = std::array::from_fn(|_| Output::Words(&mut []));
            let views = output_views.iter_mut().zip(taken.iter_mut());
            for ((view, values), (binding, argument)) in views.zip(outputs()) {
                *view = output_view(binding, slice_mut(values, argument));
            }
            let mut input_views: [Input<'_, f32>; MOST_INPUTS] = [Input::Words(&[]); MOST_INPUTS];
            let inputs = bindings.iter().zip(&launch.arguments).filter(|(binding, _)| binding.access == Access::Read);
            let mut count = 0;
            for (view, (binding, argument)) in input_views.iter_mut().zip(inputs) {
                *view = input_view(binding, words(&self.arena, run, argument));
                count += 1;
            }
            let output_count = outputs().count();
            launch.kernel.run(&mut self.cpu, &step, &input_views[..count], &mut output_views[..output_count]);
        }
        for (slot, (_, argument)) in taken.iter_mut().zip(outputs()) {
            self.arena[run.places[argument.buffer]] = std::mem::take(slot);
        }
    }
}

fn words<'a>(arena: &'a [Buffer], run: &'a Run, argument: &Argument) -> &'a [u32] {
    let store = run.plan.buffers[argument.buffer].store;
    if store.is_data() {
        return run.data(store);
    }
    let words: &[u32] = bytemuck::cast_slice(&arena[run.places[argument.buffer]]);
    &words[argument.range(words.len())]
}

/// No operation has more.
const MOST_INPUTS: usize = 5;
const MOST_OUTPUTS: usize = 4;

fn slice_mut<'a>(values: &'a mut [f32], argument: &Argument) -> &'a mut [f32] {
    let range = argument.range(values.len());
    &mut values[range]
}

fn input_view<'a>(binding: &Binding, words: &'a [u32]) -> Input<'a, f32> {
    match binding.element {
        Element::Float => Input::Floats(bytemuck::cast_slice(words)),
        Element::Word | Element::Half => Input::Words(words),
    }
}

fn output_view<'a>(binding: &Binding, values: &'a mut [f32]) -> Output<'a, f32> {
    match binding.element {
        Element::Float => Output::Floats(values),
        Element::Word | Element::Half => Output::Words(bytemuck::cast_slice_mut(values)),
    }
}

fn pack(data: &Dataset) -> Vec<u32> {
    let per_sample = rows::sample_words(data);
    let mut words = vec![0; per_sample * data.len()];
    for (sample, row) in words.chunks_exact_mut(per_sample).enumerate() {
        rows::pack_sample(data, sample, row);
    }
    words
}

/// Runs one kernel once on the arguments' own memory.
pub(crate) fn run_once(threads: usize, processor: Processor, kernel: &Kernel, arguments: &mut [Vec<u32>]) {
    let bindings = kernel.definition().bindings;
    let is_step = |binding: &Binding| binding.access == Access::Step;
    let step = bindings.iter().zip(arguments.iter()).find(|(binding, _)| is_step(binding)).map(|(_, words)| words);
    let step = step.map_or_else(StepBlock::default, |words| bytemuck::pod_read_unaligned(bytemuck::cast_slice(words)));
    let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
    for (binding, words) in bindings.iter().zip(arguments) {
        match binding.access {
            Access::Step => {}
            Access::Read => inputs.push(input_view(binding, words)),
            Access::Write | Access::Update => outputs.push(output_view(binding, bytemuck::cast_slice_mut(words))),
        }
    }
    kernel.run(&mut Cpu::new(threads, processor), &step, &inputs, &mut outputs);
}
