//! Models as safetensors: `dense_0.kernel` [in, out], `dense_0.bias` [out], …, without padding, and one metadata key with
//! the description as JSON. The same model gives the same bytes. With the optimizer's state there are also
//! `optimizer.SLOT.dense_0.kernel`, …, and the number of updates made, so that training goes on where it was.

mod digests;
#[cfg(feature = "native")]
mod weights;

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, View};
use serde::{Deserialize, Serialize};

use crate::blocking::block_on;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::kernels::scale::LossScale;
use crate::layout::Tensor;
use crate::model::Model;
use crate::model::training_state::TrainingState;
use crate::net::custom_loss::CustomLoss;
use crate::net::losses::{Loss, LossFunction};
use crate::net::metrics::Metric;
use crate::net::optimizers::Optimizer;
use crate::net::sequential::Sequential;
use crate::net::tensor::Kind;
use crate::plan::Store;
use digests::Digests;

/// The metadata key. There is one alone: safetensors keeps metadata in a hash map, whose order is not fixed.
const KEY: &str = "wgrad";

/// What the metadata says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    /// Raised when a reader of the old form could not make sense of the new one.
    version: u32,
    model: Sequential,
    optimizer: Optimizer,
    loss: LossFunction,
    /// Updates made, if the optimizer's state is there too.
    iterations: Option<u32>,
    /// Training batches seen, where they are not as many as updates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    batches: Option<u32>,
    /// The loss scale and the steps since it changed, if they are not those of a new model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    loss_scale: Option<(f32, u32)>,
    /// The training under way, if there is one and the optimizer's state is there too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    training: Option<TrainingState>,
    /// What is measured beside the loss.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<Metric>,
    /// Files of versions of wgrad that wrote none have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<Digests>,
    /// The name of a loss of the user's; it is the loss's text.
    #[serde(skip)]
    custom_loss: Option<String>,
}

/// Version 1 knew one type of layer, Dense, which it did not name.
const VERSION: u32 = 2;

/// What a file without the optimizer's state holds.
const WEIGHTS: [Store; 2] = [Store::Parameters, Store::Moving];

/// Numbers on their way into a file.
struct Numbers {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl View for Numbers {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        bytemuck::cast_slice(&self.values).into()
    }
    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

impl Model {
    /// The model as a safetensors file: weights and description, without the optimizer's state.
    ///
    /// # Errors
    /// [`Error::NotFinite`] naming a tensor that [`Model::load`] would refuse for a NaN or an infinity, and whatever the
    /// device reports.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        block_on(self.to_bytes_async())
    }

    /// [`Model::to_bytes`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::to_bytes`].
    pub async fn to_bytes_async(&self) -> Result<Vec<u8>> {
        self.executor().await?.wait(async |executor| self.serialise(executor, false).await).await
    }

    /// As [`Model::to_bytes`], with the optimizer's state, the number of updates, and the loss scale of half precision:
    /// training goes on from it with the same bits.
    ///
    /// # Errors
    /// As [`Model::to_bytes`].
    pub fn to_bytes_with_optimizer(&self) -> Result<Vec<u8>> {
        block_on(self.to_bytes_with_optimizer_async())
    }

    /// [`Model::to_bytes_with_optimizer`] for callers that are asynchronous themselves.
    ///
    /// # Errors
    /// As [`Model::to_bytes_with_optimizer`].
    pub async fn to_bytes_with_optimizer_async(&self) -> Result<Vec<u8>> {
        self.executor().await?.wait(async |executor| self.serialise(executor, true).await).await
    }

    pub(crate) async fn serialise(&self, executor: &Executor, with_optimizer: bool) -> Result<Vec<u8>> {
        let stores = if with_optimizer { self.stores_in_use() } else { WEIGHTS.to_vec() };
        let mut tensors = Vec::new();
        for (store, values) in self.read_tensors(executor, stores).await? {
            for (tensor, values) in self.tensors_of(store).iter().zip(values) {
                let name = self.name_of(store, tensor);
                check_finite(&name, tensor, &values)?;
                tensors.push((name, Numbers { shape: tensor.shape.clone(), values }));
            }
        }
        let scale = LossScale::from_words(bytemuck::cast_slice(&executor.read(Store::LossScale).await?));
        let scaled = with_optimizer && scale != LossScale::default();
        let manifest = Manifest {
            version: VERSION,
            model: self.description().clone(),
            optimizer: self.optimizer().clone(),
            loss: *self.loss(),
            iterations: with_optimizer.then(|| self.iterations()),
            batches: (with_optimizer && self.batches() != self.iterations()).then(|| self.batches()),
            loss_scale: scaled.then_some((scale.scale, scale.steps)),
            training: self.training_under_way().filter(|_| with_optimizer).cloned(),
            metrics: self.metrics().to_vec(),
            sha256: Some(Digests::of_tensors(tensors.iter().map(|(name, numbers)| (name.as_str(), numbers.data())))),
            custom_loss: None,
        };
        let broken = |error: &dyn std::fmt::Display| Error::configuration("model", "a description", error);
        let text = serde_json::to_string(&manifest).map_err(|error| broken(&error))?;
        let text = digests::signed(&text);
        let metadata = HashMap::from([(KEY.to_string(), text)]);
        safetensors::serialize(tensors, Some(metadata)).map_err(|error| broken(&error))
    }

