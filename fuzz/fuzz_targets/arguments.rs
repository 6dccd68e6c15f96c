//! The example's command line: one argument a line.

#![no_main]

#[path = "../../examples/mnist/arguments.rs"]
#[allow(dead_code)]
mod arguments;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let lines = String::from_utf8_lossy(bytes);
    let _ = arguments::parse(lexopt::Parser::from_args(lines.lines()));
});
