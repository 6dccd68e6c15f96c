//! Optimizers as plain data; every default is Keras 3's. A setting is changed by the method of its name, so that an option
//! more breaks nobody.

mod describe;
mod kinds;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::schedules::Schedule;
use crate::error::{Error, Result};
use crate::step::Betas;
pub(crate) use describe::Slot;
use describe::{Describe, not_negative, positive};
pub use kinds::{Adadelta, Adagrad, Adam, AdamW, Adamax, Ftrl, Lion, Nadam, RmsProp, Sgd};

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

macro_rules! optimizers {
    ($($(#[$what:meta])* $Name:ident: $name:literal;)*) => {
        /// Any of the optimizers.
        ///
        /// Written as text: Keras's name in small letters (`rmsprop`, `sgd`, `adam`, `nadam`, …), with Keras's defaults.
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
            $($(#[$what])* $Name($Name),)*
        }

        $(impl From<$Name> for Optimizer {
            fn from(optimizer: $Name) -> Self {
                Optimizer::$Name(optimizer)
            }
        })*

        /// As they are written, in the order of the documentation.
        const NAMES: &[&str] = &[$($name,)*];

        impl FromStr for Optimizer {
            type Err = Error;

            fn from_str(name: &str) -> Result<Self> {
                match name {
                    $($name => Ok($Name::default().into()),)*
                    _ => {
                        let (last, others) = NAMES.split_last().unwrap_or((&"", &[]));
                        let known = format!("{} or {last}", others.join(", "));
                        Err(Error::configuration("optimizer", known, format!("{name:?}")))
                    }
                }
            }
        }

        impl fmt::Display for Optimizer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Optimizer::$Name(_) => $name,)* })
            }
        }

        macro_rules! every {
            ($optimizer:expr, $o:ident => $value:expr) => {
                match $optimizer { $(Optimizer::$Name($o) => $value,)* }
            };
        }
    };
}

optimizers! {
    /// See [`struct@RmsProp`].
    RmsProp: "rmsprop";
    /// See [`struct@Sgd`].
    Sgd: "sgd";
    /// See [`struct@Adam`].
    Adam: "adam";
    /// See [`struct@AdamW`].
    AdamW: "adamw";
    /// See [`struct@Adagrad`].
    Adagrad: "adagrad";
    /// See [`struct@Nadam`].
    Nadam: "nadam";
    /// See [`struct@Lion`].
    Lion: "lion";
    /// See [`struct@Adamax`].
    Adamax: "adamax";
    /// See [`struct@Adadelta`].
    Adadelta: "adadelta";
    /// See [`struct@Ftrl`].
    Ftrl: "ftrl";
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

    /// The same optimizer with this schedule.
    pub(crate) fn with_schedule(mut self, schedule: Schedule) -> Self {
        every!(&mut self, o => (o.learning_rate, o.schedule) = (schedule.at(0), Some(schedule)));
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

    /// The share of a tensor that each update takes off, times the learning rate. `name` is as `dense_0.bias`.
    pub(crate) fn weight_decay_of(&self, name: &str) -> f32 {
        let excluded = every!(self, o => o.exclude_from_weight_decay.iter().any(|piece| name.contains(piece.as_str())));
        if excluded { 0.0 } else { every!(self, o => o.weight_decay) }
    }

    /// What moves the step block's running products on.
    pub(crate) fn betas(&self) -> Betas {
        every!(self, o => o.betas())
    }

    /// The state tensors of its rule.
    pub(crate) fn rule_slots(&self) -> Vec<Slot> {
        every!(self, o => o.slots())
    }

    /// All its state tensors: those of the rule, then the average of the weights.
    pub(crate) fn slots(&self) -> Vec<Slot> {
        let average = self.average().map(|_| Slot::new("average", true));
        self.rule_slots().into_iter().chain(average).collect()
    }

    /// Which of the slots is the average of the weights.
    pub(crate) fn average_slot(&self) -> Option<usize> {
        self.average().map(|_| self.rule_slots().len())
    }

    /// How the weights are averaged, if they are: momentum, and how often they become their average, 0 for never.
    pub(crate) fn average(&self) -> Option<(f32, u32)> {
        every!(self, o => o.use_ema.then(|| (o.ema_momentum, o.ema_overwrite_frequency.unwrap_or(0))))
    }

    pub(crate) fn validate(&self) -> Result<()> {
        not_negative("learning rate", self.learning_rate())?;
        not_negative("weight decay", every!(self, o => o.weight_decay))?;
        if every!(self, o => o.exclude_from_weight_decay.iter().any(String::is_empty)) {
            let expected = "pieces of the names of tensors, as \"bias\"";
            return Err(Error::configuration("exclude_from_weight_decay", expected, "an empty one, which all have"));
        }
        if let Some(schedule) = self.schedule() {
            schedule.validate()?;
        }
        if self.gradient_accumulation_steps() == 0 {
            return Err(Error::configuration("gradient_accumulation_steps", "at least 1", 0));
        }
        let (momentum, frequency) = every!(self, o => (o.ema_momentum, o.ema_overwrite_frequency));
        if !(0.0..=1.0).contains(&momentum) {
            return Err(Error::configuration("ema_momentum", "a share from 0 to 1", momentum));
        }
        if frequency == Some(0) {
            return Err(Error::configuration("ema_overwrite_frequency", "at least 1, or None", 0));
        }
        match self.clip() {
            Clip::None => {}
            Clip::Norm(limit) => positive("clipnorm", limit)?,
            Clip::GlobalNorm(limit) => positive("global_clipnorm", limit)?,
            Clip::Value(limit) => positive("clipvalue", limit)?,
        }
        every!(self, o => o.check())
    }
}
