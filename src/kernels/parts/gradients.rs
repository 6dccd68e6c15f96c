//! How gradients of parameters are kept: alone, or as the sum over the batches of an update so far, and with the last of them
//! as their mean. The mirror of `shaders/parts/gradients.wgsl`.

use pulp::Simd;

use crate::cpu::product::{Apply, Finished};
use crate::kernels::{Access, Binding, Element, Real};
use crate::shader::Header;
use crate::step::StepBlock;

/// Whether gradients are added up over the batches of an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Keep {
    /// Each batch's take the place of those before.
    #[default]
    Overwrite,
    /// They are added up, and divided by their number in the end.
    Accumulate,
}

impl Keep {
    /// The binding of the gradients that are kept so.
    pub(crate) const fn binding(self) -> Binding {
        match self {
            Keep::Overwrite => Binding::write("gradients"),
            Keep::Accumulate => Binding::new("gradients", Access::Update, Element::Float),
        }
    }

    pub(crate) fn header(self, header: &mut Header) {
        header.flag("ACCUMULATE", self == Keep::Accumulate);
    }

    /// What becomes of those of this step.
    pub(crate) fn of(self, step: &StepBlock) -> Kept {
        match self {
            Keep::Overwrite => Kept { adds: false, batches: None },
            Keep::Accumulate => {
                let batches = step.accumulate.max(1);
                Kept { adds: step.micro > 0, batches: step.updates().then_some(batches) }
            }
        }
    }
}

/// What becomes of one step's gradients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// Whether those before are added.
    adds: bool,
    /// What the sum is divided by, where it is whole.
    batches: Option<u32>,
}

impl Kept {
    /// What is kept, from what was kept before and the step's own.
    #[inline(always)]
    pub fn sum<F: Real>(self, before: F, gradient: F) -> F {
        let sum = if self.adds { gradient + before } else { gradient };
        self.batches.map_or(sum, |batches| sum / F::near(batches.into()))
    }

    /// The same, number by number.
    #[inline(always)]
    pub fn keep<F: Real>(self, kept: &mut [F], gradients: &[F]) {
        for (kept, &gradient) in kept.iter_mut().zip(gradients) {
            *kept = self.sum(*kept, gradient);
        }
    }
}

impl Apply for Kept {
    #[inline(always)]
    fn apply<S: Simd>(&self, _simd: S, finished: &mut Finished<'_, '_>) {
        for row in 0..finished.rows() {
            let (sums, [kept, ..]) = finished.row(row);
            self.keep(kept, sums);
        }
    }
}
