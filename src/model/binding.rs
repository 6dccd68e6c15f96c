//! Where a model meets a data set: the checks that they fit, and what makes a run of both.

use std::sync::Arc;

use super::targets;
use crate::data::{Check, Dataset, InputRows, StreamedDataset, TargetRows};
use crate::error::{Error, Result};
use crate::executor::{Executor, Feed, Run};
use crate::kernels::storage::LARGEST_HALF;
use crate::kernels::storage::Precision;
use crate::kernels::targets::first_largest;
use crate::model::Model;
use crate::net::losses::Wanted;
use crate::net::schedules::Schedule;
use crate::plan::{DataFormat, Mode, PlanKey, Room};

/// The largest batch: beyond it a kernel's loop over the batch could outrun what software drivers allow.
pub const MAX_BATCH_SIZE: usize = 65_536;

pub(crate) fn check_batch_size(batch_size: usize) -> Result<()> {
    if (1..=MAX_BATCH_SIZE).contains(&batch_size) {
        return Ok(());
    }
    Err(Error::configuration("batch size", format!("1 to {MAX_BATCH_SIZE}"), batch_size))
}

impl Model {
    /// Makes what a way of using the model needs, and binds it to a data set.
    pub(crate) fn open(
        &self,
        executor: &mut Executor,
        mode: Mode,
        data: &Dataset,
        weights: Option<Vec<f32>>,
        batch_size: usize,
        budget: u64,
    ) -> Result<Run> {
        let key = self.plan_key(mode, data, weights.is_some(), batch_size)?;
        let recipe = self.recipe();
        executor.open(key, || recipe.plan(key), data, weights, Feed { budget, batch_size, window: None })
    }

    /// [`Model::open`] for a streamed set, of which the feed's window is bound at a time. Nothing is bound yet.
    pub(crate) fn open_streamed(
        &self,
        executor: &mut Executor,
        mode: Mode,
        data: &StreamedDataset,
        weighted: bool,
        feed: Feed,
    ) -> Result<Run> {
        let example = data.example();
        let key = self.plan_key(mode, example, weighted, feed.batch_size)?;
        let recipe = self.recipe();
        executor.open(key, || recipe.plan(key), example, weighted.then(|| vec![1.0]), feed)
    }

    /// What the plan depends on, once it is clear that model and data set fit.
    pub(crate) fn plan_key(&self, mode: Mode, data: &Dataset, weighted: bool, capacity: usize) -> Result<PlanKey> {
        check_not_empty(data.len())?;
        self.check_features(data)?;
        check_range(data, self.precision(), |row| row)?;
        if mode == Mode::Train {
            self.optimizer().schedule().map_or(Ok(()), Schedule::check_closure)?;
        }
        if mode != Mode::Predict {
            self.check_targets(data)?;
            targets::check(self.loss().loss, data)?;
            self.check_metrics(data)?;
        }
        let byte_scale = match data.inputs() {
            InputRows::Bytes { scale, .. } => Some(scale),
            InputRows::Floats(_) => None,
        };
        let ids = is_ids(data);
        let format = DataFormat { byte_scale, target_ids: (mode != Mode::Predict).then_some(ids), weighted };
        let (fused, precision, device) = (self.fused, self.precision(), self.device().traits());
        let accumulates = mode == Mode::Train && self.optimizer().gradient_accumulation_steps() > 1;
        let metrics = if mode == Mode::Predict { 0 } else { self.metrics_key() };
        Ok(PlanKey { mode, capacity, format, fused, accumulates, precision, metrics, device, room: self.room() })
    }

    /// What a dispatch may take of the device. The CPU device runs launches alone.
    pub(crate) fn room(&self) -> Room {
        let Some((gpu, _)) = self.device().wgpu() else { return Room::default() };
        let limits = gpu.limits();
        Room {
            storage_buffers: limits.max_storage_buffers_per_shader_stage as usize,
            buffers: limits.max_buffers_and_acceleration_structures_per_shader_stage as usize,
            workgroup_bytes: limits.max_compute_workgroup_storage_size as usize,
        }
    }

    pub(crate) fn check_features(&self, data: &Dataset) -> Result<()> {
        match data.features() == self.features() {
            true => Ok(()),
            false => {
                let layer = self.layout.places.first().map_or("none", |place| place.name.as_str());
                let what = format!("samples for layer {layer}");
                Err(Error::shape(what, features(self.features()), features(data.features())))
            }
        }
    }

