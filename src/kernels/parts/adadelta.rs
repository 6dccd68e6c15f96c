//! Adadelta's rule: the mirror of `shaders/parts/adadelta.wgsl`.

use super::update::formula::{Formula, Number, rest};
use crate::kernels::{Binding, Real};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// Adadelta's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Adadelta {
    /// ρ.
    pub rho: f32,
    /// ε.
    pub epsilon: f32,
}

impl Formula for Adadelta {
    const SLOTS: &'static [Binding] = &[Binding::update("squares"), Binding::update("changes")];
    const PLAIN_SLOTS: usize = 2;

    fn parts(&self) -> Vec<Part> {
        vec![shader::ADADELTA]
    }

    fn header(&self, header: &mut Header) {
        header.float("RHO", self.rho).float("REST", rest(self.rho)).float("EPSILON", self.epsilon);
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
        [s, d, unused]: [T; 3],
    ) -> (T, [T; 3]) {
        let (rho, rest) = (g.like(F::of(self.rho)), g.like(F::of(rest(self.rho))));
        let epsilon = g.like(F::of(self.epsilon));
        let s = (rho * s + rest * g * g).flushed();
        let change = (d + epsilon).root() * g / (s + epsilon).root();
        let d = (rho * d + rest * change * change).flushed();
        (w - g.like(F::of(step.learning_rate)) * change, [s, d, unused])
    }
}
