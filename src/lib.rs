//! wgrad trains dense neural networks with WGSL compute shaders, on the GPUs that [`wgpu`] reaches, and has
//! a CPU device that runs the same plan of launches. The vocabulary (layers, losses, `compile`, `fit`) and the defaults
//! are those of Keras 3.
//!
//! # First steps
//!
//! A [`Sequential`] describes a net; [`compile`](Sequential::compile) checks it, puts it on a [`Device`] with an
//! optimizer and a loss, and returns the [`Model`] that can be trained.
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
//! That one reads 60,000 images, from a directory, the cache or the network (see [`mnist::load`]). The rest of this
//! page runs as it stands, on digits that the crate draws itself. They are no MNIST, but have its form:
//!
//! ```
//! use wgrad::data::synthetic;
//! use wgrad::{Activation, Dense, Device, Fit, Loss, RmsProp, Sequential, mnist};
//!
//! let digits = synthetic::digits(2000, 500, 7)?; // training samples, test samples, seed
//! let mut model = Sequential::new(mnist::PIXELS)
//!     .add(Dense::new(64).activation(Activation::Relu))
//!     .add(Dense::new(mnist::CLASSES).activation(Activation::Softmax))
//!     .compile(&Device::cpu(), RmsProp::default(), Loss::CategoricalCrossentropy)?;
//!
//! let history = model.fit(&digits.train, Fit::new().epochs(3).batch_size(50))?;
//! assert!(history.epochs[2].train.loss < history.epochs[0].train.loss);
//!
//! let score = model.evaluate(&digits.test)?; // mean loss, and accuracy from 0 to 1
//! assert!(score.accuracy > Some(0.5));
//!
//! let probabilities = model.predict(&digits.test.take(3))?; // three rows of ten numbers, one after the other
//! assert_eq!(probabilities.len(), 3 * mnist::CLASSES);
//! assert!((probabilities[..10].iter().sum::<f32>() - 1.0).abs() < 1e-5);
//! let classes = model.predict_classes(&digits.test.take(3))?;
//! assert!(classes.iter().all(|&class| class < 10));
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! # Data of your own
//!
//! A [`Dataset`] is made from vectors: bytes with classes ([`Dataset::from_images`]), floats with classes
//! ([`Dataset::from_classes`]), or floats with rows of targets ([`Dataset::from_rows`]: regression, one-hot rows, soft
//! labels). All are row-major, one sample after the other. What does not fit together is refused when the set is made.
//! Inputs are used as they are, bytes times a scale: nothing is normalised behind your back.
//!
//! ```
//! use wgrad::{Adam, Dataset, Dense, Device, Fit, Loss, Sequential};
//!
//! // y = 3·a − 2·b + 1, for a and b of 0 … 1: two features in, one target out.
//! let inputs: Vec<f32> = (0..400).map(|i| ((i * 37) % 101) as f32 / 101.0).collect();
//! let targets = inputs.chunks(2).map(|row| 3.0 * row[0] - 2.0 * row[1] + 1.0).collect();
//! let data = Dataset::from_rows(inputs, 2, targets, 1)?;
//!
//! let optimizer = Adam { learning_rate: 0.05, ..Adam::default() };
//! let mut model =
//!     Sequential::new(2).add(Dense::new(1)).compile(&Device::cpu(), optimizer, Loss::MeanSquaredError)?;
//! model.fit(&data, Fit::new().epochs(100).validation_split(0.2))?;
//!
//! let weights = model.parameter("dense_0.kernel")?; // [in, out], row-major
//! assert!((weights[0] - 3.0).abs() < 0.01 && (weights[1] + 2.0).abs() < 0.01);
//! let found = model.predict(&vec![0.5, 0.5])?;
//! assert!((found[0] - 1.5).abs() < 0.01);
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! A set that does not fit in memory is a [`StreamedDataset`]: read in pieces, from `.npy` files or
//! by a function, while the model trains. [`Model::fit`] and [`Model::evaluate`] take either.
//!
//! ```
//! use wgrad::{Dataset, Dense, Device, Fit, Loss, Sequential, Sgd, StreamedDataset};
//!
//! // Whatever range of the samples is asked for.
//! let data = StreamedDataset::from_fn(1_000, |rows| {
//!     let x: Vec<f32> = rows.map(|row| row as f32 / 1000.0).collect();
//!     let y = x.iter().map(|x| 1.0 - x).collect();
//!     Ok(Dataset::from_rows(x, 1, y, 1)?)
//! })?;
//! let mut model =
//!     Sequential::new(1).add(Dense::new(1)).compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
//! let history = model.fit(&data, Fit::new().epochs(3))?;
//! assert!(history.epochs[2].train.loss < history.epochs[0].train.loss);
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! Weights for single samples are the data set's ([`Dataset::with_sample_weights`]), weights for whole classes
//! [`Fit::class_weight`]'s. A [`Dataset`] that is too large for a GPU is uploaded in pieces ([`Fit::device_budget`]).
//!
//! # Watching a training, and stopping it
//!
//! An observer is told of every step and every epoch (an [`Event`]) and may end the training:
//!
//! ```
//! use std::ops::ControlFlow;
//! use wgrad::data::synthetic;
//! use wgrad::{Activation, Dense, Device, Event, Fit, Loss, Sequential, Sgd, mnist};
//!
//! let digits = synthetic::digits(1000, 200, 7)?;
//! let mut model = Sequential::new(mnist::PIXELS)
//!     .add(Dense::new(mnist::CLASSES).activation(Activation::Softmax))
//!     .compile(&Device::cpu(), Sgd::default(), Loss::CategoricalCrossentropy)?;
//!
//! // Stops when the validation loss has not fallen for two epochs.
//! let (mut best, mut waited) = (f64::INFINITY, 0);
//! let patience = |event: &Event| {
//!     if let Event::Epoch(record) = event {
//!         let loss = record.validation.map_or(f64::INFINITY, |score| score.loss);
//!         waited = if loss < best { 0 } else { waited + 1 };
//!         best = best.min(loss);
//!     }
//!     if waited < 2 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
//! };
//! let fit = Fit::new().epochs(10).validation_data(&digits.test).observer(patience);
//! let history = model.fit(&digits.train, fit)?;
//! print!("{}", history.to_csv());
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! # Saving and loading
//!
//! [`Model::save`] writes a safetensors file: the weights under the names `dense_0.kernel`, `dense_0.bias`, …, and the
//! description, optimizer and loss as JSON. [`Model::save_with_optimizer`] adds the optimizer's state, so that a
//! training that is interrupted and one that is not give the same bits.
//!
//! ```
//! use wgrad::data::synthetic;
//! use wgrad::{Activation, Adam, Dense, Device, Fit, Loss, Model, Sequential, mnist};
//!
//! let digits = synthetic::digits(500, 0, 7)?;
//! let compile = || {
//!     Sequential::new(mnist::PIXELS)
//!         .add(Dense::new(10).activation(Activation::Softmax))
//!         .compile(&Device::cpu(), Adam::default(), Loss::CategoricalCrossentropy)
//! };
//! let mut whole = compile()?;
//! whole.fit(&digits.train, Fit::new().epochs(4))?;
//!
//! let mut first = compile()?;
//! first.fit(&digits.train, Fit::new().epochs(2))?;
//! let path = std::env::temp_dir().join("wgrad-guide.safetensors");
//! first.save_with_optimizer(&path)?;
//! let mut second = Model::load(&path, &Device::cpu())?;
//! second.fit(&digits.train, Fit::new().epochs(2).initial_epoch(2))?;
//! assert_eq!(second.parameter("dense_0.kernel")?, whole.parameter("dense_0.kernel")?);
//! # std::fs::remove_file(path).ok();
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! [`Model::load_weights`] takes weights alone, from any safetensors file with the right names and shapes.
//!
//! # What can go wrong
//!
//! Every fallible call returns this crate's [`Result`]. An [`Error`] names the file, layer, row or limit that it is
//! about, what was expected there and what was found:
//!
//! ```
//! use wgrad::{Activation, Dataset, Dense, Device, Error, Fit, Loss, RmsProp, Sequential};
//!
//! let net = Sequential::new(3).add(Dense::new(2).activation(Activation::Relu));
//! let refused = net.compile(&Device::cpu(), RmsProp::default(), Loss::CategoricalCrossentropy);
//! assert_eq!(
//!     refused.unwrap_err().to_string(),
//!     "categorical_crossentropy after layer dense_0: expected activation softmax, or linear with a loss that says \
//!      from_logits, found relu"
//! );
//!
//! let net = Sequential::new(3).add(Dense::new(2).activation(Activation::Softmax));
//! let mut model = net.compile(&Device::cpu(), RmsProp::default(), Loss::CategoricalCrossentropy)?;
//! let data = Dataset::from_classes(vec![0.0; 8], 4, vec![0, 1], 2)?;
//! let refused = model.fit(&data, Fit::new());
//! assert!(matches!(refused, Err(Error::Shape { .. })), "samples of 4 features for a model of 3");
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! # Devices
//!
//! [`Device::best`] takes a hardware GPU where there is one and the CPU device elsewhere. [`Device::gpu`] and
//! [`Device::gpu_named`] fail where there is no such GPU, rather than take something else; [`Device::cpu`] is always
//! there. [`devices`] lists what this machine has, [`Device::info`] says what was taken. A program that has a wgpu
//! device of its own shares it with [`Device::from_wgpu`]: [`Model::trainer`] then records steps into the program's
//! command encoders, [`Model::parameter_view`] and [`Model::predictor`] say where numbers lie on the GPU.
//! [`Model::verify`] compares every launch on a device with a reference on the host.
//!
//! # Half precision
//!
//! [`Model::set_precision`] stores activations and their gradients as 16-bit floats on a GPU that has them
//! ([`DeviceInfo::has_half_precision`]). Parameters, sums and outputs stay in f32, and gradients carry a loss scale that
//! finds its size by itself:
//!
//! ```
//! use wgrad::{Dense, Device, Loss, Precision, Sequential, Sgd};
//!
//! let device = Device::best()?;
//! let net = Sequential::new(3).add(Dense::new(2));
//! let mut model = net.compile(&device, Sgd::default(), Loss::MeanSquaredError)?;
//! if device.info().has_half_precision() {
//!     model.set_precision(Precision::F16)?;
//! }
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! On a device that is opened with `DeviceOptions::cooperative_matrices` its matrix units multiply for such models.
//!
//! # Seeds
//!
//! Initial weights depend on [`Sequential::seed`], orders of samples on [`Fit::seed`]; both are 0 by default. The same
//! seeds on the same device give the same bits, however many threads the CPU device has and whether a GPU holds all of
//! the data or gets it in pieces. Two devices agree up to rounding, and so do a GPU before and after a call of
//! `Model::tune`, which chooses how its products are computed by measurement.
//!
//! # Features
//!
//! `native` (default): files, threads and a clock. `download` (default, implies `native`): [`mnist::load`] may fetch
//! MNIST over HTTPS. Without both there are no file paths to open, one thread computes, and seconds are reported as 0.

