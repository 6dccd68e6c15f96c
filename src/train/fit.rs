//! How to train, as plain data and an observer.

use std::ops::ControlFlow;

use super::DEFAULT_BUDGET;
use super::recovery::Recover;
use crate::callbacks::{Callback, Monitor, Until};
use crate::data::AnyDataset;
use crate::error::{Error, Result};
use crate::model::Model;
use crate::model::binding::check_batch_size;
use crate::model::training_state::{TrainingState, stream_of};
use crate::net::schedules::Schedule;
use crate::records::event::Event;

type Observer<'a> = Box<dyn FnMut(&Event) -> ControlFlow<()> + 'a>;

/// How to train: Keras's arguments of `fit`, with its defaults.
///
/// ```
/// use std::ops::ControlFlow;
/// use wgrad::{Dataset, Dense, Device, Event, Fit, Loss, Sequential, Sgd};
///
/// let data = Dataset::from_rows(vec![0.0, 1.0, 2.0, 3.0], 1, vec![1.0, 3.0, 5.0, 7.0], 1)?;
/// let mut model = Sequential::new(1).add(Dense::new(1)).compile(
///     &Device::cpu(),
///     Sgd { learning_rate: 0.1, ..Sgd::default() },
///     Loss::MeanSquaredError,
/// )?;
/// let stop_early = |event: &Event| match event {
///     Event::Epoch(record) if record.train.loss < 1e-3 => ControlFlow::Break(()),
///     _ => ControlFlow::Continue(()),
/// };
/// let history = model.fit(&data, Fit::new().epochs(500).batch_size(4).observer(stop_early))?;
/// assert!(history.epochs.len() < 500);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Fit<'a> {
    pub(super) epochs: usize,
    pub(super) batch_size: usize,
    pub(super) shuffle: bool,
    pub(super) seed: u64,
    /// Epochs before; by what the model has seen, where nothing is said.
    pub(super) first_epoch: Option<usize>,
    pub(super) validation_data: Option<AnyDataset>,
    pub(super) validation_split: f64,
    pub(super) class_weight: Option<Vec<f32>>,
    pub(super) budget: u64,
    pub(super) observer: Option<Observer<'a>>,
    pub(super) callbacks: Vec<Box<dyn Callback + 'a>>,
    pub(super) allows_divergence: bool,
    pub(super) averages_at_end: bool,
    /// Steps that are left.
    pub(super) steps: usize,
    /// A training that was stopped, to go on with.
    pub(super) resumes: Option<TrainingState>,
    pub(super) recover: Option<Recover<'a>>,
}

