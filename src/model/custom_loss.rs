//! What is checked of a loss of the user's own: that its WGSL compiles where it will stand, and that its gradient is that of
//! its loss.

use crate::error::{Error, Result};
use crate::net::custom_loss::{CustomLoss, RowFormula};
use crate::random::Random;

/// How far an output is moved for a difference, and how much of the slope the two may differ by. In f64 the error of a
/// difference is about 10⁻¹⁰ of the loss's third derivative.
const MOVE: f64 = 1e-5;
const TOLERANCE: f64 = 1e-4;

/// Rows that are looked at.
const ROWS: usize = 16;

/// Outputs of a row that are moved one by one; of wider rows this many, spread over them.
const MOST_MOVED: usize = 32;

impl CustomLoss {
    /// A loss by its formula for one row, written twice. Both know nothing of batches and weights: a row's loss is multiplied
    /// by its weight, and the gradient by its weight over the rows of the batch.
    ///
    /// `wgsl` declares
    ///
    /// - `struct Found`, whose member `loss` is the row's loss; what else the gradient wants to know may be in it;
    /// - `fn custom_loss(row: u32) -> Found`;
    /// - `fn custom_slope(row: u32, column: u32, found: Found) -> f32`, ∂loss/∂output of that column,
    ///
    /// which read `output_at(row, column)`, `target_at(row, column)` and the constant `COLUMNS`, the number of outputs. Class
    /// ids are seen as one-hot rows. Each invocation of a row goes through all of it, so such losses are for rows of tens of
    /// outputs. Of loops: WGSL has no recursion, and on some systems a loop without an end takes the desktop with it.
    /// Functions, structures and constants of its own may be there, memory and attributes not.
    ///
    /// `formula(outputs, targets, gradient)` returns the same loss in Rust and writes the gradient, which comes as zeros. It
    /// is in f64: the CPU device rounds to f32 what it gives, and it is the reference in [`Model::verify`](crate::Model::verify),
    /// which compares the two forms on a GPU.
    ///
    /// What is checked: the WGSL here and, for the outputs of its net, when a model is compiled; the gradient against finite
    /// differences of the loss when a model is compiled, on random rows, of which those count whose loss is finite.
    ///
    /// A file holds its name: [`Model::load_with_loss`](crate::Model::load_with_loss) brings both together again.
    ///
    /// ```
    /// use wgrad::{CustomLoss, Dataset, Dense, Device, Fit, Loss, Sequential, Sgd};
    ///
    /// // The pinball loss, whose least is the quantile of nine tenths.
    /// let wgsl = "
    ///     struct Found { loss: f32 }
    ///     fn custom_loss(row: u32) -> Found {
    ///         var sum = 0.0;
    ///         for (var c = 0u; c < COLUMNS; c++) {
    ///             let missing = target_at(row, c) - output_at(row, c);
    ///             sum += max(0.9 * missing, -0.1 * missing);
    ///         }
    ///         return Found(sum);
    ///     }
    ///     fn custom_slope(row: u32, column: u32, found: Found) -> f32 {
    ///         return select(0.1, -0.9, target_at(row, column) > output_at(row, column));
    ///     }";
    /// let pinball = CustomLoss::new("pinball", wgsl, |outputs, targets, gradient| {
    ///     let mut sum = 0.0;
    ///     for (column, (y, t)) in outputs.iter().zip(targets).enumerate() {
    ///         sum += f64::max(0.9 * (t - y), -0.1 * (t - y));
    ///         gradient[column] = if t > y { -0.9 } else { 0.1 };
    ///     }
    ///     sum
    /// })?;
    /// let data = Dataset::from_rows(vec![0.0; 100], 1, (0..100).map(|i| i as f32).collect(), 1)?;
    /// let net = Sequential::new(1).add(Dense::new(1));
    /// let mut model = net.compile(&Device::cpu(), Sgd::default().learning_rate(1.0), Loss::Custom(pinball))?;
    /// model.fit(&data, Fit::new().epochs(100))?;
    /// let quantile = model.predict(&[0.0][..])?[0];
    /// assert!((85.0..95.0).contains(&quantile), "{quantile}");
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Configuration`] for a name that is empty or that of a loss of this crate, and for WGSL that does not
    /// compile, with what is wrong with it.
    pub fn new(name: &'static str, wgsl: &'static str, formula: RowFormula) -> Result<Self> {
        if name.is_empty() || name.parse::<crate::net::losses::Loss>().is_ok() {
            return Err(Error::configuration(
                "name of a custom loss",
                "one that no other loss has",
                format!("{name:?}"),
            ));
        }
        let loss = CustomLoss { name, wgsl, formula: Some(formula) };
        loss.check_text(4)?;
        Ok(loss)
    }

    /// That it can be the loss of a net with so many outputs.
    pub(crate) fn check(&self, outputs: usize) -> Result<()> {
        self.check_present()?;
        self.check_text(outputs)?;
        self.formula.map_or(Ok(()), |formula| check_gradient(self.name, formula, outputs))
    }

    /// That the WGSL is functions that stand on their own, and compiles in each of the shaders that it may be part of.
    #[cfg(feature = "native")]
    fn check_text(&self, outputs: usize) -> Result<()> {
        use crate::kernels::Kernel;
        use crate::kernels::dense_loss::{DenseLoss, MOST_OUTPUTS, Tile};
        use crate::kernels::loss::{LossOperation, RowLoss};
        use crate::kernels::output_loss::OutputLoss;
        use crate::kernels::storage::Storage;
        use crate::kernels::targets::TargetLayout;
        use crate::net::losses::Loss;

        for foreign in ["@", "var<", "enable ", "Barrier"] {
            if self.wgsl.contains(foreign) {
                let expected = "functions, structures and constants that touch no memory but their own variables";
                return Err(self.refused(expected, format!("{foreign:?}")));
            }
        }
        let targets = TargetLayout { ids: false, columns: outputs, smoothing: 0.0, smoothing_share: 0.0 };
        let plain = OutputLoss { loss: Loss::Custom(*self), targets, gradient: true };
        let rows: RowLoss = plain.rows();
        let tile = Tile { lines: 1, rows: 1, splits: 1 };
        let fused = DenseLoss { inputs: 4, bias_offset: None, loss: rows, before: None, tile };
        let mut kernels: Vec<Kernel> = vec![plain.into()];
        if outputs <= MOST_OUTPUTS {
            kernels.push(fused.into());
        }
        kernels.iter().try_for_each(|kernel| self.check_shader(&kernel.shader(Storage::default())))
    }

    /// Browsers have compilers of their own, which say what is wrong.
    #[cfg(not(feature = "native"))]
    fn check_text(&self, _outputs: usize) -> Result<()> {
        Ok(())
    }

    #[cfg(feature = "native")]
    fn check_shader(&self, text: &str) -> Result<()> {
        use wgpu::naga::valid::{Capabilities, ValidationFlags, Validator};

        let expected = "WGSL with `struct Found { loss: f32, … }`, `fn custom_loss(row: u32) -> Found` and \
                        `fn custom_slope(row: u32, column: u32, found: Found) -> f32`";
        let module = wgpu::naga::front::wgsl::parse_str(text);
        let module = module.map_err(|error| self.refused(expected, error.emit_to_string(text)))?;
        let mut validator = Validator::new(ValidationFlags::all(), Capabilities::default());
        let found = validator.validate(&module);
        found.map(drop).map_err(|error| self.refused(expected, error.emit_to_string(text)))
    }

    #[cfg(feature = "native")]
    fn refused(&self, expected: &str, found: String) -> Error {
        Error::configuration(format!("WGSL of the loss {}", self.name), expected, found)
    }
}

/// A row that a loss is tried on: outputs as a softmax or sigmoid makes them, or of any sign; targets between 0 and 1, or a
/// class.
fn draw(random: &mut Random, outputs: usize, row: usize) -> (Vec<f64>, Vec<f64>) {
    let (least, most) = if row.is_multiple_of(2) { (0.05, 0.95) } else { (-2.0, 2.0) };
    let made: Vec<f64> = (0..outputs).map(|_| random.uniform(least, most).into()).collect();
    let class = row / 4 % outputs;
    let target = |column: usize, random: &mut Random| match row % 4 {
        0 | 1 => f64::from(u8::from(column == class)),
        _ => random.uniform(0.05, 0.95).into(),
    };
    (made, (0..outputs).map(|column| target(column, random)).collect())
}

/// Compares the gradient with finite differences of the loss.
fn check_gradient(name: &str, formula: RowFormula, outputs: usize) -> Result<()> {
    let mut random = Random::new(outputs as u64, 0);
    let mut looked_at = 0;
    for row in 0..ROWS {
        let (mut y, targets) = draw(&mut random, outputs, row);
        let mut gradient = vec![0.0; outputs];
        let loss = formula(&y, &targets, &mut gradient);
        if !loss.is_finite() {
            continue; // Outside of what it is made for.
        }
        for column in (0..outputs).step_by(outputs.div_ceil(MOST_MOVED)) {
            let before = y[column];
            let mut at = |moved: f64| {
                y[column] = before + moved;
                let loss = formula(&y, &targets, &mut vec![0.0; outputs]);
                y[column] = before;
                loss
            };
            let (up, down) = ((at(MOVE) - loss) / MOVE, (loss - at(-MOVE)) / MOVE);
            let (slope, found) = ((up + down) / 2.0, gradient[column]);
            let size = slope.abs() + found.abs() + MOVE * loss.abs();
            // A kink has two slopes.
            if (up - down).abs() > 0.1 * size.max(MOVE) || !slope.is_finite() {
                continue;
            }
            looked_at += 1;
            let right = (found - slope).abs() <= TOLERANCE * size + MOVE * TOLERANCE;
            if !right {
                let what = format!("gradient of the loss {name}: output {column} of {y:?} with targets {targets:?}");
                return Err(Error::configuration(what, format!("about {slope:.6}, as the loss changes"), found));
            }
        }
    }
    if looked_at > 0 {
        return Ok(());
    }
    let expected = format!("finite losses of rows of {outputs} outputs and targets, most of them between 0 and 1");
    Err(Error::configuration(format!("loss {name}"), expected, "none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SQUARES: &str = "
        struct Found { loss: f32 }
        fn custom_loss(row: u32) -> Found {
            var sum = 0.0;
            for (var c = 0u; c < COLUMNS; c++) {
                let d = output_at(row, c) - target_at(row, c);
                sum += d * d;
            }
            return Found(sum);
        }
        fn custom_slope(row: u32, column: u32, found: Found) -> f32 {
            return 2.0 * (output_at(row, column) - target_at(row, column));
        }";

    fn squares(outputs: &[f64], targets: &[f64], gradient: &mut [f64]) -> f64 {
        let differences = outputs.iter().zip(targets).map(|(y, t)| y - t);
        gradient.iter_mut().zip(differences.clone()).for_each(|(slope, d)| *slope = 2.0 * d);
        differences.map(|d| d * d).sum()
    }

    #[test]
    fn gradients_are_held_against_the_loss() {
        let checked = |formula: RowFormula| CustomLoss::new("own", SQUARES, formula).unwrap().check(3);
        checked(squares).unwrap();
        let wrong: [(RowFormula, &str); 4] = [
            (|y, t, g| squares(y, t, g) * 1.001, "gradient of the loss own: output 0"),
            (
                |y, t, g| {
                    let loss = squares(y, t, g);
                    g[2] = -g[2];
                    loss
                },
                "gradient of the loss own: output 2",
            ),
            (|y, t, g| squares(y, t, g) + 0.01 * y[1], "gradient of the loss own: output 1"),
            (|_, _, _| f64::NAN, "loss own: expected finite losses of rows of 3 outputs"),
        ];
        for (formula, message) in wrong {
            let refused = checked(formula).unwrap_err().to_string();
            assert!(refused.contains(message), "{refused}");
        }
        // Where a loss has a kink, and where it is no number, nothing is said of it.
        checked(|y, t, g| {
            g.iter_mut().zip(y.iter().zip(t)).for_each(|(slope, (y, t))| *slope = (y - t).signum());
            y.iter().zip(t).map(|(y, t)| (y - t).abs()).sum()
        })
        .unwrap();
        checked(|y, t, g| {
            g.iter_mut().zip(y.iter().zip(t)).for_each(|(slope, (y, t))| *slope = -t / y);
            -y.iter().zip(t).map(|(y, t)| t * y.ln()).sum::<f64>()
        })
        .unwrap();
    }

    #[test]
    #[cfg(feature = "native")]
    fn wgsl_is_compiled_where_it_will_stand() {
        let refused = |name, wgsl: &'static str| CustomLoss::new(name, wgsl, squares).unwrap_err().to_string();
        assert!(refused("own", "fn other() {}").contains("fn custom_loss(row: u32) -> Found"));
        let typed = SQUARES.replace("2.0 *", "2u *").leak();
        assert!(refused("own", typed).contains("2u * (output_at(row, column)"), "{}", refused("own", typed));
        // A name that is taken in the fused shader alone.
        let taken = format!("{SQUARES} const slopes = 1u;").leak();
        assert!(refused("own", taken).contains("slopes"));
        for foreign in ["var<private> sum: f32;", "@compute @workgroup_size(1) fn other() {}"] {
            assert!(refused("own", format!("{SQUARES} {foreign}").leak()).contains("touch no memory"));
        }
        for name in ["", "mse", "MeanSquaredError"] {
            assert!(refused(name, SQUARES).contains("one that no other loss has"));
        }
        assert!(CustomLoss::new("own", SQUARES, squares).unwrap().check(100).is_ok());
    }
}
