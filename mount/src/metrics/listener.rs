use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::{Registry, render};
use crate::control::ListedMount;
use crate::error::MountError;

/// How long a client may take to ask, and to take the answer. One is served at a time.
const PATIENCE: Duration = Duration::from_secs(2);
/// The longest request that is read, in bytes.
const REQUEST_MAX: u64 = 8 << 10;

/// Where Prometheus finds the metrics of a process: `GET /metrics` of HTTP/1.1.
#[derive(Debug)]
pub struct MetricsListener(TcpListener);

impl MetricsListener {
    /// Listens.
    ///
    /// # Errors
    /// What the system refuses.
    pub fn bind(address: SocketAddr) -> Result<Self, MountError> {
        let listener = TcpListener::bind(address);
        listener.map(Self).map_err(|error| MountError::system(format!("cannot listen for metrics at {address}"), error))
    }

    /// Answers in a thread of its own, for as long as the process lives.
    ///
    /// # Errors
    /// When the machine gives no thread.
    pub(crate) fn serve(self, registry: Registry) -> Result<(), MountError> {
        let address = self.0.local_addr().map_err(MountError::io("cannot tell where metrics are"))?;
        let work = move || {
            for stream in self.0.incoming() {
                let answered = stream.and_then(|stream| answer(&stream, &registry));
                if let Err(error) = answered {
                    tracing::debug!(%error, "somebody who asked for metrics went away");
                }
            }
        };
        std::thread::Builder::new().name("metrics".to_owned()).spawn(work).map_err(MountError::io("cannot start a thread"))?;
        tracing::info!(%address, "metrics are at /metrics");
        Ok(())
    }
}

fn answer(mut stream: &TcpStream, registry: &Registry) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut lines = BufReader::new(stream.take(REQUEST_MAX)).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.strip_prefix("GET ").and_then(|rest| rest.split([' ', '?']).next());
    let (status, body) = match path {
        Some("/metrics") => {
            let mounts: Vec<_> = registry.statuses().into_iter().map(|status| ListedMount::Live(Box::new(status))).collect();
            ("200 OK", render(&mounts))
        }
        Some(_) => ("404 Not Found", "metrics are at /metrics\n".to_owned()),
        None => ("405 Method Not Allowed", "metrics are read with GET\n".to_owned()),
    };
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let head = format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn metrics_are_at_one_address_and_nothing_else_is() {
        let listener = MetricsListener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = listener.0.local_addr().unwrap();
        listener.serve(Registry::default()).unwrap();
        let metrics = ask(address, "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n");
        assert!(metrics.starts_with("HTTP/1.1 200") && metrics.contains("\nartifacts_mounts 0\n"), "{metrics}");
        assert!(ask(address, "GET /metrics?x=1 HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
        assert!(ask(address, "GET /etc/passwd HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404"));
        assert!(ask(address, "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405"));
    }
}
