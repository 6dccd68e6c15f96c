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
        header.float("REST_1", rest(self.beta_1)).float("REST_2", rest(self.beta_2)).float("EPSILON", self.epsilon);
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
        let (rest_1, rest_2) = (F::of(rest(self.beta_1)), F::of(rest(self.beta_2)));
        let (correction_1, correction_2) = (F::one() - F::of(step.beta_1_power), F::one() - F::of(step.beta_2_power));
        let rate = F::of(step.learning_rate) * correction_2.sqrt() / correction_1;
        let m = (m + g.like(rest_1) * (g - m)).flushed();
        let v = (v + g.like(rest_2) * (g * g - v)).flushed();
        (w - g.like(rate) * m / (v.root() + g.like(F::of(self.epsilon))), [m, v, unused])
    }
}

/// 1 − β of β as it is written: 1 − 0.999 is 0.001, as Keras has it. The f32 nearest to 0.999 is 1.3·10⁻⁸ more, and what it
/// leaves of 1 off by 1.3·10⁻⁵ of itself, which a training shows.
#[inline(always)]
fn rest(beta: f32) -> f32 {
    let written = (f64::from(beta) * 1e7).round() / 1e7;
    if written as f32 == beta { (1.0 - written) as f32 } else { 1.0 - beta }
}
