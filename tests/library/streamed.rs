//! Data sets that are read in pieces: the bits of the same samples in memory, on every device and for every kind of
//! samples and targets, and files as their users have them. Orders and failures are tested beside the code.

use std::ops::Range;
use std::path::{Path, PathBuf};

use wgrad::data::npy::{Element, Header};
use wgrad::{Adam, AnyDataset, Dataset, Device, Fit, Loss, RmsProp, Score, StreamedDataset};

use crate::common::{Outcome, Suite, bits, classifier, every_format, labelled, numbers, refused, trials};

pub fn add(suite: &mut Suite) {
    trials!(suite.everywhere:
        streamed_data_gives_the_bits_of_data_in_memory,
        shuffled_streams_repeat,
        validation_and_evaluation_stream_too,
        files_train_as_their_content,
        streams_that_do_not_fit_the_model_are_refused,
    );
}

const SAMPLES: usize = 203;
/// No multiple of four: rows are padded on their way to the device.
const FEATURES: usize = 30;
const CLASSES: usize = 5;

/// A set that is in memory after all, read in pieces.
fn pieces_of(data: &Dataset) -> wgrad::Result<StreamedDataset> {
    let data = data.clone();
    StreamedDataset::from_fn(data.len(), move |rows| Ok(data.range(rows)?))
}

fn fit() -> Fit<'static> {
    Fit::new().epochs(2).batch_size(16).seed(5)
}

/// Windows of one batch, of three, and of more than there is; and on a GPU, room for a batch of a window at a time.
fn streamed_data_gives_the_bits_of_data_in_memory(device: &Device) -> Outcome {
    for data in every_format(SAMPLES, FEATURES, CLASSES)? {
        let train = |set: &AnyDataset, budget| -> wgrad::Result<_> {
            let model = classifier(FEATURES, 8, CLASSES);
            let mut model = model.compile(device, RmsProp::default(), Loss::CategoricalCrossentropy)?;
            let history = model.fit(set, fit().shuffle(false).device_budget(budget))?;
            let scores: Vec<Score> = history.epochs.iter().map(|epoch| epoch.train.clone()).collect();
            Ok((bits(&model)?, model.iterations(), scores))
        };
        let in_memory = train(&(&data).into(), 1 << 30)?;
        for (buffer, budget) in [(1, 1 << 30), (48, 1 << 30), (10_000, 1 << 30), (100, 0)] {
            let set = pieces_of(&data)?.shuffle_buffer(buffer)?;
            assert!(in_memory == train(&(&set).into(), budget)?, "a buffer of {buffer} gives other bits: {data:?}");
        }
    }
    // Weights of classes are those of each window's samples.
    let data = labelled(SAMPLES, FEATURES, CLASSES);
    let train = |set: AnyDataset| -> wgrad::Result<_> {
        let model = classifier(FEATURES, 8, CLASSES);
        let mut model = model.compile(device, Adam::default(), Loss::CategoricalCrossentropy)?;
        model.fit(&set, fit().shuffle(false).class_weight([0.5, 1.0, 2.0, 0.0, 1.5]))?;
        bits(&model)
    };
    assert!(train((&data).into())? == train((&pieces_of(&data)?.shuffle_buffer(32)?).into())?);
    Ok(())
}

fn shuffled_streams_repeat(device: &Device) -> Outcome {
    let data = pieces_of(&labelled(SAMPLES, FEATURES, CLASSES))?.block_size(7)?.shuffle_buffer(40)?;
    let train = |data: &StreamedDataset, seed| -> wgrad::Result<_> {
        let model = classifier(FEATURES, 8, CLASSES);
        let mut model = model.compile(device, Adam::default(), Loss::CategoricalCrossentropy)?;
        let history = model.fit(data, fit().seed(seed))?;
        assert_eq!(history.epochs[1].samples, SAMPLES);
        bits(&model)
    };
    let first = train(&data, 1)?;
    assert_eq!(first, train(&data, 1)?);
    assert_ne!(first, train(&data, 2)?);
    assert_ne!(first, train(&data.clone().block_size(8)?, 1)?);
    Ok(())
}

