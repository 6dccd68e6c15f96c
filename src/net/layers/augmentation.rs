//! Augmentation: in training, images are moved, bent and cut.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::net::describe::Describe;
use crate::net::shape::Shape;

/// Nodes of the elastic displacement's grid in one direction, at most: what the CPU device keeps on its stack.
pub(crate) const MAX_NODES: usize = 32;

/// The longest side of an image, so that places in it are known to a thousandth of a pixel.
const MAX_SIDE: usize = 1 << 14;

/// What is taken for pixels beyond an image's edges, by Keras's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FillMode {
    /// One number, [`Augmentation::fill_value`]: k k k | a b c d | k k k.
    #[default]
    Constant,
    /// The pixel at the edge: a a a | a b c d | d d d.
    Nearest,
    /// The image mirrored at its edge: c b a | a b c d | d c b.
    Reflect,
    /// The image again: b c d | a b c d | a b c.
    Wrap,
}

/// Moves, bends and cuts each image in its own way, in training; in evaluation and prediction it does nothing. It is Keras's
/// `RandomTranslation`, `RandomRotation`, `RandomZoom`, `RandomShear`, `RandomElasticTransform` and `RandomErasing` in one, so
/// that an image is sampled once (bilinearly) and stays sharp. Nothing happens unless a setter asks for it.
///
/// Samples are [height, width] or [height, width, channels]. It stands before all layers with parameters, which take samples of
/// one dimension only, and hands on the shape that it gets, so a [`Flatten`](crate::Flatten) follows before a
/// [`Dense`](crate::Dense). Shift, angle, zoom, shear and rectangle of an image are uniform between their limits; they follow
/// from the model's seed, the layer's place, how many batches the model has seen and the row in the batch, as for
/// [`Dropout`](crate::Dropout).
///
/// ```
/// use wgrad::{Activation, Adam, Augmentation, Dense, Device, Flatten, Loss, Sequential};
///
/// let augmentation = Augmentation::new()
///     .translation(0.08, 0.08) // up to 2.24 of 28 pixels each way
///     .rotation(0.03) // up to 10.8 degrees each way
///     .zoom(0.1)
///     .elastic(30.0, 5.0);
/// let model = Sequential::new([28, 28])
///     .add(augmentation)
///     .add(Flatten)
///     .add(Dense::new(512).activation(Activation::Relu))
///     .add(Dense::new(10).activation(Activation::Softmax))
///     .compile(&Device::cpu(), Adam::default(), Loss::CategoricalCrossentropy)?;
/// assert_eq!(model.parameter_count(), 407_050);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augmentation {
    /// Of the height and of the width.
    pub(crate) translation: [f32; 2],
    /// In turns.
    pub(crate) rotation: f32,
    pub(crate) zoom: f32,
    /// Of across by down, and of down by across.
    pub(crate) shear: [f32; 2],
    /// α and σ.
    pub(crate) elastic: [f32; 2],
    /// Of the height and of the width.
    pub(crate) cutout: [f32; 2],
    pub(crate) fill_mode: FillMode,
    pub(crate) fill_value: f32,
}

impl Augmentation {
    /// One that changes nothing yet.
    pub fn new() -> Self {
        Augmentation::default()
    }

    /// Shifts by up to these shares of the height and the width, either way (Keras's `RandomTranslation`); from 0 to 1.
    pub fn translation(self, height_factor: f32, width_factor: f32) -> Self {
        Augmentation { translation: [height_factor, width_factor], ..self }
    }

    /// Turns by up to this share of a whole turn, either way, around the centre (Keras's `RandomRotation`); from 0 to 1.
    pub fn rotation(self, factor: f32) -> Self {
        Augmentation { rotation: factor, ..self }
    }

    /// Takes pixels from up to this share further from the centre or nearer to it, height and width alike (Keras's
    /// `RandomZoom`); from 0 up to, not including, 1. With 0.1 an image comes out 1 / 1.1 to 1 / 0.9 as large.
    pub fn zoom(self, factor: f32) -> Self {
        Augmentation { zoom: factor, ..self }
    }

    /// Shears by up to these factors, either way: a pixel is taken from x + s·y, and from y + s′·x, counted from the centre, s
    /// being from ±`x_factor` and s′ from ±`y_factor` (Keras's `RandomShear`); from 0 to 1. 0.1 is about 6 degrees.
    pub fn shear(self, x_factor: f32, y_factor: f32) -> Self {
        Augmentation { shear: [x_factor, y_factor], ..self }
    }

