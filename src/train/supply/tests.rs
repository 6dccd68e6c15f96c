//! Streamed trainings against trainings on the same samples in memory, in the same order.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::data::{StreamedDataset, Windows};
use crate::random::Random;
use crate::{Activation, Adam, Dataset, Dense, Device, Error, Event, Fit, Loss, Model, Sequential};

const SAMPLES: usize = 150;
const FEATURES: usize = 6;
const BATCH: usize = 8;

fn rows(rows: Range<usize>) -> Dataset {
    let row = |row: usize| {
        let mut random = Random::new(9, row as u64);
        (0..FEATURES).map(move |_| random.uniform(-1.0, 1.0))
    };
    let inputs: Vec<f32> = rows.clone().flat_map(row).collect();
    let ids = inputs.chunks_exact(FEATURES).map(|row| u32::from(row[0] > row[1])).collect();
    Dataset::from_classes(inputs, FEATURES, ids, 2).unwrap()
}

fn streamed() -> StreamedDataset {
    let set = StreamedDataset::from_fn(SAMPLES, |asked| Ok(rows(asked))).unwrap();
    set.block_size(5).unwrap().shuffle_buffer(40).unwrap()
}

fn model() -> Model {
    Sequential::new(FEATURES)
        .add(Dense::new(7).activation(Activation::Tanh))
        .add(Dense::new(2).activation(Activation::Softmax))
        .compile(&Device::cpu(), Adam::default(), Loss::CategoricalCrossentropy)
        .unwrap()
}

fn kernel(model: &Model) -> Vec<f32> {
    model.parameter("dense_0.kernel").unwrap()
}

fn fit() -> Fit<'static> {
    Fit::new().batch_size(BATCH).seed(3)
}

/// All windows of a pass, as one set in memory in the order of the pass.
fn in_order(windows: Windows) -> Dataset {
    let (mut inputs, mut ids) = (Vec::new(), Vec::new());
    for window in windows {
        let window = window.unwrap();
        let crate::data::InputRows::Floats(values) = window.data.inputs() else { panic!("these are floats") };
        let crate::data::TargetRows::Classes { ids: of_window, .. } = window.data.targets() else {
            panic!("these are ids")
        };
        for row in window.order.into_iter().map(|row| row as usize) {
            inputs.extend_from_slice(&values[row * FEATURES..(row + 1) * FEATURES]);
            ids.push(of_window[row]);
        }
    }
    Dataset::from_classes(inputs, FEATURES, ids, 2).unwrap()
}

#[test]
fn a_shuffled_stream_trains_as_the_same_order_in_memory() {
    let mut from_stream = model();
    from_stream.fit(&streamed(), fit().epochs(2)).unwrap();
    let mut in_memory = model();
    for epoch in 0..2 {
        let data = in_order(Windows::new(&streamed(), BATCH, Some((3, epoch))));
        assert_eq!(data.len(), SAMPLES);
        in_memory.fit(&data, fit().shuffle(false)).unwrap();
    }
    assert_eq!(kernel(&from_stream), kernel(&in_memory));
    assert_eq!(from_stream.iterations(), in_memory.iterations());
}

#[test]
fn a_failing_reader_ends_the_training_after_the_window_before() {
    let broken = Arc::new(AtomicBool::new(true));
    let is_broken = Arc::clone(&broken);
    let read = move |asked: Range<usize>| match asked.end > 100 && is_broken.load(Ordering::Relaxed) {
        true => Err("the tape is torn".into()),
        false => Ok(rows(asked)),
    };
    let set = StreamedDataset::from_fn(SAMPLES, read).unwrap().shuffle_buffer(40).unwrap();
    let mut torn = model();
    let mut steps = 0;
    let observer = |event: &Event| {
        steps += usize::from(matches!(event, Event::Step(_)));
        std::ops::ControlFlow::Continue(())
    };
    let error = torn.fit(&set, fit().shuffle(false).observer(observer)).unwrap_err();
    assert_eq!(error.to_string(), "cannot read samples 80..120 of the streamed data set: the tape is torn");
    assert!(matches!(error, Error::Reader { rows, .. } if rows == (80..120)));
    // Two windows of 40 samples are ten batches.
    assert_eq!((steps, torn.iterations()), (10, 10));
    let mut whole = model();
    whole.fit(&rows(0..80), fit().shuffle(false)).unwrap();
    assert_eq!(kernel(&torn), kernel(&whole));
    assert!(torn.evaluate(&set).is_err());

    broken.store(false, Ordering::Relaxed);
    torn.fit(&set, fit().shuffle(false)).unwrap();
    whole.fit(&rows(0..SAMPLES), fit().shuffle(false)).unwrap();
    assert_eq!(kernel(&torn), kernel(&whole), "the model goes on as if nothing had happened");
}
