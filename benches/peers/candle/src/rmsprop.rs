//! RMSprop as Keras 3 has it: v ← ρ·v + (1 − ρ)·g², w ← w − η·g / √(v + ε). candle has no RMSprop of its own; written with
//! its tensor operations it is ten passes with a tensor each, so this is the two in-place operations that candle lets
//! its users add.

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, InplaceOp3, Layout, Result, Tensor, Var};
use rayon::prelude::*;

const LEARNING_RATE: f32 = 1e-3;
const RHO: f32 = 0.9;
const EPSILON: f32 = 1e-7;

/// Numbers that a thread takes at a time: small tensors stay on one.
const CHUNK: usize = 1 << 15;

/// v ← ρ·v + (1 − ρ)·g²
struct Velocity;

/// w ← w − η·g / √(v + ε)
struct Descent;

fn numbers<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("expected a contiguous tensor") };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

fn numbers_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else { candle_core::bail!("expected a contiguous tensor") };
    match storage {
        CpuStorage::F32(values) => Ok(&mut values[start..end]),
        _ => candle_core::bail!("expected f32"),
    }
}

impl InplaceOp2 for Velocity {
    fn name(&self) -> &'static str {
        "rmsprop-velocity"
    }

    fn cpu_fwd(&self, v: &mut CpuStorage, of_v: &Layout, g: &CpuStorage, of_g: &Layout) -> Result<()> {
        let (v, g) = (numbers_mut(v, of_v)?, numbers(g, of_g)?);
        v.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK)).for_each(|(v, g)| {
            v.iter_mut().zip(g).for_each(|(v, g)| *v = RHO * *v + (1.0 - RHO) * g * g);
        });
        Ok(())
    }
}

impl InplaceOp3 for Descent {
    fn name(&self) -> &'static str {
        "rmsprop-descent"
    }

    fn cpu_fwd(
        &self,
        w: &mut CpuStorage,
        of_w: &Layout,
        v: &CpuStorage,
        of_v: &Layout,
        g: &CpuStorage,
        of_g: &Layout,
    ) -> Result<()> {
        let (w, v, g) = (numbers_mut(w, of_w)?, numbers(v, of_v)?, numbers(g, of_g)?);
        let chunks = w.par_chunks_mut(CHUNK).zip(v.par_chunks(CHUNK)).zip(g.par_chunks(CHUNK));
        chunks.for_each(|((w, v), g)| {
            w.iter_mut().zip(v).zip(g).for_each(|((w, v), g)| *w -= LEARNING_RATE * g / (v + EPSILON).sqrt());
        });
        Ok(())
    }
}

/// The optimizer: each variable with its velocity.
pub struct RmsProp(Vec<(Var, Tensor)>);

impl RmsProp {
    pub fn new(variables: Vec<Var>) -> Result<Self> {
        let with_velocity = |variable: Var| Ok((variable.clone(), variable.zeros_like()?));
        Ok(RmsProp(variables.into_iter().map(with_velocity).collect::<Result<_>>()?))
    }

    pub fn step(&mut self, gradients: &GradStore) -> Result<()> {
        for (variable, velocity) in &self.0 {
            let Some(gradient) = gradients.get(variable) else { continue };
            // A transposed weight's gradient comes as a view.
            let gradient = gradient.contiguous()?;
            velocity.inplace_op2(&gradient, &Velocity)?;
            variable.inplace_op3(velocity, &gradient, &Descent)?;
        }
        Ok(())
    }
}
