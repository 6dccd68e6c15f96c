//! The tilings of a matrix product, which the dense operations share: what each needs of a device, and its text in WGSL.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::kernels::Real;
use crate::shader::{self, Header, Part};

mod choice;
pub mod cooperative;

pub(crate) use choice::Choices;
pub use choice::{CANDIDATES, Family, Product, Traits};
use cooperative::Cooperative;

/// How a product is computed. All sizes are in blocks of 4 × 4 numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tiling {
    /// One invocation makes `rows` × `columns` blocks in registers; no workgroup memory.
    Direct {
        /// Blocks down.
        rows: usize,
        /// Blocks across.
        columns: usize,
        /// Invocations in a workgroup.
        workgroup: usize,
    },
    /// A workgroup of `splits` times `group_rows` × `group_columns` invocations stages slices of both operands, `depth` blocks
    /// deep, in workgroup memory; each invocation makes its share of the sums of `rows` × `columns` blocks.
    Staged {
        /// Invocations down.
        group_rows: usize,
        /// Invocations across.
        group_columns: usize,
        /// Blocks down, for one invocation.
        rows: usize,
        /// Blocks across, for one invocation.
        columns: usize,
        /// Blocks a slice is deep.
        depth: usize,
        /// Invocations that share a sum, a power of two that divides the 4·`depth` steps of a slice.
        splits: usize,
    },
    /// A workgroup makes `blocks` blocks, `splits` invocations sharing each sum.
    Split {
        /// Blocks of a workgroup.
        blocks: usize,
        /// Invocations that share a sum.
        splits: usize,
    },
    /// A subgroup of eight makes `rows` × 8 blocks and hands the numbers of A round by broadcasts; for software drivers.
    Subgroup {
        /// Blocks down, 4 or 8.
        rows: usize,
        /// Invocations in a workgroup, a multiple of eight.
        workgroup: usize,
    },
    /// The device's matrix units multiply slices that are staged in workgroup memory; for half precision.
    Cooperative(Cooperative),
}

/// Invocations in a subgroup of [`Tiling::Subgroup`].
pub const SUBGROUP: usize = 8;

/// A product's size in blocks of four: rows of C (for the largest batch), columns of C, length of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Size {
    /// Blocks of rows.
    pub rows: usize,
    /// Blocks of columns.
    pub columns: usize,
    /// Blocks of the sum.
    pub depth: usize,
}

/// Bytes of workgroup memory that every device has.
const WORKGROUP_MEMORY: usize = 16_384;

impl Tiling {
    /// A parameter as the product uses it. What is stored in halves needs no rounding.
    pub(crate) fn factor<F: Real>(self, value: F) -> F {
        if let Tiling::Cooperative(_) = self { Cooperative::factor(value) } else { value }
    }

    /// Invocations in a workgroup.
    pub fn workgroup(self) -> usize {
        match self {
            Tiling::Direct { workgroup, .. } | Tiling::Subgroup { workgroup, .. } => workgroup,
            Tiling::Staged { group_rows, group_columns, splits, .. } => group_rows * group_columns * splits,
            Tiling::Split { blocks, splits } => blocks * splits,
            Tiling::Cooperative(cooperative) => cooperative.workgroup(),
        }
    }

    /// Bytes of workgroup memory; `None` for matrix units, which keep to themselves.
    pub(crate) fn workgroup_bytes(self) -> Option<usize> {
        match self {
            Tiling::Direct { .. } | Tiling::Subgroup { .. } => Some(0),
            Tiling::Split { blocks, splits } => Some(80 * blocks * splits),
            Tiling::Staged { group_rows, group_columns, rows, columns, depth, splits } => {
                let staged = 4 * depth * (group_rows * rows + group_columns * columns);
                let handed = splits / 2 * group_rows * group_columns * (4 * rows + 1) * columns;
                Some(16 * (self.buffers() * staged).max(handed))
            }
            Tiling::Cooperative(_) => None,
        }
    }

    /// How many slices [`Tiling::Staged`] has room for: two where they fit.
    fn buffers(self) -> usize {
        match self {
            Tiling::Staged { group_rows, group_columns, rows, columns, depth, .. }
                if 2 * 64 * depth * (group_rows * rows + group_columns * columns) <= WORKGROUP_MEMORY =>
            {
                2
            }
            _ => 1,
        }
    }

