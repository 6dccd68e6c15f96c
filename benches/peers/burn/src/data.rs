//! MNIST from MNIST_DIR, else made-up samples of its shape.

use std::fs;
use std::io::Read;
use std::path::Path;

pub const PIXELS: usize = 784;
pub const CLASSES: usize = 10;

/// Rows of pixels in 0 … 1, class ids, and where they come from.
pub struct Samples {
    pub pixels: Vec<f32>,
    pub classes: Vec<i32>,
    pub source: &'static str,
}

pub fn load(samples: usize) -> Samples {
    let (bytes, labels, source) = match from_files(samples) {
        Some((bytes, labels)) => (bytes, labels, "MNIST"),
        None => {
            let mut random = Random(1);
            let bytes = (0..samples * PIXELS).map(|_| random.next() as u8).collect();
            (bytes, (0..samples).map(|_| (random.next() % CLASSES as u32) as u8).collect(), "made up")
        }
    };
    let pixels = bytes.iter().map(|&byte: &u8| f32::from(byte) / 255.0).collect();
    Samples { pixels, classes: labels.iter().map(|&label: &u8| label.into()).collect(), source }
}

fn from_files(samples: usize) -> Option<(Vec<u8>, Vec<u8>)> {
    let directory = std::env::var_os("MNIST_DIR")?;
    let images = read(Path::new(&directory), "train-images-idx3-ubyte")?;
    let labels = read(Path::new(&directory), "train-labels-idx1-ubyte")?;
    // An IDX header has four bytes and four more for each axis.
    let (images, labels) = (images.get(16..)?, labels.get(8..)?);
    Some((images.get(..samples * PIXELS)?.to_vec(), labels.get(..samples)?.to_vec()))
}

fn read(directory: &Path, name: &str) -> Option<Vec<u8>> {
    if let Ok(bytes) = fs::read(directory.join(name)) {
        return Some(bytes);
    }
    let packed = fs::File::open(directory.join(format!("{name}.gz"))).ok()?;
    let mut bytes = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// A 64-bit linear congruential generator; the upper bits are good enough for shuffling.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// Fisher and Yates's shuffle.
    pub fn shuffle(&mut self, values: &mut [i32]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.next() as usize % (last + 1));
        }
    }
}
