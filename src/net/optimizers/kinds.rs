//! The optimizers one by one: settings with Keras's defaults.

use serde::{Deserialize, Serialize};

use super::Clip;
use crate::net::schedules::{LearningRate, Schedule};

macro_rules! optimizer {
    ($(#[$what:meta])* $Name:ident(learning_rate $learning_rate:literal, weight_decay $weight_decay:literal) {
        $($(#[doc = $doc:literal])* $(#[serde($($serde:tt)*)])? $field:ident: $type:ty = $default:expr,)*
    }) => {
        $(#[$what])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $Name {
            /// η, where no schedule says otherwise.
            pub learning_rate: f32,
            $($(#[doc = $doc])* $(#[serde($($serde)*)])? pub $field: $type,)*
            /// The share of a parameter that each update takes off, times the learning rate (decoupled weight decay, on
            /// every parameter, biases too, as in Keras).
            pub weight_decay: f32,
            /// Pieces of names of tensors from which nothing is taken off; none by default.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub exclude_from_weight_decay: Vec<String>,
            /// How gradients are kept from growing; not at all by default.
            pub clip: Clip,
            /// What the learning rate of each batch is; none by default.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub schedule: Option<Schedule>,
            /// Whether an exponential moving average of the weights is kept; false by default.
            #[serde(skip_serializing_if = "is_off")]
            pub use_ema: bool,
            /// How much of itself the average keeps; 0.99 by default.
            #[serde(skip_serializing_if = "is_usual")]
            pub ema_momentum: f32,
            /// After how many updates, time and again, the weights become their average; never by default.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub ema_overwrite_frequency: Option<u32>,
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
                    exclude_from_weight_decay: Vec::new(),
                    clip: Clip::None,
                    schedule: None,
                    use_ema: false,
                    ema_momentum: EMA_MOMENTUM,
                    ema_overwrite_frequency: None,
                    gradient_accumulation_steps: 1,
                }
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

            $($(#[doc = $doc])*
            pub fn $field(self, $field: $type) -> Self {
                $Name { $field, ..self }
            })*

            /// The share of a parameter that each update takes off, times the learning rate.
            pub fn weight_decay(self, weight_decay: f32) -> Self {
                $Name { weight_decay, ..self }
            }

            /// Tensors in whose names any of these occurs are left out of weight decay, as Keras's method of this name has
            /// it: `["bias", "gamma", "beta"]` are all biases and norms, `["dense_0"]` is a layer. Whole names are as
            /// `dense_0.bias`.
            pub fn exclude_from_weight_decay<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
                let exclude_from_weight_decay = names.into_iter().map(Into::into).collect();
                $Name { exclude_from_weight_decay, ..self }
            }

            /// How gradients are kept from growing; not at all by default.
            pub fn clip(self, clip: Clip) -> Self {
                $Name { clip, ..self }
            }

            /// Whether an exponential moving average of the weights is kept: after each batch average ← momentum·average +
            /// (1 − momentum)·w, from the weights after the first update on. `fit` makes it the weights when it has ended, as
            /// in Keras: see [`Fit::average_at_end`](crate::Fit::average_at_end). To look at the model with its averages
            /// before that: [`Model::swap_averages`](crate::Model::swap_averages). False by default.
            pub fn use_ema(self, use_ema: bool) -> Self {
                $Name { use_ema, ..self }
            }

            /// How much of itself the average keeps, from 0 to 1; 0.99 by default.
            pub fn ema_momentum(self, ema_momentum: f32) -> Self {
                $Name { ema_momentum, ..self }
            }

            /// After how many updates, time and again, the weights become their average; `None`, the default, is never.
            pub fn ema_overwrite_frequency(self, ema_overwrite_frequency: impl Into<Option<u32>>) -> Self {
                $Name { ema_overwrite_frequency: ema_overwrite_frequency.into(), ..self }
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

const EMA_MOMENTUM: f32 = 0.99;

fn is_usual(momentum: &f32) -> bool {
    *momentum == EMA_MOMENTUM
}

fn is_off(flag: &bool) -> bool {
    !flag
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
        /// Whether the largest v so far takes the place of v (AMSGrad, Reddi et al. 2018); false by default.
        #[serde(skip_serializing_if = "is_off")]
        amsgrad: bool = false,
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
        /// Whether the largest v so far takes the place of v (AMSGrad, Reddi et al. 2018); false by default.
        #[serde(skip_serializing_if = "is_off")]
        amsgrad: bool = false,
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

optimizer! {
    /// Nadam (Dozat 2016), Adam that looks ahead: μₜ = β₁·(1 − ½·0.96ᵗ), Πₜ = μ₁·…·μₜ, m̂ = μₜ₊₁·m/(1 − Πₜ₊₁) +
    /// (1 − μₜ)·g/(1 − Πₜ), w ← w − η·m̂/(√(v/(1 − β₂ᵗ)) + ε), with Adam's m and v.
    Nadam(learning_rate 1e-3, weight_decay 0.0) {
        /// β₁, how much of the old mean stays; 0.9 by default.
        beta_1: f32 = 0.9,
        /// β₂, how much of the old mean square stays; 0.999 by default.
        beta_2: f32 = 0.999,
        /// ε; 1e-7 by default.
        epsilon: f32 = 1e-7,
    }
}

optimizer! {
    /// Lion (Chen et al. 2023): w ← w − η·sign(β₁·m + (1 − β₁)·g), m ← β₂·m + (1 − β₂)·g. Each number moves by η: take a
    /// learning rate that is three to ten times smaller than Adam's, and a larger weight decay.
    Lion(learning_rate 1e-3, weight_decay 0.0) {
        /// β₁, the share of the mean in the direction; 0.9 by default.
        beta_1: f32 = 0.9,
        /// β₂, how much of the old mean stays; 0.99 by default.
        beta_2: f32 = 0.99,
    }
}

optimizer! {
    /// Adamax (Kingma & Ba 2014): u ← max(β₂·u, |g|), w ← w − η/(1 − β₁ᵗ)·m/(u + ε), with Adam's m.
    Adamax(learning_rate 1e-3, weight_decay 0.0) {
        /// β₁, how much of the old mean stays; 0.9 by default.
        beta_1: f32 = 0.9,
        /// β₂, how much of the old largest gradient stays; 0.999 by default.
        beta_2: f32 = 0.999,
        /// ε; 1e-7 by default.
        epsilon: f32 = 1e-7,
    }
}

optimizer! {
    /// Adadelta (Zeiler 2012): s ← ρ·s + (1 − ρ)·g², δ = √(d + ε)·g/√(s + ε), d ← ρ·d + (1 − ρ)·δ², w ← w − η·δ. The
    /// paper has η = 1.
    Adadelta(learning_rate 1e-3, weight_decay 0.0) {
        /// ρ, how much of the old mean squares stays; 0.95 by default.
        rho: f32 = 0.95,
        /// ε; 1e-7 by default.
        epsilon: f32 = 1e-7,
    }
}

optimizer! {
    /// Ftrl (McMahan et al. 2013), with p = −learning_rate_power and q(n) = nᵖ/η: n' = n + g²,
    /// z ← z + g + 2·l2_shrinkage·w − (q(n') − q(n))·w, w ← (clip(z, ±l1) − z)/(q(n') + 2·l2 + beta/η). A kernel that was drawn
    /// is mostly forgotten in the first update, as z starts at 0. Where nothing is to divide by w stays; Keras makes NaN.
    Ftrl(learning_rate 1e-3, weight_decay 0.0) {
        /// The power of n, at most 0; −0.5 by default.
        learning_rate_power: f32 = -0.5,
        /// Where n starts; 0.1 by default.
        initial_accumulator_value: f32 = 0.1,
        /// L1, which makes numbers exactly zero; 0 by default.
        l1_regularization_strength: f32 = 0.0,
        /// L2; 0 by default.
        l2_regularization_strength: f32 = 0.0,
        /// L2 that acts on the gradient alone; 0 by default.
        l2_shrinkage_regularization_strength: f32 = 0.0,
        /// β of the paper; 0 by default.
        beta: f32 = 0.0,
    }
}
