//! Sums over the rows of a matrix: the gradient of a bias.

use pulp::{Simd, WithSimd};

use super::few_rows::add;
use super::{COLUMN_UNIT, Matrix, Pool, WORTH_ADDING};
use crate::cpu::machine::Instructions;

/// Rows added in one pass over the sums.
const STEPS: usize = 8;

/// Writes the sum of every column to `sums`, each in ascending row order whatever the machine.
///
/// Columns are shared out as a product's are, so a thread reads those that it made. A matrix that does not fit or does not
/// match is a caller's mistake: nothing is computed then.
pub(crate) fn column_sums(pool: &Pool, instructions: Instructions, matrix: Matrix<'_>, sums: &mut [f32]) {
    let valid = matrix.fits() && sums.len() == matrix.columns;
    debug_assert!(valid, "the sums do not match the matrix");
    if !valid {
    } else if matrix.rows * matrix.columns < WORTH_ADDING {
        instructions.dispatch(ColumnSums { matrix, sums });
    } else {
        pool.for_parts([sums], COLUMN_UNIT, matrix.rows * matrix.columns, |start, [sums]| {
            let data = &matrix.data[start * matrix.column_stride..];
            instructions.dispatch(ColumnSums { matrix: Matrix { data, columns: sums.len(), ..matrix }, sums });
        });
    }
}

struct ColumnSums<'a> {
    matrix: Matrix<'a>,
    sums: &'a mut [f32],
}

impl WithSimd for ColumnSums<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let ColumnSums { matrix, sums } = self;
        sums.fill(0.0);
        if matrix.column_stride != 1 {
            for (column, sum) in sums.iter_mut().enumerate() {
                let value = |row: usize| matrix.data[row * matrix.row_stride + column * matrix.column_stride];
                *sum = (0..matrix.rows).map(value).fold(0.0, |sum, value| sum + value);
            }
            return;
        }
        let line = |row: usize| &matrix.data[row * matrix.row_stride..][..matrix.columns];
        let whole = matrix.rows - matrix.rows % STEPS;
        for row in (0..whole).step_by(STEPS) {
            add(simd, [1.0; STEPS], core::array::from_fn(|step| line(row + step)), sums);
        }
        for row in whole..matrix.rows {
            add(simd, [1.0], [line(row)], sums);
        }
    }
}
