use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};

use anyhow::{Context as _, Result, bail, ensure};
use artifacts_tests::time::{Duration, wait_until};
use artifacts_tests::{Process, Scratch, Shell};

/// How long a command that waits for nobody may take. The machine may be busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the process runs: each line of its input is a Python expression or statement; each answer is a line, the name
/// of the error number if there was one.
const SERVER: &str = r"
import errno, fcntl, os, signal, struct, sys, time
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, F_RDLCK, F_UNLCK, F_WRLCK
def flock(fd, how):
    fcntl.flock(fd, how)
def packed(kind, start, length):
    return struct.pack('hhqqi', kind, os.SEEK_SET, start, length, 0)
def lock(fd, kind, start=0, length=0, wait=False, command=(fcntl.F_SETLK, fcntl.F_SETLKW)):
    fcntl.fcntl(fd, command[wait], packed(kind, start, length))
def ofd(fd, kind, start=0, length=0, wait=False):
    lock(fd, kind, start, length, wait, (fcntl.F_OFD_SETLK, fcntl.F_OFD_SETLKW))
def test(fd, kind, start=0, length=0):
    kind, _, start, length, pid = struct.unpack('hhqqi', fcntl.fcntl(fd, fcntl.F_GETLK, packed(kind, start, length)))
    return None if kind == F_UNLCK else (kind, start, length, pid)
def raises(number, frame):
    raise InterruptedError(errno.EINTR, 'signal')
def alarm(seconds):
    signal.signal(signal.SIGALRM, raises)
    signal.setitimer(signal.ITIMER_REAL, seconds)
def count(path, times, take, give):
    fd = os.open(path, os.O_RDWR)
    for _ in range(times):
        take(fd)
        number = int(os.pread(fd, 20, 0) or b'0')
        os.pwrite(fd, b'%d' % (number + 1), 0)
        give(fd)
    os.close(fd)
def hold(path, take, give, seconds):
    fd, grants, end = os.open(path, os.O_RDWR), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        take(fd)
        if time.monotonic() < end:
            grants += 1
        # Long enough for the one before to be back in the queue on a busy machine.
        time.sleep(0.002)
        give(fd)
    return grants
def said(value):
    sys.stdout.write(f'{value}\n')
    sys.stdout.flush()
for line in sys.stdin:
    try:
        try:
            code = compile(line.strip(), 'line', 'eval')
        except SyntaxError:
            code = compile(line.strip(), 'line', 'exec')
        said(eval(code, globals()))
    except OSError as error:
        # One number has two names.
        said('EDEADLK' if error.errno == errno.EDEADLK else errno.errorcode[error.errno])
";

/// A process that opens and locks files as it is told, for locks belong to processes.
pub(crate) struct Locker {
    child: Child,
    input: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Locker {
    /// Starts one in a directory.
    pub(crate) fn start(scratch: &Scratch, dir: &Path) -> Result<Self> {
        let mut command = Shell::new(scratch, dir).command("python3");
        command.args(["-c", SERVER]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("python3 is needed (make deps installs it)")?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("no standard output")?;
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, input, answers })
    }

    /// One that has opened `name` for reading and writing, as descriptor `f`, and made it if need be.
    pub(crate) fn with_file(scratch: &Scratch, dir: &Path, name: &str) -> Result<Self> {
        let mut locker = Self::start(scratch, dir)?;
        locker.expect(&format!("f = os.open('{name}', os.O_RDWR | os.O_CREAT)"), "None")?;
        Ok(locker)
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its process.
    pub(crate) fn process(&self) -> Result<Process> {
        Process::with_pid(i32::try_from(self.child.id())?).context("it has ended")
    }

    /// Tells it what to do, and does not wait for the answer.
    pub(crate) fn tell(&mut self, what: &str) -> Result<()> {
        Ok(writeln!(self.input.as_mut().context("it was ended")?, "{what}")?)
    }

    /// The answer to what it was told.
    pub(crate) fn answer_within(&mut self, limit: Duration) -> Result<String> {
        match self.answers.recv_timeout(limit) {
            Ok(answer) => Ok(answer),
            Err(RecvTimeoutError::Timeout) => bail!("no answer within {limit:?}"),
            Err(RecvTimeoutError::Disconnected) => bail!("it has ended: {:?}", self.child.wait()),
        }
    }

    /// That there is no answer yet, for so long.
    pub(crate) fn expect_waiting(&mut self, how_long: Duration) -> Result<()> {
        match self.answers.recv_timeout(how_long) {
            Ok(answer) => bail!("it did not wait: {answer}"),
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => bail!("it has ended: {:?}", self.child.wait()),
        }
    }

    /// Tells it what to do and gives the answer.
    pub(crate) fn ask(&mut self, what: &str) -> Result<String> {
        self.tell(what)?;
        self.answer_within(PATIENCE).with_context(|| what.to_owned())
    }

    /// Tells it what to do; the answer must be this one.
    pub(crate) fn expect(&mut self, what: &str, answer: &str) -> Result<()> {
        let said = self.ask(what)?;
        ensure!(said == answer, "{what} answers {said} instead of {answer}");
        Ok(())
    }

    /// That a call which waited has come back with this.
    pub(crate) fn expect_answer(&mut self, answer: &str, within: Duration) -> Result<()> {
        let said = self.answer_within(within)?;
        ensure!(said == answer, "what it was told answers {said} instead of {answer}");
        Ok(())
    }

    /// Ends it as Ctrl-D would.
    pub(crate) fn end(mut self) -> Result<()> {
        self.input = None;
        self.child.wait()?;
        Ok(())
    }

    /// Kills it and waits until it has ended.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Locker {
    fn drop(&mut self) {
        // Already gone is as good. One that waits for a mount which does not answer ends with that mount.
        let _ = self.child.kill();
        let _ = wait_until("it ends", Duration::from_secs(1), || Ok(self.child.try_wait()?.is_some()));
    }
}
