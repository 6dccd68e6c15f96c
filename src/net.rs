//! What a net is: layers, activations, losses, optimizers and initial numbers as plain data, which can be cloned, compared,
//! serialised and thrown away. Nothing here knows of devices, launches or buffers. A layer is one file of `net/layers`,
//! one of `plan/lower`, and one line in [`for_layers!`](crate::net::layer).

pub(crate) mod activation;
pub(crate) mod constraints;
pub(crate) mod custom_loss;
mod describe;
pub(crate) mod initializers;
pub(crate) mod layer;
pub(crate) mod layers;
pub(crate) mod losses;
pub(crate) mod metrics;
pub(crate) mod optimizers;
pub(crate) mod regularizers;
pub(crate) mod schedules;
pub(crate) mod sequential;
pub(crate) mod shape;
pub(crate) mod tensor;
