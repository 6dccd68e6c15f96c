//! Learning rates that change from batch to batch, as plain data: Keras's schedules with its formulas and defaults. They count
//! training batches from 0, also where several make one update.

use std::f64::consts::PI;
use std::fmt;
use std::sync::Arc;

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
        }

        impl From<$Name> for Box<LearningRate> {
            fn from(schedule: $Name) -> Self {
                Box::new(schedule.into())
            }
        })*

        /// Any of the schedules. See [`Schedule::at`].
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name", rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Schedule {
            $($(#[$what])* $Name($Name),)*
            /// A closure of the user's.
            Custom(CustomSchedule),
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
                match self {
                    $(Schedule::$Name(schedule) => schedule.rate(f64::from(batch)) as f32,)*
                    Schedule::Custom(schedule) => schedule.rate(batch),
                }
            }

            pub(crate) fn validate(&self) -> Result<()> {
                match self {
                    $(Schedule::$Name(schedule) => schedule.validate(),)*
                    Schedule::Custom(schedule) => schedule.validate(),
                }
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

    /// One cycle (Smith & Topin 2017): half a cosine from maximum / `div_factor` up to the maximum, then half a cosine down to
    /// maximum / (`div_factor` · `final_div_factor`), where it stays. Formula and defaults are those of PyTorch's `OneCycleLR`,
    /// whose momentum cycles too, which is not done here.
    ///
    /// ```
    /// use wgrad::{OneCycle, Schedule};
    ///
    /// let cycle = Schedule::from(OneCycle::new(0.1, 101u32));
    /// assert_eq!((cycle.at(0), cycle.at(100)), (0.004, 4e-7));
    /// assert!(cycle.at(29) > 0.0999 && cycle.at(65) < cycle.at(29));
    /// ```
    OneCycle {
        /// The rate at the top.
        max_learning_rate: f32,
        /// Batches of the cycle, 2 at least: epochs times batches of an epoch.
        total_steps: u32,
    } options {
        /// The share of the cycle on the way up; 0.3 by default.
        pct_start: f32 = 0.3,
        /// How many times smaller than the maximum the first rate is; 25 by default.
        div_factor: f32 = 25.0,
        /// How many times smaller than the first rate the last one is; 10⁴ by default.
        final_div_factor: f32 = 1e4,
    }

    /// A line from a small rate up to what another schedule begins with, or up to a number; then that schedule from its first
    /// batch on.
    ///
    /// ```
    /// use wgrad::{Adam, CosineDecay, LinearWarmup, Schedule};
    ///
    /// let warm = LinearWarmup::new(CosineDecay::new(0.01, 1000u32), 100u32);
    /// let schedule = Schedule::from(warm.clone());
    /// assert_eq!((schedule.at(0), schedule.at(50), schedule.at(100)), (0.0, 0.005, 0.01));
    /// let optimizer = Adam::default().learning_rate(warm);
    /// # let _ = optimizer;
    /// ```
    LinearWarmup {
        /// What comes after the warm-up.
        after: Box<LearningRate>,
        /// Batches of the warm-up.
        warmup_steps: u32,
    } options {
        /// The rate of the first batch; 0 by default.
        start_learning_rate: f32 = 0.0,
    }
}

/// A learning rate by a closure: called with the number of the training batch, from 0, while steps are submitted. Many
/// steps are still one submission. The closure's answers must be finite and not negative, and depend on the number alone:
/// it is called some steps ahead, and again for the records.
///
/// A file cannot hold a closure. It says that there is one, and a model that is loaded from it predicts and evaluates;
/// before it trains on it hears of its closure by [`Model::set_schedule`](crate::Model::set_schedule), which `fit` and
/// [`Fit::resume`](crate::Fit::resume) ask for.
///
/// ```
/// use wgrad::{CustomSchedule, Sgd};
///
/// let saw = CustomSchedule::new(|batch| 0.1 / (1 + batch % 10) as f32);
/// let optimizer = Sgd::default().learning_rate(saw);
/// assert_eq!(optimizer.learning_rate, 0.1);
/// ```
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct CustomSchedule {
    /// None where it was read from text.
    #[serde(skip)]
    closure: Option<Arc<dyn Fn(u32) -> f32 + Send + Sync>>,
}

impl CustomSchedule {
    /// By this closure.
    pub fn new(closure: impl Fn(u32) -> f32 + Send + Sync + 'static) -> Self {
        CustomSchedule { closure: Some(Arc::new(closure)) }
    }

    /// NaN where nobody knows.
    fn rate(&self, batch: u32) -> f32 {
        self.closure.as_ref().map_or(f32::NAN, |closure| closure(batch))
    }

    fn validate(&self) -> Result<()> {
        // That of a file is asked for when it is needed.
        self.closure.as_ref().map_or(Ok(()), |closure| rate("closure, for batch 0", closure(0)))
    }
}

/// Whether it is the same closure.
impl PartialEq for CustomSchedule {
    fn eq(&self, other: &Self) -> bool {
        match (&self.closure, &other.closure) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            (one, other) => one.is_none() && other.is_none(),
        }
    }
}

