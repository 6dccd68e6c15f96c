//! A shader is broken on purpose, as a driver might break it, and verify mode must name that launch and no other. These
//! tests need a GPU adapter, be it a software driver's, and fail without one.

use crate::data::Dataset;
use crate::device::{Backend, Device};
use crate::error::{Error, Result};
use crate::executor::gpu;
use crate::kernels::Kernel;
use crate::kernels::product::Tiling;
use crate::kernels::storage::Precision;
use crate::model::Model;
use crate::net::activation::Activation;
use crate::net::layers::Dense;
use crate::net::losses::Loss;
use crate::net::optimizers::{Clip, RmsProp};
use crate::net::sequential::Sequential;
use crate::plan::{Launch, Mode};
use crate::random::Random;

const BATCH: usize = 8;
const STEPS: usize = 5;

/// 21 samples: two whole batches and a part of one, so that five steps reach into the second epoch.
fn data() -> Result<Dataset> {
    let mut random = Random::new(1, 0);
    let inputs = (0..21 * 6).map(|_| random.uniform(-1.0, 1.0)).collect();
    Dataset::from_classes(inputs, 6, (0..21).map(|sample| sample % 3).collect(), 3)
}

fn model(device: &Device) -> Result<Model> {
    compiled(device, Clip::Norm(0.5))
}

/// Without clipping by norm the updates ride in the products of the weight gradients.
fn riding(device: &Device) -> Result<Model> {
    compiled(device, Clip::None)
}

fn shallow(device: &Device) -> Result<Model> {
    Sequential::new(6)
        .add(Dense::new(5).activation(Activation::Relu))
        .add(Dense::new(3).activation(Activation::Softmax))
        .compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)
}

fn in_half(device: &Device) -> Result<Model> {
    let mut model = riding(device)?;
    model.set_precision(Precision::F16)?;
    Ok(model)
}

fn compiled(device: &Device, clip: Clip) -> Result<Model> {
    Sequential::new(6)
        .add(Dense::new(7).activation(Activation::Relu).l2(0.01))
        .add(Dense::new(5).activation(Activation::Gelu))
        .add(Dense::new(3).activation(Activation::Softmax))
        .compile(device, RmsProp { clip, ..RmsProp::default() }, Loss::CategoricalCrossentropy)
}

/// The number of launches that a step of the model has.
fn launches(model: &Model) -> Result<usize> {
    Ok(model.plan_summary(&data()?, BATCH)?.lines().count())
}

fn passes(device: &Device) -> Result<()> {
    for mut model in [model(device)?, riding(device)?, shallow(device)?] {
        for fused in [true, false] {
            model.set_fusion(fused);
            let found = model.verify(&data()?, BATCH, STEPS)?;
            assert_eq!((found.steps, found.launches), (STEPS, STEPS * launches(&model)?));
            assert!(found.largest_share < 0.5, "{found}");
        }
        assert_eq!(model.iterations(), 2 * STEPS as u32);
    }
    Ok(())
}

#[test]
fn an_unbroken_model_passes_on_the_cpu() -> Result<()> {
    passes(&Device::cpu())
}

#[test]
fn an_unbroken_model_passes_on_a_gpu() -> Result<()> {
    passes(&Device::gpu()?)
}

