//! The one error type. Every variant says what was expected and what was found, and names the file, layer, row or
//! limit it is about. This module knows nothing of the rest of the crate.

use std::any::Any;
use std::fmt;
use std::path::PathBuf;

/// The result of every fallible call in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What can go wrong.
///
/// ```
/// use wgrad::{Device, Dense, Error, Loss, RmsProp, Sequential};
///
/// let nothing = Sequential::new(4).compile(&Device::cpu(), RmsProp::default(), Loss::MeanSquaredError);
/// assert!(matches!(nothing, Err(Error::Configuration { .. })));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was attempted: `read`, `create`, `rename` …
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A file is damaged, cut short, or of another kind than its name says.
    #[error("{}: expected {expected}, found {found}", path.display())]
    InvalidFile {
        /// The file.
        path: PathBuf,
        /// What a good file would hold there.
        expected: String,
        /// What this one holds.
        found: String,
    },
    /// A data set is not on this machine and could not be fetched.
    #[error("cannot find {what}: {reason}")]
    DataNotFound {
        /// The data set.
        what: String,
        /// Where it was looked for, and why each place failed.
        reason: String,
    },
    /// A streamed data set could not be read on.
    #[error("cannot read samples {}..{} of the streamed data set: {source}", rows.start, rows.end)]
    Reader {
        /// The samples that were asked for, counted from 0.
        rows: std::ops::Range<usize>,
        /// What the reader said, or what is wrong with the samples it returned.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Numbers that do not fit together: a row length, a count, a tensor's shape.
    #[error("{what}: expected {expected}, found {found}")]
    Shape {
        /// What has the wrong shape, a layer's name included where one is concerned.
        what: String,
        /// The shape or count it should have.
        expected: String,
        /// The one it has.
        found: String,
    },
    /// A class label below 0 or beyond the number of classes.
    #[error(
        "label {label} in row {row} is out of range: expected a class below {classes}{}",
        if *from_one { one_off(*classes) } else { String::new() }
    )]
    LabelOutOfRange {
        /// The row, counted from 0.
        row: usize,
        /// The label found there, as it was given.
        label: i128,
        /// How many classes there are.
        classes: usize,
        /// Whether the labels are those of somebody who counts from 1: all from 1 to `classes`, and none is 0.
        from_one: bool,
    },
    /// A target that does not suit the loss.
    #[error("targets for {loss}: expected {expected}, found {found} in row {row}; {advice}")]
    Target {
        /// The loss, by its name.
        loss: String,
        /// The row, counted from 0.
        row: usize,
        /// What the loss takes.
        expected: String,
        /// What stands there instead.
        found: String,
        /// What to write instead, by what all the targets look like.
        advice: String,
    },
    /// A NaN or an infinity where a finite number is needed.
    #[error("{what}: expected finite numbers, found {value} in row {row}, column {column}")]
    NotFinite {
        /// Which numbers.
        what: String,
        /// The row, counted from 0.
        row: usize,
        /// The column, counted from 0.
        column: usize,
        /// The value found there.
        value: f32,
    },
    /// A setting that makes no sense: batch size 0, a negative learning rate, cross-entropy on a linear output.
    #[error("{what}: expected {expected}, found {found}")]
    Configuration {
        /// The setting, a layer's name included where one is concerned.
        what: String,
        /// What is accepted.
        expected: String,
        /// What was given.
        found: String,
    },
    /// A checkpoint that is not a whole one, or is another model's.
    #[error("checkpoint {}: expected {expected}, found {found}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What this model needs.
        expected: String,
        /// What the file holds.
        found: String,
    },
    /// No GPU adapter fits the request.
    #[error("no GPU adapter for {wanted}; this machine has {available}")]
    NoAdapter {
        /// What was asked for.
        wanted: String,
        /// The adapters there are, or `none`.
        available: String,
    },
    /// The device's limits are too small for what is asked of it.
    #[error("{what} needs {limit} of at least {needed}, and this device has {available}")]
    Limit {
        /// What needs more.
        what: String,
        /// The limit, by its WebGPU name.
        limit: &'static str,
        /// How much is needed.
        needed: u64,
        /// How much the device offers.
        available: u64,
    },
    /// The device, or the host, has no memory left. What was being done says which.
    #[error("out of memory while {during}")]
    OutOfMemory {
        /// What was being done; a device's memory is named.
        during: String,
    },
    /// The device is gone: unplugged, reset by a watchdog, or destroyed.
    #[error("the device was lost while {during}: {reason}")]
    DeviceLost {
        /// What was being done.
        during: String,
        /// What the driver said.
        reason: String,
    },
    /// wgpu refused a call. This is a bug in wgrad or in the driver.
    #[error("wgpu refused {during}: {message}")]
    Gpu {
        /// What was being done.
        during: String,
        /// wgpu's message.
        message: String,
    },
    /// A training whose loss is no finite number any more. The steps that were under way are made; see
    /// [`Error::history`] for the epochs up to there, and
    /// [`Fit::allow_divergence`](crate::Fit::allow_divergence) to go on all the same.
    #[error(
        "the training diverged: {monitor} is {loss} in epoch {epoch}, step {step}; {}; a smaller learning rate, clipped \
         gradients or scaled inputs help",
        not_finite(tensors)
    )]
    Diverged {
        /// The figure: `loss`, or `val_loss` after an epoch whose own losses were finite.
        monitor: &'static str,
        /// Its value.
        loss: f64,
        /// The epoch, counted from 1.
        epoch: usize,
        /// The step of the epoch, counted from 1: its last one for `val_loss`.
        step: usize,
        /// The tensors with numbers that are not finite in the end, the optimizer's included, named as in a file.
        tensors: Vec<String>,
        /// The figures of the epochs.
        history: Carried,
    },
    /// A clone of a model that could not be made is used.
    #[error("this clone of a model could not be made: {reason}")]
    Unavailable {
        /// Why.
        reason: String,
    },
    /// A synchronous call on a model that an asynchronous call on the same thread has begun to use: it would wait for ever.
    #[error(
        "the model is in use by an asynchronous call that was begun on this thread and is not done: await that one \
         first, or make this call in its asynchronous form"
    )]
    Busy,
    /// Something that only a GPU device can do was asked of another device.
    #[error("{what} needs a GPU device, and this model runs on {device}")]
    NeedsGpu {
        /// What was asked for.
        what: &'static str,
        /// The device's name.
        device: String,
    },
    /// Verify mode found a launch whose result differs from its reference.
    #[error(
        "launch {launch} differs from its reference: output {output} element {element} is {found:e}, expected \
         {expected:e} within {tolerance:e}"
    )]
    Verification {
        /// The launch's label.
        launch: String,
        /// The output's name in the operation's binding list.
        output: &'static str,
        /// The index of the worst element.
        element: usize,
        /// The reference's value.
        expected: f64,
        /// The device's value.
        found: f64,
        /// How far apart they may be.
        tolerance: f64,
    },
}

