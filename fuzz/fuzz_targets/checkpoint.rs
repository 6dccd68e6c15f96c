#![no_main]

use std::sync::LazyLock;

/// One thread: nothing is computed.
static DEVICE: LazyLock<wgrad::Device> = LazyLock::new(|| wgrad::Device::cpu_with_threads(1));

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wgrad::fuzzing::checkpoint(bytes, &DEVICE));
