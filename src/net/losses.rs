//! Losses as plain data: which there are, their settings, and what each asks of a net and of targets. Their formulas are in
//! `kernels/parts/loss.rs`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::custom_loss::CustomLoss;
use crate::error::{Error, Result};

/// What training makes small: Keras's losses, with y the outputs of the net and t the targets. Each is a mean over the
/// batch, and, where nothing else is said, over the outputs of a row.
///
/// Targets may be class ids (then they stand for one-hot rows) or rows of numbers. Written as text, losses have Keras's
/// names, its short ones (`mse`) and those of its classes (`MeanSquaredError`) included; a loss that is read from text has
/// Keras's settings.
///
/// ```
/// use wgrad::Loss;
///
/// let smoothed = Loss::CategoricalCrossentropy.label_smoothing(0.1);
/// let from_scores = Loss::BinaryCrossentropy.from_logits();
/// let robust = Loss::Huber { delta: 0.5 };
/// assert_eq!("mse".parse::<Loss>()?, Loss::MeanSquaredError);
/// assert_eq!("huber".parse::<Loss>()?, Loss::Huber { delta: 1.0 });
/// assert_eq!(robust.to_string(), "huber");
/// # let _ = (smoothed, from_scores);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Loss {
    /// −Σ t·log p over the classes. The model ends in softmax, or says [`from_logits`](Loss::from_logits); either way the
    /// loss is computed from the logits, and is finite for logits of any size.
    CategoricalCrossentropy,
    /// −(t·log p + (1 − t)·log(1 − p)). The model ends in sigmoid, or says [`from_logits`](Loss::from_logits), and the loss
    /// is computed from the logits. Accuracy asks on which side of one half the one output lies; with several outputs, as in
    /// Keras, whether the largest stands where the largest target does.
    BinaryCrossentropy,
    /// −α·Σ t·(1 − p)^γ·log p over the classes: cross-entropy that cares less for what is right already. The model ends as
    /// for [`CategoricalCrossentropy`](Loss::CategoricalCrossentropy), and the loss is computed from the logits.
    CategoricalFocalCrossentropy {
        /// α, by which all is multiplied, not below 0; 0.25 in Keras.
        alpha: f32,
        /// γ, not below 0; 2 in Keras. With 0 and an α of 1 this is categorical cross-entropy.
        gamma: f32,
    },
    /// (1 − t·p − (1 − t)·(1 − p))^γ times binary cross-entropy. The model ends as for
    /// [`BinaryCrossentropy`](Loss::BinaryCrossentropy), and the loss is computed from the logits.
    BinaryFocalCrossentropy {
        /// The weight α of class 1 from 0 to 1, that of class 0 being 1 − α: what Keras calls `alpha`, 0.25 there, where
        /// `apply_class_balancing` is true. `None`, Keras's default, for no weights.
        alpha: Option<f32>,
        /// γ, not below 0; 2 in Keras. With 0 this is binary cross-entropy.
        gamma: f32,
    },
    /// Kullback and Leibler's divergence Σ t·log(t/y), summed over the outputs, t and y limited to 10⁻⁷ … 1. The model ends
    /// in softmax or anything else that makes probabilities.
    KlDivergence,
    /// y − t·log(y + 10⁻⁷), for counts. The outputs must not be negative: end in softplus, for example.
    Poisson,
    /// (y − t)².
    MeanSquaredError,
    /// |y − t|.
    MeanAbsoluteError,
    /// 100·|y − t| / |t|, where |t| counts as 10⁻⁷ at least.
    MeanAbsolutePercentageError,
    /// (log(1 + y) − log(1 + t))², where both count as 10⁻⁷ at least.
    MeanSquaredLogarithmicError,
    /// (y − t)²/2 where |y − t| is at most δ, δ·|y − t| − δ²/2 beyond.
    Huber {
        /// δ, above 0; 1 in Keras.
        delta: f32,
    },
    /// log cosh(y − t): a square near zero, and the absolute error less log 2 far from it.
    LogCosh,
    /// max(1 − t·y, 0), with targets of −1 and 1; 0 counts as −1. The model ends in tanh or linear. Accuracy asks for the
    /// sign of the one output.
    Hinge,
    /// max(1 − t·y, 0)², with targets as for [`Hinge`](Loss::Hinge).
    SquaredHinge,
    /// max(max (1 − t)·y − Σ t·y + 1, 0), maximum and sum over the classes.
    CategoricalHinge,
    /// The cosine of the angle between targets and outputs, made negative: −Σ t·y / (‖t‖·‖y‖), where a norm counts as 10⁻⁷
    /// at least. From −1, the same direction, to 1, the opposite one.
    CosineSimilarity,
    /// One of your own, which text holds the name of alone.
    Custom(CustomLoss),
}

