//! A loss of the user's own, as plain data: a name, WGSL for GPUs, and Rust for the CPU device. What is checked of it is in
//! `model/custom_loss.rs`, its place among the other losses in `kernels/parts/loss/custom.rs`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};

/// The loss of one row in Rust, by [`CustomLoss::new`].
pub type RowFormula = fn(outputs: &[f64], targets: &[f64], gradient: &mut [f64]) -> f64;

/// A loss of one's own: one row's loss and gradient, in WGSL and in Rust. Made by [`CustomLoss::new`], used as
/// [`Loss::Custom`](crate::Loss::Custom). Two are equal if they have the same name and the same WGSL.
#[derive(Clone, Copy)]
pub struct CustomLoss {
    pub(crate) name: &'static str,
    pub(crate) wgsl: &'static str,
    /// None where a file says that there was one.
    pub(crate) formula: Option<RowFormula>,
}

impl CustomLoss {
    /// What it is called.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// That it is more than a file's word for one.
    pub(crate) fn check_present(&self) -> Result<()> {
        match self.formula {
            Some(_) => Ok(()),
            None => {
                let expected = "its WGSL and Rust, from CustomLoss::new: text holds the name alone";
                Err(Error::configuration("custom loss", expected, "one that was read from text"))
            }
        }
    }
}

impl PartialEq for CustomLoss {
    fn eq(&self, other: &Self) -> bool {
        let key = |loss: &Self| (loss.name, loss.wgsl, loss.formula.is_some());
        key(self) == key(other)
    }
}

impl fmt::Debug for CustomLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CustomLoss").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Text holds the name.
impl Serialize for CustomLoss {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

/// What comes of a name is a loss without its formulas, which nothing can be compiled with; whoever reads a file asks for the
/// formulas.
impl<'de> Deserialize<'de> for CustomLoss {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        String::deserialize(deserializer)?;
        Ok(CustomLoss { name: "custom loss", wgsl: "", formula: None })
    }
}
