//! Adagrad's rule: the mirror of `shaders/parts/adagrad.wgsl`.

use super::update::formula::{Formula, Number};
use crate::kernels::{Binding, Real};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// Adagrad's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Adagrad {
    /// ε.
    pub epsilon: f32,
}

impl Formula for Adagrad {
    const SLOTS: &'static [Binding] = &[Binding::update("accumulators")];
    const PLAIN_SLOTS: usize = 1;

    fn parts(&self) -> Vec<Part> {
        vec![shader::ADAGRAD]
    }

    fn header(&self, header: &mut Header) {
        header.float("EPSILON", self.epsilon);
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
        [s, b, c]: [T; 3],
    ) -> (T, [T; 3]) {
        let s = s + g * g;
        let root = (s + g.like(F::of(self.epsilon))).inverse_root();
        (w - g.like(F::of(step.learning_rate)) * g * root, [s, b, c])
    }
}
