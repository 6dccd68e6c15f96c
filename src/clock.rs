//! Time, where the platform has a clock.

/// Measures seconds where there is a clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    #[cfg(feature = "native")]
    start: std::time::Instant,
}

impl Stopwatch {
    pub fn start() -> Self {
        Stopwatch {
            #[cfg(feature = "native")]
            start: std::time::Instant::now(),
        }
    }

    #[cfg(feature = "native")]
    pub fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    #[cfg(not(feature = "native"))]
    pub fn seconds(&self) -> f64 {
        0.0
    }
}
