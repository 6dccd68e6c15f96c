//! Where every tensor of a model lives: one buffer for all parameters, tensors padded to rows of four and starting on
//! 256-byte boundaries. Gradients and every optimizer slot have the same layout. What tensors a layer has is the layer's to
//! say.

use std::ops::Range;

use crate::error::Result;
use crate::kernels::shares::{COLUMN_UNIT, Shares, share_of};
use crate::kernels::sum_squares::CHUNK;
use crate::kernels::update::{TENSOR_ALIGNMENT, TensorSettings};
use crate::kernels::{blocks, padded};
use crate::net::constraints::Constraint;
use crate::net::layer::Layer;
use crate::net::optimizers::Optimizer;
use crate::net::regularizers::Regularizer;
use crate::net::sequential::{Placed, Sequential};
use crate::net::tensor::{Kind, TensorSpec};
use crate::random::Random;

/// One parameter tensor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tensor {
    /// `dense_0.kernel`, `dense_0.bias`, …
    pub name: String,
    /// \[in, out\] of a kernel, \[out\] of a bias.
    pub shape: Vec<usize>,
    /// Rows: inputs of a kernel, 1 for a bias.
    pub rows: usize,
    /// Columns: the layer's units.
    pub columns: usize,
    /// Where it starts in the buffer, in numbers.
    pub offset: usize,
    /// Shares of columns that it lies in; see [`Shares`].
    pub shares: usize,
    /// What its size costs.
    pub regularizer: Regularizer,
    /// What it is held to.
    pub constraint: Constraint,
    /// What the learning rate is multiplied by for it.
    pub learning_rate_factor: f32,
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
        self.stride() * if self.shape.len() == 1 { 1 } else { padded(self.rows) }
    }

    /// Whether its size costs something in training. Of a tensor that is not trained it does not, as in Keras.
    pub fn is_penalised(&self) -> bool {
        self.trainable && !self.regularizer.is_none()
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

    /// What an update with this optimizer is told of it.
    pub fn settings(&self, optimizer: &Optimizer) -> TensorSettings {
        TensorSettings {
            regularizer: self.regularizer,
            weight_decay: optimizer.weight_decay_of(&self.name),
            learning_rate_factor: self.learning_rate_factor,
        }
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

/// Adds a tensor behind the others.
fn push(tensors: &mut Vec<Tensor>, length: &mut usize, tensor: Tensor) {
    let offset = *length;
    *length = (offset + tensor.padded_length()).next_multiple_of(TENSOR_ALIGNMENT);
    tensors.push(Tensor { offset, ..tensor });
}

fn tensor(name: &str, spec: &TensorSpec, layer: &Layer, threads: usize) -> Tensor {
    let columns = spec.shape.last().copied().unwrap_or(0);
    let is_matrix = spec.shape.len() > 1;
    Tensor {
        name: format!("{name}.{}", spec.name),
        rows: if is_matrix { spec.shape[0] } else { 1 },
        columns,
        shape: spec.shape.clone(),
        offset: 0,
        shares: if is_matrix { Shares::of_kernel(columns, threads) } else { 1 },
        regularizer: spec.regularizer,
        constraint: layer.constraint(spec.name),
        learning_rate_factor: layer.learning_rate_factor(),
        trainable: layer.is_trainable(),
    }
}

/// A layer in its place: what goes in and out, and the range of the buffer that its tensors fill together.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// Type and ordinal: `dense_0`.
    pub name: String,
    /// Numbers of a sample that go in.
    pub inputs: usize,
    /// And that come out.
    pub outputs: usize,
    /// Where its first tensor starts.
    pub offset: usize,
    /// Numbers to the end of its last tensor; 0 if it has none.
    pub length: usize,
    /// Its tensors among all.
    pub tensors: Range<usize>,
    /// Whether training changes any of them.
    pub trained: bool,
    /// Its moving averages among all.
    pub moving: Range<usize>,
}

/// The table of all parameter tensors, and of the layers that have them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Layout {
    pub tensors: Vec<Tensor>,
    /// One for each layer of the model.
    pub places: Vec<Place>,
    /// Numbers in the buffer.
    pub length: usize,
    /// Moving averages, which lie in a buffer of their own.
    pub moving: Vec<Tensor>,
    /// Numbers in that.
    pub moving_length: usize,
}

impl Layout {
    /// Layers that multiply come first, in their order, and then those that do not: the latter's update is one launch then.
    /// `threads` share the kernel of a layer that reads the batch as it is, where that pays: it alone is read by columns only,
    /// since nothing wants the gradient of the data.
    ///
    /// # Errors
    /// [`Error::Shape`](crate::Error::Shape) if a layer cannot take what the one before makes.
    pub fn new(model: &Sequential, threads: usize) -> Result<Self> {
        let mut layout = Layout::default();
        let placed = model.placed()?;
        let reading = model.layers.iter().take_while(|layer| layer.is_identity()).count();
        let is_product = |placed: &Placed| placed.tensors.iter().any(|tensor| tensor.shape.len() > 1);
        let mut places: Vec<(usize, Place)> = Vec::new();
        for products in [true, false] {
            for (index, placed) in placed.iter().enumerate().filter(|(_, placed)| is_product(placed) == products) {
                let threads = if index <= reading { threads } else { 1 };
                places.push((index, layout.place(&model.layers[index], placed, threads)));
            }
        }
        places.sort_by_key(|(index, _)| *index);
        layout.places = places.into_iter().map(|(_, place)| place).collect();
        // There are no empty buffers.
        layout.length = layout.length.max(TENSOR_ALIGNMENT);
        layout.moving_length = layout.moving_length.max(TENSOR_ALIGNMENT);
        Ok(layout)
    }