/// What a loss's targets are: which numbers make sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Shares of several classes, from 0 to 1, whose sum is 1. Class ids stand for such rows.
    Distribution,
    /// Probabilities, one by one.
    Probabilities,
    /// −1 and 1, or 0 and 1.
    Signs,
    /// Numbers that are not negative.
    NotNegative,
    /// Any number.
    Numbers,
}

/// What is to be known of a loss, but its formula.
struct Traits {
    /// Keras's name.
    name: &'static str,
    /// What Keras calls it as well.
    other_names: &'static [&'static str],
    /// See [`Loss::activation`].
    activation: Option<Activation>,
    targets: Wanted,
    /// See [`Loss::threshold`].
    threshold: Option<f32>,
}

impl Loss {
    /// What Keras calls [`Loss::CategoricalCrossentropy`] of class ids. Here the data set says whether its targets are ids
    /// ([`Dataset::from_classes`](crate::Dataset::from_classes)) or rows.
    ///
    /// ```
    /// assert_eq!(wgrad::Loss::SparseCategoricalCrossentropy, wgrad::Loss::CategoricalCrossentropy);
    /// ```
    #[allow(non_upper_case_globals, reason = "it is written as the variant is that it stands for")]
    pub const SparseCategoricalCrossentropy: Loss = Loss::CategoricalCrossentropy;

    /// Every loss of this crate, with Keras's settings.
    pub const ALL: [Loss; 16] = [
        Loss::CategoricalCrossentropy,
        Loss::BinaryCrossentropy,
        Loss::CategoricalFocalCrossentropy { alpha: 0.25, gamma: 2.0 },
        Loss::BinaryFocalCrossentropy { alpha: None, gamma: 2.0 },
        Loss::KlDivergence,
        Loss::Poisson,
        Loss::MeanSquaredError,
        Loss::MeanAbsoluteError,
        Loss::MeanAbsolutePercentageError,
        Loss::MeanSquaredLogarithmicError,
        Loss::Huber { delta: 1.0 },
        Loss::LogCosh,
        Loss::Hinge,
        Loss::SquaredHinge,
        Loss::CategoricalHinge,
        Loss::CosineSimilarity,
    ];

    /// A row a loss.
    fn traits(self) -> Traits {
        use Wanted::{Distribution, NotNegative, Numbers, Probabilities, Signs};
        let of_logits = |name, other_names, activation, targets, threshold| Traits {
            name,
            other_names,
            activation: Some(activation),
            targets,
            threshold,
        };
        let of_outputs =
            |name, other_names, targets, threshold| Traits { name, other_names, activation: None, targets, threshold };
        let (softmax, sigmoid, middle) = (Activation::Softmax, Activation::Sigmoid, Some(0.5));
        match self {
            Loss::CategoricalCrossentropy => of_logits(
                "categorical_crossentropy",
                &["sparse_categorical_crossentropy"], // Targets say whether they are class ids.
                softmax,
                Distribution,
                None,
            ),
            Loss::CategoricalFocalCrossentropy { .. } => {
                of_logits("categorical_focal_crossentropy", &[], softmax, Distribution, None)
            }
            Loss::BinaryCrossentropy => of_logits("binary_crossentropy", &["bce"], sigmoid, Probabilities, Some(0.0)),
            Loss::BinaryFocalCrossentropy { .. } => {
                of_logits("binary_focal_crossentropy", &[], sigmoid, Probabilities, Some(0.0))
            }
            Loss::KlDivergence => {
                of_outputs("kl_divergence", &["kld", "kullback_leibler_divergence"], Distribution, None)
            }
            Loss::Poisson => of_outputs("poisson", &[], NotNegative, middle),
            Loss::MeanSquaredError => of_outputs("mean_squared_error", &["mse"], Numbers, middle),
            Loss::MeanAbsoluteError => of_outputs("mean_absolute_error", &["mae"], Numbers, middle),
            Loss::MeanAbsolutePercentageError => {
                of_outputs("mean_absolute_percentage_error", &["mape"], Numbers, middle)
            }
            Loss::MeanSquaredLogarithmicError => {
                of_outputs("mean_squared_logarithmic_error", &["msle"], NotNegative, middle)
            }
            Loss::Huber { .. } => of_outputs("huber", &["huber_loss"], Numbers, middle),
            Loss::LogCosh => of_outputs("log_cosh", &[], Numbers, middle),
            Loss::Hinge => of_outputs("hinge", &[], Signs, Some(0.0)),
            Loss::SquaredHinge => of_outputs("squared_hinge", &[], Signs, Some(0.0)),
            Loss::CategoricalHinge => of_outputs("categorical_hinge", &[], Distribution, None),
            Loss::CosineSimilarity => of_outputs("cosine_similarity", &[], Numbers, None),
            Loss::Custom(custom) => of_outputs(custom.name, &[], Numbers, middle),
        }
    }

