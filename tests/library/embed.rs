//! wgrad inside another wgpu program: the caller's device and encoders, parameters and predictions as buffers, several
//! models on one device and several threads.

use wgrad::{Adam, BufferView, Dataset, Device, Fit, Loss, Model, RmsProp, wgpu};

use crate::common::{Outcome, Suite, bits, classifier, host_device, labelled, numbers, refused, trials};

pub fn add(suite: &mut Suite) {
    trials!(suite.on_gpu:
        recorded_steps_give_the_bits_of_fit,
        recorded_steps_can_wait,
        scores_of_recorded_steps,
        a_view_shows_the_parameter,
        the_caller_may_write_parameters,
        predictions_stay_on_the_gpu,
        predictors_do_not_disturb_each_other,
    );
    trials!(suite.everywhere: models_share_a_device, threads_share_a_device);
}

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}

/// Checked when this is compiled.
const _: () = {
    is_send::<Device>();
    is_sync::<Device>();
    is_send::<Model>();
    is_send::<wgrad::Trainer<'static>>();
    is_send::<wgrad::Predictor>();
    is_send::<Dataset>();
    is_sync::<Dataset>();
    is_send::<wgrad::Error>();
    is_sync::<wgrad::Error>();
};

type Host = (Device, wgpu::Device, wgpu::Queue);

fn host() -> Result<Host, Box<dyn std::error::Error>> {
    let (gpu, queue) = host_device(Device::required_limits(), wgpu::Features::empty())?;
    Ok((Device::from_wgpu(gpu.clone(), queue.clone())?, gpu, queue))
}

fn compile(device: &Device) -> wgrad::Result<Model> {
    classifier(6, 5, 3).compile(device, Adam::default(), Loss::CategoricalCrossentropy)
}

/// Records into an encoder of the caller's and submits it.
fn submitted(gpu: &wgpu::Device, queue: &wgpu::Queue, record: impl FnOnce(&mut wgpu::CommandEncoder)) {
    let mut encoder = gpu.create_command_encoder(&Default::default());
    record(&mut encoder);
    queue.submit([encoder.finish()]);
}

fn recorded_steps_give_the_bits_of_fit(_: &Device) -> Outcome {
    let (device, gpu, queue) = host()?;
    let data = labelled(70, 6, 3).with_sample_weights(numbers(70, 3).iter().map(|x| x.abs()).collect())?;
    let mut fitted = compile(&device)?;
    fitted.fit(&data, Fit::new().epochs(2).batch_size(16).seed(4))?;
    let mut recorded = compile(&device)?;
    let mut trainer = recorded.trainer(&data, 16)?;
    assert_eq!(trainer.steps_per_epoch(), 5);
    for _ in 0..2 {
        trainer.begin_epoch(4, true)?;
        for (steps, left) in [(3, 2), (9, 0), (1, 0)] {
            submitted(&gpu, &queue, |encoder| {
                trainer.record(encoder, steps);
            });
            assert_eq!(trainer.steps_left(), left);
        }
    }
    assert_eq!((recorded.iterations(), fitted.iterations()), (10, 10));
    assert_eq!(bits(&recorded)?, bits(&fitted)?);
    // Either goes on where it is.
    fitted.fit(&data, Fit::new().initial_epoch(2))?;
    recorded.fit(&data, Fit::new().initial_epoch(2))?;
    assert_eq!(bits(&recorded)?, bits(&fitted)?);
    Ok(())
}

/// Steps are made when the encoder is submitted, not when they are recorded.
fn recorded_steps_can_wait(_: &Device) -> Outcome {
    let (device, gpu, queue) = host()?;
    let data = labelled(70, 6, 3);
    let mut model = compile(&device)?;
    let before = bits(&model)?;
    let mut encoder = gpu.create_command_encoder(&Default::default());
    assert_eq!(model.trainer(&data, 16)?.record(&mut encoder, 2), 2);
    assert_eq!(bits(&model)?, before);
    queue.submit([encoder.finish()]);
    let mut fitted = compile(&device)?;
    fitted.fit(&data.take(32), Fit::new().batch_size(16).shuffle(false))?;
    assert_eq!(bits(&model)?, bits(&fitted)?);
    Ok(())
}

fn scores_of_recorded_steps(_: &Device) -> Outcome {
    let (device, gpu, queue) = host()?;
    let data = labelled(70, 6, 3);
    let mut fitted = compile(&device)?;
    let history = fitted.fit(&data, Fit::new().epochs(2).batch_size(16).seed(4))?;
    let mut recorded = compile(&device)?;
    let mut trainer = recorded.trainer(&data, 16)?;
    for epoch in history.epochs {
        trainer.begin_epoch(4, true)?;
        submitted(&gpu, &queue, |encoder| {
            trainer.record(encoder, 5);
        });
        assert_eq!(trainer.score()?, epoch.train);
    }
    // Target rows under cross-entropy are answers too, as `fit` counts them.
    let rows = Dataset::from_rows(numbers(30, 1), 6, [1.0, 0.0, 0.0].repeat(5), 3)?;
    let expected = compile(&device)?.train_on_batch(&rows)?;
    let mut other = compile(&device)?;
    let mut trainer = other.trainer(&rows, 5)?;
    submitted(&gpu, &queue, |encoder| {
        trainer.record(encoder, 1);
    });
    assert_eq!(trainer.score()?, expected);
    Ok(())
}

