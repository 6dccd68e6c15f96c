//! relu_backward: dz = dy where y > 0, else 0. Moves 12 bytes an element,
//! in half precision half of that.

use super::scale::Gradients;
use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::cpu::Cpu;
use crate::net::activation::Activation;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `relu_backward`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReluBackward {
    /// Features of a row.
    pub columns: usize,
}

impl Operation for ReluBackward {
    const DEFINITION: Definition = Definition {
        name: "relu_backward",
        source: include_str!("../../shaders/relu_backward.wgsl"),
        bindings: &[
            Binding::STEP,
            Binding::read("dy").stored(),
            Binding::read("y").stored(),
            Binding::write("dz").stored(),
        ],
    };

    const GRADIENTS: Gradients = Gradients::Passed("dz");

    fn header(&self, header: &mut Header) {
        header.number("WORKGROUP", WORKGROUP).number("COLUMN_BLOCKS", blocks(self.columns));
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * blocks(self.columns)).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (dy, y, dz) = (inputs[0].floats(), inputs[1].floats(), outputs[0].floats());
        let length = padded(step.rows as usize) * padded(self.columns);
        for (dz, (&dy, &y)) in dz[..length].iter_mut().zip(dy.iter().zip(y)) {
            *dz = if y > F::zero() { dy } else { F::zero() };
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (dy, kept, stride) = (inputs[0].floats(), inputs[1].floats(), padded(self.columns));
        let fill = |first: usize, dz: &mut [f32]| {
            let range = first * stride..first * stride + dz.len();
            dz.copy_from_slice(&dy[range.clone()]);
            Activation::Relu.differentiate_all(&kept[range], dz);
        };
        let dz = &mut outputs[0].floats()[..padded(step.rows as usize) * stride];
        let instructions = cpu.instructions();
        cpu.pool.for_rows(dz, stride, |first, block| instructions.dispatch(|| fill(first, block)));
    }
}
