//! What a training step costs beside arithmetic: a fixed list of launches, no allocation on the CPU device, and memory
//! that does not grow with steps or epochs.
//!
//! Every allocation of this program is counted, so its trials run one after the other.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may fail loudly")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

use common::{Outcome, Suite, classifier, labelled, numbers, trials, with_rows};
use wgrad::{
    Activation, Adam, Clip, Dataset, Dense, Device, Event, Fit, Loss, Model, Optimizer, RmsProp, Sequential, Sgd,
};

/// The system's allocator, counting what is asked of it.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static LIVE_BYTES: AtomicIsize = AtomicIsize::new(0);

// SAFETY: every call is handed on to the system's allocator as it is; counting touches no memory but two atomics.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        LIVE_BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise about `layout` is handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise about `pointer` and `layout` is handed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() {
    let mut suite = Suite::new();
    trials!(suite.everywhere:
        launches_of_the_tutorials_step,
        launches_do_not_depend_on_the_batch,
        the_hosts_memory_is_flat,
    );
    trials!(suite.on_cpu: steps_allocate_nothing, steps_of_a_wide_net_allocate_nothing);
    trials!(suite.on_gpu: the_devices_memory_is_flat);
    suite.run_one_by_one()
}

/// Phase, label and operation of each launch.
fn launches(model: &Model, data: &Dataset, batch_size: usize) -> wgrad::Result<Vec<String>> {
    let summary = model.plan_summary(data, batch_size)?;
    Ok(summary.lines().map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ")).collect())
}

fn without_marks(launches: &[String]) -> Vec<&str> {
    launches.iter().map(|launch| launch.trim_start_matches('+')).collect()
}

/// The net of the README: two dense layers, 784-512-10.
fn tutorial(device: &Device) -> wgrad::Result<(Model, Dataset)> {
    let model = Sequential::new(784)
        .add(Dense::new(512).activation(Activation::Relu))
        .add(Dense::new(10).activation(Activation::Softmax))
        .compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
    let data = Dataset::from_images(vec![7; 784 * 10], 784, (0..10).collect(), 10)?;
    Ok((model, data))
}

fn launches_of_the_tutorials_step(device: &Device) -> Outcome {
    let (mut model, data) = tutorial(device)?;
    let fused = [
        "gather gather gather_batch",
        "forward dense_0.forward dense_forward",
        "loss dense_1.categorical_crossentropy dense_loss",
        "update dense_1.update dense_backward_update",
        "update dense_0.update dense_backward_update",
        "update advance_step advance_step",
    ];
    let found = launches(&model, &data, 128)?;
    assert_eq!(without_marks(&found), fused);
    // On a GPU the updates and what ends the step share a dispatch.
    let joined = if device.wgpu().is_some() { vec![4, 5] } else { vec![] };
    let marked = (0..found.len()).filter(|&index| found[index].starts_with('+')).collect::<Vec<_>>();
    assert_eq!(marked, joined, "{found:?}");
    model.set_fusion(false);
    let unfused = [
        "gather gather gather_batch",
        "forward dense_0.forward dense_forward",
        "forward dense_0.relu relu_forward",
        "forward dense_1.forward dense_forward",
        "loss categorical_crossentropy softmax_cross_entropy",
        "backward dense_1.backward_weights dense_backward_weights",
        "backward dense_1.backward_input dense_backward_input",
        "backward dense_0.relu.backward relu_backward",
        "backward dense_0.backward_weights dense_backward_weights",
        "update update rmsprop_update",
        "update advance_step advance_step",
    ];
    assert_eq!(launches(&model, &data, 128)?, unfused);
    Ok(())
}

fn launches_do_not_depend_on_the_batch(device: &Device) -> Outcome {
    let (model, data) = tutorial(device)?;
    let expected = launches(&model, &data, 128)?;
    for batch_size in [1, 2, 127, 1000, 65_536] {
        assert_eq!(launches(&model, &data, batch_size)?, expected, "batches of {batch_size}");
    }
    Ok(())
}

/// Trains for one epoch of `steps` steps of 4 samples; returns how many allocations that took.
fn allocations(model: &mut Model, data: &Dataset, batch_size: usize, steps: usize) -> wgrad::Result<usize> {
    let part = data.take(batch_size * steps);
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    model.fit(&part, Fit::new().batch_size(batch_size))?;
    Ok(ALLOCATIONS.load(Ordering::Relaxed) - before)
}

/// A fit allocates for itself, and each submission for its results, but many steps go into a submission: the allocations
/// of `MORE` further steps are less than one for each eight of them. A step is the same code each time, so one that
/// allocates would add `MORE` or a multiple of it.
#[track_caller]
fn assert_steps_allocate_nothing(what: &str, model: &mut Model, data: &Dataset, batch_size: usize, steps: usize) {
    let mut count = |steps| allocations(model, data, batch_size, steps).expect("trained");
    count(steps); // Makes the plan.
    let (few, many) = (count(steps), count(10 * steps));
    let added = many.saturating_sub(few);
    assert!(added < 9 * steps / 8, "{what}: {} more steps made {added} more allocations", 9 * steps);
}

fn steps_allocate_nothing(_: &Device) -> Outcome {
    let rows = with_rows(40_000, 8, 3);
    let weights = numbers(rows.len(), 5).iter().map(|weight| weight.abs()).collect();
    let weighted = rows.clone().with_sample_weights(weights)?;
    let cases: [(Optimizer, Activation, Loss, Activation, Dataset, bool); 3] = [
        (
            Adam::default().into(),
            Activation::Tanh,
            Loss::CategoricalCrossentropy,
            Activation::Softmax,
            labelled(40_000, 8, 3),
            true,
        ),
        (
            RmsProp { momentum: 0.5, centered: true, clip: Clip::GlobalNorm(1.0), ..RmsProp::default() }.into(),
            Activation::Gelu,
            Loss::MeanSquaredError,
            Activation::Softmax,
            weighted,
            true,
        ),
        (
            Sgd { momentum: 0.9, ..Sgd::default() }.into(),
            Activation::Softmax,
            Loss::BinaryCrossentropy,
            Activation::Sigmoid,
            rows,
            false,
        ),
    ];
    for threads in [1, 2] {
        let device = Device::cpu_with_threads(threads);
        for (optimizer, hidden, loss, last, data, fused) in &cases {
            let mut model = Sequential::new(8)
                .add(Dense::new(5).activation(*hidden).l2(0.01))
                .add(Dense::new(3).activation(*last))
                .compile(&device, optimizer.clone(), *loss)?;
            model.set_fusion(*fused);
            assert_steps_allocate_nothing(&format!("{loss}, {threads} threads"), &mut model, data, 4, 1000);
        }
    }
    Ok(())
}

/// Wide enough for its products and its update to be shared by threads.
fn steps_of_a_wide_net_allocate_nothing(_: &Device) -> Outcome {
    let data = labelled(16 * 2000, 128, 10);
    for threads in [1, 2, 3] {
        let device = Device::cpu_with_threads(threads);
        let mut model = classifier(128, 160, 10).compile(&device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
        assert_steps_allocate_nothing(&format!("{threads} threads"), &mut model, &data, 16, 200);
    }
    Ok(())
}

/// Trains for 60 epochs and calls `measure` after each.
fn epochs<T>(model: &mut Model, fit: Fit<'_>, measure: impl Fn() -> T) -> wgrad::Result<Vec<T>> {
    let data = labelled(100, 8, 3);
    let mut found = Vec::with_capacity(60);
    let observer = |event: &Event| {
        if let Event::Epoch(_) = event {
            found.push(measure());
        }
        ControlFlow::Continue(())
    };
    model.fit(&data, fit.epochs(60).batch_size(4).validation_data(&data).observer(observer))?;
    Ok(found)
}

fn small(device: &Device) -> wgrad::Result<Model> {
    classifier(8, 5, 3).compile(device, Adam::default(), Loss::CategoricalCrossentropy)
}

/// 40 epochs of 25 steps may add the 40 records of the history, and nothing that counts: 16 bytes a step at most.
fn the_hosts_memory_is_flat(device: &Device) -> Outcome {
    let mut model = small(device)?;
    for budget in [1 << 30, 1] {
        let live = epochs(&mut model, Fit::new().device_budget(budget), || LIVE_BYTES.load(Ordering::Relaxed))?;
        let highest = |epochs: &[isize]| epochs.iter().copied().max().unwrap_or(0);
        let grown = highest(&live[40..]) - highest(&live[..20]);
        assert!(grown <= 40 * 25 * 16, "{grown} bytes more after 40 epochs, with a budget of {budget}");
    }
    Ok(())
}

/// As wgpu's allocator reports it; where a backend has no such report, the trial says so by failing.
fn the_devices_memory_is_flat(device: &Device) -> Outcome {
    let (gpu, _) = device.wgpu().expect("a GPU");
    let measure = || {
        let report = gpu.generate_allocator_report().expect("an allocator that reports");
        (report.total_allocated_bytes, report.allocations.len())
    };
    let mut model = small(device)?;
    let highest =
        |epochs: &[(u64, usize)]| (epochs.iter().map(|found| found.0).max(), epochs.iter().map(|found| found.1).max());
    for budget in [1 << 30, 1] {
        let found = epochs(&mut model, Fit::new().device_budget(budget), measure)?;
        let (early, late) = (highest(&found[..20]), highest(&found[40..]));
        assert!(late <= early, "bytes and allocations {early:?} became {late:?} with a budget of {budget}");
    }
    // Nor do they grow from one fit to the next, or from one evaluation or prediction to the next.
    let data = labelled(100, 8, 3);
    let mut found = Vec::new();
    for _ in 0..30 {
        model.fit(&data, Fit::new().batch_size(4))?;
        model.evaluate(&data)?;
        model.predict(&data)?;
        model.predictor(&data).map(drop)?;
        found.push(measure());
    }
    let (early, late) = (highest(&found[..10]), highest(&found[20..]));
    assert!(late <= early, "bytes and allocations {early:?} became {late:?} over 20 calls of each kind");
    Ok(())
}
