//! relu_forward: y = max(z, 0). Moves 8 bytes an element,
//! in half precision half of that.

use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::cpu::Cpu;
use crate::net::activation::Activation;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// The parameters of `relu_forward`.
#[derive(Clone, Debug, PartialEq)]
pub struct ReluForward {
    /// Features of a row.
    pub columns: usize,
}

impl Operation for ReluForward {
    const DEFINITION: Definition = Definition {
        name: "relu_forward",
        source: include_str!("../../shaders/relu_forward.wgsl"),
        bindings: &[Binding::STEP, Binding::read("z").stored(), Binding::write("y").stored()],
    };

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
        let (z, y) = (inputs[0].floats(), outputs[0].floats());
        let length = padded(step.rows as usize) * padded(self.columns);
        for (y, &z) in y[..length].iter_mut().zip(z) {
            // A NaN is not below zero and stays one.
            *y = if z < F::zero() { F::zero() } else { z };
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (z, stride) = (inputs[0].floats(), padded(self.columns));
        let fill = |first: usize, y: &mut [f32]| {
            y.copy_from_slice(&z[first * stride..][..y.len()]);
            Activation::Relu.activate_all(y);
        };
        let y = &mut outputs[0].floats()[..padded(step.rows as usize) * stride];
        let instructions = cpu.instructions();
        cpu.pool.for_rows(y, stride, |first, block| instructions.dispatch(|| fill(first, block)));
    }
}
