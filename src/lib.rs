//! wgrad

mod callbacks;
mod checkpoint;
mod clock;
mod cpu;
pub mod data;
mod device;
mod embed;
mod error;
mod executor;
#[cfg(feature = "native")]
mod files;
mod history;
mod init;
pub mod kernels;
mod layers;
mod losses;
mod metrics;
mod model;
mod optimizers;
mod parameters;
mod plan;
mod profile;
mod random;
mod sequential;
pub mod shader;
mod step;
mod train;
mod verify;

pub use callbacks::{Event, StepRecord};
pub use data::{Dataset, mnist};
pub use device::{Device, DeviceInfo, DeviceKind, devices};
pub use embed::{BufferView, Predictor, Trainer};
pub use error::{Error, Result};
pub use history::{EpochRecord, History};
pub use init::Initializer;
pub use layers::{Activation, Dense};
pub use losses::{Loss, LossFunction};
pub use metrics::Score;
pub use model::Model;
pub use optimizers::{Adagrad, Adam, AdamW, Clip, Optimizer, RmsProp, Sgd};
pub use profile::LaunchProfile;
pub use sequential::{Sequential, Shape};
pub use step::StepBlock;
pub use train::{Fit, MAX_BATCH_SIZE, Samples};
pub use verify::Verification;
pub use wgpu;
