use std::collections::VecDeque;
use std::io::ErrorKind;
use std::net::TcpStream;

use anyhow::{Context as _, Result, bail};
use artifacts_core::namespace::{Errno, Mutation, Op};
use artifacts_core::protocol::{
    Answer, ClientFrame, Hello, HelloAnswer, NumberedOp, OpResult, Opening, Refusal, Request, ServerFrame, VersionRange, Welcome, decode,
    encode,
};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{self, Error, Message, WebSocket, protocol::WebSocketConfig};

use crate::time::{Duration, monotonic_ns, now, unix_ms};

/// How long the node may take over any answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// A client of the session stream that says whatever a test wants it to say, in any order.
#[derive(Debug)]
pub struct RawStream {
    socket: WebSocket<TcpStream>,
    heard: VecDeque<ServerFrame>,
    next_request: u32,
    next_seq: u64,
}

/// What came from the node.
#[derive(Debug)]
pub enum Heard {
    /// A frame.
    Frame(ServerFrame),
    /// The end of the stream.
    Closed(Closed),
}

/// How a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The WebSocket close code (RFC 6455 section 7.4); `None` if the connection just ended.
    pub code: Option<u16>,
    /// The reason the node gave.
    pub reason: String,
}

impl RawStream {
    /// Opens a stream to the node on `port` and says nothing yet.
    ///
    /// # Errors
    /// If the node does not answer as a WebSocket.
    pub fn connect(port: u16) -> Result<Self> {
        let tcp = TcpStream::connect(("127.0.0.1", port))?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
        let url = format!("ws://127.0.0.1:{port}/v1/stream");
        let (socket, _) = tungstenite::client::client_with_config(url, tcp, Some(config)).context("the WebSocket handshake")?;
        Ok(Self { socket, heard: VecDeque::new(), next_request: 1, next_seq: 1 })
    }

    /// Opens a stream and a session on it.
    ///
    /// # Errors
    /// If the node refuses.
    pub fn open(port: u16, opening: Opening) -> Result<(Self, Welcome)> {
        let mut stream = Self::connect(port)?;
        let welcome = stream.hello(opening)?.map_err(|refusal| anyhow::anyhow!("refused: {refusal}"))?;
        Ok((stream, welcome))
    }

    /// Opens a session with a ticket file.
    ///
    /// # Errors
    /// If the node refuses.
    pub fn open_with_ticket(port: u16, ticket: &Value) -> Result<(Self, Welcome)> {
        Self::open(port, Opening::Ticket { token: ticket["token"].as_str().unwrap_or("").to_owned() })
    }

