//! Composes a shader: a generated header of named constants, the parts that the operation uses, and the operation's own
//! file. WGSL's module scope has no order, so plain concatenation does. It knows nothing of devices.

use std::fmt::Write;

mod side_by_side;

pub(crate) use side_by_side::{Side, side_by_side};

/// A piece of WGSL that several operations share: a file of `shaders/parts`.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The file's name without its ending.
    pub name: &'static str,
    /// Its text.
    pub source: &'static str,
}

macro_rules! parts {
    ($($constant:ident = $name:literal;)*) => {
        $(#[doc = concat!("`shaders/parts/", $name, ".wgsl`")]
        pub const $constant: Part = Part { name: $name, source: include_str!(concat!("../shaders/parts/", $name, ".wgsl")) };)*
    };
}

parts! {
    STEP = "step";
    ACTIVATION = "activation";
    GRADIENTS = "gradients";
    HASH = "hash";
    LANES = "lanes";
    COLUMNS = "columns";
    NORM = "norm";
    NOISE = "noise";
    STORAGE = "storage";
    SCALE_NONE = "scale_none";
    SCALE_STORED = "scale_stored";
    SCALE_USED = "scale_used";
    SCALE_ADAPTED = "scale_adapted";
    TARGETS = "targets";
    LOSS_ROWS = "loss_rows";
    LOSS_SOFTMAX_CROSS_ENTROPY = "loss_softmax_cross_entropy";
    LOSS_CATEGORICAL_FOCAL_CROSSENTROPY = "loss_categorical_focal_crossentropy";
    LOSS_CATEGORICAL_HINGE = "loss_categorical_hinge";
    LOSS_COSINE_SIMILARITY = "loss_cosine_similarity";
    LOSS_CUSTOM = "loss_custom";
    LOSS_ELEMENTS = "loss_elements";
    LOSS_BINARY_CROSSENTROPY = "loss_binary_crossentropy";
    LOSS_BINARY_FOCAL_CROSSENTROPY = "loss_binary_focal_crossentropy";
    LOSS_HINGE = "loss_hinge";
    LOSS_HUBER = "loss_huber";
    LOSS_KL_DIVERGENCE = "loss_kl_divergence";
    LOSS_LOG_COSH = "loss_log_cosh";
    LOSS_MEAN_ABSOLUTE_ERROR = "loss_mean_absolute_error";
    LOSS_MEAN_ABSOLUTE_PERCENTAGE_ERROR = "loss_mean_absolute_percentage_error";
    LOSS_MEAN_SQUARED_ERROR = "loss_mean_squared_error";
    LOSS_MEAN_SQUARED_LOGARITHMIC_ERROR = "loss_mean_squared_logarithmic_error";
    LOSS_POISSON = "loss_poisson";
    LOSS_SQUARED_HINGE = "loss_squared_hinge";
    TENSORS = "tensors";
    UPDATE = "update";
    SGD = "sgd";
    RMSPROP = "rmsprop";
    ADAM = "adam";
    ADAM_VELOCITY = "adam_velocity";
    ADAM_AMSGRAD = "adam_amsgrad";
    ADAGRAD = "adagrad";
    NADAM = "nadam";
    LION = "lion";
    ADAMAX = "adamax";
    ADADELTA = "adadelta";
    FTRL = "ftrl";
    PRODUCT_COMMON = "product_common";
    PRODUCT_DIRECT = "product_direct";
    PRODUCT_STAGED = "product_staged";
    PRODUCT_SPLIT = "product_split";
    PRODUCT_SUBGROUP = "product_subgroup";
    PRODUCT_COOPERATIVE = "product_cooperative";
    PRODUCT_WEIGHTS = "product_weights";
}

/// What a shader for matrix units begins with.
pub(crate) const ENABLE_MATRIX_UNITS: &str = "enable wgpu_cooperative_matrix;";

/// What a shader has that holds text of the user's: `parts/loss_custom.wgsl`.
pub(crate) const FOREIGN_TEXT: &str = "const HAS_FOREIGN_TEXT";

/// The generated header: module-scope constants, one a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Header {
    lines: String,
    /// Whether half precision is used, which WGSL wants to know first of all; matrix units likewise.
    halves: bool,
    matrices: bool,
}

impl Header {
    /// Adds `const NAME = VALUEu;`.
    pub fn number(&mut self, name: &str, value: usize) -> &mut Self {
        self.line(format_args!("const {name} = {value}u;"))
    }

    /// Adds `const NAME = true;` or `false`.
    pub fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.line(format_args!("const {name} = {value};"))
    }

    /// Adds an f32 constant, to the last bit.
    pub fn float(&mut self, name: &str, value: f32) -> &mut Self {
        self.line(format_args!("const {name}: f32 = {value:e};"))
    }

    /// Adds an array of f32 constants, to the last bit; one zero in the place of none, since WGSL has no empty array.
    pub fn floats(&mut self, name: &str, values: &[f32]) -> &mut Self {
        let values = if values.is_empty() { &[0.0] } else { values };
        let list: Vec<_> = values.iter().map(|value| format!("{value:e}")).collect();
        self.line(format_args!("const {name} = array<f32, {}>({});", values.len(), list.join(", ")))
    }

    /// Says how a binding's numbers are stored: the types `NAME_vec4` and `NAME_number`, and `NAME_HALF`.
    pub fn storage(&mut self, name: &str, half: bool) -> &mut Self {
        let number = if half { "f16" } else { "f32" };
        self.halves |= half;
        self.line(format_args!("alias {name}_vec4 = vec4<{number}>;"));
        self.line(format_args!("alias {name}_number = {number};"));
        self.flag(&format!("{}_HALF", name.to_uppercase()), half)
    }

    /// Says what matrix units multiply: the types `unit_a`, `unit_b` and `unit_sum`, and their size `UNIT`.
    pub fn matrix_unit(&mut self, size: usize) -> &mut Self {
        (self.halves, self.matrices) = (true, true);
        for (name, number, role) in [("a", "f16", "A"), ("b", "f16", "B"), ("sum", "f32", "C")] {
            self.line(format_args!("alias unit_{name} = coop_mat{size}x{size}<{number}, {role}>;"));
        }
        self.number("UNIT", size)
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) -> &mut Self {
        // Writing to a String cannot fail.
        let _ = writeln!(self.lines, "{line}");
        self
    }

    /// The whole shader: this header, then the parts, then the operation's own text.
    pub fn compose(&self, parts: &[Part], operation: &str) -> String {
        let mut text = if self.halves { "enable f16;\n".to_string() } else { String::new() };
        if self.matrices {
            text.push_str(ENABLE_MATRIX_UNITS);
            text.push('\n');
        }
        text.push_str(&self.lines);
        for part in parts {
            text.push('\n');
            text.push_str(part.source);
        }
        text.push('\n');
        text.push_str(operation);
        text
    }
}
