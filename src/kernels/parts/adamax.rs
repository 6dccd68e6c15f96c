//! Adamax's rule: the mirror of `shaders/parts/adamax.wgsl`.

use super::update::formula::{Formula, Number, rest};
use crate::kernels::{Binding, Real};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// Adamax's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Adamax {
    /// β₁.
    pub beta_1: f32,
    /// β₂.
    pub beta_2: f32,
    /// ε.
    pub epsilon: f32,
}

impl Formula for Adamax {
    const SLOTS: &'static [Binding] = &[Binding::update("means"), Binding::update("largest")];
    const PLAIN_SLOTS: usize = 2;

    fn parts(&self) -> Vec<Part> {
        vec![shader::ADAMAX]
    }

    fn header(&self, header: &mut Header) {
        header.float("REST_1", rest(self.beta_1)).float("BETA_2", self.beta_2).float("EPSILON", self.epsilon);
    }

    fn is_plain(&self) -> bool {
        true
    }

    #[inline(always)]
    fn apply<F: Real, T: Number<F>, const PLAIN: bool>(
        &self,
        step: &StepBlock,
        g: T,
        w: T,
        [m, u, unused]: [T; 3],
    ) -> (T, [T; 3]) {
        let rate = F::of(step.learning_rate) / (F::one() - F::of(step.beta_1_power));
        let m = (m + g.like(F::of(rest(self.beta_1))) * (g - m)).flushed();
        let u = (g * g.sign()).or_larger((g.like(F::of(self.beta_2)) * u).flushed());
        (w - g.like(rate) * m / (u + g.like(F::of(self.epsilon))), [m, u, unused])
    }
}
