//! What each optimizer says of itself: its state tensors, its powers of β, and which settings make sense.

use super::kinds::{Adadelta, Adagrad, Adam, AdamW, Adamax, Ftrl, Lion, Nadam, RmsProp, Sgd};
use crate::error::{Error, Result};
use crate::step::{Betas, WARMUP_DECAY};

/// One state tensor that an optimizer keeps beside the parameters, in the order of its update's bindings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slot {
    /// Its name in checkpoints.
    pub name: &'static str,
    /// Whether this setting of the optimizer uses it at all.
    pub used: bool,
    /// Where its numbers start.
    pub initial: f32,
}

impl Slot {
    pub(super) fn new(name: &'static str, used: bool) -> Self {
        Slot { name, used, initial: 0.0 }
    }
}

/// What an optimizer says of itself.
pub(super) trait Describe {
    /// Its state tensors, in the order of its rule's bindings.
    fn slots(&self) -> Vec<Slot>;

    /// What moves the step block's running products on.
    fn betas(&self) -> Betas {
        Betas::NONE
    }

    /// Whether its own settings make sense.
    fn check(&self) -> Result<()>;
}

fn wrong<V: std::fmt::Display>(good: bool, what: &str, expected: &str, value: V) -> Result<()> {
    if good { Ok(()) } else { Err(Error::configuration(what, expected, value)) }
}

pub(super) fn positive(what: &str, value: f32) -> Result<()> {
    wrong(value.is_finite() && value > 0.0, what, "a positive number", value)
}

pub(super) fn share(what: &str, value: f32) -> Result<()> {
    wrong((0.0..1.0).contains(&value), what, "a share from 0 up to, not including, 1", value)
}

pub(super) fn not_negative(what: &str, value: f32) -> Result<()> {
    wrong(value.is_finite() && value >= 0.0, what, "a number that is not negative", value)
}

impl Describe for RmsProp {
    fn slots(&self) -> Vec<Slot> {
        let average = Slot::new("average_gradient", self.centered);
        vec![Slot::new("velocity", true), average, Slot::new("momentum", self.momentum > 0.0)]
    }

    fn check(&self) -> Result<()> {
        share("rho", self.rho)?;
        share("momentum", self.momentum)?;
        positive("epsilon", self.epsilon)
    }
}

impl Describe for Sgd {
    fn slots(&self) -> Vec<Slot> {
        vec![Slot::new("momentum", self.momentum > 0.0)]
    }

    fn check(&self) -> Result<()> {
        share("momentum", self.momentum)
    }
}

impl Describe for Adagrad {
    fn slots(&self) -> Vec<Slot> {
        vec![Slot { initial: self.initial_accumulator_value, ..Slot::new("accumulator", true) }]
    }

    fn check(&self) -> Result<()> {
        not_negative("initial_accumulator_value", self.initial_accumulator_value)?;
        positive("epsilon", self.epsilon)
    }
}

impl Describe for Lion {
    fn slots(&self) -> Vec<Slot> {
        vec![Slot::new("momentum", true)]
    }

    fn check(&self) -> Result<()> {
        let good = self.beta_1 > 0.0 && self.beta_1 <= 1.0;
        wrong(good, "beta_1", "a share above 0, up to 1: at 0 Lion would only see signs of gradients", self.beta_1)?;
        share("beta_2", self.beta_2)
    }
}

impl Describe for Adadelta {
    fn slots(&self) -> Vec<Slot> {
        vec![Slot::new("accumulated_grad", true), Slot::new("accumulated_delta_var", true)]
    }

    fn check(&self) -> Result<()> {
        share("rho", self.rho)?;
        positive("epsilon", self.epsilon)
    }
}

impl Describe for Ftrl {
    fn slots(&self) -> Vec<Slot> {
        let accumulator = Slot { initial: self.initial_accumulator_value, ..Slot::new("accumulator", true) };
        vec![accumulator, Slot::new("linear", true)]
    }

    fn check(&self) -> Result<()> {
        let power = self.learning_rate_power;
        wrong(power.is_finite() && power <= 0.0, "learning_rate_power", "a number that is not positive", power)?;
        not_negative("initial_accumulator_value", self.initial_accumulator_value)?;
        not_negative("l1_regularization_strength", self.l1_regularization_strength)?;
        not_negative("l2_regularization_strength", self.l2_regularization_strength)?;
        not_negative("l2_shrinkage_regularization_strength", self.l2_shrinkage_regularization_strength)?;
        not_negative("beta", self.beta)
    }
}

/// The family of Adam: two or three slots, two powers of β.
macro_rules! of_adams_family {
    ($($Name:ident($o:ident, $warmup_decay:expr): $slots:expr;)*) => {
        $(impl Describe for $Name {
            fn slots(&self) -> Vec<Slot> {
                let $o = self;
                $slots.into_iter().map(|name: &'static str| Slot::new(name, true)).collect()
            }

            fn betas(&self) -> Betas {
                Betas { beta_1: self.beta_1, beta_2: self.beta_2, warmup_decay: $warmup_decay }
            }

            fn check(&self) -> Result<()> {
                share("beta_1", self.beta_1)?;
                share("beta_2", self.beta_2)?;
                positive("epsilon", self.epsilon)
            }
        })*
    };
}

fn adams_slots(amsgrad: bool) -> Vec<&'static str> {
    if amsgrad { vec!["mean", "velocity", "velocity_hat"] } else { vec!["mean", "velocity"] }
}

of_adams_family! {
    Adam(adam, 0.0): adams_slots(adam.amsgrad);
    AdamW(adam, 0.0): adams_slots(adam.amsgrad);
    Nadam(_nadam, WARMUP_DECAY): ["momentum", "velocity"];
    Adamax(_adamax, 0.0): ["momentum", "norm"];
}