    /// Adds a layer's tensors.
    fn place(&mut self, layer: &Layer, placed: &Placed, threads: usize) -> Place {
        let (first, first_moving, offset) = (self.tensors.len(), self.moving.len(), self.length);
        for spec in &placed.tensors {
            let tensor = tensor(&placed.name, spec, layer, threads);
            match spec.kind {
                Kind::Trained => push(&mut self.tensors, &mut self.length, tensor),
                Kind::Moving => push(&mut self.moving, &mut self.moving_length, tensor),
            }
        }
        let tensors = first..self.tensors.len();
        let end = self.tensors[tensors.clone()].last().map_or(offset, |tensor| tensor.offset + tensor.padded_length());
        Place {
            name: placed.name.clone(),
            inputs: placed.input.features(),
            outputs: placed.output.features(),
            offset,
            length: end - offset,
            trained: layer.is_trainable() && !tensors.is_empty(),
            tensors,
            moving: first_moving..self.moving.len(),
        }
    }

    /// Numbers in and out of the whole model.
    pub fn outputs(&self) -> usize {
        self.places.last().map_or(0, |place| place.outputs)
    }

    /// A layer's tensor or moving average, by its name within the layer.
    pub fn tensor_of_place(&self, place: &Place, name: &str) -> Option<&Tensor> {
        let own = |tensor: &&Tensor| {
            tensor.name.strip_prefix(&place.name).is_some_and(|rest| rest.strip_prefix('.') == Some(name))
        };
        self.tensors[place.tensors.clone()].iter().chain(&self.moving[place.moving.clone()]).find(own)
    }

    /// Numbers in all tensors, moving averages too, without padding.
    pub fn parameter_count(&self) -> usize {
        self.tensors.iter().chain(&self.moving).map(|tensor| tensor.rows * tensor.columns).sum()
    }

    /// All tensors in the order of their layers, each with the store that it lies in.
    pub fn all(&self) -> impl Iterator<Item = (&Tensor, Kind)> + '_ {
        self.places.iter().flat_map(|place| {
            let trained = self.tensors[place.tensors.clone()].iter().map(|tensor| (tensor, Kind::Trained));
            trained.chain(self.moving[place.moving.clone()].iter().map(|tensor| (tensor, Kind::Moving)))
        })
    }

    /// The parameters and the moving averages as they start. Each tensor that is drawn has a stream of numbers of its own.
    pub fn initial(&self, model: &Sequential) -> Result<(Vec<f32>, Vec<f32>)> {
        let (mut parameters, mut moving) = (vec![0.0; self.length], vec![0.0; self.moving_length]);
        let placed = model.placed()?;
        let mut stream = 0;
        for ((tensor, kind), spec) in self.all().zip(placed.iter().flat_map(|placed| &placed.tensors)) {
            let mut random = Random::new(model.seed, stream);
            let values = spec.initializer.numbers(&mut random, &spec.shape);
            tensor.pack(&values, if kind == Kind::Trained { &mut parameters } else { &mut moving });
            // Kernels count even where they are not drawn, so that how one starts does not change the others.
            stream += u64::from(spec.shape.len() > 1 || spec.initializer.is_random());
        }
        Ok((parameters, moving))
    }

    /// The tensor table on the device: see `shaders/parts/update.wgsl`.
    pub fn table(&self, optimizer: &Optimizer) -> Vec<f32> {
        self.tensors.iter().flat_map(|tensor| tensor.settings(optimizer).entry(tensor.trainable)).collect()
    }

    /// Numbers of an optimizer's slot: one for each parameter; of a slot that is not used a few for
    /// each layer to bind, and a few for an update of a range.
    pub fn slot_length(&self, used: bool) -> usize {
        if used { self.length } else { TENSOR_ALIGNMENT * (self.places.len() + 1) }
    }

    /// The tensor of each run of 64 numbers.
    pub fn tensor_of(&self) -> Vec<u32> {
        let runs = |tensor: &Tensor| tensor.padded_length().div_ceil(TENSOR_ALIGNMENT);
        self.tensors.iter().enumerate().flat_map(|(i, tensor)| vec![i as u32; runs(tensor)]).collect()
    }

    /// The chunks that sums of squares are made of, and each tensor's range of chunks: none of a tensor that is not trained,
    /// whose penalty and gradient count nowhere.
    pub fn chunks(&self) -> (Vec<[u32; 4]>, Vec<[u32; 2]>) {
        let (mut chunks, mut ranges) = (Vec::new(), Vec::new());
        for (index, tensor) in self.tensors.iter().enumerate() {
            let first = chunks.len() as u32;
            let end = tensor.offset + if tensor.trainable { tensor.padded_length() } else { 0 };
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
    use crate::net::layers::Dense;

    #[test]
    fn tensors_are_aligned_padded_and_apart() {
        let model = Sequential::new(7).add(Dense::new(5)).add(Dense::new(3).use_bias(false)).add(Dense::new(1));
        let layout = Layout::new(&model, 2).unwrap();
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
        let place = &layout.places[0];
        assert_eq!((place.offset, place.length, place.inputs, place.outputs), (0, 72, 7, 5));
        assert_eq!(layout.tensor_of_place(place, "bias").map(|bias| bias.offset), Some(64));
        assert_eq!(layout.tensor_of_place(place, "gamma"), None);
        assert_eq!(layout.parameter_count(), 7 * 5 + 5 + 5 * 3 + 3 + 1);
        assert_eq!(layout.tensor_of(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn packing_keeps_the_padding_zero() {
        for (inputs, units, threads) in [(7, 5, 1), (7, 303, 2), (6, 512, 4)] {
            let layout = Layout::new(&Sequential::new(inputs).add(Dense::new(units)), threads).unwrap();
            assert_eq!(layout.tensors[0].shares, threads);
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
