//! The network: HTTPS only, with limits that hold whatever the other side does. Besides those of the client, which start
//! anew with each byte in some places (a proxy's answer, for one), a transfer runs on a thread of its own, and who waits
//! for it counts the time: until there is an answer, until all is there, and bytes in each half minute. A transfer that is
//! given up is left to its thread, which holds nothing but its connection, and ends with it.

use std::io::{self, ErrorKind, Read};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::Builder;
use std::time::{Duration, Instant};

use super::{Response, Transport};

/// How long the parts of a transfer may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Until there is an answer, whatever stands between: names, proxies, certificates.
    pub answer: Duration,
    /// Until all of it has arrived.
    pub whole: Duration,
    /// In each span of this length …
    pub span: Duration,
    /// … as many bytes must arrive, or the last ones.
    pub least: u64,
}

impl Limits {
    const DEFAULT: Limits = Limits {
        answer: Duration::from_secs(60),
        whole: Duration::from_secs(15 * 60),
        span: Duration::from_secs(30),
        least: 64 << 10,
    };
}

/// Bytes that are on their way from one thread to the other, at most: this many pieces of 64 KiB.
const PIECES: usize = 4;

pub(crate) struct Https {
    agent: ureq::Agent,
    limits: Limits,
}

/// What the thread that transfers says.
enum Piece {
    /// There is an answer, of this length where the server says so.
    Answer(Option<u64>),
    Bytes(Vec<u8>),
    End,
    /// There is no answer.
    Refused(String),
    Broken(io::Error),
}

impl Https {
    pub(crate) fn new() -> Self {
        Self::with(true, ureq::Proxy::try_from_env(), Limits::DEFAULT)
    }

    pub(super) fn with(https_only: bool, proxy: Option<ureq::Proxy>, limits: Limits) -> Self {
        let seconds = |count| Some(Duration::from_secs(count));
        let config = ureq::Agent::config_builder()
            .https_only(https_only)
            .proxy(proxy)
            .timeout_global(Some(limits.answer + limits.whole))
            .timeout_resolve(seconds(10))
            .timeout_connect(seconds(15))
            .timeout_recv_response(seconds(30))
            .timeout_per_read(seconds(30))
            .timeout_recv_body(Some(limits.whole));
        Https { agent: config.build().into(), limits }
    }
}

impl Transport for Https {
    fn get(&self, url: &str) -> Result<Response, String> {
        let (sender, pieces) = mpsc::sync_channel(PIECES);
        let (agent, address) = (self.agent.clone(), url.to_owned());
        let thread = Builder::new().name("wgrad-download".into()).spawn(move || transfer(&agent, &address, &sender));
        thread.map_err(|error| format!("no thread to download with: {error}"))?;
        match pieces.recv_timeout(self.limits.answer) {
            Ok(Piece::Answer(length)) => Ok(Response { body: Box::new(Watched::new(pieces, self.limits)), length }),
            Ok(Piece::Refused(reason)) => Err(reason),
            Ok(_) | Err(RecvTimeoutError::Disconnected) => Err("the transfer ended without an answer".to_owned()),
            Err(RecvTimeoutError::Timeout) => Err(format!("no answer within {}", shown(self.limits.answer))),
        }
    }
}

/// Whoever waits may have given up: then nobody takes what is sent, and there is nothing more to do.
fn transfer(agent: &ureq::Agent, url: &str, sender: &SyncSender<Piece>) {
    let mut body = match agent.get(url).call() {
        Ok(response) => {
            let body = response.into_body();
            if sender.send(Piece::Answer(body.content_length())).is_err() {
                return;
            }
            body.into_reader()
        }
        Err(error) => return drop(sender.send(Piece::Refused(error.to_string()))),
    };
    let mut buffer = vec![0; 1 << 16];
    loop {
        let piece = match body.read(&mut buffer) {
            Ok(0) => return drop(sender.send(Piece::End)),
            Ok(count) => Piece::Bytes(buffer[..count].to_vec()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => return drop(sender.send(Piece::Broken(error))),
        };
        if sender.send(piece).is_err() {
            return;
        }
    }
}

/// What arrives, with an eye on the clock.
struct Watched {
    pieces: Receiver<Piece>,
    limits: Limits,
    /// What has arrived and has not been read yet, from `at` on.
    bytes: Vec<u8>,
    at: usize,
    /// When all must be there.
    end: Instant,
    /// When the present span ends, and the bytes in it so far.
    span_end: Instant,
    in_span: u64,
}

impl Watched {
    fn new(pieces: Receiver<Piece>, limits: Limits) -> Self {
        let now = Instant::now();
        let (end, span_end) = (now + limits.whole, now + limits.span);
        Watched { pieces, limits, bytes: Vec::new(), at: 0, end, span_end, in_span: 0 }
    }

    /// Whether it goes on fast enough.
    fn look_at_the_clock(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let late = |text| Err(io::Error::new(ErrorKind::TimedOut, text));
        if now >= self.end {
            return late(format!("not done within {}", shown(self.limits.whole)));
        }
        if now >= self.span_end {
            if self.in_span < self.limits.least {
                let (bytes, span, least) = (self.in_span, shown(self.limits.span), self.limits.least);
                return late(format!("{bytes} bytes in {span} are too few: at least {least} are expected"));
            }
            (self.span_end, self.in_span) = (now + self.limits.span, 0);
        }
        Ok(())
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.bytes.len() {
            self.look_at_the_clock()?;
            match self.pieces.recv_timeout(self.end.min(self.span_end).saturating_duration_since(Instant::now())) {
                Ok(Piece::Bytes(bytes)) => {
                    self.in_span += bytes.len() as u64;
                    (self.bytes, self.at) = (bytes, 0);
                }
                Ok(Piece::End) => return Ok(0),
                Ok(Piece::Broken(error)) => return Err(error),
                // The clock says what it is.
                Err(RecvTimeoutError::Timeout) => {}
                Ok(Piece::Answer(_) | Piece::Refused(_)) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(io::Error::new(ErrorKind::ConnectionAborted, "the transfer ended by itself"));
                }
            }
        }
        let count = buffer.len().min(self.bytes.len() - self.at);
        buffer[..count].copy_from_slice(&self.bytes[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

fn shown(duration: Duration) -> String {
    match duration.as_secs() {
        _ if duration.subsec_millis() > 0 => format!("{} ms", duration.as_millis()),
        seconds if seconds > 90 => format!("{} minutes", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}
