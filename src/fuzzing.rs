//! What the fuzz targets in `fuzz/` call, one function a parser, and a mutator that drives the same functions without
//! them. Each takes any bytes; it must neither panic nor take memory that the bytes do not justify, and what it accepts
//! must hold together. Not part of the crate as it is published for others: it is there in tests and under
//! `--cfg fuzzing` alone.

use std::path::Path;

use crate::callbacks::Monitor;
use crate::data::idx::{parse_idx, parse_labels};
use crate::data::npy::{Header, NpyArray};
use crate::data::npz;
use crate::device::Device;
use crate::kernels::storage::Precision;
use crate::model::Model;
use crate::net::activation::Activation;
use crate::net::losses::Loss;
use crate::net::metrics::Metric;
use crate::net::optimizers::Optimizer;
use crate::records::history::History;

/// Elements that an input may announce.
const MOST: usize = 1 << 20;

fn path() -> &'static Path {
    Path::new("input")
}

/// IDX, plain and gzipped, as images and as labels.
pub fn idx(bytes: &[u8]) {
    if let Ok(array) = parse_idx(bytes, path(), MOST) {
        assert_eq!(array.values.len(), array.dims.iter().product::<usize>());
        let again = parse_idx(&array.to_bytes()[..], path(), MOST);
        assert!(again.is_ok_and(|again| again == array), "an array is not read back");
    }
    if let Ok(labels) = parse_labels(bytes, path()) {
        assert_eq!(labels.values.len(), labels.dims.iter().product::<usize>());
    }
}

/// `.npy`.
pub fn npy(bytes: &[u8]) {
    if let Ok((header, start)) = Header::parse(bytes, path()) {
        assert!(start <= bytes.len());
        assert!(Header::parse(&header.to_bytes(), path()).is_ok_and(|(again, _)| again == header));
    }
    if let Ok(array) = NpyArray::read(bytes, path()) {
        look(&array);
    }
}

/// `.npz`, with the arrays that the corpus has.
pub fn npz(bytes: &[u8]) {
    if let Ok(arrays) = npz::read_bytes(bytes, path(), ["x", "y"]) {
        arrays.iter().for_each(look);
    }
}

/// All that is made of an array, for its first, its last and a few rows.
fn look(array: &NpyArray) {
    let few = array.rows.min(3);
    for rows in [0..few, array.rows - few..array.rows] {
        let numbers = few * array.width;
        if let Ok(found) = array.rows(rows.clone()) {
            assert!(found.floats().is_err() || found.floats().is_ok_and(|floats| floats.len() == numbers));
            assert!(found.ids(10).is_err() || found.ids(10).is_ok_and(|ids| ids.iter().all(|&id| id < 10)));
            let _ = (found.extremes(), found.inputs().is_ok());
        }
    }
}

/// A checkpoint. What is loaded can be saved, and that can be loaded.
pub fn checkpoint(bytes: &[u8], device: &Device) {
    if let Ok(model) = Model::from_bytes(bytes, path(), device) {
        let saved = model.to_bytes_with_optimizer();
        assert!(saved.is_ok_and(|saved| Model::from_bytes(&saved, path(), device).is_ok()), "it is not read back");
    }
}

/// The files that are kept for speed alone.
pub fn caches(bytes: &[u8]) {
    crate::device::tilings::read_bytes(bytes);
}

/// Histories as JSON, and names: one a line.
pub fn texts(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(history) = History::from_json(&text) {
        let again = history.to_json();
        assert!(again.is_ok_and(|again| History::from_json(&again).is_ok()), "a history is not read back");
        let lines = 1 + history.epochs.len();
        assert_eq!((history.to_csv().lines().count(), history.to_table().lines().count()), (lines, lines));
    }
    for name in text.lines() {
        let _ = (name.parse::<Optimizer>().is_ok(), name.parse::<Loss>().is_ok(), name.parse::<Activation>().is_ok());
        let _ = (name.parse::<Metric>().is_ok(), name.parse::<Monitor>().is_ok(), name.parse::<Precision>().is_ok());
    }
}

#[cfg(test)]
mod mutations;
