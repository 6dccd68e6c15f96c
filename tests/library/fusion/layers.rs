//! What layers do to numbers, forwards and backwards, in f64 with their errors.

use wgrad::Activation;

use super::nets::{Drawn, EPSILON};
use super::rounding::{EXPONENTIAL, Matrix, UNIT, sum_error};
use super::step::{Parameters, Trace};

/// A Dense's kernel, with its bias as one more row.
pub fn weights(parameters: &Parameters, name: &str, units: usize) -> Matrix {
    let bias = parameters.get(&format!("{name}.bias")).cloned().unwrap_or(vec![0.0; units]);
    Matrix::exact(units, &[parameters[&format!("{name}.kernel")].as_slice(), &bias].concat())
}

/// A normalization, over the batch or over the features.
pub struct Norm<'a> {
    pub parameters: &'a Parameters,
    pub name: &'a str,
    pub batch: bool,
    pub trained: bool,
}

impl Norm<'_> {
    /// A tensor of the layer's, or as many of these numbers.
    fn tensor(&self, what: &str, columns: usize, otherwise: f64) -> Vec<f64> {
        let numbers = self.parameters.get(&format!("{}.{what}", self.name));
        numbers.map_or(vec![otherwise; columns], |numbers| numbers.iter().map(|&x| f64::from(x)).collect())
    }

    /// Where the averages serve, the factor of each column and what is added; what the latter is made of.
    fn frozen(&self, columns: usize) -> Option<[Vec<f64>; 3]> {
        if !self.batch || self.trained {
            return None;
        }
        let (gamma, beta) = (self.tensor("gamma", columns, 1.0), self.tensor("beta", columns, 0.0));
        let (mean, variance) = (self.tensor("moving_mean", columns, 0.0), self.tensor("moving_variance", columns, 1.0));
        let factors: Vec<_> = gamma
            .iter()
            .zip(variance)
            .map(|(gamma, variance)| gamma / (variance + f64::from(EPSILON)).sqrt())
            .collect();
        let moved: Vec<_> = factors.iter().zip(mean).map(|(factor, mean)| factor * mean).collect();
        let terms = beta.iter().zip(&moved).map(|(beta, moved)| beta - moved).collect();
        let sizes = beta.iter().zip(&moved).map(|(beta, moved)| beta.abs() + moved.abs()).collect();
        Some([factors, terms, sizes])
    }

    fn standardized(&self, x: &Matrix) -> Matrix {
        let epsilon = f64::from(EPSILON);
        if self.batch { x.transposed().standardized(epsilon).transposed() } else { x.standardized(epsilon) }
    }

    pub fn forward(&self, x: &Matrix) -> Matrix {
        if let Some([factors, terms, sizes]) = self.frozen(x.columns) {
            return x.affine(&factors, &terms, &sizes);
        }
        let beta = self.tensor("beta", x.columns, 0.0);
        let sizes: Vec<_> = beta.iter().map(|beta| beta.abs()).collect();
        self.standardized(x).affine(&self.tensor("gamma", x.columns, 1.0), &beta, &sizes)
    }

    /// γ's gradient.
    pub fn along(&self, x: &Matrix, dy: &Matrix) -> Matrix {
        let y = self.standardized(x);
        y.zip(dy, |y, dy| y * dy, |_, product| UNIT * product.abs()).sums()
    }

    pub fn backward(&self, x: &Matrix, dy: &Matrix) -> Matrix {
        let (zeros, epsilon) = (vec![0.0; x.columns], f64::from(EPSILON));
        if let Some([factors, ..]) = self.frozen(x.columns) {
            return dy.affine(&factors, &zeros, &zeros);
        }
        let dy = dy.affine(&self.tensor("gamma", x.columns, 1.0), &zeros, &zeros);
        match self.batch {
            true => dy.transposed().before_standardizing(&x.transposed(), epsilon).transposed(),
            false => dy.before_standardizing(x, epsilon),
        }
    }
}

pub fn activation(layer: &Drawn) -> Activation {
    match *layer {
        Drawn::Dense { activation, .. } | Drawn::Activation(activation) => activation,
        _ => Activation::Linear,
    }
}

/// A row's softmax, each number with what computing it adds.
pub fn softmax(z: &[f64]) -> Vec<(f64, f64)> {
    let largest = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let (sum, count) = (z.iter().map(|z| (z - largest).exp()).sum::<f64>(), z.len());
    let of = |z: &f64| {
        let y = (z - largest).exp() / sum;
        (y, y * (2.0 * sum_error(count) + (24.0 + 5.0 * (largest - z)) * UNIT))
    };
    z.iter().map(of).collect()
}

pub fn activated(activation: Activation, z: &Matrix) -> Matrix {
    match activation {
        Activation::Softmax => z.map_rows(|_, row| softmax(row)),
        Activation::Relu | Activation::LeakyRelu(_) | Activation::ReluWith { .. } => {
            z.map(|z| activation.activate(z), |y| UNIT * y.abs())
        }
        _ => z.map(|z| activation.activate(z), |y| 2.0 * EXPONENTIAL * (1.0 + y.abs())),
    }
}

/// dy times the derivative.
pub fn differentiated(activation: Activation, trace: &Trace, dy: &Matrix) -> Matrix {
    if activation == Activation::Softmax {
        let width = dy.columns;
        return dy.beside(&trace.y).map_rows(|_, both| {
            let (dy, y) = both.split_at(width);
            let terms = dy.iter().zip(y).map(|(dy, y)| dy * y);
            let (sum, size) = terms.fold((0.0, 0.0_f64), |all, term| (all.0 + term, all.1 + term.abs()));
            let own = |dy: f64, y: f64| (sum_error(width) * size + 4.0 * UNIT * dy.abs()) * y;
            dy.iter().zip(y).map(|(&dy, &y)| (y * (dy - sum), own(dy, y))).collect()
        });
    }
    let kept = if activation.keeps_input() { &trace.z } else { &trace.y };
    let own = match activation {
        Activation::Relu | Activation::LeakyRelu(_) | Activation::ReluWith { .. } => UNIT,
        _ => 4.0 * EXPONENTIAL,
    };
    kept.zip(dy, |kept, dy| activation.derivative(kept) * dy, move |dy, _| own * dy.abs())
}

/// α of each of the numbers.
fn slopes_of<'a>(x: &'a Matrix, alpha: &'a [f32]) -> Matrix {
    let values = (0..x.values.len()).map(|at| f64::from(alpha[at % x.columns])).collect();
    Matrix { values, errors: vec![0.0; x.values.len()], ..*x }
}

pub fn prelu(x: &Matrix, alpha: &[f32]) -> Matrix {
    x.zip(&slopes_of(x, alpha), |x, alpha| if x < 0.0 { alpha * x } else { x }, |_, y| UNIT * y.abs())
}

pub fn prelu_backward(x: &Matrix, dy: &Matrix, alpha: &[f32]) -> Matrix {
    let slopes = x.zip(&slopes_of(x, alpha), |x, alpha| if x > 0.0 { 1.0 } else { alpha }, |_, _| 0.0);
    slopes.zip(dy, |slope, dy| slope * dy, |_, dx| UNIT * dx.abs())
}
