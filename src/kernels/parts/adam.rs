//! Adam's rule, and AdamW's: the mirror of `shaders/parts/adam.wgsl`.

use super::update::formula::{Formula, Number};
use crate::kernels::{Binding, Real};
use crate::shader::Header;
use crate::step::StepBlock;

pub(crate) const MEANS: Binding = Binding::update("means");
pub(crate) const VELOCITIES: Binding = Binding::update("velocities");

/// Adam's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Adam {
    /// β₁.
    pub beta_1: f32,
    /// β₂.
    pub beta_2: f32,
    /// ε.
    pub epsilon: f32,
}

impl Adam {
    pub(crate) fn header(&self, header: &mut Header) {
        header.float("BETA_1", self.beta_1).float("BETA_2", self.beta_2).float("EPSILON", self.epsilon);
    }
}

impl Formula for Adam {
    const PLAIN_SLOTS: usize = 2;

    fn is_plain(&self) -> bool {
        true
    }

    #[inline(always)]
    fn apply<F: Real, T: Number<F>, const PLAIN: bool>(
        &self,
        step: &StepBlock,
        g: T,
        w: T,
        [m, v, unused]: [T; 3],
    ) -> (T, [T; 3]) {
        let (rest_1, rest_2) = (F::one() - F::of(self.beta_1), F::one() - F::of(self.beta_2));
        let (correction_1, correction_2) = (F::one() - F::of(step.beta_1_power), F::one() - F::of(step.beta_2_power));
        let rate = F::of(step.learning_rate) * correction_2.sqrt() / correction_1;
        let m = (m + g.like(rest_1) * (g - m)).flushed();
        let v = (v + g.like(rest_2) * (g * g - v)).flushed();
        (w - g.like(rate) * m / (v.root() + g.like(F::of(self.epsilon))), [m, v, unused])
    }
}
