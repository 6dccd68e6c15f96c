//! Any layer, and what every layer says of itself.

use serde::{Deserialize, Serialize};

use super::activation::Activation;
use super::constraints::Constraint;
use super::describe::Describe;
use super::layers::{
    ActivationLayer, Augmentation, BatchNormalization, Dense, Dropout, Flatten, GaussianNoise, LayerNormalization,
    Prelu, Rescaling,
};
use super::shape::Shape;
use super::tensor::TensorSpec;
use crate::error::Result;

/// The layers there are: the variant, its module in `net/layers` and in `plan/lower`, and Keras's name in snake case. Hands
/// them to the macro that is named.
macro_rules! for_layers {
    ($with:ident) => {
        $with! {
            /// Fully connected: y = f(x·W + b).
            Dense(Dense): dense, "dense";
            /// An activation alone.
            Activation(ActivationLayer): activation, "activation";
            /// A share of the numbers becomes zero, in training.
            Dropout(Dropout): dropout, "dropout";
            /// Normal numbers are added, in training.
            GaussianNoise(GaussianNoise): gaussian_noise, "gaussian_noise";
            /// Images are moved, bent and cut, in training.
            Augmentation(Augmentation): augmentation, "augmentation";
            /// y = x above zero, α·x below, α being trained.
            Prelu(Prelu): prelu, "prelu";
            /// Features normalized over the batch.
            BatchNormalization(BatchNormalization): batch_normalization, "batch_normalization";
            /// Samples normalized over their features.
            LayerNormalization(LayerNormalization): layer_normalization, "layer_normalization";
            /// Several dimensions become one.
            Flatten(Flatten): flatten, "flatten";
            /// y = scale·x + offset.
            Rescaling(Rescaling): rescaling, "rescaling";
        }
    };
}
pub(crate) use for_layers;

macro_rules! declare {
    ($($(#[$what:meta])* $Variant:ident($Type:ident): $module:ident, $type_name:literal;)*) => {
        /// Any of the layers. In files it is tagged with its `type`, Keras's name in snake case.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Layer {
            $($(#[$what])* $Variant($Type),)*
        }

        $(impl From<$Type> for Layer {
            fn from(layer: $Type) -> Self {
                Layer::$Variant(layer)
            }
        })*

        impl Layer {
            fn described(&self) -> &dyn Describe {
                match self { $(Layer::$Variant(layer) => layer,)* }
            }

            fn described_mut(&mut self) -> &mut dyn Describe {
                match self { $(Layer::$Variant(layer) => layer,)* }
            }

            /// Keras's name of its type in snake case, which its own name begins with: `dense`.
            pub fn type_name(&self) -> &'static str {
                match self { $(Layer::$Variant(_) => $type_name,)* }
            }

            /// Keras's name of its type: `Dense`.
            pub(crate) fn class_name(&self) -> &'static str {
                match self { $(Layer::$Variant(_) => stringify!($Variant),)* }
            }
        }
    };
}

for_layers!(declare);

impl Layer {
    pub(crate) fn validate(&self, name: &str) -> Result<()> {
        self.described().validate(name)
    }

    pub(crate) fn output_shape(&self, name: &str, input: &Shape) -> Result<Shape> {
        self.described().output_shape(name, input)
    }

    pub(crate) fn tensors(&self, input: &Shape) -> Vec<TensorSpec> {
        self.described().tensors(input)
    }

    /// Whether training changes its tensors, if it has any.
    pub fn is_trainable(&self) -> bool {
        self.described().is_trainable()
    }

    /// What the learning rate is multiplied by for its tensors; 1 for those that cannot be told.
    pub fn learning_rate_factor(&self) -> f32 {
        self.described().learning_rate_factor()
    }

    /// What one of its tensors is held to.
    pub(crate) fn constraint(&self, tensor: &str) -> Constraint {
        self.described().constraint(tensor)
    }

    /// Says whether training changes its tensors; `false` if it has none by its kind.
    pub(crate) fn set_trainable(&mut self, trainable: bool) -> bool {
        self.described_mut().set_trainable(trainable)
    }

    /// The activation that it ends with; linear for none.
    pub fn activation(&self) -> Activation {
        self.described().activation()
    }

    pub(crate) fn is_identity(&self) -> bool {
        self.described().is_identity()
    }
}

impl From<Activation> for Layer {
    fn from(activation: Activation) -> Self {
        ActivationLayer::new(activation).into()
    }
}
