//! Matrices of numbers in f64, each with how far rounding in f32 may move it.
//!
//! # How errors travel
//! - A sum of n products is off by [`sum_error`] of its terms' sizes, and by what its factors' errors make of it. Errors of
//!   different numbers are independent roundings, so they add up as the root of their squares; each is a hard bound or one of
//!   six standard deviations, and so is the root.
//! - A function's result moves by as much as it does when an argument moves as far as it may, one way or the other, several
//!   arguments again as the root of the squares. Where the argument of a ReLU may stand on either side of zero, that is its
//!   whole jump. What the function's own arithmetic adds comes on top.
//! - What is stored in half precision is off by half a unit of the last of its 11 bits, or by half of its smallest number:
//!   by h at most, anywhere within ±h alike. That is a standard deviation of h/√3. The root of squares of h alone would be
//!   √3 deviations of a sum of many, which one sum in twelve exceeds; so six deviations count, as for sums.

/// Half the distance from 1 to the next f32: the relative error of one correctly rounded operation.
pub const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// What an exponential or a logarithm adds to a result of the size of one, as WGSL allows: see `tests/kernels/harness.rs`.
pub const EXPONENTIAL: f64 = 16.0 * UNIT;

/// The error of a sum of `terms` products, relative to the sum of their sizes: see `tests/kernels/harness.rs`.
pub fn sum_error(terms: usize) -> f64 {
    let terms = terms as f64;
    (terms.min(6.0 * terms.sqrt()) + 4.0) * UNIT
}

/// Rows of numbers, without padding, and how far off each may be.
#[derive(Clone, Debug)]
pub struct Matrix {
    pub rows: usize,
    pub columns: usize,
    pub values: Vec<f64>,
    pub errors: Vec<f64>,
}

impl Matrix {
    /// Numbers that f32 holds as they are.
    pub fn exact(columns: usize, values: &[f32]) -> Self {
        let values: Vec<_> = values.iter().map(|&value| f64::from(value)).collect();
        Matrix { rows: values.len() / columns, columns, errors: vec![0.0; values.len()], values }
    }

    /// With a column of ones behind the others: what a bias is multiplied by.
    pub fn with_ones(&self) -> Self {
        let widened = |numbers: &[f64], last: f64| {
            numbers.chunks_exact(self.columns).flat_map(|row| [row, &[last]].concat()).collect()
        };
        let (values, errors) = (widened(&self.values, 1.0), widened(&self.errors, 0.0));
        Matrix { columns: self.columns + 1, values, errors, ..*self }
    }

    /// Without the last row.
    pub fn without_last_row(&self) -> Self {
        let kept = (self.rows - 1) * self.columns;
        let (values, errors) = (self.values[..kept].to_vec(), self.errors[..kept].to_vec());
        Matrix { rows: self.rows - 1, values, errors, ..*self }
    }

    pub fn last_row(&self) -> Self {
        let kept = (self.rows - 1) * self.columns;
        let (values, errors) = (self.values[kept..].to_vec(), self.errors[kept..].to_vec());
        Matrix { rows: 1, values, errors, ..*self }
    }

    pub fn transposed(&self) -> Self {
        let turned = |numbers: &[f64]| {
            (0..self.columns).flat_map(|column| numbers.iter().skip(column).step_by(self.columns).copied()).collect()
        };
        let (values, errors) = (turned(&self.values), turned(&self.errors));
        Matrix { rows: self.columns, columns: self.rows, values, errors }
    }

    /// The product.
    pub fn times(&self, other: &Matrix) -> Self {
        assert_eq!(self.columns, other.rows);
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for (row, row_errors) in self.values.chunks_exact(self.columns).zip(self.errors.chunks_exact(self.columns)) {
            let mut sums = vec![[0.0; 3]; other.columns];
            for (k, (a, a_error)) in row.iter().zip(row_errors).enumerate() {
                let own = k * other.columns..(k + 1) * other.columns;
                let factors = other.values[own.clone()].iter().zip(&other.errors[own]);
                for ([sum, size, squares], (b, b_error)) in sums.iter_mut().zip(factors) {
                    *sum += a * b;
                    *size += (a * b).abs();
                    *squares += (a_error * b).powi(2) + (a * b_error).powi(2);
                }
            }
            values.extend(sums.iter().map(|[sum, ..]| sum));
            errors.extend(sums.iter().map(|[_, size, squares]| sum_error(self.columns) * size + squares.sqrt()));
        }
        Matrix { rows: self.rows, columns: other.columns, values, errors }
    }

    /// As it is when it has been stored in half precision, where it is, multiplied by `scale`.
    pub fn stored(mut self, half: bool, scale: f64) -> Self {
        if half {
            let stored = self.values.iter().zip(&mut self.errors);
            let most = |value: f64| value.abs() * 2f64.powi(-11) + 2f64.powi(-25) / scale;
            stored.for_each(|(value, error)| *error += 6.0 / 3f64.sqrt() * most(*value));
        }
        self
    }

    /// f number by number, `own` being what its arithmetic adds.
    pub fn map(&self, f: impl Fn(f64) -> f64, own: impl Fn(f64) -> f64) -> Self {
        self.map_with(self, |a, _| f(a), |_, y| own(y), false)
    }

    /// f number by number of two matrices; `own` is told the second number and the result.
    pub fn zip(&self, other: &Matrix, f: impl Fn(f64, f64) -> f64, own: impl Fn(f64, f64) -> f64) -> Self {
        self.map_with(other, f, own, true)
    }

