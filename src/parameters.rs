//! Where each parameter stands: one buffer for all of them, tensors padded to rows of four and starting on 256-byte
//! boundaries. Gradients and every optimizer slot have the same layout.

use std::ops::Range;

use crate::kernels::shares::{COLUMN_UNIT, Shares, share_of};
use crate::kernels::sum_squares::CHUNK;
use crate::kernels::update::{TENSOR_ALIGNMENT, TENSOR_ENTRY};
use crate::kernels::{blocks, padded};
use crate::random::Random;
use crate::sequential::Sequential;

/// One parameter tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    /// `dense_0.kernel`, `dense_0.bias`, …
    pub name: String,
    /// Rows: inputs of a kernel, 1 for a bias.
    pub rows: usize,
    /// Columns: the layer's units.
    pub columns: usize,
    /// Where it starts in the buffer, in numbers.
    pub offset: usize,
    /// Shares of columns that it lies in; see [`Shares`].
    pub shares: usize,
    /// Whether it is a bias, whose shape has one dimension.
    pub is_bias: bool,
    /// λ of its L2 penalty.
    pub l2: f32,
    /// Whether training changes it.
    pub trainable: bool,
}

impl Tensor {
    /// Numbers from one row to the next.
    pub fn stride(&self) -> usize {
        padded(self.columns)
    }

    /// Numbers it takes, padding included. A kernel has rows for whole blocks of four inputs.
    pub fn padded_length(&self) -> usize {
        self.stride() * if self.is_bias { 1 } else { padded(self.rows) }
    }

    /// Its shape: [in, out] or [out].
    pub fn shape(&self) -> Vec<usize> {
        if self.is_bias { vec![self.columns] } else { vec![self.rows, self.columns] }
    }

    /// Its columns, share by share, with where each share's first row starts and how far on the next one does.
    fn shares(&self) -> impl Iterator<Item = (Range<usize>, usize, usize)> {
        let (columns, stride, rows) = (self.columns, self.stride(), padded(self.rows));
        (0..self.shares).map(move |index| {
            let share = share_of(stride, COLUMN_UNIT, self.shares, index);
            let (start, length) = (self.offset + rows * share.start, share.len());
            (share.start..share.end.min(columns), start, length)
        })
    }

    /// Copies it out of a buffer, without padding.
    pub fn unpack(&self, buffer: &[f32]) -> Vec<f32> {
        let mut values = vec![0.0; self.rows * self.columns];
        for (columns, start, stride) in self.shares() {
            for (row, values) in values.chunks_mut(self.columns).enumerate() {
                values[columns.clone()].copy_from_slice(&buffer[start + row * stride..][..columns.len()]);
            }
        }
        values
    }

    /// Copies it into a buffer.
    pub fn pack(&self, values: &[f32], buffer: &mut [f32]) {
        for (columns, start, stride) in self.shares() {
            for (row, values) in values.chunks(self.columns).enumerate() {
                buffer[start + row * stride..][..columns.len()].copy_from_slice(&values[columns.clone()]);
            }
        }
    }
}

/// The range of the buffer that a layer's kernel and bias fill together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayerRange {
    /// Where the kernel starts.
    pub offset: usize,
    /// Numbers to the end of the bias (or of the kernel, without one).
    pub length: usize,
    /// Where the bias starts, counted from `offset`.
    pub bias: Option<usize>,
    /// Shares of columns that the kernel lies in.
    pub shares: usize,
}

/// The table of all parameter tensors.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub tensors: Vec<Tensor>,
    pub layers: Vec<LayerRange>,
    /// Numbers in the buffer.
    pub length: usize,
}

impl Layout {
    /// `threads` share the lowest layer's kernel where that pays: it alone is read by columns only, since nothing wants the
    /// gradient of the data.
    pub fn new(model: &Sequential, threads: usize) -> Self {
        let mut layout = Layout { tensors: Vec::new(), layers: Vec::new(), length: 0 };
        for (index, (layer, (inputs, units))) in model.layers.iter().zip(model.widths()).enumerate() {
            let shares = if index == 0 { Shares::of_kernel(units, threads) } else { 1 };
            let tensor = |name: &str, rows, is_bias, l2| Tensor {
                name: format!("dense_{index}.{name}"),
                rows,
                columns: units,
                offset: 0,
                shares: if is_bias { 1 } else { shares },
                is_bias,
                l2,
                trainable: layer.trainable,
            };
            let offset = layout.push(tensor("kernel", inputs, false, layer.l2));
            let bias = layer.use_bias.then(|| layout.push(tensor("bias", 1, true, 0.0)) - offset);
            let last = layout.tensors.last().map_or(0, |tensor| tensor.offset + tensor.padded_length());
            layout.layers.push(LayerRange { offset, length: last - offset, bias, shares });
        }
        layout
    }

