//! A model in words: its layers, and the launches of its step.

use std::fmt::Write;

use crate::data::Dataset;
use crate::error::Result;
use crate::model::Model;
use crate::model::binding::check_batch_size;
use crate::net::tensor::Kind;
use crate::plan::Mode;

impl Model {
    /// What a training step on `data` in batches of `batch_size` runs on this model's device, one launch a line: phase,
    /// label, operation, and the buffers that it binds, those that it writes behind an arrow. A plus before the phase marks a
    /// launch that shares a dispatch with the one above: they depend on nothing of each other, so a GPU runs them at once.
    ///
    /// ```
    /// use wgrad::{Dataset, Dense, Device, Loss, Sequential, Sgd};
    ///
    /// let data = Dataset::from_rows(vec![0.0, 1.0], 1, vec![1.0, 3.0], 1)?;
    /// let model = Sequential::new(1).add(Dense::new(1)).compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// assert_eq!(model.plan_summary(&data, 32)?.lines().count(), 4);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Model::fit`], where data and model do not fit.
    pub fn plan_summary(&self, data: &Dataset, batch_size: usize) -> Result<String> {
        check_batch_size(batch_size)?;
        let key = self.plan_key(Mode::Train, data, data.sample_weights().is_some(), batch_size)?;
        Ok(self.recipe().plan(key).to_string())
    }

    /// The model as a table, laid out as Keras's `summary` prints it.
    ///
    /// ```
    /// # use wgrad::{Dense, Device, Loss, Sequential, Sgd};
    /// # let net = Sequential::new(3).add(Dense::new(2));
    /// # let model = net.compile(&Device::cpu(), Sgd::default(), Loss::MeanSquaredError)?;
    /// assert!(model.summary().contains("Total params: 8"));
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn summary(&self) -> String {
        let rule = "=".repeat(65);
        let mut text = format!("Model: \"sequential\"\n{}\n", "_".repeat(65));
        let mut line = |name: &str, shape: &str, count: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, " {name:<28}{shape:<26}{count:<10}");
        };
        line("Layer (type)", "Output Shape", "Param #");
        let mut rows = Vec::new();
        for (layer, placed) in self.description().layers.iter().zip(self.description().placed().unwrap_or_default()) {
            let count = |kind: Kind| -> usize {
                let tensors = placed.tensors.iter().filter(|tensor| tensor.kind == kind);
                tensors.map(|tensor| tensor.shape.iter().product::<usize>()).sum()
            };
            let (trained, moving) = (count(Kind::Trained), count(Kind::Moving));
            let trainable = if layer.is_trainable() { trained } else { 0 };
            let name = format!("{} ({})", placed.name, layer.class_name());
            let sizes: Vec<_> = placed.output.dimensions().iter().map(usize::to_string).collect();
            rows.push((name, format!("(None, {})", sizes.join(", ")), trained + moving, trainable));
        }
        let _ = writeln!(text, "{rule}");
        for (name, shape, count, _) in &rows {
            let _ = writeln!(text, " {name:<28}{shape:<26}{count:<10}");
        }
        let (all, trainable) = rows.iter().fold((0, 0), |sums, row| (sums.0 + row.2, sums.1 + row.3));
        let size = |count: usize| format!("{count} ({:.2} KB)", count as f64 * 4.0 / 1024.0);
        let _ = writeln!(text, "{rule}");
        let _ = writeln!(text, "Total params: {}", size(all));
        let _ = writeln!(text, "Trainable params: {}", size(trainable));
        let _ = writeln!(text, "Non-trainable params: {}", size(all - trainable));
        text
    }
}