    fn map_with(&self, other: &Matrix, f: impl Fn(f64, f64) -> f64, own: impl Fn(f64, f64) -> f64, both: bool) -> Self {
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        let others = other.values.iter().zip(&other.errors);
        for ((&a, &a_error), (&b, &b_error)) in self.values.iter().zip(&self.errors).zip(others) {
            let y = f(a, b);
            let of_a = (f(a - a_error, b) - y).abs().max((f(a + a_error, b) - y).abs());
            let of_b = if both { (f(a, b - b_error) - y).abs().max((f(a, b + b_error) - y).abs()) } else { 0.0 };
            values.push(y);
            errors.push(of_a.hypot(of_b) + own(b, y));
        }
        Matrix { values, errors, ..*self }
    }

    /// f row by row; `f` is told the row's index, and returns each result with what its arithmetic adds.
    pub fn map_rows(&self, f: impl Fn(usize, &[f64]) -> Vec<(f64, f64)>) -> Self {
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for index in 0..self.rows {
            let own = index * self.columns..(index + 1) * self.columns;
            let mut row = self.values[own.clone()].to_vec();
            let result = f(index, &row);
            let mut squares = vec![0.0; result.len()];
            for (column, error) in self.errors[own].iter().enumerate() {
                let (value, mut moved) = (row[column], vec![0.0_f64; result.len()]);
                for at in [value - error, value + error] {
                    row[column] = at;
                    let pairs = f(index, &row).into_iter().zip(&result);
                    moved
                        .iter_mut()
                        .zip(pairs)
                        .for_each(|(moved, (new, old))| *moved = moved.max((new.0 - old.0).abs()));
                }
                row[column] = value;
                squares.iter_mut().zip(moved).for_each(|(squares, moved)| *squares += moved * moved);
            }
            values.extend(result.iter().map(|(value, _)| value));
            errors.extend(result.iter().zip(squares).map(|((_, own), squares)| own + squares.sqrt()));
        }
        Matrix { columns: values.len() / self.rows, values, errors, ..*self }
    }

    /// Two matrices side by side.
    pub fn beside(&self, other: &Matrix) -> Self {
        let joined = |a: &[f64], b: &[f64]| {
            let rows = a.chunks_exact(self.columns).zip(b.chunks_exact(other.columns));
            rows.flat_map(|(a, b)| [a, b].concat()).collect()
        };
        let (values, errors) = (joined(&self.values, &other.values), joined(&self.errors, &other.errors));
        Matrix { rows: self.rows, columns: self.columns + other.columns, values, errors }
    }

    /// Each column times a number of its own, and one added, of which `sizes` are the terms' sizes.
    pub fn affine(&self, factors: &[f64], terms: &[f64], sizes: &[f64]) -> Self {
        let (mut values, mut errors) = (Vec::new(), Vec::new());
        for (at, (x, error)) in self.values.iter().zip(&self.errors).enumerate() {
            let (factor, term, size) = (factors[at % self.columns], terms[at % self.columns], sizes[at % self.columns]);
            values.push(factor * x + term);
            errors.push(factor.abs() * error + 8.0 * UNIT * ((factor * x).abs() + size));
        }
        Matrix { values, errors, ..*self }
    }

    /// Each row with mean 0 and variance 1: (x − mean)/√(variance + ε).
    pub fn standardized(&self, epsilon: f64) -> Self {
        self.map_rows(|_, x| {
            let ([mean, inverse], error) = (moments(x, epsilon), sum_error(x.len()));
            let size = x.iter().map(|x| x.abs()).sum::<f64>() / x.len() as f64;
            let of = |x: &f64| {
                let y = (x - mean) * inverse;
                (y, error * size * inverse + (error + 8.0 * UNIT) * y.abs())
            };
            x.iter().map(of).collect()
        })
    }

    /// The gradient of what was standardized from that of what came of it.
    pub fn before_standardizing(&self, x: &Matrix, epsilon: f64) -> Self {
        let count = self.columns;
        self.beside(x).map_rows(|_, both| {
            let (dy, x) = both.split_at(count);
            let [mean, inverse] = moments(x, epsilon);
            let y: Vec<_> = x.iter().map(|x| (x - mean) * inverse).collect();
            let over = |sum: f64| sum / count as f64;
            let (sum, size) = (over(dy.iter().sum()), over(dy.iter().map(|dy| dy.abs()).sum()));
            let along = over(dy.iter().zip(&y).map(|(dy, y)| dy * y).sum());
            let along_size = over(dy.iter().zip(&y).map(|(dy, y)| (dy * y).abs()).sum());
            // What standardizing is off by, of which every term has its part.
            let off = sum_error(count) * (1.0 + over(x.iter().map(|x| x.abs()).sum()) * inverse) + 8.0 * UNIT;
            let of = |(dy, y): (&f64, &f64)| {
                let size = dy.abs() + size + y.abs() * along_size + y.abs() * size + along_size;
                (inverse * (dy - sum - y * along), inverse * off * size)
            };
            dy.iter().zip(&y).map(of).collect()
        })
    }

    /// The sum of each column, as a row.
    pub fn sums(&self) -> Self {
        Matrix::exact(self.rows, &vec![1.0; self.rows]).times(self)
    }
}

/// Mean and 1/√(variance + ε).
pub fn moments(x: &[f64], epsilon: f64) -> [f64; 2] {
    let count = x.len() as f64;
    let mean = x.iter().sum::<f64>() / count;
    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    [mean, 1.0 / (variance + epsilon).sqrt()]
}
