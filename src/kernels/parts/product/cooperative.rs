//! The matrix product's tiling for matrix units (tensor cores): the mirror of `shaders/parts/product_cooperative.wgsl`.
//! Units multiply halves, so it is for half precision alone.

use std::fmt;

use half::f16;
use serde::{Deserialize, Serialize};

use super::Size;
use crate::kernels::Real;
use crate::shader::Header;

/// What a device's matrix units multiply at once: two square matrices of halves, whose products are added up in f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CooperativeMatrix {
    /// Numbers in a row or column, 8 or 16.
    pub size: usize,
    /// Invocations in a subgroup, which hold one matrix among them.
    pub subgroup: usize,
}

/// A workgroup of subgroups stages slices of both operands as halves, and each subgroup has matrices of them multiplied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cooperative {
    /// What the units multiply.
    pub matrix: CooperativeMatrix,
    /// Subgroups down and across.
    pub group: [usize; 2],
    /// Matrices down and across, for one subgroup.
    pub tile: [usize; 2],
    /// Matrices a slice is deep.
    pub depth: usize,
}

impl Cooperative {
    /// The ones that tuning tries: tiles of 32, 64 or 128 numbers each way, made by four subgroups. The largest takes up to
    /// 16 KiB of workgroup memory, all that every device has.
    pub fn candidates(matrix: CooperativeMatrix) -> [Cooperative; 5] {
        [([32, 32], 32), ([64, 64], 32), ([64, 128], 16), ([128, 64], 16), ([128, 128], 16)].map(|(numbers, slice)| {
            let group = [2, 2];
            let tile = [0, 1].map(|way| numbers[way] / (group[way] * matrix.size));
            Cooperative { matrix, group, tile, depth: slice / matrix.size }
        })
    }

    /// Numbers down and across that a workgroup makes.
    fn numbers(self) -> [usize; 2] {
        [0, 1].map(|way| self.group[way] * self.tile[way] * self.matrix.size)
    }

    /// Invocations in a workgroup.
    pub fn workgroup(self) -> usize {
        self.matrix.subgroup * self.group[0] * self.group[1]
    }

    /// Workgroups of a launch.
    pub fn workgroups(self, size: Size) -> usize {
        let [down, across] = self.numbers();
        (4 * size.rows).div_ceil(down) * (4 * size.columns).div_ceil(across)
    }

    pub(crate) fn header(self, header: &mut Header) {
        header.matrix_unit(self.matrix.size).number("SUBGROUP", self.matrix.subgroup);
        header.number("GROUP_ROWS", self.group[0]).number("GROUP_COLUMNS", self.group[1]);
        header.number("TILE_ROWS", self.tile[0]).number("TILE_COLUMNS", self.tile[1]).number("DEPTH", self.depth);
    }

    /// A parameter, which is an f32 in any type, as the units get it. Not by `f16::from_f64`: where the processor has no such
    /// conversion that one looks at the upper half of the bits alone, and takes numbers for ties that are none.
    pub(crate) fn factor<F: Real>(value: F) -> F {
        F::of(f16::from_f32(value.wide() as f32).to_f32())
    }
}

/// Sizes in numbers: `cooperative 64 × 64, 32 deep, by 2 × 2 of 16`.
impl fmt::Display for Cooperative {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ([down, across], [rows, columns], size) = (self.numbers(), self.group, self.matrix.size);
        write!(f, "cooperative {down} × {across}, {} deep, by {rows} × {columns} of {size}", self.depth * size)
    }
}