/// Of what cannot fail, so that it may stand where something may.
impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// What an error brings along for those above, without this module knowing what it is: [`Error::history`] takes it out.
pub struct Carried(Box<dyn Any + Send + Sync>);

impl Carried {
    pub(crate) fn new(value: impl Any + Send + Sync) -> Self {
        Carried(Box::new(value))
    }

    pub(crate) fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Carried")
    }
}

fn not_finite(tensors: &[String]) -> String {
    match tensors {
        [] => "all tensors are finite".into(),
        tensors => format!("not finite: {}", tensors.join(", ")),
    }
}

/// What those need to hear who count classes from 1.
pub(crate) fn one_off(classes: usize) -> String {
    format!("; labels from 1 to {classes} need 1 taken off, since classes count from 0")
}

impl Error {
    pub(crate) fn invalid_file(path: &std::path::Path, expected: impl ToString, found: impl ToString) -> Self {
        Error::InvalidFile { path: path.to_owned(), expected: expected.to_string(), found: found.to_string() }
    }

    pub(crate) fn shape(what: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Error::Shape { what: what.into(), expected: expected.to_string(), found: found.to_string() }
    }

    pub(crate) fn configuration(what: impl Into<String>, expected: impl ToString, found: impl ToString) -> Self {
        Error::Configuration { what: what.into(), expected: expected.to_string(), found: found.to_string() }
    }
}
