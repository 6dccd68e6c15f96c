//! RMSprop's rule: the mirror of `shaders/parts/rmsprop.wgsl`.

use super::update::formula::{Formula, Number};
use crate::kernels::{Binding, Real};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// Rmsprop's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Rmsprop {
    /// ρ.
    pub rho: f32,
    /// The share of the last change that is made again; 0 for none.
    pub momentum: f32,
    /// ε.
    pub epsilon: f32,
    /// Whether the mean gradient's square is taken off.
    pub centered: bool,
}

impl Formula for Rmsprop {
    const SLOTS: &'static [Binding] =
        &[Binding::update("velocities"), Binding::update("averages"), Binding::update("momentums")];
    const PLAIN_SLOTS: usize = 1;

    fn parts(&self) -> Vec<Part> {
        vec![shader::RMSPROP]
    }

    fn header(&self, header: &mut Header) {
        header.float("RHO", self.rho).float("MOMENTUM", self.momentum).float("EPSILON", self.epsilon);
        header.flag("CENTERED", self.centered);
    }

    fn is_plain(&self) -> bool {
        !self.centered && self.momentum <= 0.0
    }

    #[inline(always)]
    fn apply<F: Real, T: Number<F>, const PLAIN: bool>(
        &self,
        step: &StepBlock,
        g: T,
        w: T,
        slots: [T; 3],
    ) -> (T, [T; 3]) {
        let [v, mut a, mut m] = slots;
        let (rho, rest) = (g.like(F::of(self.rho)), g.like(F::one() - F::of(self.rho)));
        let v = (rho * v + rest * g * g).flushed();
        let mut d = v + g.like(F::of(self.epsilon));
        if !PLAIN && self.centered {
            a = (rho * a + rest * g).flushed();
            d = d - a * a;
        }
        let mut change = g.like(F::of(step.learning_rate)) * g * d.inverse_root();
        if !PLAIN && self.momentum > 0.0 {
            m = (g.like(F::of(self.momentum)) * m + change).flushed();
            change = m;
        }
        (w - change, [v, a, m])
    }
}
