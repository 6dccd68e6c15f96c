//! A product and its shaders: what a race is about.

use std::time::Instant;

use wgrad::kernels::product::{Product, Tiling};
use wgrad::kernels::storage::{Precision, Storage};
use wgrad::kernels::{Access, Element, Kernel};

use super::Kept;
use super::candidates::Order;
use super::shapes::{Bytes, Operation, Shape};
use super::track::SAMPLED;
use crate::vulkan::{Gpu, Kind, Pipeline};
use crate::{Outcome, spirv};

/// One product, and what its launches have in common.
pub struct Task {
    pub operation: Operation,
    pub shape: Shape,
    pub precision: Precision,
    pub product: Product,
    pub storage: Storage,
    pub kinds: Vec<Kind>,
    /// Bytes of the result, and whether it is of halves.
    pub bytes: u64,
    pub halves: bool,
}

/// A shader, compiled or not.
pub struct Compiled<'g> {
    pub tiling: Tiling,
    pub order: Order,
    pub wgsl: String,
    pub hash: String,
    pub spirv: Vec<u32>,
    pub workgroups: usize,
    pub naga_seconds: f64,
    pub pipeline: Result<Pipeline<'g>, String>,
}

impl Task {
    pub fn flops(&self) -> f64 {
        2.0 * (self.shape.batch * self.shape.inputs * self.shape.outputs) as f64
    }

    pub fn new(operation: Operation, shape: Shape, precision: Precision) -> Outcome<Self> {
        let any = Tiling::Direct { rows: 1, columns: 1, workgroup: 64 };
        let (kernel, storage) = operation.kernel(shape, any, precision);
        let bindings = kernel.bindings(storage);
        let kind = |access| if access == Access::Step { Kind::Uniform } else { Kind::Storage };
        let product = kernel.product(shape.batch, precision).ok_or("expected a product")?;
        let halves = bindings.iter().any(|binding| binding.is_output() && binding.element == Element::Half);
        let whole = Bytes::of(shape);
        let bytes = match operation {
            Operation::Forward => whole.outputs,
            Operation::Weights => whole.weights,
            Operation::Input => whole.inputs,
        };
        Ok(Task {
            operation,
            shape,
            precision,
            product,
            storage,
            kinds: bindings.iter().map(|binding| kind(binding.access)).collect(),
            bytes: if halves { bytes / 2 } else { bytes },
            halves,
        })
    }

    pub fn kernel(&self, tiling: Tiling) -> Kernel {
        self.operation.kernel(self.shape, tiling, self.precision).0
    }

    /// The shaders of these tilings in these orders, on as many threads as there are; those that have no such order
    /// left out.
    pub fn compile<'g>(&self, gpu: &'g Gpu, wanted: &[(Tiling, Order)]) -> Vec<Compiled<'g>> {
        let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get()).min(wanted.len().max(1));
        let share = |thread: usize| -> Vec<(usize, Compiled<'g>)> {
            let own = wanted.iter().enumerate().skip(thread).step_by(threads);
            own.filter_map(|(index, &(tiling, order))| Some((index, self.one(gpu, tiling, order)?))).collect()
        };
        let mut all: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
            // A thread that panics has lost its share; the others' is kept.
            running.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
        });
        all.sort_by_key(|&(index, _)| index);
        all.into_iter().map(|(_, compiled)| compiled).collect()
    }

    pub fn one<'g>(&self, gpu: &'g Gpu, tiling: Tiling, order: Order) -> Option<Compiled<'g>> {
        let kernel = self.kernel(tiling);
        let wgsl = order.apply(&kernel.shader(self.storage))?;
        let clock = Instant::now();
        let code = spirv::compile(&wgsl, &gpu.about, matches!(tiling, Tiling::Cooperative(_)))
            .map_err(|error| error.to_string());
        let naga_seconds = clock.elapsed().as_secs_f64();
        let (spirv, pipeline) = match code {
            Ok(code) => {
                let pipeline = gpu.pipeline(&code, &self.kinds).map_err(|error| error.to_string());
                (code, pipeline)
            }
            Err(error) => (Vec::new(), Err(error)),
        };
        let workgroups = kernel.workgroups(self.shape.batch);
        Some(Compiled { tiling, order, hash: spirv::hash(&wgsl), wgsl, spirv, workgroups, naga_seconds, pipeline })
    }

    /// Where results are compared: the beginning, the middle and the end.
    pub fn places(&self) -> [(u64, u64); 3] {
        let length = SAMPLED.min(self.bytes);
        [0, (self.bytes - length) / 2 / 16 * 16, self.bytes - length].map(|at| (at, length))
    }
}

impl Compiled<'_> {
    /// A grid folded in two where it is long, as wgrad folds it.
    pub fn groups(&self) -> [u32; 2] {
        let down = self.workgroups.div_ceil(65_535).max(1);
        [self.workgroups.div_ceil(down) as u32, down as u32]
    }

    pub fn keep(&self, task: &Task) -> Kept {
        Kept { hash: self.hash.clone(), wgsl: self.wgsl.clone(), spirv: self.spirv.clone(), kinds: task.kinds.clone() }
    }
}
