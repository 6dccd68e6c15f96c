//! What tuning found out, for people and programs.

use std::fmt;
use std::path::PathBuf;

/// What [`Model::tune`](crate::Model::tune) found out. Its `Display` has a line for each product; with `{:#}` all
/// candidates follow it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tuning {
    /// The products of the model's training and evaluation, each shape once. None on the CPU device.
    pub products: Vec<TunedProduct>,
    /// The file that the choices are kept in; `None` where nothing was chosen or nothing is to be kept.
    pub kept: Option<PathBuf>,
}

/// A matrix product of [`Tuning`]: C = A·B, `rows` × `depth` times `depth` × `columns`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TunedProduct {
    /// The first launch that computes it: `dense_0.forward` and the like.
    pub label: String,
    /// The operation, which is the shader's name.
    pub operation: &'static str,
    /// Rows of C, rounded up to four.
    pub rows: usize,
    /// Columns of C, rounded up to four.
    pub columns: usize,
    /// Length of the sum, rounded up to four.
    pub depth: usize,
    /// What was tried, the tiling that would be taken without tuning first.
    pub candidates: Vec<Candidate>,
    /// Which of them was chosen.
    pub choice: usize,
}

/// A tiling that was tried. How a tiling is described may change in any release.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Candidate {
    /// The tiling in words, sizes in numbers.
    pub tiling: String,
    /// Seconds that a launch took, the least of several; `None` if its results were not those of the default, which a
    /// driver can bring about. It is not chosen then.
    pub seconds: Option<f64>,
}

impl TunedProduct {
    /// The tiling that was chosen.
    pub fn chosen(&self) -> &Candidate {
        &self.candidates[self.choice]
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seconds {
            Some(seconds) => write!(f, "{} {:.1} us", self.tiling, 1e6 * seconds),
            None => write!(f, "{} gives other results", self.tiling),
        }
    }
}

impl fmt::Display for Tuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.products.is_empty() {
            return writeln!(f, "nothing to tune: the products of this device have one tiling");
        }
        for product in &self.products {
            let TunedProduct { label, operation, rows, columns, depth, choice, candidates } = product;
            let (chosen, default) = (product.chosen(), &candidates[0]);
            write!(f, "{label:<26} {operation:<24} {rows} × {columns}, sums of {depth}: {chosen}")?;
            match choice {
                0 => writeln!(f, ", the default of {}", candidates.len())?,
                _ => writeln!(f, " (default: {default}; {} tried)", candidates.len())?,
            }
            if f.alternate() {
                candidates.iter().try_for_each(|candidate| writeln!(f, "    {candidate}"))?;
            }
        }
        match &self.kept {
            Some(path) => writeln!(f, "kept in {}", path.display()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_was_tried_and_chosen() {
        let candidate = |tiling: &str, seconds| Candidate { tiling: tiling.into(), seconds };
        let product = TunedProduct {
            label: "dense_0.forward".into(),
            operation: "dense_forward",
            rows: 128,
            columns: 512,
            depth: 784,
            candidates: vec![candidate("one", Some(2e-3)), candidate("two", Some(1e-3)), candidate("three", None)],
            choice: 1,
        };
        let line = "dense_0.forward            dense_forward            128 × 512, sums of 784: two 1000.0 us (default: \
                    one 2000.0 us; 3 tried)\n";
        let candidates = "    one 2000.0 us\n    two 1000.0 us\n    three gives other results\n";
        let tuning = Tuning { products: vec![product.clone()], kept: Some("there".into()) };
        assert_eq!(tuning.to_string(), format!("{line}kept in there\n"));
        assert_eq!(format!("{tuning:#}"), format!("{line}{candidates}kept in there\n"));
        let product = TunedProduct { choice: 0, ..product };
        let line = "dense_0.forward            dense_forward            128 × 512, sums of 784: one 2000.0 us, the \
                    default of 3\n";
        assert_eq!(Tuning { products: vec![product], kept: None }.to_string(), line);
    }
}
