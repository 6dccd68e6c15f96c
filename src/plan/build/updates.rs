//! What follows the gradients: reductions over them, the optimizer's updates, and the end of the step.

use super::{Builder, Trace};
use crate::kernels::adagrad::Adagrad;
use crate::kernels::adagrad_update::AdagradUpdate;
use crate::kernels::adam;
use crate::kernels::adam_update::AdamUpdate;
use crate::kernels::advance_step::{self, AdvanceStep};
use crate::kernels::dense_backward_update::DenseBackwardUpdate;
use crate::kernels::gradient_scales::GradientScales;
use crate::kernels::rmsprop::Rmsprop;
use crate::kernels::rmsprop_update::RmspropUpdate;
use crate::kernels::sgd::Sgd;
use crate::kernels::sgd_update::SgdUpdate;
use crate::kernels::storage::Precision;
use crate::kernels::sum_squares::SumSquares;
use crate::kernels::update::{Common, Rule, TENSOR_ALIGNMENT};
use crate::kernels::{Kernel, Workgroup, padded};
use crate::optimizers::{Adam, AdamW, Clip, Optimizer};
use crate::plan::{Argument, Launch, Mode, Phase, STATISTICS_SLOTS, Store};

impl Builder<'_> {
    /// Whether the optimizer's update rides in the products that make the gradients: nobody else needs them. Clipping by
    /// norm needs all of them first.
    pub(super) fn updates_ride(&self) -> bool {
        self.key.fused && matches!(self.recipe.optimizer.clip(), Clip::None | Clip::Value(_))
    }

    /// A layer's update, the gradients of its parameters computed in the same launch.
    pub(super) fn riding_update(&mut self, index: usize, trace: &Trace, dz: Argument) {
        let Some(gradients) = self.weights_kernel(index) else { return };
        let range = self.recipe.layout.layers[index];
        let kernel = DenseBackwardUpdate {
            gradients,
            rule: self.rule(),
            l2: self.recipe.model.layers[index].l2,
            weight_decay: self.recipe.optimizer.weight_decay(),
            clip_value: self.clip_value(),
        };
        let mut arguments = vec![self.step, trace.input, dz, Self::range(self.parameters(), range)];
        let slots = self.recipe.optimizer.slots();
        let bound = self.slots().into_iter().zip(slots);
        // Of a slot that is not used each layer has four words of its own: a dispatch must not write one place twice.
        let own = TENSOR_ALIGNMENT * index;
        let unused = |slot: Argument| Argument { offset: own, words: 4, ..slot };
        arguments.extend(bound.map(|(slot, of)| if of.used { Self::range(slot, range) } else { unused(slot) }));
        self.launch(Phase::Update, format!("dense_{index}.update"), kernel, &arguments);
    }

    /// Gives the updates from launch `first` on workgroups as large as those of the largest product, where they can share its
    /// dispatch then.
    pub(super) fn bring_to_one_size(&mut self, first: usize) {
        let (capacity, room) = (self.key.capacity, self.room());
        let size = |launch: &Launch| launch.kernel.product(capacity, Precision::F32).map(|product| product.size);
        let updates = &mut self.launches[first..];
        let largest = updates.iter().max_by_key(|launch| size(launch).map(|size| size.rows * size.columns)).cloned();
        let Some(largest) = largest else { return };
        let Kernel::DenseBackwardUpdate(most) = &largest.kernel else { return };
        for launch in updates {
            let mut changed = launch.clone();
            if let (Kernel::DenseBackwardUpdate(update), Some(size)) = (&mut changed.kernel, size(launch)) {
                let own = &mut update.gradients.tiling;
                *own = own.beside(most.gradients.tiling, size);
            }
            if room.holds(&[largest.clone(), changed.clone()]) {
                *launch = changed;
            }
        }
    }

    fn clip(&mut self) {
        let (clip, global) = match self.recipe.optimizer.clip() {
            Clip::Norm(limit) => (limit, false),
            Clip::GlobalNorm(limit) => (limit, true),
            Clip::None | Clip::Value(_) => return,
        };
        let sums = self.sum_squares("gradient_squares", true);
        let tensors = self.recipe.layout.tensors.len();
        let ranges = self.buffer("ranges", Store::Ranges, 2 * tensors);
        let arguments = [self.step, sums, ranges, self.tensors()];
        self.launch(Phase::Reduce, "gradient_scales", GradientScales { tensors, clip, global }, &arguments);
    }

    pub(super) fn update(&mut self) {
        self.clip();
        let kernel = self.update_kernel();
        let tensor_of = self.recipe.layout.tensor_of().len();
        let mut arguments = vec![
            self.step,
            self.gradients(),
            self.tensors(),
            self.buffer("tensor_of", Store::TensorOf, tensor_of),
            self.parameters(),
        ];
        arguments.extend(self.slots());
        self.launch(Phase::Update, "update", kernel, &arguments);
    }

    /// Sums of squares over all chunks: the squares of the gradients, or the L2 penalty.
    fn sum_squares(&mut self, label: &str, of_gradients: bool) -> Argument {
        let (chunks, _) = self.recipe.layout.chunks();
        let sums = self.local(label, padded(chunks.len()));
        let arguments = [
            self.step,
            self.gradients(),
            self.parameters(),
            self.tensors(),
            self.buffer("chunks", Store::Chunks, 4 * chunks.len()),
            sums,
        ];
        self.launch(Phase::Reduce, label, SumSquares { chunks: chunks.len(), of_gradients }, &arguments);
        sums
    }

    /// The optimizer's slots; of one that its settings do not use four words that nobody reads.
    fn slots(&mut self) -> Vec<Argument> {
        let layout = self.recipe.layout;
        let mut arguments = Vec::new();
        for (index, slot) in self.recipe.optimizer.slots().iter().enumerate() {
            let whole = self.buffer(slot.name, Store::Slot(index), layout.slot_length(slot.used));
            arguments.push(if slot.used { whole } else { Argument { words: 4, ..whole } });
        }
        arguments
    }

    fn clip_value(&self) -> f32 {
        if let Clip::Value(limit) = self.recipe.optimizer.clip() { limit } else { 0.0 }
    }

    fn rule(&self) -> Rule {
        match *self.recipe.optimizer {
            Optimizer::RmsProp(o) => {
                Rule::Rmsprop(Rmsprop { rho: o.rho, momentum: o.momentum, epsilon: o.epsilon, centered: o.centered })
            }
            Optimizer::Sgd(o) => Rule::Sgd(Sgd { momentum: o.momentum, nesterov: o.nesterov }),
            Optimizer::Adam(Adam { beta_1, beta_2, epsilon, .. })
            | Optimizer::AdamW(AdamW { beta_1, beta_2, epsilon, .. }) => {
                Rule::Adam(adam::Adam { beta_1, beta_2, epsilon })
            }
            Optimizer::Adagrad(o) => Rule::Adagrad(Adagrad { epsilon: o.epsilon }),
        }
    }

    fn update_kernel(&self) -> Kernel {
        let common = Common { length: self.recipe.layout.length, clip_value: self.clip_value() };
        match self.rule() {
            Rule::Rmsprop(rule) => RmspropUpdate { common, rule }.into(),
            Rule::Sgd(rule) => SgdUpdate { common, rule }.into(),
            Rule::Adam(rule) => AdamUpdate { common, rule }.into(),
            Rule::Adagrad(rule) => AdagradUpdate { common, rule }.into(),
        }
    }

    /// Adds up the statistics and moves on; returns the buffer of the statistics. The penalty is of the parameters
    /// before their update, so its launch stands before that.
    pub(super) fn finish(&mut self, rows: Argument) -> usize {
        let penalised = self.key.mode == Mode::Train && self.recipe.layout.tensors.iter().any(|t| t.l2 > 0.0);
        let (penalties, count) = if penalised {
            let sums = self.sum_squares("l2_penalty", false);
            let launch = self.launches.pop();
            let update = self.launches.iter().position(|launch| launch.phase == Phase::Update);
            let place = update.unwrap_or(self.launches.len());
            self.launches.splice(place..place, launch);
            (sums, self.recipe.layout.chunks().0.len())
        } else {
            (self.local("no_penalties", 4), 0)
        };
        let (beta_1, beta_2) = self.recipe.optimizer.betas();
        let statistics = self.local("statistics", 4 * STATISTICS_SLOTS);
        let kernel = AdvanceStep {
            penalties: count,
            slots: STATISTICS_SLOTS,
            beta_1,
            beta_2,
            workgroup: advance_step::WORKGROUP,
        };
        let arguments = [self.step, rows, penalties, self.next, statistics];
        self.launch(Phase::Update, "advance_step", kernel.clone(), &arguments);
        // As large as those of the update beside it, if it can share a dispatch with that.
        let room = self.room();
        if let [.., update, end] = self.launches.as_mut_slice()
            && let Some(Workgroup { invocations, .. }) = update.kernel.workgroup()
            && invocations.is_power_of_two()
        {
            let changed = Launch { kernel: AdvanceStep { workgroup: invocations, ..kernel }.into(), ..end.clone() };
            if room.holds(&[update.clone(), changed.clone()]) {
                *end = changed;
            }
        }
        statistics.buffer
    }
}
