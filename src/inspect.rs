//! Looking into a model: the plan's text, each launch against its reference, the time of each launch, tilings by
//! measurement, and an examination of the device. What is found changes no training, but for tuning, which keeps what it chose.

#[cfg(feature = "native")]
pub mod doctor;
mod profile;
mod summary;
#[cfg(feature = "native")]
mod tuning;
mod verify;

pub use profile::LaunchProfile;
#[cfg(feature = "native")]
pub use tuning::{Candidate, TunedProduct, Tuning};
