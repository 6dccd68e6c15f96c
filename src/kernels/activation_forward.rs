//! activation_forward: y = f(z) for an activation of one number. Moves 8 bytes an element,
//! in half precision half of that.

use super::{Binding, Definition, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

use crate::net::activation::Activation;

/// The parameters of `activation_forward`.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationForward {
    /// Features of a row.
    pub columns: usize,
    /// f.
    pub activation: Activation,
}

impl Operation for ActivationForward {
    const DEFINITION: Definition = Definition {
        name: "activation_forward",
        source: include_str!("../../shaders/activation_forward.wgsl"),
        bindings: &[Binding::STEP, Binding::read("z").stored(), Binding::write("y").stored()],
    };

    fn header(&self, header: &mut Header) {
        header.number("WORKGROUP", WORKGROUP).number("COLUMN_BLOCKS", blocks(self.columns));
        header.number("COLUMNS", self.columns);
        self.activation.header(header);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP, shader::ACTIVATION]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * blocks(self.columns)).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (z, y) = (inputs[0].floats(), outputs[0].floats());
        let stride = padded(self.columns);
        for row in 0..padded(step.rows as usize) {
            for column in 0..stride {
                let exists = row < step.rows as usize && column < self.columns;
                let at = row * stride + column;
                y[at] = if exists { self.activation.activate(z[at]) } else { F::zero() };
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let (z, stride) = (inputs[0].floats(), padded(self.columns));
        let fill = |first: usize, y: &mut [f32]| {
            y.copy_from_slice(&z[first * stride..][..y.len()]);
            // Only what exists: f(0) is not always 0, and the padding stays zero.
            let rows = y.chunks_exact_mut(stride).take((step.rows as usize).saturating_sub(first));
            rows.for_each(|row| self.activation.activate_all(&mut row[..self.columns]));
        };
        let y = &mut outputs[0].floats()[..padded(step.rows as usize) * stride];
        let instructions = cpu.instructions();
        cpu.pool.for_rows(y, stride, |first, block| instructions.dispatch(|| fill(first, block)));
    }
}
