//! The lock that keeps two processes from downloading into one directory at once. It says who holds it, and is not waited
//! for without end.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::error::{Error, Result};

/// How long to wait for another process: longer than the download takes at 20 KB/s.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// How long to wait until the lock is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// More than a holder's line has.
const LONGEST_LINE: u64 = 200;

/// Waits until no other process (or thread) holds the lock of `directory`, at most for `patience`, and holds it until the
/// file is dropped or the process ends, however it ends. `waiting` is told who holds it, again and again. The directory is
/// made if need be. The lock's file stays: to remove it would race.
pub(crate) fn lock(directory: &Path, patience: Duration, waiting: &mut dyn FnMut(&str)) -> Result<File> {
    let path = directory.join("lock");
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { action, path, source }
    };
    fs::create_dir_all(directory).map_err(failed("create", directory))?;
    let mut options = File::options();
    options.create(true).truncate(false).read(true).write(true);
    let mut file = options.open(&path).map_err(failed("create", &path))?;
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(source)) => return Err(failed("lock", &path)(source)),
            Err(TryLockError::WouldBlock) => {}
        }
        let holder = holder(&mut file);
        if start.elapsed() >= patience {
            let text = format!("{holder} holds it; gave up after {} s", patience.as_secs());
            return Err(failed("lock", &path)(io::Error::new(ErrorKind::TimedOut, text)));
        }
        waiting(&holder);
        std::thread::sleep(PAUSE);
    }
    // Only for others' messages: that it cannot be written is no reason not to download.
    drop(sign(&mut file));
    Ok(file)
}

/// Writes into the lock who holds it.
fn sign(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.seek(SeekFrom::Start(0))?;
    writeln!(file, "process {} since {}", std::process::id(), now())
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// Who holds the lock, for a message.
fn holder(file: &mut File) -> String {
    let mut line = String::new();
    // Where a lock keeps others from reading, nothing is known.
    let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(LONGEST_LINE).read_to_string(&mut line));
    let told = read.ok().and_then(|_| line.trim().strip_prefix("process ")?.split_once(" since "));
    let told = told.and_then(|(process, since)| Some((process.parse::<u32>().ok()?, since.parse::<u64>().ok()?)));
    match told {
        Some((process, since)) => format!("process {process} (downloading for {} s)", now().saturating_sub(since)),
        None => "another process".to_owned(),
    }
}