    /// Whether a target has as many numbers as the last layer has outputs.
    fn check_targets(&self, data: &Dataset) -> Result<()> {
        let outputs = self.outputs();
        let several = self.loss().loss.targets() == Wanted::Distribution;
        let (fits, found) = match data.targets() {
            // One output can stand for two classes, but not where outputs share a whole.
            TargetRows::Classes { classes, .. } => {
                let fits = classes == outputs || (outputs == 1 && classes == 2 && !several);
                (fits, format!("{classes} classes; a last layer of {classes} units fits them"))
            }
            TargetRows::Rows { width: 1, .. } if several => {
                (outputs == 1, "target rows of 1; Dataset::from_classes takes class ids".to_owned())
            }
            TargetRows::Rows { width, .. } => {
                (width == outputs, format!("target rows of {width}; a last layer of {width} units fits them"))
            }
        };
        if fits {
            return Ok(());
        }
        let layer = self.layout.places.last().map_or("none", |place| place.name.as_str());
        Err(Error::shape(format!("targets for layer {layer}"), format!("{outputs} outputs"), found))
    }

    /// What samples of a streamed set are held against as they are read.
    pub(crate) fn target_check(&self, mode: Mode) -> Check {
        let loss = self.loss().loss;
        Arc::new(move |data| if mode == Mode::Predict { Ok(()) } else { targets::check(loss, data) })
    }

    /// Whether accuracy means anything: not for regression.
    pub(crate) fn counts_answers(&self, data: &Dataset) -> bool {
        self.loss().loss.classifies() || is_ids(data)
    }
}

/// Sample weights times class weights; `None` where every sample weighs 1. The class of a row of targets is where its
/// largest stands, as in Keras; of a single number, 1 is class 1, and 0 or −1 class 0.
pub(crate) fn sample_weights(data: &Dataset, class_weight: Option<&[f32]>) -> Result<Option<Vec<f32>>> {
    let own = data.sample_weights();
    let Some(class_weight) = class_weight else { return Ok(own.map(<[f32]>::to_vec)) };
    let classes = data.target_width().max(if is_ids(data) { 1 } else { 2 });
    if class_weight.len() != classes {
        return Err(Error::shape("class weights", format!("{classes} numbers"), class_weight.len()));
    }
    if let Some(weight) = class_weight.iter().find(|weight| !(weight.is_finite() && **weight >= 0.0)) {
        return Err(Error::configuration("class weights", "finite numbers that are not negative", weight));
    }
    let mut weights = crate::memory::room(data.len(), || format!("weighing {} samples by class", data.len()))?;
    let own_weight = |row: usize| own.map_or(1.0, |own| own[row]);
    match data.targets() {
        TargetRows::Classes { ids, .. } => {
            weights.extend(ids.iter().enumerate().map(|(row, &id)| class_weight[id as usize] * own_weight(row)));
        }
        TargetRows::Rows { values, width } => {
            for (row, targets) in values.chunks_exact(width).enumerate() {
                weights.push(class_weight[class_of(targets, row)?] * own_weight(row));
            }
        }
    }
    Ok(Some(weights))
}

fn is_ids(data: &Dataset) -> bool {
    matches!(data.targets(), TargetRows::Classes { .. })
}

fn class_of(targets: &[f32], row: usize) -> Result<usize> {
    match targets {
        [1.0] => Ok(1),
        [0.0 | -1.0] => Ok(0),
        [other] => {
            let expected = "targets that name classes: class ids, one-hot rows, or rows of a single 0 or 1";
            Err(Error::configuration("class weights", expected, format!("{other} in row {row}")))
        }
        several => Ok(first_largest(several.iter().map(|&target| target.into())).unwrap_or(0)),
    }
}

/// Half precision has no number for samples beyond its range. `row_of` says which row of the caller's set a row of these is.
pub(crate) fn check_range(data: &Dataset, precision: Precision, row_of: impl Fn(usize) -> usize) -> Result<()> {
    if precision == Precision::F32 {
        return Ok(());
    }
    let beyond = |value: &f32| value.abs() > LARGEST_HALF;
    let found = match data.inputs() {
        InputRows::Bytes { scale, .. } => Some(255.0 * scale).filter(beyond).map(|value| (value, String::new())),
        InputRows::Floats(values) => values.iter().position(beyond).map(|at| {
            let (row, column) = (row_of(at / data.features()), at % data.features());
            (values[at], format!(" in row {row}, column {column}"))
        }),
    };
    let Some((value, place)) = found else { return Ok(()) };
    let expected = format!("numbers from −{LARGEST_HALF} to {LARGEST_HALF}");
    Err(Error::configuration("samples in half precision", expected, format!("{value}{place}")))
}

pub(crate) fn check_not_empty(samples: usize) -> Result<()> {
    if samples == 0 { Err(Error::shape("data set", "at least one sample", "none")) } else { Ok(()) }
}

fn features(count: usize) -> String {
    format!("{count} features")
}
