//! Optimizers as plain data; every default is Keras 3's. A setting is changed by the method of its name, so that an option
//! more breaks nobody.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::schedules::{LearningRate, Schedule};
use crate::error::{Error, Result};

/// How gradients are kept from growing. As in Keras only one of the three applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clip {
    /// Not at all; the default.
    #[default]
    None,
    /// Keras's `clipnorm`: each tensor's gradient is shrunk to at most this Euclidean norm.
    Norm(f32),
    /// Keras's `global_clipnorm`: all gradients are shrunk together to at most this norm.
    GlobalNorm(f32),
    /// Keras's `clipvalue`: each number is cut to ± this.
    Value(f32),
}

macro_rules! optimizer {
    ($(#[$what:meta])* $Name:ident(learning_rate $learning_rate:literal, weight_decay $weight_decay:literal) {
        $($(#[$doc:meta])* $field:ident: $type:ty = $default:expr,)*
    }) => {
        $(#[$what])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $Name {
            /// η, where no schedule says otherwise.
            pub learning_rate: f32,
            $($(#[$doc])* pub $field: $type,)*
            /// The share of a parameter that each update takes off, times the learning rate (decoupled weight decay, on
            /// every parameter, biases too, as in Keras).
            pub weight_decay: f32,
            /// How gradients are kept from growing; not at all by default.
            pub clip: Clip,
            /// What the learning rate of each batch is; none by default.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub schedule: Option<Schedule>,
            /// Batches whose mean gradient makes an update; 1 by default.
            #[serde(skip_serializing_if = "is_one")]
            pub gradient_accumulation_steps: u32,
        }

        impl Default for $Name {
            fn default() -> Self {
                $Name {
                    learning_rate: $learning_rate,
                    $($field: $default,)*
                    weight_decay: $weight_decay,
                    clip: Clip::None,
                    schedule: None,
                    gradient_accumulation_steps: 1,
                }
            }
        }

        impl From<$Name> for Optimizer {
            fn from(optimizer: $Name) -> Self {
                Optimizer::$Name(optimizer)
            }
        }

        /// Settings, each under the name of its field.
        impl $Name {
            /// η: a number, or a schedule, which counts training batches.
            pub fn learning_rate(mut self, learning_rate: impl Into<LearningRate>) -> Self {
                (self.learning_rate, self.schedule) = match learning_rate.into() {
                    LearningRate::Constant(rate) => (rate, None),
                    LearningRate::Schedule(schedule) => (schedule.at(0), Some(schedule)),
                };
                self
            }

            $($(#[$doc])*
            pub fn $field(self, $field: $type) -> Self {
                $Name { $field, ..self }
            })*

            /// The share of a parameter that each update takes off, times the learning rate.
            pub fn weight_decay(self, weight_decay: f32) -> Self {
                $Name { weight_decay, ..self }
            }

            /// How gradients are kept from growing; not at all by default.
            pub fn clip(self, clip: Clip) -> Self {
                $Name { clip, ..self }
            }

            /// Batches whose mean gradient makes an update, as Keras has it: those of an epoch's end that make none go on
            /// into the next epoch. 1 by default.
            pub fn gradient_accumulation_steps(self, gradient_accumulation_steps: u32) -> Self {
                $Name { gradient_accumulation_steps, ..self }
            }

            /// The same optimizer with another learning rate.
            pub fn with_learning_rate(self, learning_rate: f32) -> Self {
                self.learning_rate(learning_rate)
            }
        }
    };
}

fn is_one(steps: &u32) -> bool {
    *steps == 1
}

optimizer! {
    /// RMSprop: v ← ρ·v + (1 − ρ)·g², w ← w − η·g/√(v + ε), ε inside the root as in Keras 3.
    ///
    /// ```
    /// use wgrad::RmsProp;
    ///
    /// let slower = RmsProp::default().learning_rate(1e-4).momentum(0.9);
    /// assert_eq!(RmsProp::default().rho, 0.9);
    /// # let _ = slower;
    /// ```
    RmsProp(learning_rate 1e-3, weight_decay 0.0) {
        /// ρ, how much of the old mean square stays; 0.9 by default.
        rho: f32 = 0.9,
        /// The share of the last change that is made again; 0 by default.
        momentum: f32 = 0.0,
        /// ε; 1e-7 by default.
        epsilon: f32 = 1e-7,
        /// Whether the squared mean gradient is taken off v; false by default.
        centered: bool = false,
    }
}

optimizer! {
    /// Gradient descent: w ← w − η·g, with momentum m ← momentum·m − η·g, w ← w + m.
    Sgd(learning_rate 0.01, weight_decay 0.0) {
        /// The share of the last change that is made again; 0 by default.
        momentum: f32 = 0.0,
        /// Whether the momentum is looked ahead along: w ← w + momentum·m − η·g; false by default.
        nesterov: bool = false,
    }
}

optimizer! {
    /// Adam (Kingma & Ba 2014), ε outside the root: w ← w − η·√(1 − β₂ᵗ)/(1 − β₁ᵗ)·m/(√v + ε).
    Adam(learning_rate 1e-3, weight_decay 0.0) {
        /// β₁, how much of the old mean stays; 0.9 by default.
        beta_1: f32 = 0.9,
        /// β₂, how much of the old mean square stays; 0.999 by default.
        beta_2: f32 = 0.999,
        /// ε; 1e-7 by default.
        epsilon: f32 = 1e-7,
    }
}

optimizer! {
    /// Adam with weight decay (Loshchilov & Hutter 2017); weight decay is 0.004 by default, as in Keras.
    AdamW(learning_rate 1e-3, weight_decay 0.004) {
        /// β₁, how much of the old mean stays; 0.9 by default.
        beta_1: f32 = 0.9,
        /// β₂, how much of the old mean square stays; 0.999 by default.
        beta_2: f32 = 0.999,
        /// ε; 1e-7 by default.
        epsilon: f32 = 1e-7,
    }
}

optimizer! {
    /// Adagrad (Duchi et al. 2011): s ← s + g², w ← w − η·g/√(s + ε).
    Adagrad(learning_rate 1e-3, weight_decay 0.0) {
        /// Where s starts; 0.1 by default.
        initial_accumulator_value: f32 = 0.1,
        /// ε; 1e-7 by default.
        epsilon: f32 = 1e-7,
    }
}

/// Any of the optimizers.
///
/// Written as text: `rmsprop`, `sgd`, `adam`, `adamw`, `adagrad`, with their defaults.
///
/// ```
/// use wgrad::{Adam, Optimizer};
///
/// let optimizer: Optimizer = "adam".parse()?;
/// assert_eq!(optimizer, Adam::default().into());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "name")]
#[non_exhaustive]
pub enum Optimizer {
    /// See [`struct@RmsProp`].
    RmsProp(RmsProp),
    /// See [`struct@Sgd`].
    Sgd(Sgd),
    /// See [`struct@Adam`].
    Adam(Adam),
    /// See [`struct@AdamW`].
    AdamW(AdamW),
    /// See [`struct@Adagrad`].
    Adagrad(Adagrad),
}

impl FromStr for Optimizer {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Ok(match name {
            "rmsprop" => RmsProp::default().into(),
            "sgd" => Sgd::default().into(),
            "adam" => Adam::default().into(),
            "adamw" => AdamW::default().into(),
            "adagrad" => Adagrad::default().into(),
            _ => {
                let known = "rmsprop, sgd, adam, adamw or adagrad";
                return Err(Error::configuration("optimizer", known, format!("{name:?}")));
            }
        })
    }
}

impl fmt::Display for Optimizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Optimizer::RmsProp(_) => "rmsprop",
            Optimizer::Sgd(_) => "sgd",
            Optimizer::Adam(_) => "adam",
            Optimizer::AdamW(_) => "adamw",
            Optimizer::Adagrad(_) => "adagrad",
        })
    }
}

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
    fn new(name: &'static str, used: bool) -> Self {
        Slot { name, used, initial: 0.0 }
    }
}

