//! Lion's rule: the mirror of `shaders/parts/lion.wgsl`.

use super::update::formula::{Formula, Number};
use crate::kernels::{Binding, Real};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// Lion's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Lion {
    /// β₁.
    pub beta_1: f32,
    /// β₂.
    pub beta_2: f32,
}

impl Formula for Lion {
    const SLOTS: &'static [Binding] = &[Binding::update("means")];
    const PLAIN_SLOTS: usize = 1;

    fn parts(&self) -> Vec<Part> {
        vec![shader::LION]
    }

    fn header(&self, header: &mut Header) {
        header.float("BETA_1", self.beta_1).float("BETA_2", self.beta_2);
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
        [m, b, c]: [T; 3],
    ) -> (T, [T; 3]) {
        let (beta_1, beta_2) = (F::of(self.beta_1), F::of(self.beta_2));
        let along = g.like(beta_1) * m + g.like(F::one() - beta_1) * g;
        let m = (g.like(beta_2) * m + g.like(F::one() - beta_2) * g).flushed();
        (w - g.like(F::of(step.learning_rate)) * along.sign(), [m, b, c])
    }
}
