//! What the doctor has a device do. Tests put a shim in between that lies, as a driver might.

use std::ops::Range;

use wgpu::BufferUsages as Usage;

use crate::blocking::block_on;
use crate::data::{Dataset, synthetic};
use crate::device::context::Context;
use crate::device::{Backend, Device};
use crate::error::{Error, Result};
use crate::executor::gpu::read_buffer;
use crate::kernels::product::cooperative::CooperativeMatrix;
use crate::kernels::storage::Precision;
use crate::model::Model;
use crate::net::activation::Activation;
use crate::net::layers::Dense;
use crate::net::losses::Loss;
use crate::net::optimizers::RmsProp;
use crate::net::sequential::Sequential;
use crate::plan::compare::Verification;
use crate::train::Fit;

const KERNEL_USAGE: Usage = Usage::STORAGE.union(Usage::COPY_SRC).union(Usage::COPY_DST);

/// A buffer of a probe: its words, and which of them are bound.
#[derive(Clone, Debug)]
pub(super) struct Words {
    pub words: Vec<u32>,
    pub bound: Range<usize>,
}

impl Words {
    /// All of them bound.
    pub fn whole(words: Vec<u32>) -> Self {
        let bound = 0..words.len();
        Words { words, bound }
    }
}

/// A shader of the doctor's own, whose bindings are storage buffers in order.
#[derive(Clone, Debug)]
pub(super) struct Probe {
    pub name: &'static str,
    pub text: String,
    pub buffers: Vec<Words>,
    pub groups: u32,
}

/// What a short training left behind.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trained {
    pub weights: Vec<f32>,
    pub loss: f64,
}

pub(super) trait Driver: Send + Sync {
    /// The device itself.
    fn device(&self) -> &Device;

    /// What its matrix units multiply.
    fn matrix_units(&self) -> Option<CooperativeMatrix> {
        self.device().info().cooperative_matrix
    }

    /// Runs a probe once; returns the words of all its buffers.
    fn run(&self, probe: &Probe) -> Result<Vec<Vec<u32>>>;

    /// Writes one number after the other into a buffer and reads each back by way of a shader and a staging buffer that is
    /// used again, as training steps do with their results.
    fn readbacks(&self, rounds: u32) -> Result<Vec<u32>>;

    /// Trains the tutorial's net for a few steps on a device, which may be another than this one.
    fn trained(&self, device: &Device, precision: Precision) -> Result<Trained> {
        trained(device, precision)
    }

    /// Verifies some steps of a model; what is wrong is kept, and the steps go on.
    fn verified(&self, model: &mut Model, data: &Dataset, batch: usize, steps: usize) -> Result<Verification> {
        model.verify_keeping(data, batch, steps)
    }
}

/// A device as it is.
pub(super) struct Honest(pub Device);

impl Driver for Honest {
    fn device(&self) -> &Device {
        &self.0
    }

