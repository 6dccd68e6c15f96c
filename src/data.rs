//! Data sets: what a model is trained on and measured with.
