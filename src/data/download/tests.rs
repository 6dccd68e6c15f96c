//! Transfers from mirrors that work, lie, break off or are not there; nothing here leaves this machine.

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use super::https::Limits;
use super::*;

/// For a server on this machine.
const QUICK: Limits =
    Limits { answer: Duration::from_secs(20), whole: Duration::from_secs(40), span: Duration::from_secs(30), least: 1 };

/// What a mirror does when asked; `Stalls` breaks off after these bytes.
enum Mirror {
    Dead,
    Serves(&'static [u8], Option<u64>),
    Stalls(&'static [u8]),
}

/// Mirror `0`, `1` … by their place in the list.
struct Fake(Vec<Mirror>);

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::new(ErrorKind::ConnectionReset, "the line went dead"))
    }
}

impl Transport for Fake {
    fn get(&self, url: &str) -> Result<Response, String> {
        match &self.0[url.parse::<usize>().unwrap()] {
            Mirror::Dead => Err("no such host".to_owned()),
            Mirror::Serves(bytes, length) => Ok(Response { body: Box::new(*bytes), length: *length }),
            Mirror::Stalls(bytes) => Ok(Response { body: Box::new(bytes.chain(Broken)), length: Some(100) }),
        }
    }
}

/// A good file says `good`.
fn verify(path: &Path) -> Result<String> {
    let found = fs::read_to_string(path).unwrap();
    if found == "good" {
        return Ok(found);
    }
    Err(Error::InvalidFile { path: path.to_owned(), expected: "good".to_owned(), found })
}

fn fetch(directory: &Path, mirrors: Vec<Mirror>) -> Result<String, Vec<String>> {
    let urls = (0..mirrors.len()).map(|mirror| mirror.to_string()).collect();
    let order = Order { urls, destination: directory.join("file.gz"), most: 10, verify: &verify };
    obtain(&order, &Fake(mirrors), &mut |_| ())
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn the_second_mirror_serves_when_the_first_is_dead() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(fetch(directory.path(), vec![Mirror::Dead, Mirror::Serves(b"good", Some(4))]).unwrap(), "good");
    assert_eq!(names(directory.path()), ["file.gz"]);
}

#[test]
fn wrong_content_is_not_kept_and_the_next_mirror_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let failures = fetch(directory.path(), vec![Mirror::Serves(b"bad", None)]).unwrap_err();
    assert_eq!(failures, ["0: expected good, found bad"]);
    assert!(names(directory.path()).is_empty());
    fetch(directory.path(), vec![Mirror::Serves(b"bad", None), Mirror::Serves(b"good", None)]).unwrap();
    assert_eq!(fs::read(directory.path().join("file.gz")).unwrap(), b"good");
}

#[test]
fn an_interrupted_transfer_leaves_nothing_and_can_be_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let failures = fetch(directory.path(), vec![Mirror::Stalls(b"go"), Mirror::Serves(b"goo", Some(4))]).unwrap_err();
    assert_eq!(failures, ["0: interrupted after 2 bytes: the line went dead", "1: interrupted after 3 of 4 bytes"]);
    assert!(names(directory.path()).is_empty());
    fetch(directory.path(), vec![Mirror::Serves(b"good", Some(4))]).unwrap();
    assert_eq!(names(directory.path()), ["file.gz"]);
}

#[test]
fn a_failed_transfer_leaves_the_old_file_and_a_good_one_replaces_it_and_what_a_killed_process_left() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file.gz"), "old").unwrap();
    fs::write(directory.path().join("file.part"), "a longer half of something").unwrap();
    fetch(directory.path(), vec![Mirror::Stalls(b"go")]).unwrap_err();
    assert_eq!(fs::read(directory.path().join("file.gz")).unwrap(), b"old");
    for left in ["file.part", ".file.gz.012345678abc.part"] {
        fs::write(directory.path().join(left), "a longer half of something").unwrap();
    }
    fetch(directory.path(), vec![Mirror::Serves(b"good", None)]).unwrap();
    assert_eq!(fs::read(directory.path().join("file.gz")).unwrap(), b"good");
    assert_eq!(names(directory.path()), ["file.gz"]);
}