macro_rules! every {
    ($optimizer:expr, $o:ident => $value:expr) => {
        match $optimizer {
            Optimizer::RmsProp($o) => $value,
            Optimizer::Sgd($o) => $value,
            Optimizer::Adam($o) => $value,
            Optimizer::AdamW($o) => $value,
            Optimizer::Adagrad($o) => $value,
        }
    };
}

impl Optimizer {
    /// η.
    pub fn learning_rate(&self) -> f32 {
        every!(self, o => o.learning_rate)
    }

    /// The same optimizer with another learning rate.
    pub fn with_learning_rate(mut self, learning_rate: f32) -> Self {
        every!(&mut self, o => (o.learning_rate, o.schedule) = (learning_rate, None));
        self
    }

    /// What the learning rate of each batch is, where a schedule says so.
    pub fn schedule(&self) -> Option<&Schedule> {
        every!(self, o => o.schedule.as_ref())
    }

    /// The learning rate of training batch `batch`, counted from 0.
    pub(crate) fn rate_of(&self, batch: u32) -> f32 {
        self.schedule().map_or(self.learning_rate(), |schedule| schedule.at(batch))
    }

    /// Batches of an update.
    pub fn gradient_accumulation_steps(&self) -> u32 {
        every!(self, o => o.gradient_accumulation_steps)
    }