    /// Softens the targets by a share s from 0, the default, up to, not including, 1: t·(1 − s) + s/classes, or t·(1 −
    /// s) + s/2 for the binary ones, as in Keras. Only training sees it, so that evaluation measures the targets
    /// themselves; Keras's `evaluate` smooths too. The losses that have it are the cross-entropies, focal ones included.
    pub fn label_smoothing(self, smoothing: f32) -> LossFunction {
        LossFunction { label_smoothing: smoothing, ..self.into() }
    }

    /// Says that a linear output gives logits, so that a cross-entropy may follow it; `predict` then returns logits.
    pub fn from_logits(self) -> LossFunction {
        LossFunction { from_logits: true, ..self.into() }
    }

    /// The activation before the loss that it takes upon itself: it is computed from the logits, in one stable formula.
    pub(crate) fn activation(self) -> Option<Activation> {
        self.traits().activation
    }

    /// Which targets make sense.
    pub(crate) fn targets(self) -> Wanted {
        self.traits().targets
    }

    /// Above what an only output answers yes, of what the loss is computed from; `None` where the largest of several
    /// outputs is the answer.
    pub(crate) fn threshold(self) -> Option<f32> {
        self.traits().threshold
    }

    /// Whether rows of targets name classes, so that answers can be right or wrong.
    pub(crate) fn classifies(self) -> bool {
        !matches!(self.targets(), Wanted::NotNegative | Wanted::Numbers)
    }

    /// Among how many targets label smoothing spreads what it takes, of a row of so many outputs.
    pub(crate) fn smoothing_sharers(self, outputs: usize) -> usize {
        if self.activation() == Some(Activation::Sigmoid) { 2 } else { outputs }
    }

    fn validate(self) -> Result<()> {
        let check = |setting: &str, value: f32, range: std::ops::RangeInclusive<f32>, expected: &str| {
            let fits = range.contains(&value);
            if fits { Ok(()) } else { Err(Error::configuration(format!("{setting} of {self}"), expected, value)) }
        };
        let not_negative = |setting, value| check(setting, value, 0.0..=f32::MAX, "a number that is not negative");
        match self {
            Loss::CategoricalFocalCrossentropy { alpha, gamma } => {
                not_negative("alpha", alpha)?;
                not_negative("gamma", gamma)
            }
            Loss::BinaryFocalCrossentropy { alpha, gamma } => {
                check("alpha", alpha.unwrap_or(0.0), 0.0..=1.0, "a number from 0 to 1")?;
                not_negative("gamma", gamma)
            }
            Loss::Huber { delta } => check("delta", delta, f32::MIN_POSITIVE..=f32::MAX, "a positive number"),
            Loss::Custom(custom) => custom.check_present(),
            _ => Ok(()),
        }
    }
}

/// A [`Loss`] with its options.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossFunction {
    /// Which loss.
    pub loss: Loss,
    /// The share that is taken off the right class and spread over all; 0 by default.
    pub label_smoothing: f32,
    /// Whether a linear output counts as logits.
    pub from_logits: bool,
}

impl LossFunction {
    /// See [`Loss::label_smoothing`].
    pub fn label_smoothing(self, smoothing: f32) -> Self {
        LossFunction { label_smoothing: smoothing, ..self }
    }

