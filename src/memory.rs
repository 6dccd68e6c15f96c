//! The host's memory for what is large: an error where there is none, instead of the end of the process.

use std::sync::Arc;

use crate::error::{Error, Result};

/// More bytes than an `Arc` takes besides its values.
const COUNTS: usize = 64;

/// An empty vector with room for `count` values. `during` is what is being done, for the message.
pub(crate) fn room<T>(count: usize, during: impl FnOnce() -> String) -> Result<Vec<T>> {
    let mut values = Vec::new();
    match values.try_reserve_exact(count) {
        Ok(()) => Ok(values),
        Err(_) => {
            let bytes = count as u128 * size_of::<T>() as u128;
            Err(Error::OutOfMemory { during: format!("{}, which takes {bytes} bytes", during()) })
        }
    }
}

/// `count` zeros.
pub(crate) fn zeros<T: Copy + Default>(count: usize, during: impl FnOnce() -> String) -> Result<Vec<T>> {
    let mut values = room(count, during)?;
    values.resize(count, T::default());
    Ok(values)
}

/// The values where clones share them. The standard library has no fallible way to make an `Arc`, so as much room is asked
/// for first, and given back: what is not to be had then is an error. A process that takes the memory in between, or a
/// system that promises more than it has, can still end this one.
pub(crate) fn shared<T>(values: Vec<T>, during: impl FnOnce() -> String) -> Result<Arc<[T]>> {
    drop(room::<u8>(size_of_val(&values[..]).saturating_add(COUNTS), during)?);
    Ok(values.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_to_be_had_is_an_error() {
        let during = || "reading x.npy".to_owned();
        let message = room::<f32>(usize::MAX / 8, during).unwrap_err().to_string();
        let bytes = (usize::MAX / 8) as u128 * 4;
        assert_eq!(message, format!("out of memory while reading x.npy, which takes {bytes} bytes"));
        assert!(zeros::<u8>(usize::MAX, during).is_err());
        assert_eq!(zeros::<u32>(3, during).unwrap(), [0; 3]);
        assert_eq!(*shared(vec![1, 2], during).unwrap(), [1, 2]);
    }
}
