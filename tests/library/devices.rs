//! Devices that are missing, too small or gone: an error that says so, never a panic, and the host's own handlers stay
//! in place and hear nothing of wgrad's failures.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use wgrad::{Activation, Adam, Dense, Device, DeviceKind, Error, Event, Fit, Loss, Model, Sequential, Sgd, wgpu};

use crate::common::{
    Outcome, Suite, assert_same_net, bits, classifier, host_device, labelled, refused, trials, with_rows,
};

pub fn add(suite: &mut Suite) {
    trials!(suite.on_cpu: no_such_adapter, the_list_ends_with_the_cpu, only_a_gpu_has_buffers);
    trials!(suite.on_gpu:
        limits_too_small,
        what_a_dispatch_may_take_changes_no_result,
        a_model_beyond_the_limits,
        a_lost_device,
        a_device_lost_in_training,
        a_device_of_wgrads_own_lost,
        the_hosts_handler_stays,
    );
}

fn no_such_adapter(_: &Device) -> Outcome {
    let gpus: Vec<_> = wgrad::devices().into_iter().filter(|info| info.kind != DeviceKind::Cpu).collect();
    let names: Vec<_> = gpus.iter().enumerate().map(|(at, gpu)| format!("gpu:{at} {gpu}")).collect();
    let available = if names.is_empty() { "none".to_string() } else { names.join("; ") };
    let wanted = "no GPU adapter for \"no such adapter\", be it a number such as gpu:0, a PCI place or part of a name";
    for device in [Device::gpu_named("no such adapter"), Device::named("no such adapter")] {
        refused(device, &format!("{wanted}; this machine has {available}"));
    }
    assert!(Device::named(&format!("gpu:{}", gpus.len())).is_err());
    if let Some(first) = gpus.first() {
        assert_eq!(Device::named("gpu:0")?.info().name, first.name);
    }
    Ok(())
}

fn the_list_ends_with_the_cpu(_: &Device) -> Outcome {
    let devices = wgrad::devices();
    assert_eq!(devices.last(), Some(&Device::cpu().info()));
    assert_eq!(devices.iter().filter(|info| info.kind == DeviceKind::Cpu).count(), 1);
    Ok(())
}

fn only_a_gpu_has_buffers(device: &Device) -> Outcome {
    let mut model = classifier(6, 5, 3).compile(device, Sgd::default(), Loss::CategoricalCrossentropy)?;
    let data = labelled(9, 6, 3);
    let runs_on = "needs a GPU device, and this model runs on CPU";
    refused(model.parameter_view("dense_0.kernel"), &format!("a parameter's buffer {runs_on}"));
    refused(model.trainer(&data, 3), &format!("recording steps {runs_on}"));
    refused(model.predictor(&data), &format!("predictions on the GPU {runs_on}"));
    assert!(device.wgpu().is_none());
    Ok(())
}

fn limits_too_small(_: &Device) -> Outcome {
    let required = Device::required_limits();
    let name = host_device(required.clone(), wgpu::Features::empty())?.0.adapter_info().name;
    let cases = [
        (
            wgpu::Limits { max_storage_buffers_per_shader_stage: 4, ..required.clone() },
            "maxStorageBuffersPerShaderStage of at least 8, and this device has 4",
        ),
        (
            wgpu::Limits { max_storage_buffer_binding_size: 1 << 20, ..required.clone() },
            "maxStorageBufferBindingSize of at least 134217728, and this device has 1048576",
        ),
        (
            wgpu::Limits { max_compute_invocations_per_workgroup: 128, ..required },
            "maxComputeInvocationsPerWorkgroup of at least 256, and this device has 128",
        ),
    ];
    for (limits, message) in cases {
        let (device, queue) = host_device(limits, wgpu::Features::empty())?;
        refused(Device::from_wgpu(device, queue), &format!("wgrad on {name} needs {message}"));
    }
    Ok(())
}

