//! What the operations' tests share: devices and trials (`devices`), seeded numbers (`random`), the arguments of a launch
//! (`arrays`), one launch against its reference (`case`), and what the products, losses and updates have in common.
//!
//! # Bounds
//! A result passes if |found − reference| ≤ bound, the bound being argued beside each operation from [`UNIT`] and the
//! length of its sums. The reference runs in f64 on the same f32 inputs, so its own error does not count.

pub mod arrays;
pub mod case;
mod devices;
pub mod half;
pub mod losses;
pub mod norms;
pub mod products;
pub mod random;
pub mod updates;

pub use arrays::{Array, Output, POISON};
pub use case::Case;
pub use devices::{Trials, alone, pipelines_made};
pub use random::Random;

use wgrad::kernels::update::TENSOR_ENTRY;
use wgrad::{Activation, StepBlock};

/// Half the distance from 1 to the next f32: the relative error of one correctly rounded operation.
pub const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// What the exponential adds to a result of the size of one. WGSL allows exp an error of 3 + 2·|x| units in the last
/// place; where |x| is large, the exponential (of −|x|) is small, and the product stays below 8·2⁻²³.
pub const EXPONENTIAL: f64 = 16.0 * UNIT;

/// The error of WGSL's log: 2⁻²¹ where the argument is near one, 3 units in the last place elsewhere. What the argument's
/// own relative error adds comes on top.
pub const LOGARITHM: f64 = 8.0 * UNIT;

/// The error of a sum of `terms` products, relative to the sum of their absolute values. The worst case is terms · u; of
/// rounding errors that are independent a sum in any order stays below λ·√terms·u with probability 1 − 2·exp(−λ²/2) a
/// step (Higham and Mary 2019), and λ = 6 leaves no failure in a lifetime of runs, but shows a term that is left out
/// of thousands. The 4 is for what is done to a sum afterwards: a bias, a factor, a quotient.
pub fn sum_error(terms: usize) -> f64 {
    let terms = terms as f64;
    (terms.min(6.0 * terms.sqrt()) + 4.0) * UNIT
}

/// Rows of a batch: one, primes, and both neighbours of a power of two.
pub const BATCHES: [usize; 8] = [1, 2, 3, 5, 7, 127, 128, 129];

/// Features of a row: every remainder of four, ten classes, both neighbours of vector and tile edges, MNIST's 784.
pub const COLUMNS: [usize; 12] = [1, 2, 3, 4, 5, 10, 31, 33, 64, 65, 127, 784];

/// Every activation of one number, with the slopes and scales that have their own meaning.
pub const ACTIVATIONS: [(&str, Activation); 24] = [
    ("linear", Activation::Linear),
    ("relu", Activation::Relu),
    ("leaky_relu_0.2", Activation::LeakyRelu(0.2)),
    ("leaky_relu_0.01", Activation::LeakyRelu(0.01)),
    ("leaky_relu_1.5", Activation::LeakyRelu(1.5)),
    ("elu_1", Activation::Elu(1.0)),
    ("elu_0.3", Activation::Elu(0.3)),
    ("sigmoid", Activation::Sigmoid),
    ("tanh", Activation::Tanh),
    ("silu", Activation::Silu),
    ("gelu", Activation::Gelu),
    ("softplus", Activation::Softplus),
    ("gelu_exact", Activation::GeluExact),
    ("relu6", Activation::RELU6),
    // The threshold above zero and below, a limit that half precision does not hold, and none.
    ("relu_with_0.5", Activation::ReluWith { negative_slope: 0.1, max_value: Some(1.3), threshold: 0.5 }),
    ("relu_with_0.7", Activation::ReluWith { negative_slope: 1.5, max_value: None, threshold: 0.7 }),
    ("selu", Activation::Selu),
    ("celu_0.4", Activation::Celu(0.4)),
    ("softsign", Activation::Softsign),
    ("hard_sigmoid", Activation::HardSigmoid),
    ("hard_tanh", Activation::HardTanh),
    ("hard_silu", Activation::HardSilu),
    ("mish", Activation::Mish),
    ("exponential", Activation::Exponential),
];

/// A step block for a batch of this many rows; what an operation does not read has values that would show.
pub fn step_of(rows: usize) -> StepBlock {
    let rows = rows as u32;
    StepBlock {
        iteration: 7,
        batch: 9,
        position: 3,
        rows,
        samples: 2 * rows + 11,
        batch_size: rows,
        slot: 5,
        ..base_step()
    }
}

/// A tensor's entry in the tensor table, from L2, weight decay, trained, clipping factor and L1; what is not used would show.
pub fn tensor_entry([l2, decay, trained, factor, l1, rate]: [f32; 6]) -> [f32; TENSOR_ENTRY] {
    [l2, decay, trained, factor, l1, rate, f32::NAN, f32::NAN]
}

/// A learning rate that f32 cannot hold exactly, and β powers of the third step.
fn base_step() -> StepBlock {
    StepBlock { learning_rate: 0.1, beta_1_power: 0.729, beta_2_power: 0.997_003, warmup: 0.85, ..StepBlock::default() }
}

/// The batches of a shape with the capacities that their launches are made for: the batch itself, and once more rows.
pub fn batches() -> impl Iterator<Item = (usize, usize)> {
    BATCHES.iter().map(|&rows| (rows, rows)).chain([(5, 134), (126, 129)])
}