/// Evaluation goes through 1024 rows at a time: three windows here, the last one ragged.
fn validation_and_evaluation_stream_too(device: &Device) -> Outcome {
    let (data, validation) = (labelled(200, FEATURES, CLASSES), labelled(2500, FEATURES, CLASSES));
    let streamed = pieces_of(&validation)?.shuffle_buffer(1000)?;
    let compile =
        || classifier(FEATURES, 8, CLASSES).compile(device, RmsProp::default(), Loss::CategoricalCrossentropy);
    let (mut from_memory, mut from_stream) = (compile()?, compile()?);
    assert_eq!(from_memory.evaluate(&validation)?, from_stream.evaluate(&streamed)?);
    let expected = from_memory.fit(&data, fit().validation_data(&validation))?;
    let found = from_stream.fit(&data, fit().validation_data(&streamed))?;
    let scores =
        |history: &wgrad::History| history.epochs.iter().map(|epoch| epoch.validation.clone()).collect::<Vec<_>>();
    assert!(scores(&expected).iter().all(Option::is_some));
    assert_eq!(scores(&expected), scores(&found));

    let split = || fit().shuffle(false).validation_split(0.2);
    let expected = from_memory.fit(&validation, split())?;
    let found = from_stream.fit(&streamed, split())?;
    assert_eq!(scores(&expected), scores(&found));
    assert_eq!(bits(&from_memory)?, bits(&from_stream)?);

    assert_eq!(from_memory.predict(&validation.range(3..9)?)?, from_stream.predict(&streamed.read(3..9)?)?);
    Ok(())
}

fn write(
    directory: &Path,
    name: &str,
    element: Element,
    shape: &[usize],
    elements: &[u8],
) -> Result<PathBuf, std::io::Error> {
    let path = directory.join(name);
    std::fs::write(&path, [&Header { element, shape: shape.to_vec() }.to_bytes(), elements].concat())?;
    Ok(path)
}

fn files_train_as_their_content(device: &Device) -> Outcome {
    let directory = tempfile::tempdir()?;
    let pixels: Vec<u8> = numbers(SAMPLES * 28, 8).iter().map(|x| (127.5 * (x + 1.0)) as u8).collect();
    let classes: Vec<u8> = (0..SAMPLES).map(|row| (row % 3) as u8).collect();
    let x = write(directory.path(), "x.npy", Element::U8, &[SAMPLES, 4, 7], &pixels)?;
    let y = write(directory.path(), "y.npy", Element::U8, &[SAMPLES], &classes)?;
    let streamed = StreamedDataset::open_npy(&x, &y, Some(3))?.shuffle_buffer(50)?;
    let in_memory = Dataset::from_images(pixels, 28, classes, 3)?;
    let compile = || classifier(28, 8, 3).compile(device, RmsProp::default(), Loss::CategoricalCrossentropy);
    let (mut from_file, mut from_memory) = (compile()?, compile()?);
    from_file.fit(&streamed, fit().shuffle(false))?;
    from_memory.fit(&in_memory, fit().shuffle(false))?;
    assert_eq!(bits(&from_file)?, bits(&from_memory)?);

    // The file shrinks under the training's feet: the first window is there, the second one is not.
    let before = from_file.iterations();
    std::fs::OpenOptions::new().write(true).open(&x)?.set_len(128 + 28 * 70)?;
    let message = format!("cannot read samples 64..128 of the streamed data set: cannot read {}: …", x.display());
    refused(from_file.fit(&streamed, fit().shuffle(false)), &message);
    assert_eq!(from_file.iterations(), before + 4);
    from_memory.fit(&in_memory.take(64), fit().epochs(1).shuffle(false))?;
    assert_eq!(bits(&from_file)?, bits(&from_memory)?);
    Ok(())
}

fn streams_that_do_not_fit_the_model_are_refused(device: &Device) -> Outcome {
    let mut model = classifier(FEATURES, 8, CLASSES).compile(device, Adam::default(), Loss::CategoricalCrossentropy)?;
    let narrow = pieces_of(&labelled(9, FEATURES - 1, CLASSES))?;
    let message = "samples for layer dense_0: expected 30 features, found 29 features";
    refused(model.fit(&narrow, fit()), message);
    refused(model.evaluate(&narrow), message);
    let data = pieces_of(&labelled(9, FEATURES, CLASSES))?;
    let empty = data.range(4..4)?;
    refused(model.fit(&empty, fit()), "data set: expected at least one sample, found none");
    refused(model.fit(&data, fit().class_weight([1.0; 2])), "class weights: expected 5 numbers, found 2");
    refused(model.fit(&data, fit().batch_size(0)), "batch size: expected 1 to 65536, found 0");
    let late = |rows: Range<usize>| {
        let value = if rows.contains(&7) { f32::NAN } else { 0.5 };
        Ok(Dataset::from_classes(vec![value; rows.len() * FEATURES], FEATURES, vec![0; rows.len()], CLASSES)?)
    };
    let late = StreamedDataset::from_fn(9, late)?;
    refused(
        model.fit(&late, fit().shuffle(false)),
        "cannot read samples 0..9 of the streamed data set: the inputs: expected finite numbers, found NaN in row 0, \
         column 0",
    );
    assert_eq!(model.iterations(), 0);
    Ok(())
}
