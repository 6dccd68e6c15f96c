//! One kernel launched once, on memory of its own: for tests, and for those who add an operation.

use crate::blocking::block_on;
use crate::device::{Backend, Device};
use crate::error::{Error, Result};
use crate::executor::{cpu, gpu};
use crate::kernels::Kernel;
use crate::kernels::storage::Storage;

impl Device {
    /// Runs one kernel once, on memory of its own: `arguments` are the words of each binding in the order of the kernel's
    /// list, and come back as the kernel leaves them. The step block among them says how many rows there are; the launch
    /// is made for `capacity` rows at most. For tests, and for those who add an operation.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) for a wrong number of arguments, and whatever the device reports.
    pub fn launch(&self, kernel: &Kernel, capacity: usize, arguments: &mut [Vec<u32>]) -> Result<()> {
        self.launch_stored(kernel, Storage::default(), capacity, arguments)
    }

    /// [`Device::launch`] for numbers that are stored in this way: the arguments are those of [`Kernel::bindings`].
    ///
    /// # Errors
    /// As [`Device::launch`], and [`Error::Configuration`](crate::Error::Configuration) for half precision on a device
    /// without it.
    pub fn launch_stored(
        &self,
        kernel: &Kernel,
        storage: Storage,
        capacity: usize,
        arguments: &mut [Vec<u32>],
    ) -> Result<()> {
        launch_once(self, (kernel, storage), capacity, arguments)
    }
}

/// Runs one kernel once, on memory of its own: `arguments` are the words of each binding in order, which come back as the
/// kernel leaves them. The first word of the step block's rows decides how many rows there are; `capacity` is the most
/// that the launch is made for.
fn launch_once(
    device: &Device,
    (kernel, storage): (&Kernel, Storage),
    capacity: usize,
    arguments: &mut [Vec<u32>],
) -> Result<()> {
    let bindings = kernel.bindings(storage);
    if arguments.len() != bindings.len() {
        return Err(Error::shape(kernel.definition().name, format!("{} arguments", bindings.len()), arguments.len()));
    }
    if storage != Storage::default() {
        device.check_half_precision()?;
    }
    match &device.backend {
        Backend::Cpu { threads, processor } => {
            cpu::run_once(*threads, *processor, kernel, arguments);
            Ok(())
        }
        Backend::Gpu(context) => block_on(gpu::run_once(context, (kernel, storage), capacity, arguments)),
    }
}
