//! The layers, one file each. What there is stands in the list of `net/layer.rs`.

mod activation;
mod augmentation;
mod batch_normalization;
mod dense;
mod dropout;
mod flatten;
mod gaussian_noise;
mod layer_normalization;
mod norm;
mod prelu;
mod rescaling;

pub use activation::ActivationLayer;
pub(crate) use augmentation::MAX_NODES;
pub use augmentation::{Augmentation, FillMode};
pub use batch_normalization::BatchNormalization;
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use gaussian_noise::GaussianNoise;
pub use layer_normalization::LayerNormalization;
pub use prelu::Prelu;
pub use rescaling::Rescaling;
