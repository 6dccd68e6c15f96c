//! Whether every operation computes what its reference does, in each form that this device can be given: alone and fused,
//! sharing dispatches, in both precisions, products by every tiling. It is verify mode on nets that have them all.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::driver::Driver;
use super::nets::{MORE, NETS, Net, PRODUCTS, SCALES, Scale, alone};
use super::parts::Notes;
use super::report::{Check, Mismatch};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::kernels::product::{Choices, Product, Tiling};
use crate::kernels::storage::{Precision, Storage};
use crate::kernels::{Access, Kernel, padded};
use crate::model::Model;
use crate::plan::compare::{Compared, Verification};
use crate::plan::{Launch, Mode, Phase, Segment};
use crate::random::Random;
use crate::step::StepBlock;

/// A whole batch and a part of one, and once more: the second update of an accumulated gradient.
const STEPS: usize = 2;

/// Runs that are under way at once, at most.
const MOST_THREADS: usize = 4;

/// Steps of a net in one form.
#[derive(Clone, Copy)]
pub(super) struct Run {
    pub net: Net,
    pub scale: Scale,
    pub precision: Precision,
    pub fused: bool,
    /// Of products, how they are computed; as the plan has it where there is none.
    pub tiling: Option<Tiling>,
}

impl Run {
    fn name(&self) -> String {
        let fused = if self.fused { "fused" } else { "alone" };
        let tiling = self.tiling.map_or(String::new(), |tiling| format!(", {tiling}"));
        format!("net {}, batch {}, {}, {fused}{tiling}", self.net.name, self.scale.batch, self.precision)
    }
}

