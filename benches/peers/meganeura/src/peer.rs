//! The net and its training loop. meganeura has no RMSprop; its Adam with β₁ = 0 and β₂ = 0.9 is RMSprop with a bias
//! correction that fades after some dozens of steps, with ε outside of the root. It has no data set on the device either:
//! a batch is gathered on the host while the device works on the one before. It counts no correct answers, so the
//! logits are read back, ten numbers a sample, and counted here.

use meganeura::{Graph, Mode, NodeId, Session, SessionConfig, build};

use crate::data::{CLASSES, PIXELS, Random, Samples};
use crate::measure::{Arguments, Peer};

const EVALUATION_BATCH: usize = 1024;
const LEARNING_RATE: f32 = 1e-3;
const RHO: f32 = 0.9;
const EPSILON: f32 = 1e-7;

pub struct MeganeuraPeer<'s> {
    samples: &'s Samples,
    batch_size: usize,
    training: Session,
    inference: Session,
    parameters: Vec<String>,
    random: Random,
    /// The next batch, gathered.
    x: Vec<f32>,
    one_hot: Vec<f32>,
}

/// The net on batches of `rows`: its logits.
fn net(graph: &mut Graph, widths: &[usize], rows: usize) -> NodeId {
    let mut x = graph.input("x", &[rows, PIXELS]);
    for (layer, pair) in widths.windows(2).enumerate() {
        let weight = graph.parameter(&format!("weight_{layer}"), &[pair[0], pair[1]]);
        let bias = graph.parameter(&format!("bias_{layer}"), &[pair[1]]);
        let product = graph.matmul(x, weight);
        x = graph.bias_add(product, bias);
        if layer + 2 < widths.len() {
            x = graph.relu(x);
        }
    }
    x
}

impl<'s> MeganeuraPeer<'s> {
    pub fn new(samples: &'s Samples, arguments: &Arguments) -> Self {
        let mut widths = vec![PIXELS];
        widths.extend(&arguments.hidden);
        widths.push(CLASSES);
        let batch_size = arguments.batch_size;

        let mut graph = Graph::new();
        let logits = net(&mut graph, &widths, batch_size);
        let labels = graph.input("labels", &[batch_size, CLASSES]);
        let loss = graph.cross_entropy_loss(logits, labels);
        graph.set_outputs(vec![loss, logits]);
        let (mut training, _) = build(&graph, SessionConfig::default());

        let mut graph = Graph::new();
        let logits = net(&mut graph, &widths, EVALUATION_BATCH);
        graph.set_outputs(vec![logits]);
        let gpu = Some(training.context());
        let (inference, _) = build(&graph, SessionConfig { mode: Mode::Inference, gpu, ..SessionConfig::default() });

        let mut random = Random(1);
        let mut parameters = Vec::new();
        for (layer, pair) in widths.windows(2).enumerate() {
            // Glorot's uniform: ±√(6 / (inputs + outputs)).
            let bound = (6.0 / (pair[0] + pair[1]) as f32).sqrt();
            let mut uniform = || bound * (random.next() as f32 / (1u32 << 30) as f32 - 1.0);
            let weights: Vec<f32> = (0..pair[0] * pair[1]).map(|_| uniform()).collect();
            training.set_parameter(&format!("weight_{layer}"), &weights);
            training.set_parameter(&format!("bias_{layer}"), &vec![0.0; pair[1]]);
            parameters.extend([format!("weight_{layer}"), format!("bias_{layer}")]);
        }
        training.set_adam(LEARNING_RATE, 0.0, RHO, EPSILON);
        let (x, one_hot) = (Vec::new(), Vec::new());
        MeganeuraPeer { samples, batch_size, training, inference, parameters, random: Random(2), x, one_hot }
    }

    pub fn device(&self) -> String {
        self.training.device_information().device_name.clone()
    }

