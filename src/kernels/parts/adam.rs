//! Adam's rule, and AdamW's: the mirror of `shaders/parts/adam.wgsl`.

use super::update::formula::{Formula, Number, rest};
use crate::kernels::{Binding, Real};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// Adam's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    /// β₁.
    pub beta_1: f32,
    /// β₂.
    pub beta_2: f32,
    /// ε.
    pub epsilon: f32,
    /// Whether the largest v so far takes the place of v.
    pub amsgrad: bool,
}

impl Formula for Adam {
    const SLOTS: &'static [Binding] =
        &[Binding::update("means"), Binding::update("velocities"), Binding::update("velocity_hats")];
    const PLAIN_SLOTS: usize = 2;

    fn slots(&self) -> usize {
        if self.amsgrad { 3 } else { 2 }
    }

    fn parts(&self) -> Vec<Part> {
        vec![shader::ADAM, if self.amsgrad { shader::ADAM_AMSGRAD } else { shader::ADAM_VELOCITY }]
    }

    fn header(&self, header: &mut Header) {
        header.float("REST_1", rest(self.beta_1)).float("REST_2", rest(self.beta_2)).float("EPSILON", self.epsilon);
    }

    fn is_plain(&self) -> bool {
        !self.amsgrad
    }

    #[inline(always)]
    fn apply<F: Real, T: Number<F>, const PLAIN: bool>(
        &self,
        step: &StepBlock,
        g: T,
        w: T,
        [m, v, mut largest]: [T; 3],
    ) -> (T, [T; 3]) {
        let (rest_1, rest_2) = (F::of(rest(self.beta_1)), F::of(rest(self.beta_2)));
        let (correction_1, correction_2) = (F::one() - F::of(step.beta_1_power), F::one() - F::of(step.beta_2_power));
        let rate = F::of(step.learning_rate) * correction_2.sqrt() / correction_1;
        let m = (m + g.like(rest_1) * (g - m)).flushed();
        let v = (v + g.like(rest_2) * (g * g - v)).flushed();
        let mut divisor = v;
        if !PLAIN && self.amsgrad {
            largest = v.or_larger(largest);
            divisor = largest;
        }
        (w - g.like(rate) * m / (divisor.root() + g.like(F::of(self.epsilon))), [m, v, largest])
    }
}
