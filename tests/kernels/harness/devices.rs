//! The devices that trials run on, and how trials are named.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use libtest_mimic::{Failed, Trial};
use wgrad::{CooperativeMatrix, Device, DeviceInfo, DeviceKind, InstructionSet};

use crate::gpus;

/// What a trial does on a device; an `Err` says what was wrong.
type Outcome = Result<(), String>;

/// What the GPU is, if there is one.
fn gpu() -> Option<&'static DeviceInfo> {
    static GPU: OnceLock<Option<DeviceInfo>> = OnceLock::new();
    GPU.get_or_init(|| gpus::gpu().map(|device| device.info())).as_ref()
}

/// The devices that no trial has.
static FREE: Mutex<Vec<Device>> = Mutex::new(Vec::new());

fn free() -> MutexGuard<'static, Vec<Device>> {
    FREE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many pipelines were compiled for trials, when all are done.
pub fn pipelines_made() -> usize {
    let on_units = cooperative_gpu().map_or(0, |(device, _)| device.pipelines_made());
    on_units + free().iter().map(Device::pipelines_made).sum::<usize>()
}

/// Runs a trial on a GPU device that no other trial has meanwhile. A software driver compiles a device's shaders one after
/// another, on a thread of that device, and compiling is most of what trials do; so those that run at once have one each.
fn on_free_gpu(body: impl Fn(&Device) -> Outcome) -> Outcome {
    // Let go of the lock before a device is opened.
    let found = free().pop();
    let device = found.or_else(gpus::gpu).ok_or("no adapter")?;
    let outcome = body(&device);
    free().push(device);
    outcome
}

/// The GPU once more with its matrix units switched on, and what they multiply.
fn cooperative_gpu() -> Option<(&'static Device, CooperativeMatrix)> {
    static GPU: OnceLock<Option<Device>> = OnceLock::new();
    let device = GPU.get_or_init(gpus::cooperative_gpu).as_ref()?;
    Some((device, device.info().cooperative_matrix?))
}

/// Held by trials that take hundreds of megabytes, so that two of them never do at once.
pub fn alone() -> MutexGuard<'static, ()> {
    static LARGE: Mutex<()> = Mutex::new(());
    LARGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a trial on the CPU device with each instruction set that the processor has.
fn on_each_set(body: impl Fn(&Device) -> Outcome) -> Outcome {
    InstructionSet::available().into_iter().try_for_each(|set| {
        let device = Device::options().instruction_set(set).cpu().map_err(|error| error.to_string())?;
        body(&device).map_err(|wrong| format!("with {set}: {wrong}"))
    })
}

/// The trials so far.
#[derive(Default)]
pub struct Trials {
    operation: &'static str,
    trials: Vec<Trial>,
}

impl Trials {
    /// Adds an operation's cases.
    pub fn operation(&mut self, name: &'static str, cases: impl FnOnce(&mut Trials)) {
        self.operation = name;
        cases(self);
    }

    /// Adds a case on every device.
    pub fn add<B>(&mut self, case: &str, body: B)
    where
        B: Fn(&Device) -> Outcome + Clone + Send + 'static,
    {
        self.on_cpu(case, body.clone());
        self.on_gpu(case, body);
    }

    /// Adds a case on the CPU device, with each of the processor's instruction sets.
    pub fn on_cpu(&mut self, case: &str, body: impl Fn(&Device) -> Outcome + Send + 'static) {
        let name = format!("{}::{case}::cpu", self.operation);
        self.trials.push(Trial::test(name, move || on_each_set(&body).map_err(Failed::from)));
    }

    /// Adds a case on the GPU.
    pub fn on_gpu(&mut self, case: &str, body: impl Fn(&Device) -> Outcome + Send + 'static) {
        let name = format!("{}::{case}::gpu", self.operation);
        let run = move || on_free_gpu(&body).map_err(Failed::from);
        self.trials.push(Trial::test(name, run).with_ignored_flag(gpu().is_none()));
    }

    /// Adds a case on the GPU that is shown as ignored on a software driver.
    pub fn on_hardware(&mut self, case: &str, body: impl Fn(&Device) -> Outcome + Send + 'static) {
        self.on_gpu(case, body);
        if gpu().is_some_and(|gpu| gpu.kind == DeviceKind::SoftwareGpu) {
            let trial = self.trials.pop();
            self.trials.extend(trial.map(|trial| trial.with_ignored_flag(true)));
        }
    }

    /// Adds a case on the GPU that is shown as ignored where subgroups are not of this size.
    pub fn on_subgroups(&mut self, case: &str, size: usize, body: impl Fn(&Device) -> Outcome + Send + 'static) {
        self.on_gpu(case, body);
        if gpu().is_some_and(|gpu| gpu.subgroup_size != Some(size)) {
            let trial = self.trials.pop();
            self.trials.extend(trial.map(|trial| trial.with_ignored_flag(true)));
        }
    }

    /// Adds a case on the GPU that is shown as ignored where there is no half precision.
    pub fn in_half(&mut self, case: &str, body: impl Fn(&Device) -> Outcome + Send + 'static) {
        self.on_gpu(&format!("half::{case}"), body);
        if gpu().is_some_and(|gpu| !gpu.has_half_precision()) {
            let trial = self.trials.pop();
            self.trials.extend(trial.map(|trial| trial.with_ignored_flag(true)));
        }
    }

    /// Adds a case in half precision on the GPU's matrix units that is shown as ignored where there are none.
    pub fn on_matrix_units(
        &mut self,
        case: &str,
        body: impl Fn(&Device, CooperativeMatrix) -> Outcome + Send + 'static,
    ) {
        let name = format!("{}::half::{case}::gpu", self.operation);
        let run = move || match cooperative_gpu() {
            Some((device, matrix)) => body(device, matrix).map_err(Failed::from),
            None => Err("no matrix units".into()),
        };
        self.trials.push(Trial::test(name, run).with_ignored_flag(cooperative_gpu().is_none()));
    }

    /// All trials, for the runner; those first that the file of `WGRAD_TRIALS_FIRST` lists.
    pub fn finish(mut self) -> Vec<Trial> {
        if let Some(path) = std::env::var_os("WGRAD_TRIALS_FIRST") {
            let listed = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let first: std::collections::HashSet<_> = listed.lines().collect();
            self.trials.sort_by_key(|trial| !first.contains(trial.name()));
        }
        self.trials
    }
}