    fn row(&self, sample: usize) -> &'s [f32] {
        &self.samples.pixels[sample * PIXELS..(sample + 1) * PIXELS]
    }

    /// Gathers a batch; the device may be at work meanwhile.
    fn gather(&mut self, batch: &[i32]) {
        self.x.clear();
        self.one_hot.clear();
        for &sample in batch {
            self.x.extend_from_slice(self.row(sample as usize));
            let class = self.samples.classes[sample as usize];
            self.one_hot.extend((0..CLASSES as i32).map(|column| if column == class { 1.0 } else { 0.0 }));
        }
    }

    /// Starts an update on the batch that was gathered.
    fn start(&mut self) {
        self.training.set_input("x", &self.x);
        self.training.set_input("labels", &self.one_hot);
        self.training.step();
    }

    /// Waits for an update; the batch's mean loss and its correct answers.
    fn finish(&mut self, batch: &[i32], logits: &mut [f32]) -> (f64, usize) {
        self.training.wait();
        self.training.read_output_by_index(1, logits);
        let rows = logits.chunks_exact(CLASSES).zip(batch);
        let correct = rows.filter(|(row, sample)| first_largest(row) == self.class(**sample as usize)).count();
        (self.training.read_loss().into(), correct)
    }

    fn class(&self, sample: usize) -> usize {
        self.samples.classes[sample] as usize
    }

    fn epoch(&mut self) -> (f64, f64) {
        let count = self.samples.classes.len();
        let mut order: Vec<i32> = (0..count as i32).collect();
        self.random.shuffle(&mut order);
        let mut logits = vec![0.0; self.batch_size * CLASSES];
        let (mut loss_sum, mut correct_sum) = (0.0, 0);
        let mut under_way: Option<&[i32]> = None;
        for batch in order.chunks_exact(self.batch_size) {
            self.gather(batch);
            if let Some(batch) = under_way.replace(batch) {
                let (loss, correct) = self.finish(batch, &mut logits);
                (loss_sum, correct_sum) = (loss_sum + loss, correct_sum + correct);
            }
            self.start();
        }
        if let Some(batch) = under_way {
            let (loss, correct) = self.finish(batch, &mut logits);
            (loss_sum, correct_sum) = (loss_sum + loss, correct_sum + correct);
        }
        (loss_sum / (count / self.batch_size) as f64, correct_sum as f64 / count as f64)
    }
}

impl Peer for MeganeuraPeer<'_> {
    fn first_step(&mut self) {
        let batch: Vec<i32> = (0..self.batch_size as i32).collect();
        self.gather(&batch);
        self.start();
        self.training.wait();
    }

    /// Loss and accuracy of the last epoch.
    fn epochs(&mut self, count: usize) -> (f64, Option<f64>) {
        let mut result = (0.0, 0.0);
        for _ in 0..count {
            result = self.epoch();
        }
        (result.0, Some(result.1))
    }

    fn evaluate(&mut self) -> (f64, Option<f64>) {
        let names: Vec<&str> = self.parameters.iter().map(String::as_str).collect();
        for (name, values) in names.iter().zip(self.training.read_params(&names)) {
            self.inference.set_parameter(name, &values);
        }
        let count = self.samples.classes.len();
        let mut logits = vec![0.0; EVALUATION_BATCH * CLASSES];
        let mut x = vec![0.0; EVALUATION_BATCH * PIXELS];
        let (mut loss_sum, mut correct) = (0.0, 0);
        for start in (0..count).step_by(EVALUATION_BATCH) {
            // A session has one size of batch: behind the last sample the batch before stays, and is not counted.
            let rows = EVALUATION_BATCH.min(count - start);
            x[..rows * PIXELS].copy_from_slice(&self.samples.pixels[start * PIXELS..(start + rows) * PIXELS]);
            self.inference.set_input("x", &x);
            self.inference.step();
            self.inference.wait();
            self.inference.read_output_by_index(0, &mut logits);
            for (row, sample) in logits.chunks_exact(CLASSES).zip(start..start + rows) {
                let class = self.class(sample);
                loss_sum += cross_entropy(row, class);
                correct += usize::from(first_largest(row) == class);
            }
        }
        (loss_sum / count as f64, Some(correct as f64 / count as f64))
    }
}

fn first_largest(row: &[f32]) -> usize {
    (0..row.len()).fold(0, |best, column| if row[column] > row[best] { column } else { best })
}

fn cross_entropy(logits: &[f32], class: usize) -> f64 {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = logits.iter().map(|logit| (logit - most).exp()).sum();
    f64::from(sum.ln() + most - logits[class])
}
