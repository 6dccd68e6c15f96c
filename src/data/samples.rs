//! What can be predicted: the inputs of a data set, or rows of floats in the forms that a caller has them in.

use std::borrow::Cow;

use super::{Dataset, Row};
use crate::error::{Error, Result};

/// Samples to predict; [`Model::predict`](crate::Model::predict) takes anything that this can be made from: a data set, or
/// floats, owned or borrowed, one after the other (`Vec<f32>`, `&[f32]`, `&[0.5, 0.5]`) or in rows (`Vec<[f32; 2]>`,
/// `&[[f32; 2]]`, `Vec<Vec<f32>>`; images as `&[[[f32; 28]; 28]]`).
///
/// ```
/// use wgrad::{Dataset, Samples};
///
/// let rows: Vec<[f32; 2]> = vec![[0.5, 0.25], [1.0, 0.0]];
/// for samples in [Samples::from(&rows), Samples::from(&[0.5, 0.25, 1.0, 0.0]), Samples::from(vec![0.5, 0.25])] {
///     println!("{samples:?}");
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Samples<'a>(Kind<'a>);

#[derive(Clone, Debug)]
enum Kind<'a> {
    Dataset(Dataset),
    /// One number after the other, and how many a row has, where the caller's type says so.
    Floats(Cow<'a, [f32]>, Option<usize>),
    Rows(Vec<Vec<f32>>),
}

const WHAT: &str = "samples to predict";

impl Samples<'_> {
    /// The samples as a set whose targets mean nothing.
    pub(crate) fn into_dataset(self, features: usize) -> Result<Dataset> {
        let expected = || format!("rows of {features} numbers");
        let values = match self.0 {
            Kind::Dataset(data) => return Ok(data),
            Kind::Floats(values, Some(width)) if width != features && !values.is_empty() => {
                return Err(Error::shape(WHAT, expected(), format!("rows of {width}")));
            }
            Kind::Floats(values, _) if !values.len().is_multiple_of(features) => {
                return Err(Error::shape(WHAT, expected(), values.len()));
            }
            Kind::Floats(values, _) => values.into_owned(),
            Kind::Rows(rows) => Vec::flatten(rows, WHAT, Some(features))?,
        };
        let count = values.len() / features;
        Dataset::from_classes(values, features, vec![0_u32; count], 1)
    }
}

impl From<Dataset> for Samples<'_> {
    fn from(data: Dataset) -> Self {
        Samples(Kind::Dataset(data))
    }
}

/// Shares the numbers.
impl From<&Dataset> for Samples<'_> {
    fn from(data: &Dataset) -> Self {
        Samples(Kind::Dataset(data.clone()))
    }
}

impl From<Vec<Vec<f32>>> for Samples<'_> {
    fn from(rows: Vec<Vec<f32>>) -> Self {
        Samples(Kind::Rows(rows))
    }
}

impl From<&[Vec<f32>]> for Samples<'_> {
    fn from(rows: &[Vec<f32>]) -> Self {
        Samples(Kind::Rows(rows.to_vec()))
    }
}

impl From<&Vec<Vec<f32>>> for Samples<'_> {
    fn from(rows: &Vec<Vec<f32>>) -> Self {
        Samples(Kind::Rows(rows.clone()))
    }
}

/// Floats in a row of the type `$row`: vectors, slices and arrays of them, owned and borrowed.
macro_rules! floats {
    ($([$($size:ident)*] $row:ty, $width:expr, $owned:expr, $borrowed:expr;)*) => {
        $(impl<$(const $size: usize),*> From<Vec<$row>> for Samples<'_> {
            fn from(rows: Vec<$row>) -> Self {
                let flat: fn(Vec<$row>) -> Vec<f32> = $owned;
                Samples(Kind::Floats(Cow::Owned(flat(rows)), $width))
            }
        }

        impl<'a, $(const $size: usize),*> From<&'a [$row]> for Samples<'a> {
            fn from(rows: &'a [$row]) -> Self {
                let flat: fn(&[$row]) -> &[f32] = $borrowed;
                Samples(Kind::Floats(Cow::Borrowed(flat(rows)), $width))
            }
        }

        impl<'a, $(const $size: usize),*> From<&'a Vec<$row>> for Samples<'a> {
            fn from(rows: &'a Vec<$row>) -> Self {
                Samples::from(rows.as_slice())
            }
        }

        impl<'a, $(const $size: usize,)* const ROWS: usize> From<&'a [$row; ROWS]> for Samples<'a> {
            fn from(rows: &'a [$row; ROWS]) -> Self {
                Samples::from(rows.as_slice())
            }
        }

        impl<$(const $size: usize,)* const ROWS: usize> From<[$row; ROWS]> for Samples<'_> {
            fn from(rows: [$row; ROWS]) -> Self {
                Samples::from(rows.to_vec())
            }
        })*
    };
}

floats! {
    [] f32, None, |rows| rows, |rows| rows;
    [N] [f32; N], Some(N), Vec::into_flattened, <[_]>::as_flattened;
    [N M] [[f32; N]; M], Some(N * M), |rows| rows.into_flattened().into_flattened(), |rows| rows.as_flattened().as_flattened();
}
