//! Ftrl's rule: the mirror of `shaders/parts/ftrl.wgsl`.

use super::update::formula::{Formula, Number};
use crate::kernels::{Binding, Real};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// Ftrl's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Ftrl {
    /// p, the learning rate power with its sign changed: 0.5 for roots.
    pub power: f32,
    /// What is cut off z.
    pub l1: f32,
    /// What is added to the divisor, twice.
    pub l2: f32,
    /// What is added to the gradient, times 2·w.
    pub l2_shrinkage: f32,
    /// What is added to L2, over 2·η.
    pub beta: f32,
}

impl Formula for Ftrl {
    const SLOTS: &'static [Binding] = &[Binding::update("accumulators"), Binding::update("linears")];
    const PLAIN_SLOTS: usize = 2;

    fn parts(&self) -> Vec<Part> {
        vec![shader::FTRL]
    }

    fn header(&self, header: &mut Header) {
        header.float("POWER", self.power).float("FTRL_L1", self.l1).float("FTRL_L2", self.l2);
        header.float("L2_SHRINKAGE", self.l2_shrinkage).float("FTRL_BETA", self.beta);
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
        [old, z, unused]: [T; 3],
    ) -> (T, [T; 3]) {
        let (rate, two) = (F::of(step.learning_rate), F::of(2.0));
        if rate == F::zero() {
            return (w, [old, z, unused]);
        }
        let raised = |n: T| if self.power == 0.5 { n.root() } else { n.raised(F::of(self.power)) };
        let n = old + g * g;
        let power = raised(n);
        let shrinkage = g.like(two * F::of(self.l2_shrinkage)) * w;
        let z = (z + (g + shrinkage - (power - raised(old)) / g.like(rate) * w)).flushed();
        let l2 = F::of(self.l2) + F::of(self.beta) / (two * rate);
        let divisor = power / g.like(rate) + g.like(two * l2);
        let clipped = z.limited(F::of(self.l1));
        (((clipped - z) / divisor).unless_zero(divisor, w), [n, z, unused])
    }
}
