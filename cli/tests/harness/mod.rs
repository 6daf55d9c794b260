//! What the tests of the command share: a home of its own for each run, and a node that answers from a list.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used)]

use std::io::{BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

/// The result of one run.
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A place to run the command in, without anything of the user's environment.
pub(crate) struct Home {
    pub(crate) directory: tempfile::TempDir,
    variables: Vec<(String, String)>,
}

impl Home {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// The same with a variable in its environment.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Runs the command with the words of `line`.
    pub(crate) fn run(&self, line: &str) -> Run {
        self.run_with_input(line, "")
    }

    pub(crate) fn run_with_input(&self, line: &str, input: &str) -> Run {
        let mut command = Command::new(env!("CARGO_BIN_EXE_artifacts"));
        command
            .args(line.split_whitespace())
            .env_clear()
            .env("HOME", self.path())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.variables.iter().cloned()).current_dir(self.path());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that does not read its input closes it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
    }
}

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Received {
    /// `GET /v1/whoami`
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A node that gives prepared answers, in order, whatever it is asked; the last one again and again.
pub(crate) struct FakeNode {
    pub(crate) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl FakeNode {
    /// Each answer is a status, more headers (`name: value`) and a body.
    pub(crate) fn start(answers: &[(u16, &str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let answers: Vec<_> = answers.iter().map(|(status, header, body)| (*status, (*header).to_owned(), (*body).to_owned())).collect();
        let log = Arc::clone(&received);
        std::thread::spawn(move || {
            for (index, stream) in listener.incoming().enumerate() {
                let mut stream = stream.unwrap();
                let request = read(&mut BufReader::new(&stream));
                log.lock().unwrap().push(request);
                let (status, header, body) = &answers[index.min(answers.len() - 1)];
                let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
                let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{header}\r\n", body.len());
                let _ = stream.write_all(format!("{head}{body}").as_bytes());
            }
        });
        Self { url, received }
    }

    /// All requests up to now.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// A home whose commands speak to this node.
    pub(crate) fn home(&self) -> Home {
        Home::new().with("TONBO_API_URL", &self.url).with("TONBO_API_KEY", "tbo_test")
    }
}

fn read(stream: &mut impl std::io::BufRead) -> Received {
    let mut request = Received::default();
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    request.line = line.trim().trim_end_matches(" HTTP/1.1").to_owned();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        request.headers.push((name.to_owned(), value.to_owned()));
    }
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    request.body = String::from_utf8(body).unwrap();
    request
}
