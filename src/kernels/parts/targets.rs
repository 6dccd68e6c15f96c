//! How a loss reads its labels, a batch's targets and weights: the mirror of `shaders/parts/targets.wgsl`.

use crate::kernels::Real;
use crate::shader::Header;

/// What the targets of a batch are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TargetLayout {
    /// Class ids, one word a row; else rows of numbers.
    pub ids: bool,
    /// Outputs of the model: the width of a target row.
    pub columns: usize,
    /// The share of label smoothing, 0 for none.
    pub smoothing: f32,
    /// What smoothing adds to each target.
    pub smoothing_share: f32,
}

impl TargetLayout {
    /// Words a row of targets takes.
    pub fn words(&self) -> usize {
        if self.ids { 1 } else { self.columns }
    }

    /// Words a row's labels take: its targets, and the sample's weight behind them.
    pub fn label_words(&self) -> usize {
        self.words() + 1
    }

    /// What the row's loss is multiplied by.
    pub fn weight<F: Real>(&self, labels: &[u32], row: usize) -> F {
        F::of(f32::from_bits(labels[row * self.label_words() + self.words()]))
    }

    /// The target before smoothing.
    pub fn raw<F: Real>(&self, labels: &[u32], row: usize, column: usize) -> F {
        let start = row * self.label_words();
        if !self.ids {
            return F::of(f32::from_bits(labels[start + column]));
        }
        let id = labels[start];
        if self.columns == 1 {
            return F::of(id as f32);
        }
        if id as usize == column { F::one() } else { F::zero() }
    }

    /// The target as the loss sees it.
    pub fn at<F: Real>(&self, labels: &[u32], row: usize, column: usize) -> F {
        self.raw::<F>(labels, row, column) * (F::one() - F::of(self.smoothing)) + F::of(self.smoothing_share)
    }

    /// Whether a row's first largest output stands where its first largest target does; not if all outputs are NaN.
    pub fn agrees<F: Real>(&self, outputs: &[F], labels: &[u32], row: usize) -> bool {
        let wanted = first_largest((0..self.columns).map(|column| self.raw::<f64>(labels, row, column)));
        let predicted = first_largest(outputs.iter().map(|output| output.wide()));
        predicted.is_some() && predicted == wanted
    }

    pub(crate) fn header(&self, header: &mut Header) {
        header
            .flag("TARGET_IDS", self.ids)
            .number("LABEL_WORDS", self.label_words())
            .number("COLUMNS", self.columns)
            .number("COLUMN_BLOCKS", crate::kernels::blocks(self.columns))
            .float("SMOOTHING", self.smoothing)
            .float("SMOOTHING_SHARE", self.smoothing_share);
    }
}

/// The index of the first largest value: what argmax means here. `None` if there is none, all being NaN.
pub(crate) fn first_largest(values: impl Iterator<Item = f64>) -> Option<usize> {
    let mut best = None;
    for (index, value) in values.enumerate() {
        let larger = match best {
            None => !value.is_nan(),
            Some((_, largest)) => value > largest,
        };
        if larger {
            best = Some((index, value));
        }
    }
    best.map(|(index, _)| index)
}
