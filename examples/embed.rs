//! wgrad inside a program that has its own wgpu device: training steps go into the program's own command encoder, and a
//! shader of the program's reads the trained weights where they are, without a trip through the host.
//!
//! `cargo run --release --example embed`

#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use wgrad::{Activation, Dense, Device, Loss, Model, RmsProp, Sequential, mnist, wgpu};

/// The host's shader: the Euclidean norm of each hidden unit's weights, W [INPUTS, UNITS] being rows of STRIDE floats.
const NORMS: &str = "
@group(0) @binding(0) var<storage, read> weights: array<f32>;
@group(0) @binding(1) var<storage, read_write> norms: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= UNITS { return; }
    var squares = 0.0;
    for (var i = 0u; i < INPUTS; i++) {
        let w = weights[i * STRIDE + id.x];
        squares += w * w;
    }
    norms[id.x] = sqrt(squares);
}
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    env_logger::init();
    let Some((device, queue)) = host_device()? else {
        println!("This machine has no wgpu adapter: there is nothing to embed into.");
        return Ok(());
    };
    let shared = Device::from_wgpu(device.clone(), queue.clone())?;
    println!("The host's device: {}", shared.info());
    let digits = mnist::synthetic(1)?;
    let mut model = Sequential::new(mnist::PIXELS)
        .add(Dense::new(64).activation(Activation::Relu))
        .add(Dense::new(mnist::CLASSES).activation(Activation::Softmax))
        .compile(&shared, RmsProp::default(), Loss::CategoricalCrossentropy)?;
    train(&mut model, &digits.train.take(12_800), &device, &queue)?;
    let norms = norms_of_units(&model, &device, &queue)?;
    let largest = norms.iter().copied().fold(0.0, f32::max);
    println!("Read in place by the host's shader: {} units, largest weight norm {largest:.3}", norms.len());
    predict(&mut model, &digits.test.take(1000), &device, &queue)?;
    println!("Evaluated by wgrad: {}", model.evaluate(&digits.test.take(1000))?);
    Ok(())
}

/// What a game or a tool has anyway. wgrad needs no more than `Device::required_limits`, and makes use of more.
fn host_device() -> Result<Option<(wgpu::Device, wgpu::Queue)>, Box<dyn std::error::Error>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let Ok(adapter) = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default())) else {
        return Ok(None);
    };
    let required_limits = Device::wanted_limits(&adapter.limits());
    let descriptor = wgpu::DeviceDescriptor { required_limits, ..Default::default() };
    Ok(Some(pollster::block_on(adapter.request_device(&descriptor))?))
}

/// One epoch, ten steps in each of the host's submissions: a frame of a game might hold one of these.
fn train(
    model: &mut Model,
    data: &wgrad::Dataset,
    device: &wgpu::Device,
    queue: &wgpu::Queue,
) -> Result<(), wgrad::Error> {
    let mut trainer = model.trainer(data, 128)?;
    trainer.begin_epoch(0, true)?;
    while trainer.steps_left() > 0 {
        let mut encoder = device.create_command_encoder(&Default::default());
        trainer.record(&mut encoder, 10);
        queue.submit([encoder.finish()]);
    }
    println!("{} steps in the host's encoders: {}", trainer.steps_per_epoch(), trainer.score()?);
    Ok(())
}

fn norms_of_units(
    model: &Model,
    device: &wgpu::Device,
    queue: &wgpu::Queue,
) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
    let view = model.parameter_view("dense_0.kernel")?;
    let constants = format!(
        "const INPUTS = {}u; const UNITS = {}u; const STRIDE = {}u;\n",
        view.rows,
        view.columns,
        view.row_stride / 4
    );
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: Some("norms"),
        source: wgpu::ShaderSource::Wgsl((constants + NORMS).into()),
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: Some("norms"),
        layout: None,
        module: &module,
        entry_point: Some("main"),
        compilation_options: Default::default(),
        cache: None,
    });
    let bytes = 4 * view.columns as u64;
    let buffer = |usage| {
        device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("norms"),
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    };
    let norms = buffer(wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC);
    let readback = buffer(wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST);
    let weights = wgpu::BufferBinding {
        buffer: &view.buffer,
        offset: view.offset,
        size: std::num::NonZeroU64::new(view.rows as u64 * view.row_stride),
    };
    let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
        label: Some("norms"),
        layout: &pipeline.get_bind_group_layout(0),
        entries: &[
            wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::Buffer(weights) },
            wgpu::BindGroupEntry { binding: 1, resource: norms.as_entire_binding() },
        ],
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.dispatch_workgroups(view.columns.div_ceil(64) as u32, 1, 1);
    }
    encoder.copy_buffer_to_buffer(&norms, 0, &readback, 0, bytes);
    queue.submit([encoder.finish()]);
    read(&readback, device)
}

fn read(buffer: &wgpu::Buffer, device: &wgpu::Device) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
    buffer.map_async(wgpu::MapMode::Read, .., |_| {});
    device.poll(wgpu::PollType::wait_indefinitely())?;
    Ok(bytemuck::pod_collect_to_vec(&buffer.get_mapped_range(..)?))
}

/// Predictions into a buffer on the GPU, which the host copies like any other of its own.
fn predict(
    model: &mut Model,
    data: &wgrad::Dataset,
    device: &wgpu::Device,
    queue: &wgpu::Queue,
) -> Result<(), Box<dyn std::error::Error>> {
    let predictor = model.predictor(data)?;
    let view = predictor.outputs();
    let bytes = view.rows as u64 * view.row_stride;
    let readback = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("predictions"),
        size: bytes,
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    predictor.record(&mut encoder);
    encoder.copy_buffer_to_buffer(&view.buffer, view.offset, &readback, 0, bytes);
    queue.submit([encoder.finish()]);
    let rows = read(&readback, device)?;
    let first = &rows[..view.columns];
    let best = (0..first.len()).max_by(|&a, &b| first[a].total_cmp(&first[b])).unwrap_or(0);
    println!("Predicted on the GPU: {} rows; the first is a {best} ({:.1} %)", view.rows, 100.0 * first[best]);
    Ok(())
}
