//! Adagrad's rule: the mirror of `shaders/parts/adagrad.wgsl`.

use super::update::formula::{Formula, Number};
use crate::kernels::{Binding, Real};
use crate::shader::Header;
use crate::step::StepBlock;

pub(crate) const ACCUMULATORS: Binding = Binding::update("accumulators");

/// Adagrad's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Adagrad {
    /// ε.
    pub epsilon: f32,
}

impl Adagrad {
    pub(crate) fn header(&self, header: &mut Header) {
        header.float("EPSILON", self.epsilon);
    }
}

impl Formula for Adagrad {
    const PLAIN_SLOTS: usize = 1;

    fn is_plain(&self) -> bool {
        true
    }

    #[inline(always)]
    fn apply<F: Real, T: Number<F>, const PLAIN: bool>(
        &self,
        step: &StepBlock,
        g: T,
        w: T,
        [s, b, c]: [T; 3],
    ) -> (T, [T; 3]) {
        let s = s + g * g;
        let root = (s + g.like(F::of(self.epsilon))).inverse_root();
        (w - g.like(F::of(step.learning_rate)) * g * root, [s, b, c])
    }
}