/// What a hardware GPU would run, on whatever GPU there is: the tutorial's net, whose products get tiles with shared sums, and
/// whose updates share a dispatch and its workgroup memory.
#[test]
fn the_plan_for_hardware_passes_on_a_gpu() -> Result<()> {
    let device = Device::options().tuned_tilings(false).plan_for_hardware(true).gpu()?;
    let pixels = (0..784 * 200).map(|at| (at * 37 % 251) as u8).collect();
    let data = Dataset::from_images(pixels, 784, (0..200).map(|sample| (sample * 7 % 10) as u8).collect(), 10)?;
    for clip in [Clip::None, Clip::GlobalNorm(0.5)] {
        let mut model = Sequential::new(784)
            .add(Dense::new(512).activation(Activation::Relu))
            .add(Dense::new(10).activation(Activation::Softmax))
            .compile(&device, RmsProp { clip, ..RmsProp::default() }, Loss::CategoricalCrossentropy)?;
        let key = model.plan_key(Mode::Train, &data, false, 128)?;
        let plan = model.recipe().plan(key);
        let is_staged = |launch: &Launch| match &launch.kernel {
            Kernel::DenseForward(kernel) => matches!(kernel.tiling, Tiling::Staged { splits: 8, .. }),
            Kernel::DenseBackwardUpdate(kernel) => matches!(kernel.gradients.tiling, Tiling::Staged { .. }),
            _ => false,
        };
        let (staged, dispatches) = if clip == Clip::None { (3, 4) } else { (1, 8) };
        assert_eq!(plan.launches.iter().filter(|launch| is_staged(launch)).count(), staged, "{plan}");
        assert_eq!(plan.dispatches.len(), dispatches, "{plan}");
        // A whole batch and a smaller one, twice.
        let found = model.verify(&data, 128, 4)?;
        assert!(found.largest_share < 0.5, "{found}");
    }
    Ok(())
}

/// Verifying trains as well: it leaves the weights that `fit` leaves.
#[test]
fn verified_steps_are_steps() -> Result<()> {
    for device in [Device::cpu(), Device::gpu()?] {
        for make in [model, riding] {
            let (mut verified, mut fitted) = (make(&device)?, make(&device)?);
            verified.verify(&data()?, BATCH, 3)?;
            fitted.fit(&data()?, crate::Fit::new().batch_size(BATCH).shuffle(false))?;
            assert_eq!(verified.to_bytes_with_optimizer()?, fitted.to_bytes_with_optimizer()?);
        }
    }
    Ok(())
}

/// Two updates of three batches and a part of one, from the middle of an update on: their launches differ from batch to
/// batch.
#[test]
fn steps_that_accumulate_are_verified() -> Result<()> {
    for device in [Device::cpu(), Device::gpu()?] {
        let make = || {
            let optimizer = RmsProp::default().gradient_accumulation_steps(3);
            Sequential::new(6)
                .add(Dense::new(7).activation(Activation::Tanh))
                .add(Dense::new(3).activation(Activation::Softmax))
                .compile(&device, optimizer, Loss::CategoricalCrossentropy)
        };
        let (mut verified, mut fitted) = (make()?, make()?);
        let fit = || crate::Fit::new().batch_size(BATCH).shuffle(false);
        for model in [&mut verified, &mut fitted] {
            model.fit(&data()?, fit().steps(1))?;
        }
        let found = verified.verify(&data()?, BATCH, 6)?;
        assert!(found.steps == 6 && found.largest_share < 0.5, "{found}");
        fitted.fit(&data()?, fit().epochs(2))?;
        assert_eq!((verified.batches(), verified.iterations()), (7, 2));
        let bytes = |model: &Model| model.to_bytes_with_optimizer();
        assert!(bytes(&verified)? == bytes(&fitted)?);
    }
    Ok(())
}

/// Replaces `from` by `to` in the shader of the launch `label`, on a device of its own, and returns what verify mode says.
fn broken(make: fn(&Device) -> Result<Model>, label: &str, from: &str, to: &str) -> Result<Error> {
    let device = Device::gpu()?;
    let mut model = make(&device)?;
    let key = model.plan_key(Mode::Train, &data()?, false, BATCH)?;
    let plan = model.recipe().plan(key);
    let has_label = |launches: &&[Launch]| launches.iter().any(|launch| launch.label == label);
    let launches = plan.dispatched().find(has_label).expect("a launch of this name");
    let Backend::Gpu(context) = &device.backend else { panic!("a GPU device") };
    gpu::sabotage(context, launches, BATCH, |launch, text| {
        if launch.label != label {
            return text;
        }
        assert!(text.contains(from), "{from:?} is not in the shader of {label}");
        text.replacen(from, to, 1)
    })?;
    Ok(model.verify(&data()?, BATCH, STEPS).expect_err("a wrong result"))
}