/// Copies what a view shows to the host, padding included, through the caller's own queue.
fn read(gpu: &wgpu::Device, queue: &wgpu::Queue, view: &BufferView) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
    let size = view.rows as u64 * view.row_stride;
    let staging = gpu.create_buffer(&wgpu::BufferDescriptor {
        label: Some("the host's"),
        size,
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    submitted(gpu, queue, |encoder| encoder.copy_buffer_to_buffer(&view.buffer, view.offset, &staging, 0, size));
    staging.map_async(wgpu::MapMode::Read, .., |result| result.expect("mapped"));
    gpu.poll(wgpu::PollType::wait_indefinitely())?;
    let words = bytemuck::pod_collect_to_vec(&staging.get_mapped_range(..)?);
    Ok(words)
}

/// The numbers of a view without padding, which must be zero.
fn unpadded(view: &BufferView, words: &[f32]) -> Vec<f32> {
    let rows = words.chunks_exact(view.row_stride as usize / 4);
    rows.flat_map(|row| {
        assert!(row[view.columns..].iter().all(|&padding| padding == 0.0), "{row:?}");
        row[..view.columns].to_vec()
    })
    .collect()
}

fn a_view_shows_the_parameter(_: &Device) -> Outcome {
    let (device, gpu, queue) = host()?;
    let mut model = compile(&device)?;
    model.fit(&labelled(70, 6, 3), Fit::new())?;
    for (name, rows, columns) in
        [("dense_0.kernel", 6, 5), ("dense_0.bias", 1, 5), ("dense_1.kernel", 5, 3), ("dense_1.bias", 1, 3)]
    {
        let view = model.parameter_view(name)?;
        assert_eq!((view.rows, view.columns), (rows, columns), "{name}");
        assert_eq!(view.offset % u64::from(gpu.limits().min_storage_buffer_offset_alignment), 0, "{name}");
        assert_eq!(unpadded(&view, &read(&gpu, &queue, &view)?), model.parameter(name)?, "{name}");
    }
    let unknown =
        "parameter name: expected dense_0.kernel, dense_0.bias, dense_1.kernel, dense_1.bias, found \"kernel\"";
    refused(model.parameter_view("kernel"), unknown);
    Ok(())
}

fn the_caller_may_write_parameters(_: &Device) -> Outcome {
    let (device, _, queue) = host()?;
    let model = compile(&device)?;
    let view = model.parameter_view("dense_1.kernel")?;
    let bias_before = model.parameter("dense_1.bias")?;
    queue.write_buffer(&view.buffer, view.offset + 2 * view.row_stride, bytemuck::cast_slice(&[7.0f32, 8.0, 9.0]));
    assert_eq!(model.parameter("dense_1.kernel")?[6..9], [7.0, 8.0, 9.0]);
    assert_eq!(model.parameter("dense_1.bias")?, bias_before);
    Ok(())
}

fn predictions_stay_on_the_gpu(_: &Device) -> Outcome {
    let (device, gpu, queue) = host()?;
    let data = labelled(1300, 6, 3);
    let mut model = compile(&device)?;
    let predictor = model.predictor(&data)?;
    for _ in 0..2 {
        model.fit(&data, Fit::new())?;
        submitted(&gpu, &queue, |encoder| predictor.record(encoder));
        let view = predictor.outputs();
        assert_eq!((view.rows, view.columns, view.row_stride), (1300, 3, 16));
        let found = unpadded(view, &read(&gpu, &queue, view)?);
        crate::common::assert_close("predictions", &found, &model.predict(&data)?, 1e-6);
    }
    Ok(())
}

/// Not even where they, or `predict`, have as many rows.
fn predictors_do_not_disturb_each_other(_: &Device) -> Outcome {
    let (device, gpu, queue) = host()?;
    let model = compile(&device)?;
    let (first, second) = (numbers(1024 * 6, 1), numbers(1024 * 6, 2));
    let expected = [model.predict(&first)?, model.predict(&second)?];
    let predictors = [model.predictor(&first)?, model.predictor(&second)?];
    // Its last batch is smaller than 1024 rows and does not start at the first.
    model.predict(numbers(1500 * 6, 3))?;
    submitted(&gpu, &queue, |encoder| predictors.iter().for_each(|predictor| predictor.record(encoder)));
    for (predictor, expected) in predictors.iter().zip(&expected) {
        let view = predictor.outputs();
        assert!(unpadded(view, &read(&gpu, &queue, view)?) == *expected, "other rows' predictions");
    }
    Ok(())
}

fn train(device: &Device, seed: u64) -> wgrad::Result<Vec<u32>> {
    let description = classifier(6, 5 + seed as usize, 3).seed(seed);
    let mut model = description.compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
    let data = labelled(90, 6, 3);
    model.fit(&data, Fit::new().epochs(3).batch_size(8).seed(seed).validation_data(&data))?;
    bits(&model)
}

fn models_share_a_device(device: &Device) -> Outcome {
    let data = labelled(40, 6, 3);
    let (mut one, mut other) = (compile(device)?, compile(device)?);
    for epoch in 0..3 {
        one.fit(&data, Fit::new().initial_epoch(epoch))?;
        other.fit(&data, Fit::new().initial_epoch(epoch))?;
    }
    let mut alone = compile(device)?;
    alone.fit(&data, Fit::new().epochs(3))?;
    assert_eq!((bits(&one)?, bits(&other)?), (bits(&alone)?, bits(&alone)?));
    Ok(())
}

fn threads_share_a_device(device: &Device) -> Outcome {
    let alone: Vec<_> = (0..4).map(|seed| train(device, seed)).collect::<wgrad::Result<_>>()?;
    let together: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|seed| scope.spawn(move || train(device, seed))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<wgrad::Result<_>>()
    })?;
    assert!(alone == together, "other bits beside other threads");
    // A model may also move to another thread.
    let mut model = compile(device)?;
    let moved = std::thread::spawn(move || model.fit(&labelled(40, 6, 3), Fit::new()).map(|_| model));
    assert_eq!(moved.join().expect("no panic")?.iterations(), 2);
    Ok(())
}
