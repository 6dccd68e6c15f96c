//! dense_backward_update: dW = xᵀ·dz, db = Σ dz over the batch, and the optimizer's update of W and b with them; the
//! gradients are written nowhere. 2·B·I·O floating-point operations.

use std::ops::Range;

use super::scale::Gradients;
use super::storage::Precision;
use super::{Binding, Definition, Input, Operation, Output, Real, Work, Workgroup, padded};
use crate::cpu::Cpu;
use crate::cpu::product::{Destination, column_sums, product_applied};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use super::dense_backward_weights::DenseBackwardWeights;
use super::product::Product;
use super::update::{self, PARAMETERS, Rule, TENSOR_ENTRY, Update};
use super::{adagrad, adam, rmsprop, sgd};
use crate::net::regularizers::Regularizer;

/// The parameters of `dense_backward_update`.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseBackwardUpdate {
    /// The product, and where the bias starts in `parameters`.
    pub gradients: DenseBackwardWeights,
    /// The optimizer's rule.
    pub rule: Rule,
    /// What the size of the kernel costs.
    pub kernel_regularizer: Regularizer,
    /// And that of the bias.
    pub bias_regularizer: Regularizer,
    /// The share of a parameter that the update takes off, times the learning rate.
    pub weight_decay: f32,
    /// Gradients are cut to ±this; 0 for not at all.
    pub clip_value: f32,
}

const X: Binding = Binding::read("x").stored();
const DZ: Binding = Binding::read("dz").stored();

/// Where the slots' bindings start.
const FIRST_SLOT: usize = 4;

/// A tensor's place in the layer's range, and its settings as the tensor table has them.
type Tensor<F> = (Range<usize>, [F; TENSOR_ENTRY]);

impl DenseBackwardUpdate {
    /// Numbers of a layer's kernel, padding included.
    fn kernel_length(&self) -> usize {
        padded(self.gradients.inputs) * padded(self.gradients.outputs)
    }

    /// The kernel, then the bias; an empty range where there is none.
    fn tensors<F: Real>(&self) -> [Tensor<F>; 2] {
        let decay = F::of(self.weight_decay);
        let entry =
            |Regularizer { l1, l2 }| [F::of(l2), decay, F::one(), F::one(), F::of(l1), F::zero(), F::zero(), F::zero()];
        let bias = self.gradients.bias_offset.map(|offset| offset..offset + padded(self.gradients.outputs));
        [
            (0..self.kernel_length(), entry(self.kernel_regularizer)),
            (bias.unwrap_or_default(), entry(self.bias_regularizer)),
        ]
    }

    /// Numbers from the start of the layer's kernel to the end of its bias.
    fn length(&self) -> usize {
        let [(kernel, _), (bias, _)] = self.tensors::<f32>();
        kernel.end.max(bias.end)
    }

    fn update<'a, F: Real>(&'a self, step: &'a StepBlock, entry: [F; TENSOR_ENTRY]) -> Update<'a, Rule, F> {
        Update { formula: &self.rule, step, clip_value: self.clip_value, entry }
    }
}

/// The same range of gradients, parameters and slots; nothing of a slot that is not used, which is shorter.
fn slices<'a, F>(buffers: [&'a mut [F]; 5], range: &Range<usize>) -> [&'a mut [F]; 5] {
    buffers.map(|buffer| buffer.get_mut(range.clone()).unwrap_or_default())
}

impl Operation for DenseBackwardUpdate {
    const DEFINITION: Definition = Definition {
        name: "dense_backward_update",
        source: include_str!("../../shaders/dense_backward_update.wgsl"),
        bindings: &[Binding::STEP, X, DZ, PARAMETERS],
    };

    const GRADIENTS: Gradients = Gradients::Used("dz");

    fn definition(&self) -> Definition {
        let bindings: &'static [Binding] = match self.rule {
            Rule::Sgd(_) => &[Binding::STEP, X, DZ, PARAMETERS, sgd::MOMENTUMS],
            Rule::Rmsprop(_) => {
                use rmsprop::{AVERAGES, MOMENTUMS, VELOCITIES};
                &[Binding::STEP, X, DZ, PARAMETERS, VELOCITIES, AVERAGES, MOMENTUMS]
            }
            Rule::Adam(_) => &[Binding::STEP, X, DZ, PARAMETERS, adam::MEANS, adam::VELOCITIES],
            Rule::Adagrad(_) => &[Binding::STEP, X, DZ, PARAMETERS, adagrad::ACCUMULATORS],
        };
        Definition { bindings, ..Self::DEFINITION }
    }

    fn header(&self, header: &mut Header) {
        self.gradients.header(header);
        self.rule.header(header, FIRST_SLOT);
        for (name, Regularizer { l1, l2 }) in [("KERNEL", self.kernel_regularizer), ("BIAS", self.bias_regularizer)] {
            header.float(&format!("{name}_L1"), l1).float(&format!("{name}_L2"), l2);
        }
        header.float("WEIGHT_DECAY", self.weight_decay).float("CLIP_VALUE", self.clip_value);
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = self.gradients.product_parts();
        parts.extend([shader::TENSORS, shader::UPDATE, self.rule.part()]);
        parts
    }

    fn product(&self, capacity: usize, precision: Precision) -> Option<Product> {
        self.gradients.product(capacity, precision)
    }

    fn workgroups(&self, capacity: usize) -> usize {
        self.gradients.workgroups(capacity)
    }

    fn workgroup(&self) -> Option<Workgroup> {
        let tiling = self.gradients.tiling;
        let bytes = tiling.workgroup_bytes()?;
        Some(Workgroup { invocations: tiling.workgroup(), bytes, tiling: Some(tiling) })
    }

    fn work(&self, rows: usize, bound: u64) -> Work {
        self.gradients.work(rows, bound)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let mut gradients = vec![F::zero(); self.length()];
        self.gradients.reference(step, inputs, &mut [Output::Floats(&mut gradients)]);
        for (tensor, entry) in self.tensors() {
            let [w, a, b, c] = update::split(outputs);
            self.update(step, entry).each(slices([gradients.as_mut_slice(), w, a, b, c], &tensor));
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (x, dz) = self.gradients.factors(step, inputs);
        let [(kernel, kernel_entry), (bias, bias_entry)] = self.tensors();
        if !bias.is_empty() {
            let mut sums = std::mem::take(&mut cpu.scratch);
            sums.resize(sums.len().max(bias.len()), 0.0);
            sums[..bias.len()].fill(0.0);
            column_sums(&cpu.pool, cpu.instructions(), dz, &mut sums[..self.gradients.outputs]);
            let [w, a, b, c] = update::split(outputs);
            let [_, w, a, b, c] = slices([&mut [], w, a, b, c], &bias);
            self.update(step, bias_entry).each([&mut sums[..bias.len()], w, a, b, c]);
            cpu.scratch = sums;
        }
        let [w, a, b, c] = update::split(outputs);
        let [_, w, a, b, c] = slices([&mut [], w, a, b, c], &kernel);
        product_applied(
            &cpu.pool,
            &mut cpu.workspace,
            x.transposed(),
            dz,
            [w, a, b, c],
            Destination { stride: padded(self.gradients.outputs), shares: self.gradients.shares.kernel },
            &self.update(step, kernel_entry),
        );
    }
}
