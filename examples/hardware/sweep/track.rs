//! A device with the buffers that all launches of a sweep share, filled with made-up numbers.

use wgrad::StepBlock;
use wgrad::kernels::storage::{Precision, pack_halves};

use super::shapes::{Bytes, Operation, Shape};
use super::task::Task;
use crate::Outcome;
use crate::vulkan::{Buffer, Gpu};

/// Bytes of each of the three places at which results are compared.
pub const SAMPLED: u64 = 16 << 10;

/// A device with the buffers that all launches share.
pub struct Track<'g> {
    pub gpu: &'g Gpu,
    /// In the device's memory, as the engine's is; written by way of the other.
    pub step: Buffer<'g>,
    pub staged_step: Buffer<'g>,
    /// In f32 and in halves.
    pub inputs: [Buffer<'g>; 2],
    pub outputs: [Buffer<'g>; 2],
    pub weights: Buffer<'g>,
    pub result: Buffer<'g>,
    pub poison: Buffer<'g>,
    pub sample: Buffer<'g>,
}

impl<'g> Track<'g> {
    pub fn new(gpu: &'g Gpu, largest: Bytes) -> Outcome<Self> {
        let mut state = 1u64;
        let mut next = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let numbers: Vec<f32> = (0..1 << 16).map(|_| next()).collect();
        let bits: Vec<u32> = numbers.iter().map(|number| number.to_bits()).collect();
        let halves = pack_halves(&numbers);
        let filled =
            |bytes| -> Outcome<_> { Ok([gpu.filled_buffer(bytes, &bits)?, gpu.filled_buffer(bytes / 2, &halves)?]) };
        let poison = gpu.host_buffer(SAMPLED)?;
        poison.write(&vec![f32::NAN.to_bits(); (SAMPLED / 4) as usize]);
        Ok(Track {
            gpu,
            step: gpu.buffer(4 * StepBlock::WORDS as u64)?,
            staged_step: gpu.host_buffer(4 * StepBlock::WORDS as u64)?,
            inputs: filled(largest.inputs)?,
            outputs: filled(largest.outputs)?,
            weights: gpu.filled_buffer(largest.weights, &bits)?,
            result: gpu.buffer(largest.inputs.max(largest.outputs).max(largest.weights))?,
            poison,
            sample: gpu.host_buffer(3 * SAMPLED)?,
        })
    }

    /// Says how many rows a batch has.
    pub fn begin(&self, shape: Shape) -> Outcome<()> {
        let step = StepBlock::default().start(shape.batch as u32, shape.batch as u32);
        self.staged_step.write(bytemuck::cast_slice(&[step]));
        let bytes = 4 * StepBlock::WORDS as u64;
        self.gpu.timed(|recorder| recorder.copy(&self.staged_step, 0, &self.step, 0, bytes)).map(drop)
    }

    /// The buffers of a launch, in the order of its bindings.
    pub fn buffers(&self, task: &Task) -> Vec<(&Buffer<'g>, u64)> {
        let kind = usize::from(task.precision == Precision::F16);
        let (inputs, outputs) = (&self.inputs[kind], &self.outputs[kind]);
        let all = match task.operation {
            Operation::Forward => vec![&self.step, inputs, &self.weights, &self.result],
            Operation::Weights => vec![&self.step, inputs, outputs, &self.result],
            Operation::Input => vec![&self.step, outputs, &self.weights, inputs, &self.result],
        };
        all.into_iter().map(|buffer| (buffer, 0)).collect()
    }
}