    /// Displaces each pixel by smooth noise, which has the size and smoothness of uniform noise from −1 to 1 for each pixel
    /// that is filtered with a Gaussian of deviation `sigma` pixels and multiplied by `alpha` (Simard, Steinkraus and Platt
    /// 2003, who have 34 and 4 for digits). That is a displacement of α / (2·√(3π)·σ) pixels, root mean square, in each
    /// direction. σ is 1 at least, and so large that 28 spacings of √3·σ cover the image. α = 0, the default, is none.
    pub fn elastic(self, alpha: f32, sigma: f32) -> Self {
        Augmentation { elastic: [alpha, sigma], ..self }
    }

    /// Sets a rectangle to [`fill_value`](Augmentation::fill_value), its sides being from 0 to these shares of the height and
    /// the width, anywhere within the image (Keras's `RandomErasing`, also called cutout); from 0 to 1.
    pub fn cutout(self, height_factor: f32, width_factor: f32) -> Self {
        Augmentation { cutout: [height_factor, width_factor], ..self }
    }

    /// What is taken for pixels beyond the edges: [`FillMode::Constant`] unless said otherwise, as suits digits on a dark
    /// ground. Keras's layers mirror images (`FillMode::Reflect`).
    pub fn fill_mode(self, mode: FillMode) -> Self {
        Augmentation { fill_mode: mode, ..self }
    }

    /// The number of pixels that are cut out, and of those beyond the edges where they are constant; 0 by default, as in Keras.
    pub fn fill_value(self, value: f32) -> Self {
        Augmentation { fill_value: value, ..self }
    }

    /// Whether it does anything in training.
    pub(crate) fn changes(&self) -> bool {
        let [alpha, _] = self.elastic;
        let limits = self.translation.into_iter().chain(self.shear).chain(self.cutout);
        limits.chain([self.rotation, self.zoom, alpha]).any(|limit| limit > 0.0)
    }

    /// The spacing of the nodes whose cubic B-spline has the deviation of a Gaussian of σ, in pixels.
    pub(crate) fn spacing(&self) -> f32 {
        3f32.sqrt() * self.elastic[1]
    }

    fn check_shares(&self, name: &str) -> Result<()> {
        let shares = [
            ("translation's height_factor", self.translation[0]),
            ("translation's width_factor", self.translation[1]),
            ("rotation", self.rotation),
            ("shear's x_factor", self.shear[0]),
            ("shear's y_factor", self.shear[1]),
            ("cutout's height_factor", self.cutout[0]),
            ("cutout's width_factor", self.cutout[1]),
        ];
        match shares.into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            Some((what, share)) => {
                Err(Error::configuration(format!("layer {name}"), format!("a {what} from 0 to 1"), share))
            }
            None => Ok(()),
        }
    }
}

impl Describe for Augmentation {
    fn validate(&self, name: &str) -> Result<()> {
        self.check_shares(name)?;
        let [alpha, sigma] = self.elastic;
        let wrong = |expected, found| Err(Error::configuration(format!("layer {name}"), expected, found));
        if !(0.0..1.0).contains(&self.zoom) {
            return wrong("a zoom from 0 up to, not including, 1", self.zoom);
        }
        if !(0.0..=1e4).contains(&alpha) {
            return wrong("elastic's alpha from 0 to 10000", alpha);
        }
        if alpha > 0.0 && !(1.0..=1e4).contains(&sigma) {
            return wrong("elastic's sigma from 1 to 10000 pixels", sigma);
        }
        if !self.fill_value.is_finite() {
            return wrong("a finite fill_value", self.fill_value);
        }
        Ok(())
    }

    fn output_shape(&self, name: &str, input: &Shape) -> Result<Shape> {
        let sides = input.dimensions();
        let (2 | 3) = sides.len() else {
            let expected = "images, [height, width] or [height, width, channels], as in Sequential::new([28, 28]), and this \
                            layer before Flatten and all layers with parameters, for it passes no gradient on";
            return Err(Error::shape(format!("layer {name}"), expected, format!("shape {input}")));
        };
        let longest = sides[0].max(sides[1]);
        if longest > MAX_SIDE {
            let expected = format!("images of {MAX_SIDE} pixels a side at most");
            return Err(Error::shape(format!("layer {name}"), expected, format!("shape {input}")));
        }
        // One spacing less than there is room for: the last may be a rounding away.
        let least = longest as f32 / (3f32.sqrt() * (MAX_NODES - 4) as f32);
        if self.elastic[0] > 0.0 && self.elastic[1] < least {
            let expected = format!("elastic's sigma of {least} pixels at least for images of {longest} pixels");
            return Err(Error::configuration(format!("layer {name}"), expected, self.elastic[1]));
        }
        Ok(input.clone())
    }
}
