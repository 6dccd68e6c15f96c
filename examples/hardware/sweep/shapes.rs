//! What is multiplied: layers of nets that people train, in the batches that they train them in.

use wgrad::Activation;
use wgrad::kernels::dense_backward_input::DenseBackwardInput;
use wgrad::kernels::dense_backward_weights::DenseBackwardWeights;
use wgrad::kernels::dense_forward::DenseForward;
use wgrad::kernels::gradients::Keep;
use wgrad::kernels::product::Tiling;
use wgrad::kernels::shares::Shares;
use wgrad::kernels::storage::{Precision, Storage};
use wgrad::kernels::{Kernel, padded};

use super::Size;

/// A layer and a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub batch: usize,
    pub inputs: usize,
    pub outputs: usize,
}

/// The two workloads of the benchmark.
const FIRST: [[usize; 3]; 5] =
    [[128, 784, 512], [128, 512, 10], [4096, 784, 2048], [4096, 2048, 2048], [4096, 2048, 10]];

const LAYERS: [[usize; 2]; 17] = [
    [784, 512],
    [512, 512],
    [512, 10],
    [1024, 1024],
    [784, 128],
    [2048, 2048],
    [128, 10],
    [256, 256],
    [784, 2048],
    [64, 64],
    [784, 1024],
    [128, 128],
    [784, 64],
    [1024, 4096],
    [4096, 1024],
    [100, 100],
    [33, 65],
];

const BATCHES: [usize; 6] = [128, 1024, 32, 4096, 512, 8192];

/// For software drivers: the same kinds, smaller.
const REHEARSED: [[usize; 3]; 8] = [
    [128, 784, 512],
    [128, 512, 10],
    [32, 64, 64],
    [128, 128, 128],
    [256, 256, 256],
    [33, 100, 65],
    [512, 64, 128],
    [8, 256, 512],
];

const SHORTEST: [[usize; 3]; 1] = [[32, 64, 48]];

/// All shapes, those first that this part is to begin with.
pub fn in_order(size: Size, part: usize, parts: usize) -> Vec<Shape> {
    let of = |&[batch, inputs, outputs]: &[usize; 3]| Shape { batch, inputs, outputs };
    let all: Vec<Shape> = match size {
        Size::Rehearsal => REHEARSED.iter().map(of).collect(),
        Size::Shortest => SHORTEST.iter().map(of).collect(),
        Size::Whole => {
            let others = BATCHES.iter().flat_map(|&batch| LAYERS.map(|[inputs, outputs]| [batch, inputs, outputs]));
            let mut all: Vec<Shape> = FIRST.iter().map(of).collect();
            others.for_each(|shape| all.extend(Some(of(&shape)).filter(|shape| !all.contains(shape))));
            all
        }
    };
    // The first ones are the first part's; the others are dealt out. What is another's comes last, in reverse, so that
    // two parts that are both cut short leave out as little as they can.
    let first = if size == Size::Whole { FIRST.len() } else { 0 };
    let is_own = |index: usize| if index < first { part == 0 } else { index % parts == part };
    let own = (0..all.len()).filter(|&index| is_own(index));
    let others = (0..all.len()).rev().filter(|&index| !is_own(index));
    own.chain(others).map(|index| all[index]).collect()
}

/// The three products of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    Forward,
    Weights,
    Input,
}

impl Operation {
    pub const ALL: [Operation; 3] = [Operation::Forward, Operation::Weights, Operation::Input];

    /// The kernel by a tiling, and how its numbers are stored.
    pub fn kernel(self, shape: Shape, tiling: Tiling, precision: Precision) -> (Kernel, Storage) {
        let Shape { inputs, outputs, .. } = shape;
        let (activation, shares) = (Activation::Relu, Shares::default());
        let bias_offset = Some(padded(inputs) * padded(outputs));
        let kernel: Kernel = match self {
            Operation::Forward => DenseForward { inputs, outputs, bias_offset, activation, tiling, shares }.into(),
            Operation::Weights => {
                DenseBackwardWeights { inputs, outputs, bias_offset, tiling, shares, keep: Keep::Overwrite }.into()
            }
            Operation::Input => DenseBackwardInput { inputs, outputs, activation, tiling }.into(),
        };
        let mut storage = Storage::default();
        if precision == Precision::F16 {
            let bindings = kernel.definition().bindings;
            let stored = (0..bindings.len()).filter(|&index| bindings[index].stored);
            storage = stored.fold(storage, Storage::with_half);
        }
        (kernel, storage)
    }
}

/// Bytes of a batch's inputs, of its outputs, and of a kernel with its bias, in f32: what the largest launches bind.
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    pub inputs: u64,
    pub outputs: u64,
    pub weights: u64,
}

impl Bytes {
    pub fn of(shape: Shape) -> Self {
        let [rows, inputs, outputs] = [shape.batch, shape.inputs, shape.outputs].map(|count| padded(count) as u64);
        Bytes { inputs: 4 * rows * inputs, outputs: 4 * rows * outputs, weights: 4 * (inputs + 1) * outputs }
    }

    pub fn of_all(shapes: &[Shape]) -> Self {
        let zero = Bytes { inputs: 0, outputs: 0, weights: 0 };
        shapes.iter().map(|&shape| Bytes::of(shape)).fold(zero, |a, b| Bytes {
            inputs: a.inputs.max(b.inputs),
            outputs: a.outputs.max(b.outputs),
            weights: a.weights.max(b.weights),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_every_shape_once_and_begins_with_its_own() {
        let [one, two] = [0, 1].map(|part| in_order(Size::Whole, part, 2));
        // Of the workloads' shapes one is no layer with one of the batches.
        let count = LAYERS.len() * BATCHES.len() + 1;
        assert_eq!((one.len(), two.len()), (count, count));
        assert_eq!(one[0], Shape { batch: 128, inputs: 784, outputs: 512 });
        let half = one.len() / 2;
        assert!(one[..half].iter().all(|shape| !two[..half - 5].contains(shape)));
        for shape in &one {
            assert_eq!(one.iter().filter(|&other| other == shape).count(), 1);
            assert!(two.contains(shape));
        }
    }
}