    fn run(&self, probe: &Probe) -> Result<Vec<Vec<u32>>> {
        let context = context(&self.0)?;
        let pipeline = context.foreign_pipeline(probe.name, &probe.text)?;
        let buffers: Vec<_> =
            probe.buffers.iter().map(|buffer| filled(context, &buffer.words, KERNEL_USAGE)).collect::<Result<_>>()?;
        let entries = (0..).zip(probe.buffers.iter().zip(&buffers)).map(|(binding, (words, buffer))| {
            let offset = 4 * words.bound.start as u64;
            let size = std::num::NonZeroU64::new(4 * words.bound.len() as u64);
            let resource = wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size });
            wgpu::BindGroupEntry { binding, resource }
        });
        let entries: Vec<_> = entries.collect();
        context.scoped(probe.name, || {
            let group = context.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(probe.name),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries,
            });
            dispatch(context, &pipeline, &group, probe.groups, |_| {});
        })?;
        let words = |(buffer, probe): (&wgpu::Buffer, &Words)| {
            let values = block_on(read_buffer(context, buffer))?;
            Ok(bytemuck::cast_slice(&values)[..probe.words.len()].to_vec())
        };
        buffers.iter().zip(&probe.buffers).map(words).collect()
    }

    fn readbacks(&self, rounds: u32) -> Result<Vec<u32>> {
        let Backend::Gpu(context) = &self.0.backend else {
            return Ok((0..rounds).map(|round| 2 * round + 1).collect());
        };
        let pipeline = context.foreign_pipeline("stale readback", DOUBLE)?;
        let (from, to) = (filled(context, &[0; 4], KERNEL_USAGE)?, filled(context, &[0; 4], KERNEL_USAGE)?);
        let staging = context.buffer("readback", 4, Usage::COPY_DST | Usage::MAP_READ)?;
        let entries = [&from, &to].map(|buffer| buffer.as_entire_binding());
        let entries: Vec<_> =
            (0..).zip(entries).map(|(binding, resource)| wgpu::BindGroupEntry { binding, resource }).collect();
        let group = context.scoped("stale readback", || {
            context.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some("stale readback"),
                layout: &pipeline.get_bind_group_layout(0),
                entries: &entries,
            })
        })?;
        let mut found = Vec::new();
        for round in 0..rounds {
            let submission = context.scoped("stale readback", || {
                context.queue.write_buffer(&from, 0, bytemuck::bytes_of(&round));
                let submission = dispatch(context, &pipeline, &group, 1, |encoder| {
                    encoder.copy_buffer_to_buffer(&to, 0, &staging, 0, 16);
                });
                staging.map_async(wgpu::MapMode::Read, .., |_| {});
                submission
            })?;
            block_on(context.wait("stale readback", submission))?;
            let refused = |error: wgpu::MapRangeError| context.refusal("stale readback", error.to_string());
            found.push(bytemuck::pod_read_unaligned(&staging.get_mapped_range(0..4).map_err(refused)?));
            staging.unmap();
        }
        Ok(found)
    }
}

/// What `readbacks` has a shader do with each number: 2·n + 1.
const DOUBLE: &str = "@group(0) @binding(0) var<storage, read> from_host: array<u32>;
@group(0) @binding(1) var<storage, read_write> to_host: array<u32>;
@compute @workgroup_size(1)
fn main() {
    to_host[0] = 2u * from_host[0] + 1u;
}
";

fn context(device: &Device) -> Result<&Context> {
    match &device.backend {
        Backend::Gpu(context) => Ok(context),
        Backend::Cpu { .. } => Err(Error::NeedsGpu { what: "a probe", device: device.info().name }),
    }
}

fn filled(context: &Context, words: &[u32], usage: Usage) -> Result<wgpu::Buffer> {
    let buffer = context.buffer("probe", words.len(), usage)?;
    context.scoped("writing to the device", || context.queue.write_buffer(&buffer, 0, bytemuck::cast_slice(words)))?;
    Ok(buffer)
}

fn dispatch(
    context: &Context,
    pipeline: &wgpu::ComputePipeline,
    group: &wgpu::BindGroup,
    groups: u32,
    then: impl FnOnce(&mut wgpu::CommandEncoder),
) -> wgpu::SubmissionIndex {
    let mut encoder = context.device.create_command_encoder(&Default::default());
    let mut pass = encoder.begin_compute_pass(&Default::default());
    pass.set_pipeline(pipeline);
    pass.set_bind_group(0, group, &[]);
    pass.dispatch_workgroups(groups, 1, 1);
    drop(pass);
    then(&mut encoder);
    context.queue.submit([encoder.finish()])
}

/// The tutorial's net.
pub(super) fn tutorial(device: &Device) -> Result<Model> {
    Sequential::new(784)
        .add(Dense::new(512).activation(Activation::Relu))
        .add(Dense::new(10).activation(Activation::Softmax))
        .compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)
}

/// The tutorial's batch.
pub(super) const BATCH: usize = 128;

/// Steps of the short training; the last batch is smaller.
const SAMPLES: usize = 7 * BATCH + 45;

fn trained(device: &Device, precision: Precision) -> Result<Trained> {
    let digits = synthetic::digits(SAMPLES, 0, 7)?.train;
    let mut model = tutorial(device)?;
    model.set_precision(precision)?;
    let history = model.fit(&digits, Fit::new().batch_size(BATCH).seed(3))?;
    let loss = history.epochs.last().map_or(f64::NAN, |epoch| epoch.train.loss);
    let mut weights = Vec::new();
    for name in ["dense_0.kernel", "dense_0.bias", "dense_1.kernel", "dense_1.bias"] {
        weights.extend(model.parameter(name)?);
    }
    Ok(Trained { weights, loss })
}