impl fmt::Debug for CustomSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.closure.is_some() { "CustomSchedule(closure)" } else { "CustomSchedule(of a file)" })
    }
}

impl From<CustomSchedule> for Schedule {
    fn from(schedule: CustomSchedule) -> Self {
        Schedule::Custom(schedule)
    }
}

impl From<CustomSchedule> for LearningRate {
    fn from(schedule: CustomSchedule) -> Self {
        LearningRate::Schedule(schedule.into())
    }
}

impl From<CustomSchedule> for Box<LearningRate> {
    fn from(schedule: CustomSchedule) -> Self {
        Box::new(schedule.into())
    }
}

impl Schedule {
    /// That a schedule which was read from a file has its closure.
    pub(crate) fn check_closure(&self) -> Result<()> {
        match self {
            Schedule::Custom(CustomSchedule { closure: None }) => {
                let expected = "the closure, which files do not hold: give it with Model::set_schedule before fit";
                Err(Error::configuration("learning-rate schedule", expected, "a file that says that there was one"))
            }
            Schedule::LinearWarmup(warmup) => match &*warmup.after {
                LearningRate::Schedule(after) => after.check_closure(),
                LearningRate::Constant(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// What an optimizer's learning rate may be: a number, or a schedule. As text the one or the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
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

impl From<f32> for Box<LearningRate> {
    fn from(rate: f32) -> Self {
        Box::new(rate.into())
    }
}

impl From<Schedule> for Box<LearningRate> {
    fn from(schedule: Schedule) -> Self {
        Box::new(schedule.into())
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

/// Half a cosine from `start` to `end`.
fn half_cosine(start: f64, end: f64, progress: f64) -> f64 {
    end + 0.5 * (start - end) * (1.0 + (PI * progress).cos())
}

impl OneCycle {
    fn rate(&self, batch: f64) -> f64 {
        let top = f64::from(self.max_learning_rate);
        let first = top / f64::from(self.div_factor);
        let last = first / f64::from(self.final_div_factor);
        let end = f64::from(self.total_steps) - 1.0;
        // As PyTorch counts: the top is at the last of the batches on the way up.
        let peak = f64::from(self.pct_start) * f64::from(self.total_steps) - 1.0;
        if batch <= peak {
            // A peak at 0 has no way up.
            return if peak > 0.0 { half_cosine(first, top, batch / peak) } else { top };
        }
        half_cosine(top, last, ((batch - peak) / (end - peak)).min(1.0))
    }

    fn validate(&self) -> Result<()> {
        rate("max_learning_rate", self.max_learning_rate)?;
        if self.total_steps < 2 {
            return wrong("total_steps", "at least 2", self.total_steps);
        }
        if !(0.0..1.0).contains(&self.pct_start) {
            return wrong("pct_start", "a share from 0 up to, not including, 1", self.pct_start);
        }
        let factors = [("div_factor", self.div_factor), ("final_div_factor", self.final_div_factor)];
        factors.into_iter().try_for_each(|(what, factor)| {
            if factor.is_finite() && factor > 0.0 { Ok(()) } else { wrong(what, "a positive number", factor) }
        })
    }
}

impl LinearWarmup {
    fn rate(&self, batch: f64) -> f64 {
        let (start, steps) = (f64::from(self.start_learning_rate), f64::from(self.warmup_steps));
        let after = |batch: f64| match &*self.after {
            LearningRate::Constant(rate) => f64::from(*rate),
            LearningRate::Schedule(schedule) => f64::from(schedule.at(batch as u32)),
        };
        if batch < steps { start + (after(0.0) - start) * batch / steps } else { after(batch - steps) }
    }

    fn validate(&self) -> Result<()> {
        rate("start_learning_rate", self.start_learning_rate)?;
        steps("warmup_steps", self.warmup_steps)?;
        match &*self.after {
            LearningRate::Constant(constant) => rate("after", *constant),
            LearningRate::Schedule(schedule) => schedule.validate(),
        }
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

    /// What PyTorch's documentation says of `OneCycleLR`, worked out by hand from its formula: with 11 steps and a share of
    /// 0.3 the top lies at 0.3·11 − 1 = 2.3 and the end at 10.
    #[test]
    fn one_cycle_is_pytorchs() {
        let cycle = OneCycle::new(1.0, 11u32);
        cycle.validate().unwrap();
        let anneal = |start: f64, end: f64, share: f64| end + (start - end) / 2.0 * (1.0 + (PI * share).cos());
        for step in 0..=14u32 {
            let at = f64::from(step);
            let (up, down) = (anneal(0.04, 1.0, at / 2.3), anneal(1.0, 0.04 / 1e4, ((at - 2.3) / 7.7).min(1.0)));
            let expected = if step <= 2 { up } else { down };
            let found = f64::from(Schedule::from(cycle.clone()).at(step));
            assert!((found - expected).abs() < 1e-6, "{step}: {found} for {expected}");
        }
        let sudden = OneCycle::new(1.0, 4u32).pct_start(0.25).div_factor(2.0).final_div_factor(4.0);
        assert_eq!(rates(sudden, &[0, 3, 9]), [1.0, 0.125, 0.125]);
    }

    #[test]
    fn a_warm_up_leads_to_any_schedule() {
        let warm = LinearWarmup::new(ExponentialDecay::new(1.0, 2u32, 0.25), 4u32).start_learning_rate(0.5);
        assert_eq!(rates(warm, &[0, 1, 2, 4, 5, 6]), [0.5, 0.625, 0.75, 1.0, 0.5, 0.25]);
        assert_eq!(rates(LinearWarmup::new(0.5, 2u32), &[0, 1, 2, 99]), [0.0, 0.25, 0.5, 0.5]);
        let closure = LinearWarmup::new(CustomSchedule::new(|batch| 1.0 + batch as f32), 2u32);
        assert_eq!(rates(closure, &[0, 1, 2, 3]), [0.0, 0.5, 1.0, 2.0]);
        let twice = LinearWarmup::new(LinearWarmup::new(1.0, 2u32).start_learning_rate(0.5), 2u32);
        assert_eq!(rates(twice, &[0, 1, 2, 3, 4]), [0.0, 0.25, 0.5, 0.75, 1.0]);
    }

    #[test]
    fn files_hold_every_schedule_but_a_closure() {
        let within = LinearWarmup::new(OneCycle::new(0.1, 10u32), 3u32);
        let schedules: [Schedule; 3] =
            [within.into(), LinearWarmup::new(0.5, 2u32).into(), OneCycle::new(0.1, 9u32).into()];
        for schedule in schedules {
            let text = serde_json::to_string(&schedule).unwrap();
            assert_eq!(serde_json::from_str::<Schedule>(&text).unwrap(), schedule, "{text}");
            schedule.check_closure().unwrap();
        }
        let closure = CustomSchedule::new(|_| 0.5);
        for schedule in [Schedule::from(closure.clone()), LinearWarmup::new(closure.clone(), 3u32).into()] {
            let text = serde_json::to_string(&schedule).unwrap();
            let found: Schedule = serde_json::from_str(&text).unwrap();
            assert!(schedule.check_closure().is_ok() && found != schedule && found.at(9).is_nan(), "{text}");
            assert!(found.check_closure().unwrap_err().to_string().contains("Model::set_schedule"));
            found.validate().unwrap();
        }
        assert_eq!(closure, closure.clone());
        assert_ne!(closure, CustomSchedule::new(|_| 0.5));
    }

    #[test]
    fn further_settings_without_sense_are_named() {
        let refused = |schedule: Schedule| schedule.validate().unwrap_err().to_string();
        assert!(refused(OneCycle::new(0.1, 1u32).into()).contains("total_steps"));
        assert!(refused(OneCycle::new(0.1, 9u32).pct_start(1.0).into()).contains("pct_start"));
        assert!(refused(OneCycle::new(0.1, 9u32).div_factor(0.0).into()).contains("div_factor"));
        assert!(refused(LinearWarmup::new(0.1, 0u32).into()).contains("warmup_steps"));
        assert!(refused(LinearWarmup::new(-0.1, 3u32).into()).contains("after"));
        assert!(refused(LinearWarmup::new(OneCycle::new(0.1, 1u32), 3u32).into()).contains("total_steps"));
        assert!(refused(CustomSchedule::new(|_| -1.0).into()).contains("closure"));
    }
}