    /// How gradients are kept from growing.
    pub fn clip(&self) -> Clip {
        every!(self, o => o.clip)
    }

    pub(crate) fn weight_decay(&self) -> f32 {
        every!(self, o => o.weight_decay)
    }

    /// β₁ and β₂, or ones where there are none: what the powers in the step block are multiplied by.
    pub(crate) fn betas(&self) -> (f32, f32) {
        match self {
            Optimizer::Adam(Adam { beta_1, beta_2, .. }) | Optimizer::AdamW(AdamW { beta_1, beta_2, .. }) => {
                (*beta_1, *beta_2)
            }
            _ => (1.0, 1.0),
        }
    }

    pub(crate) fn slots(&self) -> Vec<Slot> {
        match self {
            Optimizer::RmsProp(o) => vec![
                Slot::new("velocity", true),
                Slot::new("average_gradient", o.centered),
                Slot::new("momentum", o.momentum > 0.0),
            ],
            Optimizer::Sgd(o) => vec![Slot::new("momentum", o.momentum > 0.0)],
            Optimizer::Adam(_) | Optimizer::AdamW(_) => vec![Slot::new("mean", true), Slot::new("velocity", true)],
            Optimizer::Adagrad(o) => {
                vec![Slot { initial: o.initial_accumulator_value, ..Slot::new("accumulator", true) }]
            }
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let positive = |what: &str, value: f32| match value.is_finite() && value > 0.0 {
            true => Ok(()),
            false => Err(Error::configuration(what, "a positive number", value)),
        };
        let share = |what: &str, value: f32| match (0.0..1.0).contains(&value) {
            true => Ok(()),
            false => Err(Error::configuration(what, "a share from 0 up to, not including, 1", value)),
        };
        let not_negative = |what: &str, value: f32| match value.is_finite() && value >= 0.0 {
            true => Ok(()),
            false => Err(Error::configuration(what, "a number that is not negative", value)),
        };
        not_negative("learning rate", self.learning_rate())?;
        not_negative("weight decay", self.weight_decay())?;
        if let Some(schedule) = self.schedule() {
            schedule.validate()?;
        }
        if self.gradient_accumulation_steps() == 0 {
            return Err(Error::configuration("gradient_accumulation_steps", "at least 1", 0));
        }
        match self.clip() {
            Clip::None => {}
            Clip::Norm(limit) => positive("clipnorm", limit)?,
            Clip::GlobalNorm(limit) => positive("global_clipnorm", limit)?,
            Clip::Value(limit) => positive("clipvalue", limit)?,
        }
        match self {
            Optimizer::RmsProp(o) => {
                share("rho", o.rho)?;
                share("momentum", o.momentum)?;
                positive("epsilon", o.epsilon)
            }
            Optimizer::Sgd(o) => share("momentum", o.momentum),
            Optimizer::Adam(Adam { beta_1, beta_2, epsilon, .. })
            | Optimizer::AdamW(AdamW { beta_1, beta_2, epsilon, .. }) => {
                share("beta_1", *beta_1)?;
                share("beta_2", *beta_2)?;
                positive("epsilon", *epsilon)
            }
            Optimizer::Adagrad(o) => {
                not_negative("initial_accumulator_value", o.initial_accumulator_value)?;
                positive("epsilon", o.epsilon)
            }
        }
    }
}
