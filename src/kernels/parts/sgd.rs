//! Gradient descent's rule: the mirror of `shaders/parts/sgd.wgsl`.

use super::update::formula::{Formula, Number};
use crate::kernels::{Binding, Real};
use crate::shader::{self, Header, Part};
use crate::step::StepBlock;

/// Sgd's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Sgd {
    /// The share of the last change that is made again; 0 for none.
    pub momentum: f32,
    /// Whether the momentum is looked ahead along.
    pub nesterov: bool,
}

impl Formula for Sgd {
    const SLOTS: &'static [Binding] = &[Binding::update("momentums")];
    const PLAIN_SLOTS: usize = 0;

    fn parts(&self) -> Vec<Part> {
        vec![shader::SGD]
    }

    fn header(&self, header: &mut Header) {
        header.float("MOMENTUM", self.momentum).flag("NESTEROV", self.nesterov);
    }

    fn is_plain(&self) -> bool {
        self.momentum == 0.0
    }

    #[inline(always)]
    fn apply<F: Real, T: Number<F>, const PLAIN: bool>(
        &self,
        step: &StepBlock,
        g: T,
        w: T,
        [m, b, c]: [T; 3],
    ) -> (T, [T; 3]) {
        let change = g.like(F::of(step.learning_rate)) * g;
        if PLAIN || self.momentum == 0.0 {
            return (w - change, [m, b, c]);
        }
        let momentum = g.like(F::of(self.momentum));
        let m = (momentum * m - change).flushed();
        (if self.nesterov { w + momentum * m - change } else { w + m }, [m, b, c])
    }
}