/// Nets of two layers and of many on a device with WebGPU's limits, on one with all that the adapter has, and on wgrad's own.
/// How many updates share a dispatch differs.
fn what_a_dispatch_may_take_changes_no_result(device: &Device) -> Outcome {
    let listed = wgrad::devices().into_iter().find(|info| info.name == device.info().name);
    let all = listed.and_then(|info| info.limits).expect("the limits of the adapter");
    let data = labelled(70, 9, 3);
    let trained = |device: &Device, hidden| -> wgrad::Result<(Model, usize)> {
        let mut net = Sequential::new(9);
        for _ in 0..hidden {
            net = net.add(Dense::new(12).activation(Activation::Tanh));
        }
        let net = net.add(Dense::new(3).activation(Activation::Softmax));
        let mut model = net.compile(device, Sgd::default(), Loss::CategoricalCrossentropy)?;
        let joined = model.plan_summary(&data, 16)?.lines().filter(|line| line.starts_with('+')).count();
        model.fit(&data, Fit::new().epochs(3).batch_size(16))?;
        Ok((model, joined))
    };
    let on = |limits: wgpu::Limits| -> Result<Device, Box<dyn std::error::Error>> {
        let (gpu, queue) = host_device(limits, wgpu::Features::empty())?;
        Ok(Device::from_wgpu(gpu, queue)?)
    };
    let least = on(Device::required_limits())?;
    let more = [on(Device::wanted_limits(&all))?, on(all)?, device.clone()];
    for hidden in [1, 15] {
        let (expected, joined) = trained(&least, hidden)?;
        // SGD's update binds four storage buffers, so two share eight.
        assert!(hidden > 1 || joined == 1, "{joined} launches joined others");
        for device in &more {
            let (model, joined) = trained(device, hidden)?;
            assert!(hidden > 1 || joined == 2, "{joined} launches joined others");
            assert_same_net("with more room", &model, &expected, 1e-5)?;
        }
    }
    Ok(())
}

/// A small net that must still train, to show that the device has taken no harm.
fn trains(device: &Device) -> Outcome {
    let mut model = classifier(6, 5, 3).compile(device, Adam::default(), Loss::CategoricalCrossentropy)?;
    let before = bits(&model)?;
    model.fit(&labelled(40, 6, 3), Fit::new())?;
    assert_ne!(bits(&model)?, before);
    Ok(())
}

/// 10,000 × 10,000 weights are 400 MB, beyond the 128 MiB that a binding has by default. A batch can be too large too.
fn a_model_beyond_the_limits(_: &Device) -> Outcome {
    let (gpu, queue) = host_device(Device::required_limits(), wgpu::Features::empty())?;
    let device = Device::from_wgpu(gpu, queue)?;
    let wide = |units| {
        let description = Sequential::new(units).add(Dense::new(units));
        description.compile(&device, Sgd::default(), Loss::MeanSquaredError)
    };
    let (needed, available) = (4 * (100_000_000 + 10_048), 128 << 20);
    let message = "parameters needs maxStorageBufferBindingSize of at least";
    refused(wide(10_000), &format!("{message} {needed}, and this device has {available}"));
    let mut model = wide(1000)?;
    let data = with_rows(1, 1000, 1000);
    let before = bits(&model)?;
    let Err(error) = model.trainer(&data, wgrad::MAX_BATCH_SIZE) else { panic!("65,536 rows of 1000 fit") };
    assert!(matches!(&error, Error::Limit { limit: "maxStorageBufferBindingSize", .. }), "{error}");
    assert_eq!(bits(&model)?, before);
    trains(&device)
}