    /// Says hello in good form.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn hello(&mut self, opening: Opening) -> Result<Result<Welcome, Refusal>> {
        self.hello_in(VersionRange::OURS, opening)
    }

    /// Says hello as an agent that speaks these versions.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn hello_in(&mut self, protocol: VersionRange, opening: Opening) -> Result<Result<Welcome, Refusal>> {
        let hello = Hello { protocol, agent: "raw-stream/0".to_owned(), host: "test".to_owned(), opening };
        self.send_text(&serde_json::to_string(&hello)?)?;
        self.hello_answer()
    }

    /// Waits for the answer to a hello.
    ///
    /// # Errors
    /// If something else comes.
    pub fn hello_answer(&mut self) -> Result<Result<Welcome, Refusal>> {
        match self.socket.read().context("the answer to the hello")? {
            Message::Text(text) => match serde_json::from_str(&text)? {
                HelloAnswer::Welcome(welcome) => Ok(Ok(welcome)),
                HelloAnswer::Refused(refusal) => Ok(Err(refusal)),
            },
            other => bail!("instead of an answer to the hello came {other:?}"),
        }
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn send_text(&mut self, text: &str) -> Result<()> {
        Ok(self.socket.send(Message::text(text))?)
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.socket.send(Message::binary(bytes.to_vec()))?)
    }

    /// Sends a binary message as part of a flood: many go out together.
    ///
    /// # Errors
    /// If the connection is gone, or takes nothing more.
    pub fn flood_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.socket.write(Message::binary(bytes.to_vec()))?)
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// If the connection is gone.
    pub fn send(&mut self, frame: &ClientFrame) -> Result<()> {
        self.send_bytes(&encode(frame)?)
    }

    /// The connection below, for what no WebSocket library would send.
    pub fn tcp(&mut self) -> &mut TcpStream {
        self.socket.get_mut()
    }

    /// The next thing that comes from the node.
    ///
    /// # Errors
    /// If nothing comes, or what does is no frame.
    pub fn hear(&mut self) -> Result<Heard> {
        if let Some(frame) = self.heard.pop_front() {
            return Ok(Heard::Frame(frame));
        }
        loop {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => return Ok(Heard::Frame(decode(&bytes)?)),
                Ok(Message::Close(frame)) => {
                    let closed = frame.map_or(Closed { code: None, reason: String::new() }, |frame| Closed {
                        code: Some(frame.code.into()),
                        reason: frame.reason.to_string(),
                    });
                    return Ok(Heard::Closed(closed));
                }
                Ok(Message::Text(text)) => bail!("a text message in the middle of the stream: {text}"),
                Ok(_) => {}
                Err(Error::Io(error)) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    bail!("the node says nothing")
                }
                Err(_) => return Ok(Heard::Closed(Closed { code: None, reason: String::new() })),
            }
        }
    }

    /// Waits for the end of the stream, passing over frames.
    ///
    /// # Errors
    /// If it does not come.
    pub fn wait_closed(&mut self) -> Result<Closed> {
        let start = now();
        while start.elapsed() < PATIENCE {
            if let Heard::Closed(closed) = self.hear()? {
                return Ok(closed);
            }
        }
        bail!("the stream is still open after {PATIENCE:?}")
    }

    /// Waits for the first frame that `wanted` picks; others are kept for later.
    ///
    /// # Errors
    /// If the stream ends first.
    pub fn wait_for<T>(&mut self, what: &str, mut wanted: impl FnMut(&ServerFrame) -> Option<T>) -> Result<T> {
        if let Some((index, found)) = self.heard.iter().enumerate().find_map(|(index, frame)| Some((index, wanted(frame)?))) {
            self.heard.remove(index);
            return Ok(found);
        }
        let mut kept = std::mem::take(&mut self.heard);
        let start = now();
        let found = loop {
            match self.hear() {
                Ok(Heard::Frame(frame)) => match wanted(&frame) {
                    Some(found) => break Ok(found),
                    None => kept.push_back(frame),
                },
                Ok(Heard::Closed(closed)) => break Err(anyhow::anyhow!("waiting for {what}, the stream ended: {closed:?}")),
                Err(error) => break Err(error.context(format!("waiting for {what}"))),
            }
            if start.elapsed() > PATIENCE {
                break Err(anyhow::anyhow!("waiting in vain for {what}"));
            }
        };
        self.heard = kept;
        found
    }

    /// Asks a question.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn request(&mut self, request: Request) -> Result<Result<Answer, Errno>> {
        let id = self.next_request;
        self.next_request += 1;
        self.send(&ClientFrame::Request { id, request })?;
        self.wait_for("a reply", |frame| match frame {
            ServerFrame::Reply { id: of, result } if *of == id => Some(result.clone()),
            _ => None,
        })
    }

    /// Commits one op under the next number and waits until it has happened or was refused.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn commit(&mut self, mutation: Mutation) -> Result<OpResult> {
        let seq = self.next_seq;
        self.next_seq += 1;
        self.commit_as(seq, mutation)
    }

    /// Commits one op under any number.
    ///
    /// # Errors
    /// If no answer comes.
    pub fn commit_as(&mut self, seq: u64, mutation: Mutation) -> Result<OpResult> {
        let op = Op { mutation, time: unix_ms() as i64 * 1_000_000 };
        self.send(&ClientFrame::Commit { acked: 0, ops: vec![NumberedOp { seq, order: None, op }] })?;
        self.wait_for("the result of an op", |frame| match frame {
            ServerFrame::Applied(results) => results.iter().find(|result| result.seq == seq).cloned(),
            _ => None,
        })
    }

    /// Commits many ops in one frame and waits until all have happened.
    ///
    /// # Errors
    /// If no answer comes, or one is refused.
    pub fn commit_all(&mut self, mutations: Vec<Mutation>) -> Result<()> {
        let (first, time) = (self.next_seq, unix_ms() as i64 * 1_000_000);
        self.next_seq += mutations.len() as u64;
        let numbered = mutations.into_iter().zip(first..);
        let ops = numbered.map(|(mutation, seq)| NumberedOp { seq, order: None, op: Op { mutation, time } }).collect();
        self.send(&ClientFrame::Commit { acked: first - 1, ops })?;
        let mut missing = self.next_seq - first;
        while missing > 0 {
            let results = self.wait_for("the results of ops", |frame| match frame {
                ServerFrame::Applied(results) => Some(results.clone()),
                _ => None,
            })?;
            for result in results.into_iter().filter(|result| result.seq >= first) {
                result.result.map_err(|errno| anyhow::anyhow!("op {}: {errno}", result.seq))?;
                missing = missing.saturating_sub(1);
            }
        }
        Ok(())
    }

    /// Checks that the stream is alive and the session stands.
    ///
    /// # Errors
    /// If it does not.
    pub fn expect_standing(&mut self) -> Result<()> {
        let mark = monotonic_ns();
        self.send(&ClientFrame::Heartbeat { sent_ms: mark })?;
        self.wait_for("a proof of standing", |frame| matches!(frame, ServerFrame::Proof { sent_ms } if *sent_ms == mark).then_some(()))
    }

    /// Ends the session in good order.
    ///
    /// # Errors
    /// If the node does not close the stream.
    pub fn goodbye(mut self) -> Result<()> {
        self.send(&ClientFrame::Goodbye)?;
        self.wait_closed().map(drop)
    }
}
