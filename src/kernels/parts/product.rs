//! The schedules of a matrix product, and which one serves a shape and a device. The three dense operations share them.

use crate::shader::{self, Header, Part};

/// How a product is computed. All sizes are in blocks of 4 × 4 numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Schedule {
    /// One invocation makes `rows` × `columns` blocks in registers; no workgroup memory.
    Direct {
        /// Blocks down.
        rows: usize,
        /// Blocks across.
        columns: usize,
        /// Invocations in a workgroup.
        workgroup: usize,
    },
    /// A workgroup of `group_rows` × `group_columns` invocations stages slices of both operands, `depth` blocks deep, in
    /// workgroup memory; each invocation makes `rows` × `columns` blocks.
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
    },
    /// A workgroup makes `blocks` blocks, `splits` invocations sharing each sum.
    Split {
        /// Blocks of a workgroup.
        blocks: usize,
        /// Invocations that share a sum.
        splits: usize,
    },
    /// A subgroup of eight makes 4 × 8 blocks and hands the numbers of A round by broadcasts; for software drivers.
    Subgroup {
        /// Invocations in a workgroup, a multiple of eight.
        workgroup: usize,
    },
}

/// Invocations in a subgroup of [`Schedule::Subgroup`].
pub const SUBGROUP: usize = 8;

/// A product's size in blocks of four: rows of C (for the largest batch), columns of C, length of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Blocks of rows.
    pub rows: usize,
    /// Blocks of columns.
    pub columns: usize,
    /// Blocks of the sum.
    pub depth: usize,
}

/// What kind of device a schedule is chosen for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// A driver that runs shaders on the CPU: workgroup memory and barriers cost more than they save.
    Software,
    /// The same, with subgroups of eight invocations.
    SoftwareSubgroups,
    /// A GPU.
    Hardware,
}

/// Below this many workgroups a large GPU stands partly idle, so sums are split instead.
const BUSY_WORKGROUPS: usize = 128;

const STAGED: Schedule = Schedule::Staged { group_rows: 8, group_columns: 8, rows: 2, columns: 2, depth: 4 };

/// 128 invocations: with 80 bytes each they take 10 of the 16 KiB of workgroup memory that every device has.
fn split(depth: usize) -> Schedule {
    if depth >= 64 { Schedule::Split { blocks: 4, splits: 32 } } else { Schedule::Split { blocks: 8, splits: 16 } }
}

impl Schedule {
    /// The schedule for a product of this size on such a device: a function of the shape and the family alone, so the
    /// order of every sum is too.
    pub fn choose(size: Size, family: Family) -> Schedule {
        let tiles = STAGED.workgroups(size);
        match family {
            Family::SoftwareSubgroups if size.columns >= SUBGROUP => Schedule::Subgroup { workgroup: 32 },
            Family::Software | Family::SoftwareSubgroups => Schedule::Direct {
                rows: size.rows.min(2),
                columns: if size.columns.is_multiple_of(2) { 2 } else { 1 },
                workgroup: 32,
            },
            Family::Hardware if tiles >= BUSY_WORKGROUPS => STAGED,
            Family::Hardware if size.depth >= 16 => split(size.depth),
            Family::Hardware => Schedule::Direct { rows: 1, columns: 1, workgroup: 64 },
        }
    }

    /// Invocations in a workgroup.
    pub fn workgroup(self) -> usize {
        match self {
            Schedule::Direct { workgroup, .. } | Schedule::Subgroup { workgroup } => workgroup,
            Schedule::Staged { group_rows, group_columns, .. } => group_rows * group_columns,
            Schedule::Split { blocks, splits } => blocks * splits,
        }
    }

    /// Workgroups of a launch.
    pub fn workgroups(self, size: Size) -> usize {
        match self {
            Schedule::Direct { rows, columns, workgroup } => {
                (size.rows.div_ceil(rows) * size.columns.div_ceil(columns)).div_ceil(workgroup)
            }
            Schedule::Staged { group_rows, group_columns, rows, columns, .. } => {
                size.rows.div_ceil(group_rows * rows) * size.columns.div_ceil(group_columns * columns)
            }
            Schedule::Split { blocks, .. } => (size.rows * size.columns).div_ceil(blocks),
            Schedule::Subgroup { workgroup } => {
                (size.rows.div_ceil(4) * size.columns.div_ceil(SUBGROUP)).div_ceil(workgroup / SUBGROUP)
            }
        }
    }

    pub(crate) fn header(self, header: &mut Header) {
        header.number("WORKGROUP", self.workgroup());
        match self {
            Schedule::Direct { rows, columns, .. } => {
                header.number("TILE_ROWS", rows).number("TILE_COLUMNS", columns);
            }
            Schedule::Staged { group_rows, group_columns, rows, columns, depth } => {
                header.number("GROUP_ROWS", group_rows).number("GROUP_COLUMNS", group_columns).number("DEPTH", depth);
                header.number("TILE_ROWS", rows).number("TILE_COLUMNS", columns);
            }
            Schedule::Split { blocks, splits } => {
                header.number("BLOCKS", blocks).number("SPLITS", splits);
            }
            Schedule::Subgroup { .. } => {
                header.number("SUBGROUP", SUBGROUP);
            }
        }
    }

    pub(crate) fn parts(self) -> &'static [Part] {
        use shader::{
            ACTIVATION, PRODUCT_COMMON, PRODUCT_DIRECT, PRODUCT_SPLIT, PRODUCT_STAGED, PRODUCT_SUBGROUP, STEP,
        };
        match self {
            Schedule::Direct { .. } => &[STEP, ACTIVATION, PRODUCT_COMMON, PRODUCT_DIRECT],
            Schedule::Staged { .. } => &[STEP, ACTIVATION, PRODUCT_COMMON, PRODUCT_STAGED],
            Schedule::Split { .. } => &[STEP, ACTIVATION, PRODUCT_COMMON, PRODUCT_SPLIT],
            Schedule::Subgroup { .. } => &[STEP, ACTIVATION, PRODUCT_COMMON, PRODUCT_SUBGROUP],
        }
    }
}
