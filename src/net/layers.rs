//! The layers, one file each. What there is stands in the list of `net/layer.rs`.

mod activation;
mod batch_normalization;
mod dense;
mod dropout;
mod flatten;
mod layer_normalization;
mod norm;
mod rescaling;

pub use activation::ActivationLayer;
pub use batch_normalization::BatchNormalization;
pub use dense::Dense;
pub use dropout::Dropout;
pub use flatten::Flatten;
pub use layer_normalization::LayerNormalization;
pub use rescaling::Rescaling;