#[cfg(feature = "native")]
mod cache;
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
#[cfg(feature = "native")]
mod tuning;
mod verify;

pub use callbacks::{Event, StepRecord};
pub use cpu::machine::InstructionSet;
pub use data::{AnyDataset, Dataset, StreamedDataset, mnist};
#[cfg(feature = "native")]
pub use device::DeviceOptions;
pub use device::{Device, DeviceInfo, DeviceKind, devices};
pub use embed::{BufferView, Predictor, Trainer};
pub use error::{Error, Result};
pub use history::{EpochRecord, History};
pub use init::Initializer;
pub use kernels::product::cooperative::CooperativeMatrix;
pub use kernels::storage::Precision;
pub use layers::{Activation, Dense};
pub use losses::{Loss, LossFunction};
pub use metrics::Score;
pub use model::Model;
pub use optimizers::{Adagrad, Adam, AdamW, Clip, Optimizer, RmsProp, Sgd};
pub use profile::LaunchProfile;
pub use sequential::{MAX_FEATURES, Sequential, Shape};
pub use step::StepBlock;
pub use train::{Fit, MAX_BATCH_SIZE, Samples};
#[cfg(feature = "native")]
pub use tuning::{Candidate, TunedProduct, Tuning};
pub use verify::Verification;
pub use wgpu;
