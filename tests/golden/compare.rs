//! How close a replay must come to what was recorded, whatever the format of the case.

use wgrad::Model;

use crate::case::{Tensor, Tensors};

/// How close a replay must come.
pub struct Tolerance {
    pub loss_relative: f64,
    pub loss_absolute: f64,
    pub outputs: f64,
    pub accuracy: f64,
    pub weights: f64,
}

/// These are what the recordings' README asks for. Two Keras backends differ by 3e-7 in a step's loss and 5e-7 in the
/// weights on the short cases: f32 rounding. A driver's `exp` and `log` are not exact (1.2e-6 on lavapipe), which gives
/// the outputs their 1e-5. The weights' bound is wide because a near-zero gradient may flip its sign, and RMSprop
/// divides by its size.
pub const TOLERANCE: Tolerance =
    Tolerance { loss_relative: 1e-5, loss_absolute: 2e-6, outputs: 1e-5, accuracy: 1e-6, weights: 1e-3 };

/// For half precision, against Keras's trainings in single. Rounding to 11 bits changes every activation and every
/// gradient by up to 2⁻¹¹ = 5e-4 of its size, at random, so losses differ by about that at first (measured: 1e-6 to
/// 6e-4), and drift apart as trainings do (1e-3, over 100 steps of the tutorial's net 9e-3): 2e-2 is twice the most.
/// The weights' way is off by more where the gradients' signs decide, as in the first steps of RMSprop and with
/// momentum (3e-2). An output is off by what its logits are, at most a quarter of that; one answer of 200 may change.
pub const HALF_TOLERANCE: Tolerance =
    Tolerance { loss_relative: 2e-2, loss_absolute: 1e-4, outputs: 1e-2, accuracy: 0.006, weights: 6e-2 };

/// Steps beyond which rounding has flipped single ReLUs, so that two Keras backends drift apart from each other.
pub const COMPARABLE_STEPS: usize = 100;

impl Tolerance {
    /// How far a loss may be from what Keras has.
    pub fn loss(&self, expected: f64) -> f64 {
        self.loss_relative * expected.abs() + self.loss_absolute
    }

    /// The loss of every step.
    pub fn step_losses(&self, found: &[f64], expected: &[f64]) -> Result<(), String> {
        if found.len() != expected.len() {
            return Err(format!("{} steps were made, Keras made {}", found.len(), expected.len()));
        }
        for (step, (&found, &expected)) in found.iter().zip(expected).enumerate().take(COMPARABLE_STEPS) {
            near(&format!("loss of step {step}"), found, expected, self.loss(expected))?;
        }
        Ok(())
    }

    /// Every output.
    pub fn outputs(&self, found: &[f32], expected: &[f32]) -> Result<(), String> {
        if found.len() != expected.len() {
            return Err(format!("{} outputs, Keras has {}", found.len(), expected.len()));
        }
        let mut pairs = found.iter().zip(expected).enumerate();
        pairs.try_for_each(|(index, (&found, &expected))| {
            near(&format!("output {index}"), found.into(), expected.into(), self.outputs)
        })
    }

    /// ‖W − W'‖ against the way the weights have come, ‖W' − W₀‖. What Keras left as it was must be the same to the
    /// bit.
    pub fn weights(&self, name: &str, tensors: &Tensors, model: &Model) -> Result<(), String> {
        let (initial, expected) = (tensors.get(&format!("initial/{name}"))?, tensors.get(&format!("final/{name}"))?);
        let found = model.parameter(name).map_err(|error| error.to_string())?;
        if found.len() != expected.values.len() || initial.shape != expected.shape {
            let shapes = (&initial.shape, &expected.shape);
            return Err(format!("{name}: {} numbers, Keras has shapes {shapes:?}", found.len()));
        }
        let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
        if bits(&initial.values) == bits(&expected.values) {
            let same = bits(&found) == bits(&initial.values);
            return if same { Ok(()) } else { Err(format!("{name} has changed, Keras left it as it was")) };
        }
        let (apart, way) = (distance(&found, &expected.values), way(initial, expected));
        let close = apart <= self.weights * way;
        if close { Ok(()) } else { Err(format!("{name} is {apart:e} apart after a way of {way:e}")) }
    }
}

/// Whether a number is what Keras has, to a bound.
pub fn near(what: &str, found: f64, expected: f64, bound: f64) -> Result<(), String> {
    // NaN is not near anything.
    if (found - expected).abs() <= bound {
        return Ok(());
    }
    Err(format!("{what}: {found}, Keras has {expected}, at most {bound:e} apart"))
}

/// How far training has moved a tensor.
pub fn way(initial: &Tensor, last: &Tensor) -> f64 {
    distance(&initial.values, &last.values)
}

fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}
