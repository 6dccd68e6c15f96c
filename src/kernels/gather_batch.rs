//! gather_batch: builds a batch from the data set by index; bytes become scaled floats. Moves I + 4·I bytes a row.

use super::{Binding, Definition, Element, Access, Input, Operation, Output, Real, WORKGROUP, blocks, padded};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

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
}

impl GatherBatch {
    /// Words a sample takes on the device: rows are padded to four features.
    pub fn words_per_row(&self) -> usize {
        if self.byte_scale.is_some() { blocks(self.features) } else { padded(self.features) }
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
            Binding::STEP,
            Binding::words("samples"),
            Binding::words("sample_targets"),
            Binding::read("sample_weights"),
            Binding::words("order"),
            Binding::write("x"),
            Binding::new("targets", Access::Write, Element::Word),
            Binding::write("weights"),
        ],
    };

    fn header(&self, header: &mut Header) {
        header
            .number("WORKGROUP", WORKGROUP)
            .number("WORDS_PER_ROW", self.words_per_row())
            .number("COLUMN_BLOCKS", blocks(self.features))
            .number("TARGET_WORDS", self.target_words)
            .flag("BYTES", self.byte_scale.is_some())
            .float("SCALE", self.byte_scale.unwrap_or(1.0))
            .flag("HAS_WEIGHTS", self.weighted);
    }

    fn parts(&self) -> &'static [Part] {
        &[shader::STEP]
    }

    fn workgroups(&self, capacity: usize) -> usize {
        (padded(capacity) * (blocks(self.features) + self.target_words + 1)).div_ceil(WORKGROUP)
    }

    fn reference<F: Real>(&self, step: &StepBlock, inputs: &[Input<'_, F>], outputs: &mut [Output<'_, F>]) {
        let (samples, sample_targets) = (inputs[0].words(), inputs[1].words());
        let (sample_weights, order) = (inputs[2].floats(), inputs[3].words());
        let [x, targets, weights] = outputs else { return };
        let (stride, rows) = (padded(self.features), step.rows as usize);
        for row in 0..padded(rows) {
            let sample = (row < rows).then(|| order[step.position as usize + row] as usize);
            for column in 0..stride {
                let inside = sample.filter(|_| column < self.features);
                x.floats()[row * stride + column] =
                    inside.map_or(F::zero(), |sample| self.feature(samples, sample, column));
            }
            for word in 0..self.target_words {
                let target = sample.map_or(0, |sample| sample_targets[sample * self.target_words + word]);
                targets.words()[row * self.target_words + word] = target;
            }
            let weight = sample.map_or(F::zero(), |s| if self.weighted { sample_weights[s] } else { F::one() });
            weights.floats()[row] = weight;
        }
    }
}
