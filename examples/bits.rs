//! Bits.
#![allow(clippy::all)]
use wgrad::*;
struct R(u64);
impl R { fn n(&mut self, k: usize) -> usize { self.0 ^= self.0 << 13; self.0 ^= self.0 >> 7; self.0 ^= self.0 << 17; (self.0 % k as u64) as usize } fn f(&mut self) -> f32 { self.n(20001) as f32 / 10000.0 - 1.0 } }
fn hash(b: &[u8]) -> u64 { b.iter().fold(0xcbf29ce484222325, |h, &x| (h ^ x as u64).wrapping_mul(0x100000001b3)) }
fn main() -> Result<()> {
    let devices = [("cpu", Device::cpu_with_threads(2)), ("gpu", Device::gpu()?)];
    let count: usize = std::env::args().nth(1).map_or(60, |x| x.parse().unwrap());
    let acts = [Activation::Linear, Activation::Relu, Activation::LeakyRelu(0.2), Activation::Elu(1.0), Activation::Sigmoid, Activation::Tanh, Activation::Silu, Activation::Gelu, Activation::Softplus, Activation::Softmax];
    for case in 0..count {
        let mut r = R(0x9E3779B97F4A7C15 ^ (case as u64 * 7919 + 1)); for _ in 0..5 { r.n(2); }
        let inputs = [1, 3, 8, 33, 64][r.n(5)];
        let mut s = Sequential::new(inputs).seed(case as u64);
        let layers = 1 + r.n(4);
        let loss = r.n(3);
        let mut out = 0;
        for l in 0..layers {
            let last = l + 1 == layers;
            out = [1, 2, 3, 10, 17, 40, 300][r.n(if last { 6 } else { 7 })];
            if last && loss == 0 && out == 1 { out = 2 }
            let a = if last && loss == 0 { Activation::Softmax } else if last && loss == 1 { Activation::Sigmoid } else { acts[r.n(10)] };
            let mut d = Dense::new(out).activation(a).use_bias(r.n(4) > 0).trainable(r.n(6) > 0);
            if r.n(4) == 0 { d = d.l2(0.01) }
            s = s.add(d);
        }
        let frozen_l2 = false; let _ = frozen_l2;
        let clip = [Clip::None, Clip::None, Clip::Value(0.1), Clip::Norm(0.5), Clip::GlobalNorm(0.5)][r.n(5)];
        let o: Optimizer = match r.n(5) {
            0 => RmsProp { clip, momentum: [0.0, 0.9][r.n(2)], centered: r.n(2) == 0, ..RmsProp::default() }.into(),
            1 => Sgd { clip, momentum: [0.0, 0.9][r.n(2)], nesterov: r.n(2) == 0, ..Sgd::default() }.into(),
            2 => Adam { clip, ..Adam::default() }.into(),
            3 => AdamW { clip, ..AdamW::default() }.into(),
            _ => Adagrad { clip, ..Adagrad::default() }.into(),
        };
        let lf = match loss { 0 => Loss::CategoricalCrossentropy.label_smoothing([0.0, 0.1][r.n(2)]), 1 => Loss::BinaryCrossentropy.into(), _ => Loss::MeanSquaredError.into() };
        let rows = 37;
        let x: Vec<f32> = (0..rows * inputs).map(|_| r.f()).collect();
        let y: Vec<f32> = (0..rows).flat_map(|_| { let k = r.n(out); (0..out).map(move |i| if i == k { 1.0 } else { 0.0 }).collect::<Vec<_>>() }).collect();
        let d = Dataset::from_rows(x, inputs, y, out)?;
        let bytes = [16, 5, 37][r.n(3)];
        for (name, device) in &devices {
            for fused in [true, false] {
                for half in [false, true] {
                    if half && (*name == "cpu" || case % 3 != 0) { continue }
                    let mut m = s.clone().compile(device, o, lf)?;
                    m.set_fusion(fused);
                    if half { m.set_precision(Precision::F16)? }
                    let plan: String = m.plan_summary(&d, bytes)?.lines().map(|l| l.split_whitespace().take(3).collect::<Vec<_>>().join(" ").replace("l2_penalty", "penalty") + "\n").collect();
                    m.fit(&d, Fit::new().epochs(2).batch_size(bytes))?;
                    let mut all: Vec<u8> = Vec::new();
                    let b = m.to_bytes_with_optimizer()?;
                    let n = u64::from_le_bytes(b[..8].try_into().unwrap()) as usize;
                    all.extend(&b[8 + n..]);
                    let score = m.evaluate(&d)?;
                    let p = m.predict(&d)?;
                    println!("{case} {name} fused={fused} half={half} launches={} plan={:016x} bits={:016x} eval={:?} pred={:016x}", plan.lines().count(), hash(plan.as_bytes()), hash(&all), score.loss.to_bits(), hash(bytemuck::cast_slice(&p)));
                    if std::env::args().nth(2).is_some() { println!("{plan}"); }
                }
            }
        }
    }
    Ok(())
}
