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
use super::update::{self, Own, PARAMETERS, Rule, TENSOR_ENTRY, TensorSettings, Update};

/// The parameters of `dense_backward_update`.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseBackwardUpdate {
    /// The product, and where the bias starts in `parameters`.
    pub gradients: DenseBackwardWeights,
    /// The optimizer's rule.
    pub rule: Rule,
    /// What the update is told of the kernel.
    pub kernel: TensorSettings,
    /// And of the bias.
    pub bias: TensorSettings,
    /// Gradients are cut to ±this; 0 for not at all.
    pub clip_value: f32,
}

const X: Binding = Binding::read("x").stored();
const DZ: Binding = Binding::read("dz").stored();

/// A tensor's place in the layer's range, and its settings as the tensor table has them.
type Tensor<F> = (Range<usize>, [F; TENSOR_ENTRY]);

impl DenseBackwardUpdate {
    /// Numbers of a layer's kernel, padding included.
    fn kernel_length(&self) -> usize {
        padded(self.gradients.inputs) * padded(self.gradients.outputs)
    }

    /// The kernel, then the bias; an empty range where there is none.
    fn tensors<F: Real>(&self) -> [Tensor<F>; 2] {
        let entry = |tensor: TensorSettings| tensor.entry(true).map(F::of);
        let bias = self.gradients.bias_offset.map(|offset| offset..offset + padded(self.gradients.outputs));
        [(0..self.kernel_length(), entry(self.kernel)), (bias.unwrap_or_default(), entry(self.bias))]
    }

    /// Numbers from the start of the layer's kernel to the end of its bias.
    fn length(&self) -> usize {
        let [(kernel, _), (bias, _)] = self.tensors::<f32>();
        kernel.end.max(bias.end)
    }

    fn update<'a, F: Real>(&'a self, step: &StepBlock, entry: [F; TENSOR_ENTRY]) -> Update<'a, Rule, F> {
        Update::new(&self.rule, step, self.clip_value, entry)
    }
}

/// The same range of gradients, parameters and slots; nothing of a slot that is not used, which is shorter.
fn slices<'a, F>(buffers: [&'a mut [F]; 5], range: &Range<usize>) -> [&'a mut [F]; 5] {
    buffers.map(|buffer| buffer.get_mut(range.clone()).unwrap_or_default())
}

impl Own for DenseBackwardUpdate {
    const OWN: &'static [Binding] = &[Binding::STEP, X, DZ, PARAMETERS];
}

impl Operation for DenseBackwardUpdate {
    const DEFINITION: Definition = Definition {
        name: "dense_backward_update",
        source: include_str!("../../shaders/dense_backward_update.wgsl"),
        bindings: Self::OWN,
    };

    const GRADIENTS: Gradients = Gradients::Used("dz");

    fn definition(&self) -> Definition {
        Definition { bindings: self.rule.bindings::<Self>(), ..Self::DEFINITION }
    }

    fn header(&self, header: &mut Header) {
        self.gradients.header(header);
        header.number("FIRST_SLOT", Self::OWN.len()).float("CLIP_VALUE", self.clip_value);
        self.rule.header(header);
        for (name, tensor) in [("KERNEL", self.kernel), ("BIAS", self.bias)] {
            header.float(&format!("{name}_L1"), tensor.regularizer.l1);
            header.float(&format!("{name}_L2"), tensor.regularizer.l2);
            header.float(&format!("{name}_DECAY"), tensor.weight_decay);
            header.float(&format!("{name}_RATE"), tensor.learning_rate_factor);
        }
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts = self.gradients.product_parts();
        parts.extend([shader::TENSORS, shader::UPDATE]);
        parts.extend(self.rule.parts());
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