    /// The same in workgroups of another's size, or else that other one: for a product beside which it stands.
    pub(crate) fn beside(self, other: Tiling, size: Size) -> Tiling {
        match (other, Tiling::on_vectors(size)) {
            _ if self.workgroup() == other.workgroup() => self,
            (
                Tiling::Direct { workgroup, .. } | Tiling::Subgroup { workgroup, .. },
                Tiling::Direct { rows, columns, .. },
            ) => Tiling::Direct { rows, columns, workgroup },
            _ => other,
        }
    }

    /// Workgroups of a launch.
    pub fn workgroups(self, size: Size) -> usize {
        match self {
            Tiling::Direct { rows, columns, workgroup } => {
                (size.rows.div_ceil(rows) * size.columns.div_ceil(columns)).div_ceil(workgroup)
            }
            Tiling::Staged { group_rows, group_columns, rows, columns, .. } => {
                size.rows.div_ceil(group_rows * rows) * size.columns.div_ceil(group_columns * columns)
            }
            Tiling::Split { blocks, .. } => (size.rows * size.columns).div_ceil(blocks),
            Tiling::Subgroup { rows, workgroup } => {
                (size.rows.div_ceil(rows) * size.columns.div_ceil(SUBGROUP)).div_ceil(workgroup / SUBGROUP)
            }
            Tiling::Cooperative(cooperative) => cooperative.workgroups(size),
        }
    }

    pub(crate) fn header(self, header: &mut Header) {
        header.number("WORKGROUP", self.workgroup());
        match self {
            Tiling::Direct { rows, columns, .. } => {
                header.number("TILE_ROWS", rows).number("TILE_COLUMNS", columns);
            }
            Tiling::Staged { group_rows, group_columns, rows, columns, depth, splits } => {
                header.number("SPLITS", splits).number("BUFFERS", self.buffers());
                header.number("GROUP_ROWS", group_rows).number("GROUP_COLUMNS", group_columns).number("DEPTH", depth);
                header.number("TILE_ROWS", rows).number("TILE_COLUMNS", columns);
            }
            Tiling::Split { blocks, splits } => {
                header.number("BLOCKS", blocks).number("SPLITS", splits);
            }
            Tiling::Subgroup { rows, .. } => {
                header.number("SUBGROUP", SUBGROUP).number("TILE_ROWS", rows);
            }
            Tiling::Cooperative(cooperative) => cooperative.header(header),
        }
    }

    pub(crate) fn parts(self) -> Vec<Part> {
        use shader::{
            ACTIVATION, PRODUCT_COMMON, PRODUCT_COOPERATIVE, PRODUCT_DIRECT, PRODUCT_SPLIT, PRODUCT_STAGED,
            PRODUCT_SUBGROUP, STEP,
        };
        match self {
            Tiling::Direct { .. } => vec![STEP, ACTIVATION, PRODUCT_COMMON, PRODUCT_DIRECT],
            Tiling::Staged { .. } => vec![STEP, ACTIVATION, PRODUCT_COMMON, PRODUCT_STAGED],
            Tiling::Split { .. } => vec![STEP, ACTIVATION, PRODUCT_COMMON, PRODUCT_SPLIT],
            Tiling::Subgroup { .. } => vec![STEP, ACTIVATION, PRODUCT_COMMON, PRODUCT_SUBGROUP],
            Tiling::Cooperative(_) => vec![STEP, ACTIVATION, PRODUCT_COOPERATIVE],
        }
    }
}

/// Sizes in numbers: `staged 64 × 64, 16 deep, by 8 × 8`.
impl fmt::Display for Tiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Tiling::Direct { rows, columns, workgroup } => {
                write!(f, "direct {} × {}, by {workgroup}", 4 * rows, 4 * columns)
            }
            Tiling::Staged { group_rows, group_columns, rows, columns, depth, splits } => {
                let (down, across) = (4 * group_rows * rows, 4 * group_columns * columns);
                write!(f, "staged {down} × {across}, {} deep, by {group_rows} × {group_columns}", 4 * depth)?;
                if splits > 1 { write!(f, ", split in {splits}") } else { Ok(()) }
            }
            Tiling::Split { blocks, splits } => write!(f, "split in {splits}, {blocks} blocks"),
            Tiling::Subgroup { rows, workgroup } => {
                write!(f, "subgroup {} × {}, by {workgroup}", 4 * rows, 4 * SUBGROUP)
            }
            Tiling::Cooperative(cooperative) => cooperative.fmt(f),
        }
    }
}
