//! What happens where large allocations fail: an error that says what the memory was for, whatever is loaded or chosen. An
//! allocator stands for a machine without memory: it gives no piece larger than a bound, and one that asks without
//! being ready for that ends this program.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::RefCell;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use wgrad::data::idx::{IdxArray, read_idx};
use wgrad::data::npy::{Element, Header};
use wgrad::data::{Dataset, StreamedDataset, to_categorical};
use wgrad::{Dense, Device, Error, Fit, Loss, Model, Sequential, Sgd, mnist};

struct Bounded;

/// Bytes of the largest piece.
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);

impl Bounded {
    fn gives(size: usize) -> bool {
        size <= MOST.load(Ordering::Relaxed)
    }
}

// SAFETY: everything is the system's allocator's but refusing, which null says.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        if Bounded::gives(layout.size()) { unsafe { System.alloc(layout) } } else { std::ptr::null_mut() }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        if Bounded::gives(size) { unsafe { System.realloc(pointer, layout, size) } } else { std::ptr::null_mut() }
    }
}

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;

/// Bytes of what is loaded, each of several arrays of it.
const LARGE: usize = 8 << 20;

/// That `body` fails for want of memory, and says for what.
fn starved<T>(what: &str, body: impl Fn() -> Result<T, Error>) {
    assert!(body().is_ok(), "{what} goes with enough memory: {}", body().err().unwrap());
    // Whatever of its pieces is refused: what an array takes to be shared, the array itself, or also smaller ones.
    for most in [LARGE + 8, LARGE - 1, LARGE / 2 - 1, LARGE / 4 - 1] {
        MOST.store(most, Ordering::Relaxed);
        let outcome = body().map(drop);
        MOST.store(usize::MAX, Ordering::Relaxed);
        match outcome {
            Err(error) => {
                let mut source: &(dyn std::error::Error + 'static) = &error;
                while let Some(inner) = source.source() {
                    source = inner;
                }
                assert!(matches!(source.downcast_ref(), Some(Error::OutOfMemory { .. })), "{what}: {error}");
                assert!(error.to_string().contains(what), "{what}: {error}");
            }
            // A piece of just this size need not be there: sums of several arrays are larger, and copies smaller.
            Ok(()) if most > LARGE => {}
            Ok(()) => panic!("{what} needs no piece of {most} bytes"),
        }
    }
}

fn npy(directory: &Path, name: &str, element: Element, shape: &[usize]) -> std::path::PathBuf {
    let path = directory.join(name);
    let header = Header { element, shape: shape.to_vec() };
    let bytes = shape.iter().product::<usize>() * element.size();
    std::fs::write(&path, [header.to_bytes(), vec![0; bytes]].concat()).unwrap();
    path
}

#[test]
fn large_allocations_that_fail_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (rows, width) = (LARGE / 64, 64);

    let images = IdxArray { dims: vec![rows, 8, 8], values: vec![0; LARGE] };
    let labels = IdxArray { dims: vec![rows], values: vec![0; rows] };
    for part in ["train", "t10k"] {
        std::fs::write(at(&format!("{part}-images-idx3-ubyte")), images.to_bytes()).unwrap();
        std::fs::write(at(&format!("{part}-labels-idx1-ubyte")), labels.to_bytes()).unwrap();
    }
    starved("train-images-idx3-ubyte", || read_idx(at("train-images-idx3-ubyte")));
    starved("images-idx3-ubyte", || mnist::load_from(directory.path()));

    let x = npy(directory.path(), "x.npy", Element::U8, &[rows, width]);
    let wide = npy(directory.path(), "wide.npy", Element::F64, &[rows, width / 8]);
    let y = npy(directory.path(), "y.npy", Element::U8, &[rows]);
    starved("x.npy", || Dataset::from_npy(&x, &y, Some(2)));
    MOST.store(LARGE + 8, Ordering::Relaxed);
    let outcome = Dataset::from_npy(&x, &y, Some(2)).map(drop);
    MOST.store(usize::MAX, Ordering::Relaxed);
    assert!(matches!(outcome, Err(Error::OutOfMemory { .. })), "the array is there, and not its shared form");
    starved("wide.npy", || Dataset::from_npy(&wide, &y, Some(2)));
    let streamed = StreamedDataset::open_npy(&x, &y, Some(2)).unwrap();
    starved("x.npy", || streamed.read(0..rows));

    // A buffer as large as the set, filled from shuffled blocks.
    let net = Sequential::new(width).add(Dense::new(1));
    let model = net.compile(&Device::cpu_with_threads(1), Sgd::default(), Loss::MeanSquaredError).unwrap();
    let model = RefCell::new(model);
    let fit = || {
        let (inputs, targets) = (x.clone(), y.clone());
        let large = StreamedDataset::open_npy(inputs, targets, None)?.block_size(1000)?.shuffle_buffer(rows)?;
        model.borrow_mut().fit(&large, Fit::new().batch_size(1000)).map(drop)
    };
    starved("samples of a streamed data set", fit);

    let data = streamed.read(0..rows).unwrap();
    let other = data.clone();
    starved("copying the samples", || data.shuffle(1));
    starved("copying the samples", || Dataset::concat([&data, &other]));
    starved("one-hot rows of 16", || to_categorical(&vec![0_u8; LARGE / 64], 16));

    let file = at("model.safetensors");
    std::fs::write(&file, vec![b' '; LARGE]).unwrap();
    MOST.store(LARGE - 1, Ordering::Relaxed);
    let outcome = Model::load(&file, &Device::cpu_with_threads(1)).map(drop);
    MOST.store(usize::MAX, Ordering::Relaxed);
    let message = outcome.unwrap_err().to_string();
    assert_eq!(message, format!("out of memory while reading {}", file.display()));
}
