//! The user's guide: one chapter a module, to be read here. There is no code in this module.
//!
//! The chapters can be read in any order; the first two are enough to train a net on data of your own.
//!
//! | chapter | what it answers |
//! | --- | --- |
//! | [`data`] | How do my samples become a data set? What if they do not fit in memory? Where does MNIST come from? |
//! | [`training`] | How do I describe a net, train it, measure it and use it? Which losses and optimizers are there? |
//! | [`callbacks`] | How do I watch a training, and stop it early? |
//! | [`keras`] | What is this word of Keras's here? |
//! | [`saving`] | How do I save and load a model, or resume a training? What is in the file? |
//! | [`devices`] | What runs where? How is a device chosen? What is kept on disk? |
//! | [`embedding`] | How does a program with its own wgpu device train and predict on it? |
//! | [`half_precision`] | What are 16-bit activations and matrix units, and how are they switched on? |
//! | [`tuning`] | How does a GPU find its fastest matrix products? Where does a step's time go? |
//! | [`reproducibility`] | When do two runs give the same numbers? |
//! | [`errors`] | What can go wrong, and how is it reported? |
//!
//! Every example is a test that runs on the CPU device, or says that it needs a GPU. The digits in them are drawn by
//! the crate itself ([`data::synthetic`](crate::data::synthetic)), so that nothing needs a file or a network.

#[doc = include_str!("guide/callbacks.md")]
pub mod callbacks {}
#[doc = include_str!("guide/data.md")]
pub mod data {}
#[doc = include_str!("guide/devices.md")]
pub mod devices {}
#[doc = include_str!("guide/embedding.md")]
pub mod embedding {}
#[doc = include_str!("guide/errors.md")]
pub mod errors {}
#[doc = include_str!("guide/half_precision.md")]
pub mod half_precision {}
#[doc = include_str!("guide/keras.md")]
pub mod keras {}
#[doc = include_str!("guide/reproducibility.md")]
pub mod reproducibility {}
#[doc = include_str!("guide/saving.md")]
pub mod saving {}
#[doc = include_str!("guide/training.md")]
pub mod training {}
#[doc = include_str!("guide/tuning.md")]
pub mod tuning {}
