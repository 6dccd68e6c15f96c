//! The examples' command lines, with arguments of all kinds: each is read or refused with words, and none panics. What
//! the flags do is tested with the programs themselves.

#![allow(dead_code, clippy::unwrap_used, clippy::panic, reason = "the programs use what is not used here")]

#[path = "../examples/mnist/arguments.rs"]
mod mnist;
#[path = "../examples/throughput/arguments.rs"]
mod throughput;
#[path = "../examples/throughput/workload.rs"]
mod workload;

/// As in `examples/throughput/main.rs`.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const VALUES: [&str; 24] = [
    "",
    "0",
    "1",
    "-1",
    "7",
    "128",
    "4294967295",
    "4294967296",
    "18446744073709551616",
    "1e400",
    "nan",
    "-inf",
    "0.5",
    "cpu",
    "f16",
    "adam",
    "512:relu,10:softmax",
    "10:softmax",
    ":",
    "512:",
    "1:softmax,,",
    "--",
    "=",
    "\u{0}é",
];

/// The flags that a help text names.
fn flags(help: &str) -> Vec<String> {
    let words = help.split(|letter: char| letter.is_whitespace() || letter == ',');
    let mut flags: Vec<_> = words.filter(|word| word.starts_with('-') && word.len() > 1).map(str::to_owned).collect();
    flags.sort();
    flags.dedup();
    flags
}

/// A hash of the counter: SplitMix64's.
fn random(counter: &mut u64, below: usize) -> usize {
    *counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *counter;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((z ^ (z >> 31)) % below as u64) as usize
}

fn command_line(flags: &[String], counter: &mut u64) -> Vec<String> {
    let count = random(counter, 7);
    let word = |counter: &mut u64| match random(counter, 10) {
        0..5 => flags[random(counter, flags.len())].clone(),
        5 => format!("{}={}", flags[random(counter, flags.len())], VALUES[random(counter, VALUES.len())]),
        _ => VALUES[random(counter, VALUES.len())].to_owned(),
    };
    (0..count).map(|_| word(counter)).collect()
}

/// How many of `lines` command lines are accepted; those that are not are refused with words.
fn accepted(help: &str, lines: usize, parse: impl Fn(lexopt::Parser) -> Result<(), String>) -> usize {
    let flags = flags(help);
    assert!(flags.len() >= 10, "{flags:?}");
    let mut counter = 16;
    let accepts = |line: Vec<String>| match parse(lexopt::Parser::from_args(line.clone())) {
        Ok(()) => true,
        Err(message) => {
            assert!(message.len() > 5, "{line:?} is refused with {message:?}");
            false
        }
    };
    (0..lines).filter(|_| accepts(command_line(&flags, &mut counter))).count()
}

#[test]
fn any_arguments_are_read_or_refused() {
    const LINES: usize = 50_000;
    let found = accepted(mnist::HELP, LINES, |parser| mnist::parse(parser).map(drop).map_err(|usage| usage.0));
    assert!(found > LINES / 100 && found < LINES, "mnist accepts {found}");
    let found =
        accepted(throughput::HELP, LINES, |parser| throughput::parse(parser).map(drop).map_err(|usage| usage.0));
    assert!(found > LINES / 100 && found < LINES, "throughput accepts {found}");
}
