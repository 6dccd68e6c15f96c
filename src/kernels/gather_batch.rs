//! gather_batch: builds a batch from the data set by index; bytes become scaled floats. Moves I + 4·I bytes a row.

use super::{Access, Binding, Definition, Element, Input, Operation, Output, Real, WORKGROUP, Work, blocks, padded};
use crate::cpu::Cpu;
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// How many steps' inputs the host fills at a time: a ring, by the step's slot.
pub const INPUT_SLOTS: usize = 1024;

/// The parameters of `gather_batch`.
#[derive(Clone, Debug, PartialEq)]
pub struct GatherBatch {
    /// Features of a sample.
    pub features: usize,
    /// What a byte is multiplied by; `None` if the samples are floats.
    pub byte_scale: Option<f32>,
    /// Words a row of targets takes; 0 for none.
    pub target_words: usize,
    /// Whether there are sample weights; elsewhere each weighs 1.
    pub weighted: bool,
    /// How often x is written, one copy behind the other: once for each thread that reads it, on the CPU device.
    pub copies: usize,
}

impl GatherBatch {
    /// Words a sample takes on the device: rows are padded to four features.
    pub fn words_per_row(&self) -> usize {
        if self.byte_scale.is_some() { blocks(self.features) } else { padded(self.features) }
    }

    /// One row of x from a sample's words.
    #[inline(always)]
    fn fill_row(&self, words: &[u32], row: &mut [f32]) {
        match self.byte_scale {
            Some(scale) => {
                let bytes: &[u8] = bytemuck::cast_slice(words);
                row.iter_mut().zip(bytes).for_each(|(x, &byte)| *x = scale * f32::from(byte));
            }
            None => row.copy_from_slice(bytemuck::cast_slice(words)),
        }
    }

    /// A sample's targets, then its weight.
    fn fill_label(&self, sample: usize, targets: &[u32], weights: &[u32], label: &mut [u32]) {
        let width = self.target_words;
        label[..width].copy_from_slice(&targets[sample * width..][..width]);
        label[width] = if self.weighted { weights[sample] } else { 1.0f32.to_bits() };
    }

    fn feature<F: Real>(&self, samples: &[u32], sample: usize, feature: usize) -> F {
        let row = &samples[sample * self.words_per_row()..];
        match self.byte_scale {
            // The product is rounded to f32 once, as the device does it.
            Some(scale) => F::of(scale * f32::from(row[feature / 4].to_le_bytes()[feature % 4])),
            None => F::of(f32::from_bits(row[feature])),
        }
    }
}

impl Operation for GatherBatch {
    const DEFINITION: Definition = Definition {
        name: "gather_batch",
        source: include_str!("../../shaders/gather_batch.wgsl"),
        bindings: &[
            Binding::new("next", Access::Step, Element::Word),
            Binding::words("samples"),
            Binding::words("sample_targets"),
            Binding::words("sample_weights"),
            Binding::words("order"),
            Binding::read("learning_rates"),
            Binding::write("x").stored(),
            Binding::new("labels", Access::Write, Element::Word),
            Binding::new("step", Access::Write, Element::Word),
        ],
    };

    fn header(&self, header: &mut Header) {
        header
            .number("WORKGROUP", WORKGROUP)
            .number("INPUT_SLOTS", INPUT_SLOTS)
            .number("WORDS_PER_ROW", self.words_per_row())
            .number("COLUMN_BLOCKS", blocks(self.features))
            .number("TARGET_WORDS", self.target_words)
            .flag("BYTES", self.byte_scale.is_some())
            .float("SCALE", self.byte_scale.unwrap_or(1.0))
            .flag("HAS_WEIGHTS", self.weighted);
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::STEP]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * (blocks(self.features) + self.target_words + 1)).div_ceil(WORKGROUP)
    }

    fn work(&self, rows: usize, bound: u64) -> Work {
        // A sample, its target, its place in the order, and its weight.
        let words = self.words_per_row() + self.target_words + 1 + usize::from(self.weighted);
        Work { flops: 0, bytes: bound + 4 * (rows * words) as u64 }
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let [samples, sample_targets, sample_weights, order] = [0, 1, 2, 3].map(|input| inputs[input].words());
        let [x, labels, block] = outputs else { return };
        let learning_rate = inputs[4].floats()[step.slot as usize % INPUT_SLOTS].wide() as f32;
        let opened = StepBlock { learning_rate, ..*step };
        block.words().copy_from_slice(bytemuck::cast_slice(&[opened]));
        let (stride, rows) = (padded(self.features), step.rows as usize);
        for row in 0..padded(rows) {
            let sample = (row < rows).then(|| order[step.position as usize + row] as usize);
            for column in 0..stride {
                let inside = sample.filter(|_| column < self.features);
                let value = inside.map_or(F::zero(), |sample| self.feature(samples, sample, column));
                let (x, copies) = (x.floats(), self.copies);
                (0..copies).for_each(|copy| x[copy * (x.len() / copies) + row * stride + column] = value);
            }
            let labels = &mut labels.words()[row * (self.target_words + 1)..][..self.target_words + 1];
            match sample {
                Some(sample) => self.fill_label(sample, sample_targets, sample_weights, labels),
                None => labels.fill(0),
            }
        }
    }

    fn run(&self, cpu: &mut Cpu, step: &StepBlock, inputs: &[Input<'_, f32>], outputs: &mut [Output<'_, f32>]) {
        let learning_rate = inputs[4].floats()[step.slot as usize % INPUT_SLOTS];
        let opened = StepBlock { learning_rate, ..*step };
        outputs[2].words().copy_from_slice(bytemuck::cast_slice(&[opened]));
        let samples = inputs[0].words();
        let order = &inputs[3].words()[step.position as usize..][..step.rows as usize];
        let (stride, per_row) = (padded(self.features), self.words_per_row());
        let fill = |first: usize, block: &mut [f32]| {
            for (row, &sample) in block.chunks_exact_mut(stride).zip(&order[first..]) {
                let words = &samples[sample as usize * per_row..][..per_row];
                self.fill_row(words, row);
            }
        };
        let (rows, last) = (order.len(), padded(order.len()));
        let label_words = self.target_words + 1;
        let labels = outputs[1].words();
        for (label, &sample) in labels.chunks_exact_mut(label_words).zip(order) {
            self.fill_label(sample as usize, inputs[1].words(), inputs[2].words(), label);
        }
        labels[rows * label_words..last * label_words].fill(0);
        let x = outputs[0].floats();
        let length = x.len() / self.copies.max(1);
        x.chunks_exact_mut(length).for_each(|copy| copy[rows * stride..last * stride].fill(0.0));
        let instructions = cpu.instructions();
        if self.copies <= 1 {
            let x = &mut x[..rows * stride];
            cpu.pool.for_rows(x, stride, |first, block| instructions.dispatch(|| fill(first, block)));
        } else {
            // Each by the thread that reads it.
            cpu.pool.for_chunks(x, length, |copy| instructions.dispatch(|| fill(0, &mut copy[..rows * stride])));
        }
    }
}
