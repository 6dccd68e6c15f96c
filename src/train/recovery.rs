//! What is kept on the host of a training, so that it goes on when its device is lost, and how another device is had. How far a
//! training goes back is `course.rs`'s.

use std::fmt;
use std::future::ready;
use std::marker::PhantomData;

use futures::future::LocalBoxFuture;

use crate::device::Device;
use crate::error::{Error, Result};
use crate::model::training_state::TrainingState;
use crate::records::metrics::Meter;
use crate::snapshot::Snapshot;

/// Batches from one snapshot to the next by default.
const EVERY: usize = 500;

/// How often in a row a device may be lost by default.
const ATTEMPTS: usize = 3;

/// What opens the next device. A trait of its own, for a boxed closure that returned such a future would let `Recover` stand for no
/// shorter lifetime.
trait Open {
    fn open(&mut self) -> LocalBoxFuture<'_, Result<Device>>;
}

/// A closure that returns a future.
struct Opener<C, F> {
    open: C,
    returns: PhantomData<fn() -> F>,
}

impl<C: FnMut() -> F, F: Future<Output = Result<Device>>> Open for Opener<C, F> {
    fn open(&mut self) -> LocalBoxFuture<'_, Result<Device>> {
        Box::pin((self.open)())
    }
}

/// How a training goes on when its GPU is lost: reset by its driver, unplugged, gone to sleep, destroyed. The model's numbers are copied
/// to the host again and again (before the first step, every 500 steps unless [`Recover::every`] says otherwise, and after
/// each epoch). After a loss they go to a reopened device, on which the model lives from then on, and the steps since are
/// made again: with the same samples in the same batches, so that on a device of the same kind weights and history have the
/// bits that they would have had without the loss.
///
/// Observers hear of each step and of each epoch once, and of the loss by [`Event::Recovered`](crate::Event::Recovered). A
/// [`Callback`](crate::Callback) whose call meets the loss is called once more for the same epoch. Other models on the lost device
/// are not moved.
///
/// A device that wgrad opened is opened again in the same way. One of the caller's own
/// ([`Device::from_wgpu`](crate::Device::from_wgpu)) cannot be: say with [`Recover::open_with`] where the next one comes from.
///
/// ```
/// use wgrad::{Dataset, Dense, Device, Fit, Loss, Recover, Sequential, Sgd};
///
/// let data = Dataset::from_rows(vec![0.0, 1.0], 1, vec![1.0, 3.0], 1)?;
/// let net = Sequential::new(1).add(Dense::new(1));
/// let mut model = net.compile(&Device::best()?, Sgd::default(), Loss::MeanSquaredError)?;
/// model.fit(&data, Fit::new().epochs(3).on_device_loss(Recover::new().every(1000)))?;
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct Recover<'a> {
    every: usize,
    attempts: usize,
    opener: Option<Box<dyn Open + 'a>>,
}

impl Default for Recover<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Recover<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recover").field("every", &self.every).field("attempts", &self.attempts).finish_non_exhaustive()
    }
}

impl<'a> Recover<'a> {
    /// A snapshot every 500 steps, and no more than 3 losses in a row.
    pub fn new() -> Self {
        Recover { every: EVERY, attempts: ATTEMPTS, opener: None }
    }

    /// Sets after how many steps (batches) of an epoch the numbers are copied to the host; 500 by default, 1 at least. That
    /// many steps are lost with a device at most. A copy waits for the device, and takes the host as much memory as the
    /// parameters and the optimizer's state.
    pub fn every(self, steps: usize) -> Self {
        Recover { every: steps.max(1), ..self }
    }

    /// Sets how often the device may be lost, or fail to open, before the training comes to another snapshot; 3 by default.
    /// After that `fit` returns the last error.
    pub fn attempts(self, attempts: usize) -> Self {
        Recover { attempts, ..self }
    }

    /// Opens the next device with this, rather than the lost one again. On a device of another kind results differ in their last
    /// bits from there on.
    pub fn open_with(self, mut open: impl FnMut() -> Result<Device> + 'a) -> Self {
        self.open_with_async(move || ready(open()))
    }

    /// [`Recover::open_with`] for what is asynchronous itself, as opening a device is in a browser.
    pub fn open_with_async<F: Future<Output = Result<Device>> + 'a>(self, open: impl FnMut() -> F + 'a) -> Self {
        Recover { opener: Some(Box::new(Opener { open, returns: PhantomData })), ..self }
    }

    /// Whether a training on this device can go on after a loss, before it begins.
    fn check(&self, device: &Device) -> Result<()> {
        if self.opener.is_some() || device.can_reopen() {
            return Ok(());
        }
        let expected = "a device that wgrad opened, or Recover::open_with, which says where another one comes from";
        Err(Error::configuration("recovery after device loss", expected, "a device of the caller's own"))
    }
}

/// A training between two of its steps, on the host.
pub(super) struct Kept {
    pub snapshot: Snapshot,
    pub state: TrainingState,
    /// Steps that the call may still make.
    pub steps: usize,
    /// What the epoch under way has counted, on the host and on the device; `None` between epochs.
    pub counted: Option<(Meter, Vec<u32>)>,
}

/// The last of what was kept, and how often the device was lost since.
pub(super) struct Keeper<'f> {
    recover: Option<Recover<'f>>,
    pub kept: Option<Kept>,
    losses: usize,
}

impl<'f> Keeper<'f> {
    /// Keeps nothing of a training that nobody wants to go on, or on the host's own processor, which is not lost.
    pub fn new(recover: Option<Recover<'f>>, device: &Device) -> Result<Self> {
        let recover = recover.filter(|_| device.wgpu().is_some());
        recover.iter().try_for_each(|recover| recover.check(device))?;
        Ok(Keeper { recover, kept: None, losses: 0 })
    }

    pub fn is_active(&self) -> bool {
        self.recover.is_some()
    }

    /// The numbers that were kept last.
    pub fn snapshot(&mut self) -> Option<&mut Snapshot> {
        self.kept.as_mut().map(|kept| &mut kept.snapshot)
    }

    /// Steps from one snapshot to the next.
    pub fn every(&self) -> usize {
        self.recover.as_ref().map_or(usize::MAX, |recover| recover.every)
    }

    pub fn keep(&mut self, kept: Kept) {
        (self.kept, self.losses) = (Some(kept), 0);
    }

    /// Another device after a loss, and what goes there; the error, where the training cannot go on.
    pub async fn replacement(&mut self, lost: &Device, error: Error) -> Result<(Device, &Kept)> {
        let (Some(recover), Some(kept)) = (&mut self.recover, &self.kept) else { return Err(error) };
        let mut error = error;
        loop {
            self.losses += 1;
            if self.losses > recover.attempts {
                return Err(error);
            }
            let opened = match &mut recover.opener {
                Some(opener) => opener.open().await,
                None => lost.reopen_async().await,
            };
            match opened {
                Ok(device) => return Ok((device, kept)),
                Err(found) => error = found,
            }
        }
    }
}
