//! The layers, one file each. What there is stands in the list of `net/layer.rs`.

mod activation;
mod dense;
mod flatten;
mod rescaling;

pub use activation::ActivationLayer;
pub use dense::Dense;
pub use flatten::Flatten;
pub use rescaling::Rescaling;
