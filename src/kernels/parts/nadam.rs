//! Nadam's rule: the mirror of `shaders/parts/nadam.wgsl`.

use super::update::formula::{Formula, Number};
use crate::kernels::{Binding, Real};
use crate::shader::{self, Header, Part};
use crate::step::{StepBlock, WARMUP_DECAY};

/// Nadam's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Nadam {
    /// β₁.
    pub beta_1: f32,
    /// β₂.
    pub beta_2: f32,
    /// ε.
    pub epsilon: f32,
}

impl Formula for Nadam {
    const SLOTS: &'static [Binding] = &[Binding::update("means"), Binding::update("velocities")];
    const PLAIN_SLOTS: usize = 2;

    fn parts(&self) -> Vec<Part> {
        vec![shader::NADAM]
    }

    fn header(&self, header: &mut Header) {
        header.float("BETA_1", self.beta_1).float("BETA_2", self.beta_2).float("EPSILON", self.epsilon);
        header.float("WARMUP_DECAY", WARMUP_DECAY);
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
        [m, v, unused]: [T; 3],
    ) -> (T, [T; 3]) {
        let (beta_1, half) = (F::of(self.beta_1), F::of(0.5));
        let (warmup, power) = (F::of(step.warmup), F::of(step.beta_1_power));
        let mu = beta_1 * (F::one() - half * (warmup / F::of(WARMUP_DECAY)));
        let next_mu = beta_1 * (F::one() - half * warmup);
        let of_mean = g.like(next_mu / (F::one() - power * next_mu));
        let of_gradient = g.like((F::one() - mu) / (F::one() - power));
        let m = (m + g.like(F::one() - beta_1) * (g - m)).flushed();
        let v = (v + g.like(F::one() - F::of(self.beta_2)) * (g * g - v)).flushed();
        let root = (v / g.like(F::one() - F::of(step.beta_2_power))).root();
        let mean = of_mean * m + of_gradient * g;
        (w - g.like(F::of(step.learning_rate)) * mean / (root + g.like(F::of(self.epsilon))), [m, v, unused])
    }
}