impl std::fmt::Debug for Fit<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fit")
            .field("epochs", &self.epochs)
            .field("batch_size", &self.batch_size)
            .field("shuffle", &self.shuffle)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl Default for Fit<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Fit<'a> {
    /// Keras's defaults: 1 epoch, batches of 32, shuffled (with seed 0), no validation.
    pub fn new() -> Self {
        Fit {
            epochs: 1,
            batch_size: 32,
            shuffle: true,
            seed: 0,
            first_epoch: None,
            validation_data: None,
            validation_split: 0.0,
            class_weight: None,
            budget: DEFAULT_BUDGET,
            observer: None,
            callbacks: Vec::new(),
            allows_divergence: false,
            averages_at_end: true,
            steps: usize::MAX,
            resumes: None,
            recover: None,
        }
    }

    /// Goes on with the training that the model was stopped in, from the step after its last one: with the same samples in
    /// the same batches, and to the same bits as if it had never been stopped. The model may come from a file of
    /// [`Model::save_with_optimizer`], in another process. The file knows epochs, batch size, seed, shuffling, class
    /// weights and validation split; the data, and validation data, observers and callbacks are given anew. Callbacks of the
    /// same kinds in the same order go on with what they remembered (patience, the best so far, logs). Records go on
    /// where they were, and the first epoch's is of the whole epoch. [`Fit::epochs`] makes the training longer or shorter.
    ///
    /// ```
    /// use wgrad::{Dataset, Dense, Device, Fit, Loss, Model, Sequential, Sgd};
    ///
    /// let data = Dataset::from_rows(vec![0.0, 1.0, 2.0, 3.0], 1, vec![1.0, 3.0, 5.0, 7.0], 1)?;
    /// let net = || Sequential::new(1).add(Dense::new(1)).compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError);
    /// let (mut whole, mut stopped) = (net()?, net()?);
    /// let fit = || Fit::new().epochs(3).batch_size(1);
    /// whole.fit(&data, fit())?;
    ///
    /// stopped.fit(&data, fit().steps(5))?; // in the second epoch
    /// let file = stopped.to_bytes_with_optimizer()?;
    /// let mut resumed = Model::from_bytes(&file, "memory".as_ref(), &Device::cpu())?;
    /// let history = resumed.fit(&data, Fit::resume(&resumed)?)?;
    /// assert_eq!((history.epochs[0].epoch, history.epochs[0].samples), (2, 4));
    /// assert_eq!(resumed.parameter("dense_0.kernel")?, whole.parameter("dense_0.kernel")?);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`] for a model that is in no training: its last one came to its end, it has been trained
    /// otherwise since, or its file has no optimizer's state; for one whose schedule is a closure that its file does not
    /// hold ([`Model::set_schedule`]). [`Model::fit`] says so if the data or a setting is not that
    /// of the training.
    pub fn resume(model: &Model) -> Result<Self> {
        let Some(state) = model.training_under_way() else {
            let expected =
                "a model that was stopped, or saved with the optimizer's state, in the middle of its training";
            return Err(Error::configuration("training to be resumed", expected, "one that is in no training"));
        };
        model.optimizer().schedule().map_or(Ok(()), Schedule::check_closure)?;
        Ok(Fit {
            epochs: state.epochs,
            batch_size: state.batch_size,
            shuffle: state.shuffle,
            seed: state.seed,
            first_epoch: Some(state.first_epoch),
            validation_split: state.validation_split,
            class_weight: state.class_weight.clone(),
            resumes: Some(state.clone()),
            ..Fit::new()
        })
    }

    /// Ends after so many steps (batches), in the middle of an epoch if need be; by default the epochs' end is the only
    /// one. [`Fit::resume`] goes on from there. An epoch that is not whole is in the history with what it has seen, is not
    /// validated, and callbacks do not judge it.
    pub fn steps(self, steps: usize) -> Self {
        Fit { steps, ..self }
    }

    /// How often to go through the data; 1 by default. With 0 nothing is trained, and the history is empty.
    pub fn epochs(self, epochs: usize) -> Self {
        Fit { epochs, ..self }
    }

    /// Samples for each update; 32 by default, [`MAX_BATCH_SIZE`](crate::MAX_BATCH_SIZE) at most. The last batch of an epoch
    /// may be smaller.
    pub fn batch_size(self, batch_size: usize) -> Self {
        Fit { batch_size, ..self }
    }

    /// Whether each epoch visits the samples in an order of its own; true by default. Of a streamed set, a
    /// [buffer](crate::data::StreamedDataset::shuffle_buffer) at a time is shuffled.
    pub fn shuffle(self, shuffle: bool) -> Self {
        Fit { shuffle, ..self }
    }

    /// The seed of the orders; 0 by default. The same seed gives the same orders on every device.
    pub fn seed(self, seed: u64) -> Self {
        Fit { seed, ..self }
    }

    /// How many epochs went before, so that training goes on with the orders that follow. By default as many as the model has
    /// seen batches for, one that was broken off included: five calls of one epoch shuffle as one call of five does, and
    /// a new training does not repeat a broken epoch's order ([`Fit::resume`] takes the rest of it). Unlike Keras's, it does not change how
    /// many epochs are made, and records still count from 1.
    pub fn initial_epoch(self, first_epoch: usize) -> Self {
        Fit { first_epoch: Some(first_epoch), ..self }
    }

    /// Evaluates this set after each epoch. It wins over [`Fit::validation_split`].
    pub fn validation_data(self, data: impl Into<AnyDataset>) -> Self {
        Fit { validation_data: Some(data.into()), ..self }
    }

    /// Keeps the last share of the samples back (before any shuffling, as in Keras) and evaluates them after each
    /// epoch; from 0, the default, up to, not including, 1. `fit` refuses a share that leaves either side empty. Where
    /// samples in memory are sorted by class, so that one side lacks a class of the other, the
    /// [history](crate::History::warnings) says so.
    pub fn validation_split(self, share: f64) -> Self {
        Fit { validation_split: share, ..self }
    }

    /// Multiplies each sample's loss by its class's weight: one number a class, in the order of the classes, none below
    /// 0. Of a row of targets the class is where its largest stands, as in Keras; rows of a single 0 or 1 (−1 or 1) are of
    /// two classes. `fit` refuses them for other single numbers. They do not count in validation.
    pub fn class_weight(self, weights: impl Into<Vec<f32>>) -> Self {
        Fit { class_weight: Some(weights.into()), ..self }
    }

    /// Bytes of samples that may live on a GPU, 2 GiB by default; a larger set is streamed, with the same results to the
    /// bit. The CPU device reads samples where they are.
    pub fn device_budget(self, bytes: u64) -> Self {
        Fit { budget: bytes, ..self }
    }

    /// Whether the averages of the weights, where the optimizer keeps them (`use_ema`), become the weights when training has
    /// ended, as in Keras; they do by default. After a training that an observer interrupts, that [`Fit::steps`] ends, or
    /// that diverges they do not, and neither after [`Model::train_on_batch`](crate::Model::train_on_batch). Say false where
    /// training goes on later: then one call of five epochs and five of one are alike.
    pub fn average_at_end(self, averages_at_end: bool) -> Self {
        Fit { averages_at_end, ..self }
    }

    /// Calls `observer` after every step and every epoch.
    pub fn observer(self, observer: impl FnMut(&Event) -> ControlFlow<()> + 'a) -> Self {
        Fit { observer: Some(Box::new(observer)), ..self }
    }

    /// Adds something that is done after each epoch, with the model's numbers in reach; several run in the order in which
    /// they were added, after the observer, but those that save the model ([`Callback::saves`]) last.
    pub fn callback(mut self, callback: impl Callback + 'a) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Ends the training after the first epoch whose figure is as good as `value`: at least that of what is better the more
    /// there is of it, at most that of losses and errors.
    ///
    /// ```
    /// use wgrad::{Dataset, Dense, Device, Fit, Loss, Monitor, Sequential, Sgd};
    ///
    /// let data = Dataset::from_rows(vec![0.0, 1.0], 1, vec![1.0, 3.0], 1)?;
    /// let net = Sequential::new(1).add(Dense::new(1));
    /// let mut model = net.compile(&Device::cpu(), Sgd::default().learning_rate(0.5), Loss::MeanSquaredError)?;
    /// let history = model.fit(&data, Fit::new().epochs(1000).until(Monitor::Loss, 1e-3))?;
    /// assert!(history.epochs.len() < 1000 && history.last().unwrap().train.loss <= 1e-3);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn until(self, monitor: Monitor, value: f64) -> Self {
        self.callback(Until { monitor, value })
    }

    /// Whether a training goes on whose loss, in a step or in the validation, is NaN or infinite. By default it ends with
    /// [`Error::Diverged`] as if Keras's `TerminateOnNaN` were among its callbacks; there is nothing to gain from such
    /// weights, and `save` refuses them.
    pub fn allow_divergence(self, allows: bool) -> Self {
        Fit { allows_divergence: allows, ..self }
    }

    /// Goes on when the GPU is lost, from a snapshot that is kept on the host; see [`Recover`]. By default nothing is kept, and
    /// `fit` ends with [`Error::DeviceLost`](crate::Error::DeviceLost). Without effect on the CPU device. `fit` refuses it on a device of the
    /// caller's own, unless it says how another one is opened.
    pub fn on_device_loss(self, recover: Recover<'a>) -> Self {
        Fit { recover: Some(recover), ..self }
    }

    /// What the order of an epoch of this call is made from; `None` for that of the samples.
    pub(super) fn order_of(&self, epoch: usize) -> Option<(u64, u64)> {
        self.shuffle.then(|| (self.seed, (self.first_epoch.unwrap_or(0) + epoch) as u64))
    }

    /// Where a training with these settings begins: before its first step, or after the last one of one that is resumed.
    pub(super) fn begin(&mut self, model: &Model, train: &AnyDataset) -> Result<TrainingState> {
        let mut given = TrainingState {
            epochs: self.epochs,
            batch_size: self.batch_size,
            shuffle: self.shuffle,
            seed: self.seed,
            first_epoch: 0,
            validation_split: self.validation_split,
            class_weight: self.class_weight.clone(),
            samples: train.len(),
            stream: stream_of(train),
            precision: model.precision(),
            fused: model.fused,
            batches: model.batches(),
            epoch: 0,
            step: 0,
            sums: Vec::new(),
            callbacks: self.states(),
        };
        given.first_epoch = *self.first_epoch.get_or_insert_with(|| model.epochs_seen(given.steps()));
        match self.resumes.take() {
            Some(resumed) => {
                resumed.check(&given)?;
                self.resume_callbacks(&resumed.callbacks)?;
                Ok(TrainingState { epochs: self.epochs, callbacks: self.states(), ..resumed })
            }
            None => Ok(given),
        }
    }

    /// What the callbacks remember, of those that remember something.
    pub(super) fn states(&self) -> Vec<String> {
        self.callbacks.iter().filter_map(|callback| callback.state()).collect()
    }

    /// Gives the callbacks back what they remembered. Where none of those given remembers anything, it is forgotten.
    fn resume_callbacks(&mut self, states: &[String]) -> Result<()> {
        let remembering: Vec<_> = self.callbacks.iter_mut().filter(|callback| callback.state().is_some()).collect();
        if remembering.is_empty() || states.is_empty() {
            return Ok(());
        }
        if remembering.len() != states.len() {
            let expected = format!("as many callbacks that remember something as before, {}, or none", states.len());
            return Err(Error::configuration("training to be resumed", expected, remembering.len()));
        }
        remembering.into_iter().zip(states).try_for_each(|(callback, state)| callback.resume(state))
    }

    /// The callbacks by number, those that save the model last, each with the place of its state among the states.
    pub(super) fn callback_order(&self) -> Vec<(usize, usize)> {
        let place = |index: usize| self.callbacks[..index].iter().filter(|callback| callback.state().is_some()).count();
        let mut order: Vec<_> = (0..self.callbacks.len()).map(|index| (index, place(index))).collect();
        order.sort_by_key(|&(index, _)| self.callbacks[index].saves());
        order
    }

    pub(super) fn tell(&mut self, event: Event) -> ControlFlow<()> {
        match &mut self.observer {
            Some(observer) => observer(&event),
            None => ControlFlow::Continue(()),
        }
    }

    pub(super) fn validate(&self) -> Result<()> {
        check_batch_size(self.batch_size)?;
        if !(0.0..1.0).contains(&self.validation_split) {
            let expected = "a share from 0 up to, not including, 1";
            return Err(Error::configuration("validation split", expected, self.validation_split));
        }
        Ok(())
    }
}