    /// Writes the weights and the description to a file, which replaces an older one only when it is whole on disk.
    ///
    /// # Errors
    /// [`Error::Io`] naming the file, and what [`Model::to_bytes`] may return; an older file is kept then.
    #[cfg(feature = "native")]
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        crate::files::replace(path.as_ref(), &self.to_bytes()?)
    }

    /// As [`Model::save`], with the optimizer's state, the number of updates, and where a training stands that was
    /// stopped: [`Fit::resume`](crate::Fit::resume) goes on with it.
    ///
    /// # Errors
    /// As [`Model::save`].
    #[cfg(feature = "native")]
    pub fn save_with_optimizer(&self, path: impl AsRef<Path>) -> Result<()> {
        crate::files::replace(path.as_ref(), &self.to_bytes_with_optimizer()?)
    }

    /// Rebuilds a saved model on a device, with the optimizer's state if the file holds it.
    ///
    /// ```
    /// use wgrad::{Dense, Device, Loss, Model, Sequential, Sgd};
    ///
    /// let path = std::env::temp_dir().join("wgrad-example.safetensors");
    /// let model = Sequential::new(3).add(Dense::new(2)).compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// model.save(&path)?;
    /// let same = Model::load(&path, &Device::cpu())?;
    /// assert_eq!(same.parameter("dense_0.kernel")?, model.parameter("dense_0.kernel")?);
    /// # std::fs::remove_file(path).ok();
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Checkpoint`] if it is not a whole model of this crate's.
    #[cfg(feature = "native")]
    pub fn load(path: impl AsRef<Path>, device: &Device) -> Result<Model> {
        Model::from_bytes(&crate::files::read(path.as_ref())?, path.as_ref(), device)
    }

    /// [`Model::load`] of a model with a loss of one's own, whose formulas a file does not hold.
    ///
    /// # Errors
    /// As [`Model::load`], and [`Error::Checkpoint`] if the file's loss is not one of that name.
    #[cfg(feature = "native")]
    pub fn load_with_loss(path: impl AsRef<Path>, loss: CustomLoss, device: &Device) -> Result<Model> {
        Model::from_bytes_with_loss(&crate::files::read(path.as_ref())?, path.as_ref(), loss, device)
    }

    /// [`Model::load`] from memory; `path` is for messages.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn from_bytes(bytes: &[u8], path: &Path, device: &Device) -> Result<Model> {
        Model::of_file(bytes, path, None, device)
    }

    /// [`Model::load_with_loss`] from memory; `path` is for messages.
    ///
    /// # Errors
    /// As [`Model::load_with_loss`].
    pub fn from_bytes_with_loss(bytes: &[u8], path: &Path, loss: CustomLoss, device: &Device) -> Result<Model> {
        Model::of_file(bytes, path, Some(loss), device)
    }

    fn of_file(bytes: &[u8], path: &Path, loss: Option<CustomLoss>, device: &Device) -> Result<Model> {
        let mut manifest = manifest(bytes, path)?;
        manifest.take_loss(loss, path)?;
        let file = parse(bytes, path)?;
        manifest.check_tensors(&file, path)?;
        manifest.sha256.iter().try_for_each(|digests| digests.check(&file, path))?;
        let mut model = manifest.model.compile(device, manifest.optimizer, manifest.loss)?;
        model.set_metrics(manifest.metrics)?;
        let mut executor = model.lock()?;
        let stores = match manifest.iterations {
            Some(iterations) => {
                let batches = manifest.batches.unwrap_or(iterations);
                model.check_progress(batches, iterations, path)?;
                model.set_progress(batches, iterations);
                if let Some(training) = manifest.training {
                    model.take_training(training, path)?;
                }
                model.stores_in_use()
            }
            None => WEIGHTS.to_vec(),
        };
        for store in stores {
            executor.write(store, &model.gather(&file, store, path)?)?;
        }
        if let Some((scale, steps)) = manifest.loss_scale {
            let block = LossScale::new(scale, steps).ok_or_else(|| {
                wrong(
                    path,
                    "a loss scale that is a power of two from 2⁻²⁴ to 2²⁴, and fewer than 2000 steps",
                    format!("{scale}, {steps} steps"),
                )
            })?;
            executor.write(Store::LossScale, bytemuck::cast_slice(&[block]))?;
        }
        Ok(model)
    }

    /// Fills the parameters from any safetensors file that has tensors of the right names and shapes, in f32, f16, bf16 or
    /// f64; others in it are passed over. The optimizer's state stays.
    ///
    /// The names are this crate's, `dense_0.kernel` \[in, out\], or PyTorch's, `0.weight` or `fc1.weight` \[out, in\]. By
    /// that rule each layer with parameters is one module, what stands before `.weight`, and the file has no others. Where
    /// modules differ in a number alone (`0`, `2`, `4`; `fc1`, `fc2`), that is the order of the layers; else their shapes must
    /// say which is which.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read, [`Error::Checkpoint`] if a tensor is missing, has another shape or numbers
    /// that are not finite, or it is not clear whose it is; nothing is changed then.
    #[cfg(feature = "native")]
    pub fn load_weights(&mut self, path: impl AsRef<Path>) -> Result<()> {
        block_on(self.load_weights_async(path))
    }

    /// [`Model::load_weights`] for callers that are asynchronous themselves. The file is read at once; what is waited for is
    /// the device.
    ///
    /// # Errors
    /// As [`Model::load_weights`].
    #[cfg(feature = "native")]
    pub async fn load_weights_async(&mut self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = crate::files::read(path)?;
        let file = parse(&bytes, path)?;
        if let Some(digests) = description(&bytes, path)?.and_then(|text| Digests::of(&text)) {
            digests.check(&file, path)?;
        }
        let tensors: Vec<_> = self.layout.all().map(|(tensor, _)| tensor).collect();
        let names = weights::Names::of(&file, &tensors, path)?;
        let mut gathered = Vec::new();
        for store in WEIGHTS {
            let mut buffer = vec![0.0; self.length_of(store)];
            for tensor in self.tensors_of(store) {
                tensor.pack(&names.values(&file, tensor, path)?, &mut buffer);
            }
            gathered.push(buffer);
        }
        let mut executor = self.executor().await?;
        WEIGHTS.iter().zip(&gathered).try_for_each(|(&store, values)| executor.write(store, values))
    }

    /// Takes over a training that was stopped, with the settings of the model that it depends on.
    fn take_training(&mut self, training: TrainingState, path: &Path) -> Result<()> {
        if training.batches != self.batches() {
            let expected = format!("a training after {} batches", self.batches());
            return Err(wrong(path, expected, format!("one after {}", training.batches)));
        }
        // On a device without half precision the model is of use all the same; `fit` says what is missing.
        self.set_precision(training.precision).ok();
        self.set_fusion(training.fused);
        self.training = Some(training);
        Ok(())
    }

    /// Whether so many batches and updates can have been.
    fn check_progress(&self, batches: u32, iterations: u32, path: &Path) -> Result<()> {
        let of_update = u64::from(self.optimizer().gradient_accumulation_steps());
        let least = u64::from(iterations) * of_update;
        if (least..least + of_update).contains(&u64::from(batches)) {
            return Ok(());
        }
        let expected = format!("{of_update} batches for each of {iterations} updates, and fewer than that more");
        Err(wrong(path, expected, format!("{batches} batches")))
    }

    /// A store's buffer, filled from the file's tensors.
    fn gather(&self, file: &SafeTensors<'_>, store: Store, path: &Path) -> Result<Vec<f32>> {
        let mut buffer = vec![0.0; self.length_of(store)];
        for tensor in self.tensors_of(store) {
            let name = self.name_of(store, tensor);
            let view = view(file, &name, &tensor.shape, path)?;
            let values: Vec<f32> = bytemuck::pod_collect_to_vec(view.data());
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                return Err(wrong(path, format!("finite numbers in {name}"), format!("{} at {at}", values[at])));
            }
            tensor.pack(&values, &mut buffer);
        }
        Ok(buffer)
    }
}

impl Manifest {
    /// Puts a loss of the user's in its place.
    fn take_loss(&mut self, given: Option<CustomLoss>, path: &Path) -> Result<()> {
        match (&self.custom_loss, given) {
            (Some(name), Some(loss)) if name == loss.name => self.loss.loss = Loss::Custom(loss),
            (Some(name), Some(loss)) => {
                return Err(wrong(path, format!("the loss {name:?}"), format!("{:?}", loss.name)));
            }
            (Some(name), None) => {
                let expected = "a loss of this crate's; Model::load_with_loss takes one of your own beside the file";
                return Err(wrong(path, expected, format!("the name of another, {name:?}")));
            }
            (None, Some(loss)) => {
                let expected = format!("a model with the loss {:?}; Model::load is for those of this crate", loss.name);
                return Err(wrong(path, expected, self.loss.loss.to_string()));
            }
            (None, None) => {}
        }
        Ok(())
    }

    /// That the file has every tensor that its description announces, before memory is taken for the model. safetensors
    /// has held each tensor's size against the file's.
    fn check_tensors(&self, file: &SafeTensors<'_>, path: &Path) -> Result<()> {
        let slots = self.optimizer.slots();
        let slots = slots.iter().filter(|slot| slot.used && self.iterations.is_some());
        let prefixes: Vec<_> = slots.map(|slot| format!("optimizer.{}.", slot.name)).collect();
        for placed in self.model.placed()? {
            for tensor in &placed.tensors {
                let slots = prefixes.iter().filter(|_| tensor.kind == Kind::Trained);
                for prefix in [""].into_iter().chain(slots.map(String::as_str)) {
                    view(file, &format!("{prefix}{}.{}", placed.name, tensor.name), &tensor.shape, path)?;
                }
            }
        }
        Ok(())
    }
}

/// The tensor of this name, if it is of this shape and in F32.
fn view<'b>(file: &SafeTensors<'b>, name: &str, shape: &[usize], path: &Path) -> Result<TensorView<'b>> {
    let view = named(file, name, shape, path)?;
    if view.shape() != shape || view.dtype() != Dtype::F32 {
        let expected = format!("tensor {name} of shape {shape:?} in F32");
        return Err(wrong(path, expected, format!("shape {:?} in {:?}", view.shape(), view.dtype())));
    }
    Ok(view)
}

/// The tensor of this name; the shape is for the message.
fn named<'b>(file: &SafeTensors<'b>, name: &str, shape: &[usize], path: &Path) -> Result<TensorView<'b>> {
    file.tensor(name).map_err(|_| {
        let mut names = file.names();
        names.sort_unstable();
        let found = if names.is_empty() { "no tensors".to_owned() } else { format!("only {}", names.join(", ")) };
        wrong(path, format!("tensor {name} of shape {shape:?} in F32"), found)
    })
}

/// What [`Model::load`] would refuse is not written.
fn check_finite(name: &str, tensor: &Tensor, values: &[f32]) -> Result<()> {
    let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    let (row, column) = (at / tensor.columns, at % tensor.columns);
    Err(Error::NotFinite { what: format!("tensor {name} of a model to be saved"), row, column, value: values[at] })
}

fn wrong(path: &Path, expected: impl Into<String>, found: impl Into<String>) -> Error {
    Error::Checkpoint { path: path.into(), expected: expected.into(), found: found.into() }
}

fn parse<'b>(bytes: &'b [u8], path: &Path) -> Result<SafeTensors<'b>> {
    SafeTensors::deserialize(bytes).map_err(|error| wrong(path, "a whole safetensors file", error.to_string()))
}

/// What a model's description says, if there is one.
fn description(bytes: &[u8], path: &Path) -> Result<Option<String>> {
    let (_, header) = SafeTensors::read_metadata(bytes)
        .map_err(|error| wrong(path, "a whole safetensors file", error.to_string()))?;
    Ok(header.metadata().as_ref().and_then(|metadata| metadata.get(KEY)).cloned())
}

fn manifest(bytes: &[u8], path: &Path) -> Result<Manifest> {
    let text = description(bytes, path)?.ok_or_else(|| {
        let expected = format!("a model saved by this crate, with metadata {KEY:?}");
        wrong(path, expected, "weights alone; load_weights can take those")
    })?;
    let broken = |found: String| wrong(path, format!("a model's description of version 1 or {VERSION}"), found);
    let mut value: serde_json::Value = serde_json::from_str(&text).map_err(|error| broken(error.to_string()))?;
    match value.get("version").and_then(serde_json::Value::as_u64) {
        Some(1) => name_layers(&mut value),
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => return Err(broken(format!("version {version}"))),
        None => return Err(broken("no version".into())),
    }
    digests::check_description(&text, &value, path)?;
    let custom_loss = value.pointer("/loss/loss/custom").and_then(serde_json::Value::as_str).map(str::to_owned);
    let manifest: Manifest = serde_json::from_value(value).map_err(|error| broken(error.to_string()))?;
    Ok(Manifest { custom_loss, ..manifest })
}

/// Makes version 2 of a description of version 1: layers say what they are, and L2 is the kernel's regularizer's.
fn name_layers(manifest: &mut serde_json::Value) {
    let layers = manifest.pointer_mut("/model/layers").and_then(serde_json::Value::as_array_mut);
    for layer in layers.into_iter().flatten().filter_map(serde_json::Value::as_object_mut) {
        layer.insert("type".into(), "dense".into());
        if let Some(l2) = layer.remove("l2") {
            layer.insert("kernel_regularizer".into(), serde_json::json!({ "l2": l2 }));
        }
    }
}
