//! Learning rates that change from batch to batch, as plain data: Keras's schedules with its formulas and defaults. They count
//! training batches from 0, also where several make one update.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

macro_rules! schedules {
    ($($(#[$what:meta])* $Name:ident { $($(#[$doc:meta])* $field:ident: $type:ty,)* }
        options { $($(#[$of:meta])* $option:ident: $option_type:ty = $default:expr,)* })*) => {
        $($(#[$what])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $Name {
            $($(#[$doc])* pub $field: $type,)*
            $($(#[$of])* pub $option: $option_type,)*
        }

        impl $Name {
            /// With Keras's defaults for what is not given.
            pub fn new($($field: impl Into<$type>),*) -> Self {
                $Name { $($field: $field.into(),)* $($option: $default,)* }
            }

            $($(#[$of])*
            pub fn $option(self, $option: $option_type) -> Self {
                $Name { $option, ..self }
            })*
        }

        impl From<$Name> for Schedule {
            fn from(schedule: $Name) -> Self {
                Schedule::$Name(schedule)
            }
        }

        impl From<$Name> for LearningRate {
            fn from(schedule: $Name) -> Self {
                LearningRate::Schedule(schedule.into())
            }
        })*

        /// Any of the schedules. See [`Schedule::at`].
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name", rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Schedule {
            $($(#[$what])* $Name($Name),)*
        }

        impl Schedule {
            /// The learning rate of training batch `batch`, counted from 0.
            ///
            /// ```
            /// use wgrad::{ExponentialDecay, Schedule};
            ///
            /// let schedule = Schedule::from(ExponentialDecay::new(0.1, 100u32, 0.5));
            /// assert_eq!((schedule.at(0), schedule.at(100)), (0.1, 0.05));
            /// ```
            pub fn at(&self, batch: u32) -> f32 {
                match self { $(Schedule::$Name(schedule) => schedule.rate(f64::from(batch)) as f32,)* }
            }

            pub(crate) fn validate(&self) -> Result<()> {
                match self { $(Schedule::$Name(schedule) => schedule.validate(),)* }
            }
        }
    };
}

schedules! {
    /// initial · rate^(batch / steps).
    ExponentialDecay {
        /// The rate of the first batch.
        initial_learning_rate: f32,
        /// Batches of one decay.
        decay_steps: u32,
        /// What each multiplies the rate by.
        decay_rate: f32,
    } options {
        /// Whether the rate falls once in `decay_steps` batches rather than with each; false by default.
        staircase: bool = false,
    }

    /// One rate up to and with each boundary, the last beyond: `PiecewiseConstantDecay::new([3, 9], [0.01, 0.003, 0.0005])`.
    PiecewiseConstantDecay {
        /// The last batches of the first rates, ascending.
        boundaries: Vec<u32>,
        /// The rates, one more than boundaries.
        values: Vec<f32>,
    } options {}

    /// (initial − end) · (1 − batch / steps)^power + end.
    PolynomialDecay {
        /// The rate of the first batch.
        initial_learning_rate: f32,
        /// Batches of the decay.
        decay_steps: u32,
    } options {
        /// The rate that it ends with; 0.0001 by default.
        end_learning_rate: f32 = 1e-4,
        /// 1, the default, for a straight line.
        power: f32 = 1.0,
        /// Whether it starts again, twice, three times … as long, once it has ended; false by default.
        cycle: bool = false,
    }

    /// initial / (1 + rate · batch / steps).
    InverseTimeDecay {
        /// The rate of the first batch.
        initial_learning_rate: f32,
        /// Batches of one decay.
        decay_steps: u32,
        /// How fast it falls.
        decay_rate: f32,
    } options {
        /// Whether the rate falls once in `decay_steps` batches rather than with each; false by default.
        staircase: bool = false,
    }

    /// Half a cosine from the first rate to α of it (Loshchilov & Hutter 2016), after a linear warm-up where there is one.
    CosineDecay {
        /// The rate of the first batch.
        initial_learning_rate: f32,
        /// Batches of the decay, those of the warm-up not counted.
        decay_steps: u32,
    } options {
        /// The share of the rate that is left in the end; 0 by default.
        alpha: f32 = 0.0,
        /// The rate that the warm-up leads to, and that decays then; none, the default, for no warm-up.
        warmup_target: Option<f32> = None,
        /// Batches of the warm-up; 0 by default.
        warmup_steps: u32 = 0,
    }

    /// Cosine decays one after the other, each with a warm restart (Loshchilov & Hutter 2016).
    CosineDecayRestarts {
        /// The rate of the first batch.
        initial_learning_rate: f32,
        /// Batches of the first decay.
        first_decay_steps: u32,
    } options {
        /// How much longer each decay is than the one before; 2 by default.
        t_mul: f32 = 2.0,
        /// The rate of each start as a share of the one before; 1 by default.
        m_mul: f32 = 1.0,
        /// The share of the rate that is left in the end; 0 by default.
        alpha: f32 = 0.0,
    }
}

/// What an optimizer's learning rate may be: a number, or a schedule.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum LearningRate {
    /// The same for every batch.
    Constant(f32),
    /// One for each batch.
    Schedule(Schedule),
}

impl From<f32> for LearningRate {
    fn from(rate: f32) -> Self {
        LearningRate::Constant(rate)
    }
}

impl From<Schedule> for LearningRate {
    fn from(schedule: Schedule) -> Self {
        LearningRate::Schedule(schedule)
    }
}

fn wrong<T>(what: &str, expected: &str, found: impl ToString) -> Result<T> {
    Err(Error::configuration(format!("learning-rate schedule: {what}"), expected, found))
}

fn rate(what: &str, value: f32) -> Result<()> {
    if value.is_finite() && value >= 0.0 { Ok(()) } else { wrong(what, "a number that is not negative", value) }
}

fn steps(what: &str, value: u32) -> Result<()> {
    if value > 0 { Ok(()) } else { wrong(what, "at least 1", value) }
}

/// Decays so far.
fn decays(batch: f64, steps: u32, staircase: bool) -> f64 {
    let decays = batch / f64::from(steps);
    if staircase { decays.floor() } else { decays }
}

/// What half a cosine leaves of a rate, down to a share of `alpha`.
fn cosine(progress: f64, alpha: f32, scale: f64) -> f64 {
    (1.0 - f64::from(alpha)) * 0.5 * scale * (1.0 + (PI * progress).cos()) + f64::from(alpha)
}

impl ExponentialDecay {
    fn rate(&self, batch: f64) -> f64 {
        let decays = decays(batch, self.decay_steps, self.staircase);
        f64::from(self.initial_learning_rate) * f64::from(self.decay_rate).powf(decays)
    }

    fn validate(&self) -> Result<()> {
        rate("initial_learning_rate", self.initial_learning_rate)?;
        rate("decay_rate", self.decay_rate)?;
        steps("decay_steps", self.decay_steps)
    }
}

impl PiecewiseConstantDecay {
    fn rate(&self, batch: f64) -> f64 {
        let passed = self.boundaries.iter().filter(|&&boundary| batch > f64::from(boundary)).count();
        self.values.get(passed).copied().unwrap_or_default().into()
    }

    fn validate(&self) -> Result<()> {
        let (boundaries, values) = (self.boundaries.len(), self.values.len());
        if values != boundaries + 1 {
            return wrong("values", &format!("{} of them, one more than boundaries", boundaries + 1), values);
        }
        if !self.boundaries.is_sorted() {
            return wrong("boundaries", "ascending numbers of batches", format!("{:?}", self.boundaries));
        }
        self.values.iter().try_for_each(|&value| rate("values", value))
    }
}

impl PolynomialDecay {
    fn rate(&self, batch: f64) -> f64 {
        let (mut steps, mut batch) = (f64::from(self.decay_steps), batch);
        match self.cycle {
            true if batch > 0.0 => steps *= (batch / steps).ceil(),
            true => {}
            false => batch = batch.min(steps),
        }
        let (initial, end) = (f64::from(self.initial_learning_rate), f64::from(self.end_learning_rate));
        (initial - end) * (1.0 - batch / steps).powf(self.power.into()) + end
    }

    fn validate(&self) -> Result<()> {
        rate("initial_learning_rate", self.initial_learning_rate)?;
        rate("end_learning_rate", self.end_learning_rate)?;
        rate("power", self.power)?;
        steps("decay_steps", self.decay_steps)
    }
}

impl InverseTimeDecay {
    fn rate(&self, batch: f64) -> f64 {
        let decays = decays(batch, self.decay_steps, self.staircase);
        f64::from(self.initial_learning_rate) / (1.0 + f64::from(self.decay_rate) * decays)
    }

    fn validate(&self) -> Result<()> {
        rate("initial_learning_rate", self.initial_learning_rate)?;
        rate("decay_rate", self.decay_rate)?;
        steps("decay_steps", self.decay_steps)
    }
}

impl CosineDecay {
    fn rate(&self, batch: f64) -> f64 {
        let initial = f64::from(self.initial_learning_rate);
        let (top, start) = match self.warmup_target {
            Some(target) => (f64::from(target), f64::from(self.warmup_steps)),
            None => (initial, 0.0),
        };
        if batch < start {
            return initial + (top - initial) * batch / start;
        }
        let progress = ((batch - start) / f64::from(self.decay_steps)).min(1.0);
        top * cosine(progress, self.alpha, 1.0)
    }

    fn validate(&self) -> Result<()> {
        rate("initial_learning_rate", self.initial_learning_rate)?;
        rate("alpha", self.alpha)?;
        rate("warmup_target", self.warmup_target.unwrap_or_default())?;
        if self.warmup_target.is_none() && self.warmup_steps > 0 {
            return wrong("warmup_target", "a rate that the warm-up leads to", "none");
        }
        steps("decay_steps", self.decay_steps)
    }
}

impl CosineDecayRestarts {
    fn rate(&self, batch: f64) -> f64 {
        let (done, longer) = (batch / f64::from(self.first_decay_steps), f64::from(self.t_mul));
        let (restarts, progress) = if longer == 1.0 {
            (done.floor(), done - done.floor())
        } else {
            let restarts = ((1.0 - done * (1.0 - longer)).ln() / longer.ln()).floor();
            let before = (1.0 - longer.powf(restarts)) / (1.0 - longer);
            (restarts, (done - before) / longer.powf(restarts))
        };
        f64::from(self.initial_learning_rate) * cosine(progress, self.alpha, f64::from(self.m_mul).powf(restarts))
    }

    fn validate(&self) -> Result<()> {
        rate("initial_learning_rate", self.initial_learning_rate)?;
        rate("alpha", self.alpha)?;
        rate("m_mul", self.m_mul)?;
        if !(self.t_mul.is_finite() && self.t_mul >= 1.0) {
            return wrong("t_mul", "a number of 1 or more", self.t_mul);
        }
        steps("first_decay_steps", self.first_decay_steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(schedule: impl Into<Schedule>, batches: &[u32]) -> Vec<f32> {
        let schedule = schedule.into();
        schedule.validate().unwrap();
        batches.iter().map(|&batch| schedule.at(batch)).collect()
    }

    /// By hand, from the formulas in Keras's documentation.
    #[test]
    fn rates_are_those_of_the_formulas() {
        assert_eq!(rates(ExponentialDecay::new(1.0, 2u32, 0.25), &[0, 1, 2, 4]), [1.0, 0.5, 0.25, 0.0625]);
        let stairs = ExponentialDecay::new(1.0, 2u32, 0.25).staircase(true);
        assert_eq!(rates(stairs, &[0, 1, 2, 3, 4]), [1.0, 1.0, 0.25, 0.25, 0.0625]);
        let pieces = PiecewiseConstantDecay::new([3, 9], [0.5, 0.25, 0.125]);
        assert_eq!(rates(pieces, &[0, 3, 4, 9, 10]), [0.5, 0.5, 0.25, 0.25, 0.125]);
        let line = PolynomialDecay::new(1.0, 4u32).end_learning_rate(0.5);
        assert_eq!(rates(line.clone(), &[0, 2, 4, 5]), [1.0, 0.75, 0.5, 0.5]);
        assert_eq!(rates(line.cycle(true), &[0, 4, 6, 8]), [1.0, 0.5, 0.625, 0.5]);
        assert_eq!(rates(InverseTimeDecay::new(1.0, 2u32, 1.0), &[0, 2, 6]), [1.0, 0.5, 0.25]);
        let cosine = CosineDecay::new(1.0, 4u32).alpha(0.5);
        assert_eq!(rates(cosine, &[0, 2, 4, 9]), [1.0, 0.75, 0.5, 0.5]);
        let warm = CosineDecay::new(0.0, 4u32).warmup_target(Some(1.0)).warmup_steps(2);
        assert_eq!(rates(warm, &[0, 1, 2, 4, 6]), [0.0, 0.5, 1.0, 0.5, 0.0]);
        let restarts = CosineDecayRestarts::new(1.0, 2u32).m_mul(0.5);
        assert_eq!(rates(restarts, &[0, 1, 2, 4, 6]), [1.0, 0.5, 0.5, 0.25, 0.25]);
    }

    #[test]
    fn settings_without_sense_are_named() {
        let refused = |schedule: Schedule| schedule.validate().unwrap_err().to_string();
        let pieces = refused(PiecewiseConstantDecay::new([3, 9], [0.5]).into());
        assert!(pieces.contains("values") && pieces.contains("3 of them"), "{pieces}");
        assert!(refused(PiecewiseConstantDecay::new([9, 3], [0.5; 3]).into()).contains("boundaries"));
        assert!(refused(ExponentialDecay::new(1.0, 0u32, 0.5).into()).contains("decay_steps"));
        assert!(refused(PolynomialDecay::new(-1.0, 4u32).into()).contains("initial_learning_rate"));
        assert!(refused(CosineDecay::new(1.0, 4u32).warmup_steps(3).into()).contains("warmup_target"));
        assert!(refused(CosineDecayRestarts::new(1.0, 4u32).t_mul(0.5).into()).contains("t_mul"));
    }
}