/// Each call on a model whose device is gone.
fn calls(model: &mut Model) -> Vec<(&'static str, Option<Error>)> {
    let data = labelled(40, 6, 3);
    let fresh = classifier(6, 5, 3);
    let device = model.device().clone();
    vec![
        ("fit", model.fit(&data, Fit::new()).err()),
        ("fit, streamed", model.fit(&data, Fit::new().device_budget(1)).err()),
        ("another batch size", model.fit(&data, Fit::new().batch_size(8)).err()),
        ("train_on_batch", model.train_on_batch(&data).err()),
        ("evaluate", model.evaluate(&data).err()),
        ("predict", model.predict(&data).err()),
        ("parameter", model.parameter("dense_0.kernel").err()),
        ("set_parameters", model.set_parameters([("dense_0.bias", &[0.0; 5][..])]).err()),
        ("to_bytes", model.to_bytes().err()),
        ("verify", model.verify(&data, 8, 1).err()),
        ("trainer", model.trainer(&data, 8).err()),
        ("predictor", model.predictor(&data).err()),
        ("compile", fresh.compile(&device, Adam::default(), Loss::CategoricalCrossentropy).err()),
    ]
}

#[track_caller]
fn assert_all_lost(calls: Vec<(&'static str, Option<Error>)>) {
    for (call, error) in calls {
        match error {
            Some(Error::DeviceLost { .. }) => {}
            other => panic!("{call}: expected a lost device, found {other:?}"),
        }
    }
}

/// A model that has trained, evaluated and predicted, so that its plans are there.
fn used(device: &Device) -> wgrad::Result<Model> {
    let mut model = classifier(6, 5, 3).compile(device, Adam::default(), Loss::CategoricalCrossentropy)?;
    let data = labelled(40, 6, 3);
    model.fit(&data, Fit::new().validation_data(&data))?;
    model.predict(&data)?;
    Ok(model)
}

fn a_lost_device(_: &Device) -> Outcome {
    let (gpu, queue) = host_device(Device::required_limits(), wgpu::Features::empty())?;
    let mut model = used(&Device::from_wgpu(gpu.clone(), queue)?)?;
    gpu.destroy();
    assert_all_lost(calls(&mut model));
    Ok(())
}

fn a_device_of_wgrads_own_lost(_: &Device) -> Outcome {
    let device = Device::gpu()?;
    let mut model = used(&device)?;
    device.wgpu().expect("a GPU").0.destroy();
    assert_all_lost(calls(&mut model));
    Ok(())
}

fn a_device_lost_in_training(_: &Device) -> Outcome {
    let (gpu, queue) = host_device(Device::required_limits(), wgpu::Features::empty())?;
    let mut model = used(&Device::from_wgpu(gpu.clone(), queue)?)?;
    let observer = |event: &Event| {
        if let Event::Step(step) = event
            && step.step == 2
        {
            gpu.destroy();
        }
        ControlFlow::Continue(())
    };
    let result = model.fit(&labelled(400, 6, 3), Fit::new().batch_size(4).observer(observer));
    assert_all_lost(vec![("fit", result.err())]);
    Ok(())
}

fn the_hosts_handler_stays(_: &Device) -> Outcome {
    let (gpu, queue) = host_device(Device::required_limits(), wgpu::Features::empty())?;
    let heard = Arc::new(AtomicUsize::new(0));
    let count = heard.clone();
    gpu.on_uncaptured_error(Arc::new(move |_: wgpu::Error| {
        count.fetch_add(1, Ordering::Relaxed);
    }));
    let mut model = used(&Device::from_wgpu(gpu.clone(), queue.clone())?)?;
    refused(
        model.fit(&labelled(9, 7, 3), Fit::new()),
        "samples for layer dense_0: expected 6 features, found 7 features",
    );
    let buffer = gpu.create_buffer(&wgpu::BufferDescriptor {
        label: Some("the host's"),
        size: 16,
        usage: wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    assert_eq!(heard.load(Ordering::Relaxed), 0, "wgrad's calls reached the host's handler");
    queue.write_buffer(&buffer, 3, &[0; 4]);
    assert_eq!(heard.load(Ordering::Relaxed), 1, "the host's own mistake did not reach its handler");
    gpu.destroy();
    assert_all_lost(calls(&mut model));
    drop(model);
    assert_eq!(heard.load(Ordering::Relaxed), 1, "a failing call of wgrad reached the host's handler");
    Ok(())
}