#[test]
fn a_mirror_that_never_ends_is_cut_off() {
    struct Endless;
    impl Transport for Endless {
        fn get(&self, _: &str) -> Result<Response, String> {
            Ok(Response { body: Box::new(io::repeat(0)), length: None })
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let destination = directory.path().join("file.gz");
    let order = Order { urls: vec!["endless".to_owned()], destination, most: 1 << 20, verify: &verify };
    let failures = obtain(&order, &Endless, &mut |_| ()).unwrap_err();
    assert_eq!(failures, ["endless: expected at most 1048576 bytes, found more"]);
}

#[test]
fn a_directory_that_cannot_be_written_to_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let failures = fetch(&file, vec![Mirror::Serves(b"good", None)]).unwrap_err().join("");
    assert!(failures.starts_with(&format!("0: cannot look at {}: ", file.join("file.gz").display())), "{failures}");
    let message = lock(&file, PATIENCE, &mut |_| ()).unwrap_err().to_string();
    assert!(message.starts_with(&format!("cannot create {}: ", file.display())), "{message}");
}

#[test]
fn a_lock_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let held = lock(directory.path(), PATIENCE, &mut |_| ()).unwrap();
    let told = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let tell = &mut |holder: &str| told.lock().unwrap().push(holder.to_owned());
            lock(directory.path(), PATIENCE, tell).map(|_| fs::read(directory.path().join("done")).unwrap())
        });
        while told.lock().unwrap().is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
        assert!(!waiting.is_finished());
        fs::write(directory.path().join("done"), "yes").unwrap();
        drop(held);
        assert_eq!(waiting.join().unwrap().unwrap(), b"yes");
    });
    let holder = told.lock().unwrap()[0].clone();
    assert!(holder.starts_with(&format!("process {} (downloading for ", std::process::id())), "{holder}");
}

#[test]
fn a_lock_that_is_not_given_back_is_given_up_and_its_holder_named() {
    let directory = tempfile::tempdir().unwrap();
    let held = lock(directory.path(), PATIENCE, &mut |_| ()).unwrap();
    let mut told = 0;
    let message = lock(directory.path(), Duration::from_secs(1), &mut |_| told += 1).unwrap_err().to_string();
    let start = format!("cannot lock {}/lock: process {} (", directory.path().display(), std::process::id());
    assert!(message.starts_with(&start) && message.ends_with(") holds it; gave up after 1 s"), "{message}");
    assert!(told >= 3, "told {told} times in a second");
    // Whatever stands in the file, it is a message, no more.
    for line in ["", "process x since y", "process 1 since 99999999999999999999999"] {
        fs::write(directory.path().join("lock"), line).unwrap();
        let message = lock(directory.path(), Duration::ZERO, &mut |_| ()).unwrap_err().to_string();
        assert!(message.ends_with("/lock: another process holds it; gave up after 0 s"), "{message}");
    }
    drop(held);
    lock(directory.path(), Duration::ZERO, &mut |_| ()).unwrap();
}

/// Answers one request after the other with these bytes, then stops listening.
fn serve(answers: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for answer in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            assert!(lines.map_while(Result::ok).any(|line| line.is_empty()), "a request ends with an empty line");
            stream.write_all(&answer).unwrap();
        }
    });
    format!("http://{address}/file.gz")
}

fn answer(status: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let header = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
    [header.as_bytes(), body].concat()
}

#[test]
fn the_client_speaks_http() {
    let directory = tempfile::tempdir().unwrap();
    let url = serve(vec![answer("404 Not Found", 0, b""), answer("200 OK", 9, b"half"), answer("200 OK", 4, b"good")]);
    let seen = RefCell::new(Vec::new());
    let destination = directory.path().join("file.gz");
    let order = Order { urls: vec![url.clone()], destination, most: 10, verify: &verify };
    let fetch = || {
        let observe = &mut |progress: Progress<'_>| {
            seen.borrow_mut().push((progress.file.to_owned(), progress.received, progress.total));
        };
        obtain(&order, &Https::with(false, None, QUICK), observe)
    };
    assert_eq!(fetch().unwrap_err(), [format!("{url}: http status: 404")]);
    let cut = fetch().unwrap_err().join("");
    assert!(cut.starts_with(&format!("{url}: interrupted after 4 ")), "{cut}");
    assert_eq!(fetch().unwrap(), "good");
    assert_eq!(seen.borrow().last().unwrap(), &("file.gz".to_owned(), 4, Some(4)));
}

#[test]
fn plain_http_is_refused() {
    let refused = Https::with(true, None, QUICK).get("http://127.0.0.1:9/file.gz").err().unwrap();
    assert!(refused.contains("https"), "{refused}");
}

/// A server that answers each connection with `say`, until the test ends.
fn server(say: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let say = say.clone();
            thread::spawn(move || say(stream));
        }
    });
    address.to_string()
}

/// Writes `start`, then `byte` again and again, one in ten milliseconds, until nobody listens.
fn drip(mut stream: TcpStream, start: &[u8], byte: u8) {
    let mut request = [0; 4096];
    let mut outcome = stream.read(&mut request).and_then(|_| stream.write_all(start));
    while outcome.is_ok() {
        thread::sleep(Duration::from_millis(10));
        outcome = stream.write_all(&[byte]);
    }
}