    /// Adds a tensor behind the others; returns where it starts.
    fn push(&mut self, tensor: Tensor) -> usize {
        let offset = self.length;
        self.length = (offset + tensor.padded_length()).next_multiple_of(TENSOR_ALIGNMENT);
        self.tensors.push(Tensor { offset, ..tensor });
        offset
    }

    /// Numbers in all tensors, without padding.
    pub fn parameter_count(&self) -> usize {
        self.tensors.iter().map(|tensor| tensor.rows * tensor.columns).sum()
    }

    /// The parameters as they start: kernels drawn tensor by tensor, each from its own stream; biases zero.
    pub fn initial(&self, model: &Sequential) -> Vec<f32> {
        let mut buffer = vec![0.0; self.length];
        let kernels = self.tensors.iter().filter(|tensor| !tensor.is_bias);
        for (stream, (tensor, layer)) in kernels.zip(&model.layers).enumerate() {
            let mut random = Random::new(model.seed, stream as u64);
            let count = tensor.rows * tensor.columns;
            let draw = |_| layer.kernel_initializer.draw(&mut random, tensor.rows, tensor.columns);
            tensor.pack(&(0..count).map(draw).collect::<Vec<_>>(), &mut buffer);
        }
        buffer
    }

    /// The tensor table on the device: see `shaders/parts/update.wgsl`.
    pub fn table(&self, weight_decay: f32) -> Vec<f32> {
        let entry = |tensor: &Tensor| -> [f32; TENSOR_ENTRY] {
            [tensor.l2, weight_decay, if tensor.trainable { 1.0 } else { 0.0 }, 1.0]
        };
        self.tensors.iter().flat_map(entry).collect()
    }

    /// Numbers of an optimizer's slot: one for each parameter; of a slot that is not used a few for each layer to bind.
    pub fn slot_length(&self, used: bool) -> usize {
        if used { self.length } else { TENSOR_ALIGNMENT * self.layers.len().max(1) }
    }

    /// The tensor of each run of 64 numbers.
    pub fn tensor_of(&self) -> Vec<u32> {
        let runs = |tensor: &Tensor| tensor.padded_length().div_ceil(TENSOR_ALIGNMENT);
        self.tensors.iter().enumerate().flat_map(|(i, tensor)| vec![i as u32; runs(tensor)]).collect()
    }

    /// The chunks that sums of squares are made of, and each tensor's range of chunks.
    pub fn chunks(&self) -> (Vec<[u32; 4]>, Vec<[u32; 2]>) {
        let (mut chunks, mut ranges) = (Vec::new(), Vec::new());
        for (index, tensor) in self.tensors.iter().enumerate() {
            let first = chunks.len() as u32;
            let end = tensor.offset + tensor.padded_length();
            for start in (tensor.offset..end).step_by(CHUNK) {
                let length = CHUNK.min(end - start);
                chunks.push([(start / 4) as u32, blocks(length) as u32, index as u32, 0]);
            }
            ranges.push([first, chunks.len() as u32]);
        }
        (chunks, ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layers::Dense;

    #[test]
    fn tensors_are_aligned_padded_and_apart() {
        let model = Sequential::new(7).add(Dense::new(5)).add(Dense::new(3).use_bias(false)).add(Dense::new(1));
        let layout = Layout::new(&model, 2);
        let names: Vec<_> = layout.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor.offset)).collect();
        assert_eq!(
            names,
            [
                ("dense_0.kernel", 0),
                ("dense_0.bias", 64),
                ("dense_1.kernel", 128),
                ("dense_2.kernel", 192),
                ("dense_2.bias", 256)
            ]
        );
        assert_eq!(layout.length, 320);
        assert_eq!(layout.layers[0], LayerRange { offset: 0, length: 72, bias: Some(64), shares: 1 });
        assert_eq!(layout.parameter_count(), 7 * 5 + 5 + 5 * 3 + 3 + 1);
        assert_eq!(layout.tensor_of(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn packing_keeps_the_padding_zero() {
        for (inputs, units, threads) in [(7, 5, 1), (7, 303, 2), (6, 512, 4)] {
            let layout = Layout::new(&Sequential::new(inputs).add(Dense::new(units)), threads);
            assert_eq!(layout.layers[0].shares, threads);
            let mut buffer = vec![0.0; layout.length];
            let values: Vec<f32> = (1..=inputs * units).map(|i| i as f32).collect();
            layout.tensors[0].pack(&values, &mut buffer);
            assert_eq!(layout.tensors[0].unpack(&buffer), values);
            assert_eq!(buffer.iter().filter(|&&x| x != 0.0).count(), inputs * units);
            let place = crate::kernels::shares::place(threads, inputs, units, 1, units - 1);
            assert_eq!(buffer[place], (2 * units) as f32);
        }
    }
}
