//! wgrad trains dense neural networks with WGSL compute shaders, on the GPUs that [`wgpu`] reaches, and has
//! a CPU device that runs the same plan of launches. The vocabulary (layers, losses, `compile`, `fit`) and the defaults
//! are those of Keras 3.
//!
//! A [`Sequential`] describes a net; [`compile`](Sequential::compile) checks it, puts it on a [`Device`] with an
//! optimizer and a loss, and returns the [`Model`] that can be trained:
//!
//! ```no_run
//! use wgrad::{mnist, Activation, Dense, Device, Fit, Loss, RmsProp, Sequential};
//!
//! fn main() -> wgrad::Result<()> {
//!     let device = Device::best()?;
//!     let data = mnist::load()?;
//!     let mut model = Sequential::new(mnist::PIXELS)
//!         .add(Dense::new(512).activation(Activation::Relu))
//!         .add(Dense::new(10).activation(Activation::Softmax))
//!         .compile(&device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
//!     model.fit(&data.train, Fit::new().epochs(5).batch_size(128))?;
//!     println!("{} on {}", model.evaluate(&data.test)?, device.info());
//!     model.save("mnist.safetensors")
//! }
//! ```
//!
//! (It reads 60,000 images, from a directory, the cache or the network, see [`mnist::load`], so it is compiled with the
//! tests, but not run.)
//!
//! # The guide
//!
//! The module [`guide`] is the user's guide. Its chapters: [`guide::data`], [`guide::training`], [`guide::callbacks`],
//! [`guide::saving`], [`guide::devices`], [`guide::embedding`], [`guide::half_precision`], [`guide::tuning`],
//! [`guide::reproducibility`], [`guide::errors`]. Their examples are run as tests.
//!
//! # Features
//!
//! `native` (default): files, threads and a clock. `download` (default, implies `native`): [`mnist::load`] may fetch
//! MNIST over HTTPS. Without both there are no file paths to open, one thread computes, and seconds are reported as 0.

mod blocking;
#[cfg(feature = "native")]
mod cache;
mod callbacks;
mod checkpoint;
mod clock;
mod cpu;
pub mod data;
mod device;
mod digest;
mod embed;
mod error;
mod executor;
#[cfg(feature = "native")]
mod files;
#[cfg(all(feature = "native", any(test, fuzzing)))]
#[doc(hidden)]
pub mod fuzzing;
pub mod guide;
mod inspect;
pub mod kernels;
mod launch;
mod layout;
mod memory;
mod model;
mod net;
mod plan;
mod random;
mod records;
pub mod shader;
mod snapshot;
mod step;
mod train;

pub use callbacks::{
    Callback, EarlyStopping, KeepBest, Monitor, OnEpochEnd, ReduceLrOnPlateau, TerminateAfter, Training,
};
#[cfg(feature = "native")]
pub use callbacks::{Checkpoint, CsvLog, JsonLines};
pub use cpu::machine::InstructionSet;
pub use data::{AnyDataset, Dataset, Samples, StreamedDataset, mnist};
#[cfg(feature = "native")]
pub use device::DeviceOptions;
pub use device::{Device, DeviceInfo, DeviceKind, devices};
pub use embed::{BufferView, Predictor, Trainer};
pub use error::{Error, Result};
pub use inspect::LaunchProfile;
#[cfg(feature = "native")]
pub use inspect::doctor;
#[cfg(feature = "native")]
pub use inspect::{Candidate, TunedProduct, Tuning};
pub use kernels::product::cooperative::CooperativeMatrix;
pub use kernels::storage::Precision;
pub use model::Model;
pub use model::binding::MAX_BATCH_SIZE;
pub use net::activation::Activation;
pub use net::constraints::Constraint;
pub use net::custom_loss::{CustomLoss, RowFormula};
pub use net::initializers::Initializer;
pub use net::layer::Layer;
pub use net::layers::{
    ActivationLayer, Augmentation, BatchNormalization, Dense, Dropout, FillMode, Flatten, GaussianNoise,
    LayerNormalization, Prelu, Rescaling,
};
pub use net::losses::{Loss, LossFunction};
pub use net::metrics::{Average, Metric};
pub use net::optimizers::{Adadelta, Adagrad, Adam, AdamW, Adamax, Clip, Ftrl, Lion, Nadam, Optimizer, RmsProp, Sgd};
pub use net::regularizers::Regularizer;
pub use net::schedules::{
    CosineDecay, CosineDecayRestarts, CustomSchedule, ExponentialDecay, InverseTimeDecay, LearningRate, LinearWarmup,
    OneCycle, PiecewiseConstantDecay, PolynomialDecay, Schedule,
};
pub use net::sequential::Sequential;
pub use net::shape::{MAX_FEATURES, Shape};
pub use plan::compare::Verification;
pub use records::event::{Event, RecoveryRecord, StepRecord};
pub use records::history::{EpochRecord, History};
pub use records::metric_value::{ConfusionMatrix, MetricValue};
pub use records::metrics::Score;
pub use snapshot::Snapshot;
pub use step::{Betas, StepBlock};
pub use train::{Fit, Recover};
pub use wgpu;