/// How a transfer with these limits fails, which takes no longer than a few seconds.
fn given_up(transport: &Https, url: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let destination = directory.path().join("file.gz");
    let order = Order { urls: vec![url.to_owned()], destination, most: 1 << 20, verify: &verify };
    let start = Instant::now();
    let failures = obtain(&order, transport, &mut |_| ()).unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(15), "it took {:?}", start.elapsed());
    assert!(names(directory.path()).is_empty(), "nothing is left");
    failures.concat().replace(url, "URL")
}

#[test]
fn a_trickle_is_given_up_wherever_it_trickles() {
    let short = Limits { answer: Duration::from_millis(500), ..QUICK };
    let plain = |limits| Https::with(false, None, limits);
    // The server's head, byte by byte, and a server that says nothing.
    let head = server(|stream| drip(stream, b"HTTP/1.1 200 OK\r\nX: ", b'a'));
    assert_eq!(given_up(&plain(short), &format!("http://{head}/")), "URL: no answer within 500 ms");
    let silent = server(|_stream| thread::sleep(Duration::from_secs(30)));
    assert!(given_up(&plain(short), &format!("http://{silent}/")).starts_with("URL: "));
    // A proxy's answer to CONNECT, byte by byte, and TLS, byte by byte, behind a proxy that answers at once.
    let through =
        |address: String| Https::with(true, Some(ureq::Proxy::new(&format!("http://{address}")).unwrap()), short);
    let proxy = server(|stream| drip(stream, b"HTTP/1.1 200 OK\r\nX: ", b'a'));
    assert_eq!(given_up(&through(proxy), "https://example.invalid/"), "URL: no answer within 500 ms");
    let tls = server(|stream| drip(stream, b"HTTP/1.1 200 Connection established\r\n\r\n", 0x16));
    assert!(given_up(&through(tls), "https://example.invalid/").starts_with("URL: "));
}

#[test]
fn a_body_that_trickles_is_given_up_by_its_pace_and_by_the_clock() {
    let body = server(|stream| drip(stream, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b'a'));
    let url = format!("http://{body}/");
    let slow = Limits { span: Duration::from_millis(400), least: 1000, ..QUICK };
    let message = given_up(&Https::with(false, None, slow), &url);
    let (start, end) = ("URL: interrupted after ", " bytes in 400 ms are too few: at least 1000 are expected");
    assert!(message.starts_with(start) && message.ends_with(end), "{message}");
    // Fast enough for its pace, and too slow for the whole.
    let long = Limits { whole: Duration::from_millis(1200), span: Duration::from_millis(400), least: 2, ..QUICK };
    let message = given_up(&Https::with(false, None, long), &url);
    assert!(message.starts_with(start) && message.ends_with(": not done within 1200 ms"), "{message}");
}

/// A mirror whose body fails at its n-th read, counted from 0, and comes in pieces of one byte until then.
struct FailsAt(usize);

struct Pieces {
    bytes: &'static [u8],
    left: usize,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::new(ErrorKind::ConnectionReset, "on purpose"));
        }
        self.left -= 1;
        self.bytes.read(&mut buffer[..1])
    }
}

impl Transport for FailsAt {
    fn get(&self, _: &str) -> Result<Response, String> {
        Ok(Response { body: Box::new(Pieces { bytes: b"good", left: self.0 }), length: None })
    }
}

#[test]
fn whatever_read_or_write_fails_the_old_file_stays_until_the_new_one_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file.gz");
    let attempt = |transport: &dyn Transport| {
        let order = Order { urls: vec!["0".to_owned()], destination: path.clone(), most: 10, verify: &verify };
        obtain(&order, transport, &mut |_| ())
    };
    let check = |outcome: Result<String, Vec<String>>, what: String| {
        let found = fs::read(&path).unwrap();
        assert_eq!(outcome.is_ok(), found == b"good", "{what}: {outcome:?}");
        assert!(outcome.is_ok() || found == b"old", "{what}");
        assert_eq!(names(directory.path()), ["file.gz"], "{what}");
        outcome.is_ok()
    };
    let mut successes = 0;
    for n in 0..8 {
        fs::write(&path, "old").unwrap();
        successes += usize::from(check(attempt(&FailsAt(n)), format!("read {n}")));
    }
    assert_eq!(successes, 3, "four bytes and their end are five reads");
    for n in 0.. {
        fs::write(&path, "old").unwrap();
        let (outcome, steps) = crate::files::fail_at(n, || attempt(&Fake(vec![Mirror::Serves(b"good", None)])));
        if check(outcome, format!("step {n} of {steps:?}")) && n >= steps.len() {
            assert!(steps.len() >= 4, "{steps:?}");
            return;
        }
    }
}
