//! Floats that start on a cache line, so that no vector of theirs straddles two, and no line is in the hands of two threads
//! that share rows or columns at multiples of sixteen.

use std::ops::{Deref, DerefMut};

use bytemuck::{Pod, Zeroable};

/// Floats in a cache line.
pub(crate) const LINE: usize = 16;

/// One cache line of floats.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; LINE]);

impl Line {
    pub(crate) const ZERO: Line = Line([0.0; LINE]);
}

/// So many lines of zeros, from memory that is not touched before it is used.
pub(crate) fn lines(count: usize) -> Vec<Line> {
    bytemuck::zeroed_vec(count)
}

/// A vector of floats of one length.
#[derive(Clone, Debug, Default)]
pub(crate) struct Buffer {
    lines: Vec<Line>,
    length: usize,
}

impl Buffer {
    pub(crate) fn zeros(length: usize) -> Buffer {
        Buffer { lines: lines(length.div_ceil(LINE)), length }
    }
}

impl From<&[f32]> for Buffer {
    fn from(values: &[f32]) -> Buffer {
        let mut buffer = Buffer::zeros(values.len());
        buffer.copy_from_slice(values);
        buffer
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &bytemuck::cast_slice(&self.lines)[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut bytemuck::cast_slice_mut(&mut self.lines)[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::Buffer;

    #[test]
    fn buffers_start_on_a_line_and_have_their_length() {
        for length in [0, 1, 15, 16, 17, 1000] {
            let values: Vec<f32> = (0..length).map(|index| index as f32).collect();
            let buffer = Buffer::from(values.as_slice());
            assert_eq!(&*buffer, values.as_slice());
            assert_eq!(buffer.as_ptr().align_offset(64), 0);
        }
    }
}