    /// See [`Loss::from_logits`].
    pub fn from_logits(self) -> Self {
        LossFunction { from_logits: true, ..self }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        self.loss.validate()?;
        let of_logits = self.loss.activation().is_some();
        if !of_logits && self.label_smoothing != 0.0 {
            return Err(Error::configuration("label smoothing", "a cross-entropy", self.loss));
        }
        if !of_logits && self.from_logits {
            let expected = "a cross-entropy, which alone is computed from logits";
            return Err(Error::configuration("from_logits", expected, self.loss));
        }
        if (0.0..1.0).contains(&self.label_smoothing) {
            return Ok(());
        }
        Err(Error::configuration("label smoothing", "a share from 0 up to, not including, 1", self.label_smoothing))
    }
}

impl From<Loss> for LossFunction {
    fn from(loss: Loss) -> Self {
        LossFunction { loss, label_smoothing: 0.0, from_logits: false }
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        // Keras's classes have the names of its functions in another spelling.
        let plain = |name: &str| name.replace('_', "").to_ascii_lowercase();
        let wanted = plain(name);
        let is_it = |loss: &Loss| {
            let Traits { name, other_names, .. } = loss.traits();
            std::iter::once(&name).chain(other_names).any(|known| plain(known) == wanted)
        };
        Loss::ALL.into_iter().find(is_it).ok_or_else(|| {
            let names: Vec<_> = Loss::ALL.iter().map(ToString::to_string).collect();
            let expected = format!("one of {}", names.join(", "));
            Error::configuration("loss", expected, format!("{name:?}"))
        })
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.traits().name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_keras_is_read() {
        for loss in Loss::ALL {
            assert_eq!(loss.to_string().parse::<Loss>().unwrap(), loss);
            // What files say is the name too, and the settings beside it.
            let text = serde_json::to_string(&loss).unwrap();
            assert!(text.contains(&format!("\"{loss}\"")), "{text}");
            assert_eq!(serde_json::from_str::<Loss>(&text).unwrap(), loss);
        }
        let names = [
            ("sparse_categorical_crossentropy", Loss::CategoricalCrossentropy),
            ("SparseCategoricalCrossentropy", Loss::CategoricalCrossentropy),
            ("bce", Loss::BinaryCrossentropy),
            ("MSE", Loss::MeanSquaredError),
            ("mae", Loss::MeanAbsoluteError),
            ("mape", Loss::MeanAbsolutePercentageError),
            ("msle", Loss::MeanSquaredLogarithmicError),
            ("kld", Loss::KlDivergence),
            ("KLDivergence", Loss::KlDivergence),
            ("kullback_leibler_divergence", Loss::KlDivergence),
            ("logcosh", Loss::LogCosh),
            ("LogCosh", Loss::LogCosh),
            ("huber_loss", Loss::Huber { delta: 1.0 }),
        ];
        names.into_iter().for_each(|(name, loss)| assert_eq!(name.parse::<Loss>().unwrap(), loss, "{name}"));
        let refused = "cross entropy".parse::<Loss>().unwrap_err().to_string();
        assert!(refused.contains("categorical_crossentropy, binary_crossentropy"), "{refused}");
    }

    #[test]
    fn settings_are_checked() {
        let refused = |loss: LossFunction| loss.validate().unwrap_err().to_string();
        let huber = |delta| refused(Loss::Huber { delta }.into());
        assert_eq!(huber(0.0), "delta of huber: expected a positive number, found 0");
        assert_eq!(huber(f32::NAN), "delta of huber: expected a positive number, found NaN");
        let focal = refused(Loss::BinaryFocalCrossentropy { alpha: Some(1.5), gamma: 2.0 }.into());
        assert_eq!(focal, "alpha of binary_focal_crossentropy: expected a number from 0 to 1, found 1.5");
        let focal = refused(Loss::CategoricalFocalCrossentropy { alpha: 0.25, gamma: -1.0 }.into());
        assert!(focal.starts_with("gamma of categorical_focal_crossentropy: expected a number that is not"), "{focal}");
        let smoothed = refused(Loss::Hinge.label_smoothing(0.1));
        assert_eq!(smoothed, "label smoothing: expected a cross-entropy, found hinge");
        let logits = refused(Loss::Poisson.from_logits());
        assert!(logits.starts_with("from_logits: expected a cross-entropy"), "{logits}");
        Loss::ALL.into_iter().for_each(|loss| LossFunction::from(loss).validate().unwrap());
    }
}