#[test]
fn a_broken_launch_is_named() -> Result<()> {
    let cases = [
        // A row off by one.
        ("gather", "order[next.position + row]", "order[next.position + row / 2u]", "x"),
        // A product whose sums miss a term.
        ("dense_1.forward", "fma(vec4<f32>(a.w), b[3],", "fma(vec4<f32>(0.0), b[3],", "y"),
        // A reduction that takes a mean for a sum.
        ("dense_2.backward_weights", "return fma(", "return 0.5 * fma(", "gradients"),
        // A derivative left out.
        ("dense_1.backward_input", "block[i] * derivative(vec4<f32>(kept[index]))", "block[i]", "dx"),
        // A gradient that is off by a thousandth.
        ("dense_2.categorical_crossentropy", "f32(step.rows) *", "f32(step.rows) * 1.001 *", "gradient"),
        ("gradient_squares", "squares += g * g", "squares += 0.999 * g * g", "sums"),
        // A state that is not written.
        ("update", "velocities[index] = v;", "", "velocities"),
        // A last batch that is taken for a whole one.
        ("advance_step", "min(step.batch_size, step.samples - next.position)", "step.batch_size", "next"),
    ];
    // The same where the update rides: a sum that misses a term, a state that is not written, a bias left out.
    let riding_cases = [
        ("dense_2.update", "fma(vec4<f32>(a.w), b[3],", "fma(vec4<f32>(0.0), b[3],", "parameters"),
        ("dense_1.update", "velocities[index] = v;", "", "velocities"),
        ("dense_0.update", "change(BIAS_OFFSET + column, true_gradient(sums), BIAS_SETTINGS);", "", "parameters"),
        // Parts of sums that are not added, and a line of the kernel that is left out.
        ("dense_2.categorical_crossentropy", "sums[i] += partial[i * stride + place];", "", "gradient"),
        (
            "dense_2.categorical_crossentropy",
            "let w_3 = weights[at + 3u * COLUMN_BLOCKS]",
            "let w_3 = vec4<f32>()",
            "gradient",
        ),
    ];
    // And in half precision: a scale that is left on, or off, and one that never changes.
    let half_cases = [
        ("dense_0.update", "gradient * bitcast<f32>(loss_scale[1])", "gradient", "parameters"),
        ("dense_2.categorical_crossentropy", "bitcast<f32>(atomicLoad(&loss_scale[0]))", "1.0", "gradient"),
        ("dense_0.forward", "y_vec4(within(value, Y_HALF))", "y_vec4(1.003 * value)", "y"),
        ("advance_step", "loss_scale[2] = steps;", "", "loss_scale"),
    ];
    let all = cases.map(|case| (model as fn(&Device) -> Result<Model>, case)).into_iter();
    let all = all.chain(riding_cases.map(|case| (riding as _, case)));
    // On the way down too, where the layer before has the loss's launch take its gradient along.
    let line = "            weights[at + 3u * COLUMN_BLOCKS],";
    let shallow_cases = [("dense_1.categorical_crossentropy", line, "vec4<f32>(),", "dx")];
    let all = all.chain(shallow_cases.map(|case| (shallow as _, case)));
    let has_half = Device::gpu()?.info().has_half_precision();
    let all = all.chain(half_cases.map(|case| (in_half as _, case)).into_iter().filter(|_| has_half));
    for (make, (label, from, to, expected)) in all {
        match broken(make, label, from, to)? {
            Error::Verification { launch, output, .. } => assert_eq!((launch.as_str(), output), (label, expected)),
            other => panic!("{label}: {other}"),
        }
    }
    Ok(())
}

#[test]
fn the_message_names_launch_output_and_element() -> Result<()> {
    let message = broken(model, "advance_step", "next.iteration += 1u;", "next.iteration += 2u;")?.to_string();
    let expected = "launch advance_step differs from its reference: output next element 0 is 2e0, expected 1e0 within ";
    assert!(message.starts_with(expected), "{message}");
    Ok(())
}
