//! A thread that waits for a device, so that whoever awaits a submission need not: wgpu tells of finished work only while
//! somebody polls. It starts with the first wait and ends with the context.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;

use futures::channel::oneshot;

/// Somebody who waits.
struct Request {
    submission: wgpu::SubmissionIndex,
    answer: oneshot::Sender<Result<(), String>>,
}

/// The way to the thread.
#[derive(Debug)]
pub(super) struct Poller {
    requests: mpsc::Sender<Request>,
}

impl Poller {
    /// `None` if the system has no thread to give.
    pub fn start(device: &wgpu::Device) -> Option<Self> {
        let (requests, received) = mpsc::channel::<Request>();
        let device = device.clone();
        let poll = move || {
            for Request { submission, answer } in received {
                // The receiver may be gone: a run that was dropped.
                drop(answer.send(wait(&device, submission)));
            }
        };
        std::thread::Builder::new().name("wgrad poll".into()).spawn(poll).ok()?;
        Some(Poller { requests })
    }

    /// Waits for a submission.
    ///
    /// # Errors
    /// Why the device cannot be waited for.
    pub async fn wait(&self, submission: wgpu::SubmissionIndex) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let gone = || "the thread that polls it is gone".to_string();
        self.requests.send(Request { submission, answer }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Blocks until a submission is done. wgpu panics on some lost devices; that too becomes an error.
pub(super) fn wait(device: &wgpu::Device, submission: wgpu::SubmissionIndex) -> Result<(), String> {
    let poll = wgpu::PollType::Wait { submission_index: Some(submission), timeout: None };
    match catch_unwind(AssertUnwindSafe(|| device.poll(poll))) {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the driver stopped answering".into()),
    }
}
