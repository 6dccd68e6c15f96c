//! What a training tells: the figures of each step and epoch, and how they are summed. Plain data.

pub(crate) mod counted;
pub(crate) mod event;
pub(crate) mod history;
pub(crate) mod metric_value;
pub(crate) mod metrics;
pub(crate) mod number;