pub(super) fn check(notes: &Notes, driver: &Arc<dyn Driver>, quick: bool) {
    let device = driver.device();
    notes.begin("operations that stand alone");
    for (kernel, columns) in alone() {
        let name = kernel.definition().name;
        match stand_alone(device, kernel, columns) {
            Ok(compared) => notes.merge(of(&compared, "f32, alone")),
            Err(error) => notes.wrong(Check::new(name), &error),
        }
    }
    let runs = match runs(device, quick) {
        Ok(runs) => runs,
        Err(error) => return notes.wrong(Check::new("operations"), &error),
    };
    notes.end();
    let left = AtomicUsize::new(0);
    // Shaders are compiled on the thread that asks for them, which is most of the time.
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let next = Mutex::new(runs.iter().enumerate());
    std::thread::scope(|scope| {
        let work = || {
            let next = || next.lock().unwrap_or_else(PoisonError::into_inner).next();
            while let Some((index, run)) = next() {
                match notes.is_over() {
                    true => _ = left.fetch_add(1, Ordering::Relaxed),
                    false => noted(&notes.at(1 + index), driver, run),
                }
            }
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
    });
    let left = left.into_inner();
    if left > 0 {
        let all = runs.len();
        let detail = format!("{left} of {all} runs of nets were left out for want of time, or of the device");
        notes.at(1 + all).note(Check::new("other forms").skipped(detail));
    }
}

/// One run, with what keeps it from being made.
fn noted(notes: &Notes, driver: &Arc<dyn Driver>, run: &Run) {
    notes.begin(run.name());
    if let Err(error) = one(notes, driver, run) {
        notes.wrong(Check { form: Some(run.name()), ..Check::new("operations") }, &error);
    }
    notes.end();
}

/// What there is to run, the most important first.
pub(super) fn runs(device: &Device, quick: bool) -> Result<Vec<Run>> {
    let scales = if quick { &SCALES[..1] } else { &SCALES[..] };
    let half = device.info().has_half_precision();
    let precisions: &[_] = if half { &[Precision::F32, Precision::F16] } else { &[Precision::F32] };
    let mut runs = Vec::new();
    for &scale in scales {
        for &precision in precisions {
            for fused in [true, false] {
                // Riding updates do not ride where nothing is fused: the operations are those of other nets.
                let more = MORE.into_iter().filter(|_| !quick);
                let nets = NETS.into_iter().chain(more).filter(|net| fused || !net.name.starts_with("riding"));
                runs.extend(nets.map(|net| Run { net, scale, precision, fused, tiling: None }));
            }
        }
    }
    if device.wgpu().is_some() {
        for &scale in scales {
            for &precision in precisions {
                for (index, tiling) in tilings(device, scale, precision)?.into_iter().enumerate() {
                    let run = |fused| Run { net: PRODUCTS, scale, precision, fused, tiling: Some(tiling) };
                    // Fused and alone have the same loops; a quick examination has each tiling with one of them.
                    let both = [index % 2 == 0, index % 2 == 1];
                    runs.extend(both.into_iter().take(if quick { 1 } else { 2 }).map(run));
                }
            }
        }
    }
    Ok(runs)
}

/// The products of a model's step.
fn of_model(model: &Model, net: Net, scale: Scale) -> Result<Vec<Product>> {
    let key = model.plan_key(Mode::Train, &net.data(scale)?, false, scale.batch)?;
    let plan = model.recipe().plan(key);
    Ok(plan.launches.iter().filter_map(|launch| launch.kernel.product(scale.batch, key.precision)).collect())
}

/// Every tiling that this device can be given in this precision.
fn tilings(device: &Device, scale: Scale, precision: Precision) -> Result<Vec<Tiling>> {
    let mut model = PRODUCTS.model(device, scale)?;
    model.set_precision(precision)?;
    let products = of_model(&model, PRODUCTS, scale)?;
    let mut found = Vec::new();
    for tiling in products.iter().flat_map(|&product| Tiling::candidates(product, device.traits())) {
        if !found.contains(&tiling) {
            found.push(tiling);
        }
    }
    Ok(found)
}

pub(super) fn one(notes: &Notes, driver: &Arc<dyn Driver>, run: &Run) -> Result<()> {
    let mut model = run.net.model(driver.device(), run.scale)?;
    model.set_precision(run.precision)?;
    model.set_fusion(run.fused);
    if let Some(tiling) = run.tiling {
        let products = of_model(&model, run.net, run.scale)?.into_iter();
        model.set_choices(Arc::new(Choices(products.map(|product| (product, tiling)).collect())));
    }
    let found = driver.verified(&mut model, &run.net.data(run.scale)?, run.scale.batch, STEPS)?;
    for compared in found.kept.iter().flatten() {
        let way = match (compared.shared, run.fused) {
            (true, _) => "sharing a dispatch",
            (false, true) => "fused",
            (false, false) => "alone",
        };
        let tiling = compared.tiling.filter(|_| driver.device().wgpu().is_some());
        let tiling = tiling.map_or(String::new(), |tiling| format!(", {tiling}"));
        notes.merge(of(compared, &format!("{}, {way}{tiling}", run.precision)));
    }
    Ok(())
}

/// What one launch comes to.
fn of(compared: &Compared, form: &str) -> Check {
    let check = Check {
        form: Some(form.into()),
        launches: 1,
        share: Some(compared.share),
        mismatch: compared.wrong.as_ref().map(Mismatch::from),
        ..Check::new(compared.operation)
    };
    match &compared.wrong {
        None => check,
        Some(wrong) => check.failed(Error::from(wrong.clone()).to_string()),
    }
}

/// A launch of an operation that no plan has.
fn stand_alone(device: &Device, kernel: Kernel, columns: usize) -> Result<Compared> {
    const ROWS: usize = 7;
    let mut random = Random::new(3, 0);
    let step = StepBlock { rows: ROWS as u32, samples: 20, batch_size: ROWS as u32, batch: 9, ..StepBlock::default() };
    let mut matrix = || -> Vec<u32> {
        let place = |at: usize| at / padded(columns) < ROWS && at % padded(columns) < columns;
        let value = |at| if place(at) { random.uniform(-1.0, 1.0).to_bits() } else { 0 };
        (0..padded(ROWS) * padded(columns)).map(value).collect()
    };
    let argument = |access| match access {
        Access::Step => bytemuck::cast_slice(&[step]).to_vec(),
        Access::Read | Access::Update => matrix(),
        Access::Write => vec![0; padded(ROWS) * padded(columns)],
    };
    let before: Vec<_> = kernel.definition().bindings.iter().map(|binding| binding.access).map(argument).collect();
    let mut after = before.clone();
    device.launch(&kernel, ROWS, &mut after)?;
    let (label, phase, segment) = (kernel.definition().name.to_string(), Phase::Forward, Segment::Batch);
    let (storage, arguments) = (Storage::default(), Vec::new());
    let launch = Launch { label, phase, segment, kernel, storage, arguments };
    let mut verification = Verification::keeping();
    verification.check(&launch, &step, before, after)?;
    let nothing = || Error::configuration("verification", "one launch", "none");
    verification.kept.and_then(|mut kept| kept.pop()).ok_or_else(nothing)
}
