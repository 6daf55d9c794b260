use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail, ensure};

use crate::Wire;

/// Every namespace of this harness is named `artifacts-PID-NUMBER-HOST`.
const PREFIX: &str = "artifacts";
const NAMESPACES: &str = "/run/netns";
/// From the range for benchmarks of networks (RFC 2544), which no real network uses.
const NET: [u8; 2] = [198, 18];
/// Nobody's, so what is sent there is lost.
const NOWHERE: &str = "02:00:00:00:00:00";

/// A network of its own for one test: machines ([`Host`]) in network namespaces, joined by a switch, of which each
/// connection can be cut in each direction. Only root can make one.
///
/// Always true: nothing of it is left when it is dropped; what a test that was killed has left, the next one removes.
#[derive(Debug)]
pub struct Lan {
    name: String,
    subnet: u8,
    next: AtomicU8,
}

/// A machine in a [`Lan`]: programs started in it have this address and reach nothing but the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    namespace: String,
    port: String,
    address: Ipv4Addr,
}

impl Lan {
    /// A network with the test process in it and nobody else; `None`, with a notice, where namespaces cannot be made.
    /// With `CI=true` in the environment that is an error instead.
    ///
    /// # Errors
    /// If it cannot be made although namespaces can.
    pub fn new() -> Result<Option<Self>> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        remove_leftovers();
        let name = format!("{PREFIX}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let switch = format!("{name}-switch");
        if let Err(error) = ip(&["netns", "add", &switch]) {
            ensure!(std::env::var("CI").as_deref() != Ok("true"), "no network namespaces: {error:#}");
            eprintln!("NOTICE: tests on a network are skipped, namespaces cannot be made: {error:#}");
            return Ok(None);
        }
        let mut lan = Self { name, subnet: 0, next: AtomicU8::new(2) };
        ip(&["-n", &switch, "link", "add", "name", "switch", "type", "bridge", "forward_delay", "0"])?;
        ip(&["-n", &switch, "link", "set", "switch", "up"])?;
        lan.join_the_test()?;
        Ok(Some(lan))
    }

    /// The test process reaches all hosts, through an interface of the namespace it is in.
    fn join_the_test(&mut self) -> Result<()> {
        let switch = self.switch();
        for subnet in 1..=254 {
            // The name says the network, so two tests never have the same one.
            let link = format!("artifacts{subnet}");
            if ip(&["link", "add", &link, "type", "veth", "peer", "name", "test", "netns", &switch]).is_err() {
                continue;
            }
            self.subnet = subnet;
            ip(&["-n", &switch, "link", "set", "test", "master", "switch", "up"])?;
            ip(&["addr", "add", &format!("{}/24", self.address(1)), "dev", &link])?;
            return ip(&["link", "set", &link, "up"]);
        }
        bail!("no free network")
    }

    fn switch(&self) -> String {
        format!("{}-switch", self.name)
    }

    fn address(&self, last: u8) -> Ipv4Addr {
        Ipv4Addr::new(NET[0], NET[1], self.subnet, last)
    }

    /// Adds a machine. Names are short and unlike each other.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn host(&self, name: &str) -> Result<Host> {
        let (host, switch) = (self.machine(name)?, self.switch());
        ip(&["-n", &switch, "link", "add", &host.port, "type", "veth", "peer", "name", "eth0", "netns", &host.namespace])?;
        self.plug_in(&host)?;
        Ok(host)
    }

    /// Adds a machine at the end of a [`Wire`], which is to be dropped before the network.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn far_host(&self, name: &str) -> Result<(Host, Wire)> {
        let host = self.machine(name)?;
        let end = |namespace: &str, interface: &str| (Path::new(NAMESPACES).join(namespace), interface.to_owned());
        let wire = Wire::lay(end(&host.namespace, "eth0"), end(&self.switch(), &host.port))?;
        self.plug_in(&host)?;
        Ok((host, wire))
    }

    fn machine(&self, name: &str) -> Result<Host> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        ensure!(number < u8::MAX, "a network has at most {} hosts", u8::MAX - 2);
        let host = Host { namespace: format!("{}-{name}", self.name), port: format!("to-{number}"), address: self.address(number) };
        ip(&["netns", "add", &host.namespace])?;
        Ok(host)
    }

    fn plug_in(&self, host: &Host) -> Result<()> {
        ip(&["-n", &self.switch(), "link", "set", &host.port, "master", "switch", "up"])?;
        host.ip(&["addr", "add", &format!("{}/24", host.address), "dev", "eth0"])?;
        host.ip(&["link", "set", "lo", "up"])?;
        host.ip(&["link", "set", "eth0", "up"])
    }

    /// From now on, what `from` sends to `to` is lost, and nobody is told.
    ///
    /// # Errors
    /// If it cannot be arranged.
    pub fn lose(&self, from: &Host, to: &Host) -> Result<()> {
        from.ip(&["neigh", "replace", &to.address.to_string(), "lladdr", NOWHERE, "nud", "permanent", "dev", "eth0"])
    }

    /// Ends [`Lan::lose`].
    ///
    /// # Errors
    /// If nothing was being lost.
    pub fn find(&self, from: &Host, to: &Host) -> Result<()> {
        from.ip(&["neigh", "del", &to.address.to_string(), "dev", "eth0"])
    }

    /// From now on these two do not hear each other.
    ///
    /// # Errors
    /// If it cannot be arranged.
    pub fn cut(&self, one: &Host, other: &Host) -> Result<()> {
        self.lose(one, other)?;
        self.lose(other, one)
    }

    /// Ends [`Lan::cut`].
    ///
    /// # Errors
    /// If these two were not cut.
    pub fn restore(&self, one: &Host, other: &Host) -> Result<()> {
        self.find(one, other)?;
        self.find(other, one)
    }

    /// Pulls a machine's cable: it reaches nobody, not even the test, and nobody reaches it.
    ///
    /// # Errors
    /// If it cannot be arranged.
    pub fn unplug(&self, host: &Host) -> Result<()> {
        ip(&["-n", &self.switch(), "link", "set", &host.port, "down"])
    }

    /// Ends [`Lan::unplug`]; the kernel may take a second to notice.
    ///
    /// # Errors
    /// If it cannot be arranged.
    pub fn plug(&self, host: &Host) -> Result<()> {
        ip(&["-n", &self.switch(), "link", "set", &host.port, "up"])
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        remove(&format!("{}-", self.name));
    }
}

impl Host {
    /// Its address in the network.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// A command that runs `program` in this machine. The process has the id of the command; files and mounts are those
    /// of the test.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={NAMESPACES}/{}", self.namespace)).arg(program);
        command
    }

    fn ip(&self, arguments: &[&str]) -> Result<()> {
        ip(&[&["-n", &self.namespace], arguments].concat())
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("ip(8), of the package iproute2")?;
    ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

fn namespaces() -> impl Iterator<Item = String> {
    let entries = fs::read_dir(NAMESPACES).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// Removes all namespaces whose names begin so; their interfaces go with them.
fn remove(prefix: &str) {
    for namespace in namespaces().filter(|name| name.starts_with(prefix)) {
        // Another test may be removing the same leftovers.
        let _ = ip(&["netns", "del", &namespace]);
    }
}

/// Removes what test processes left that are gone.
fn remove_leftovers() {
    for namespace in namespaces() {
        let process = namespace.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('-')).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|pid| pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists()) {
            remove(&namespace);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::Weather;
    use crate::time::{Duration, wait_until};

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Whether `from` gets a datagram to `to` across.
    fn hears(from: &Host, to: &Host) -> Result<bool> {
        let receive = "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind((sys.argv[1],9))\nprint('ready',flush=True)\ns.settimeout(1)\ntry:\n s.recv(9)\nexcept TimeoutError:\n sys.exit(7)";
        let send = "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.sendto(b'x',(sys.argv[1],9))";
        let python = Path::new("python3");
        let address = to.address().to_string();
        let mut receiver = to.command(python).args(["-c", receive, &address]).stdout(Stdio::piped()).spawn()?;
        let mut ready = [0; 5];
        std::io::Read::read_exact(receiver.stdout.as_mut().context("stdout")?, &mut ready)?;
        ensure!(from.command(python).args(["-c", send, &address]).status()?.success(), "not sent");
        match receiver.wait()?.code() {
            Some(0) => Ok(true),
            Some(7) => Ok(false),
            other => bail!("the receiver ended with {other:?}"),
        }
    }

    /// How many of so many datagrams come back from `to`, and how long the fastest takes, in milliseconds.
    fn echoes(from: &Host, to: &Host, count: usize) -> Result<(usize, f64)> {
        let answer = "import socket,sys\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.bind((sys.argv[1],9))\nprint('ready',flush=True)\ns.settimeout(3)\ntry:\n while True:\n  d,a=s.recvfrom(99)\n  s.sendto(d,a)\nexcept TimeoutError:\n pass";
        let ask = "import socket,sys,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\nfor i in range(int(sys.argv[2])):\n s.sendto(b'%d'%time.monotonic_ns(),(sys.argv[1],9))\n time.sleep(.002)\ns.settimeout(1)\nt=[]\ntry:\n while True:\n  d=s.recv(99)\n  t.append((time.monotonic_ns()-int(d))/1e6)\nexcept TimeoutError:\n print(len(t),min(t,default=1e9))";
        let python = Path::new("python3");
        let address = to.address().to_string();
        let mut answering = to.command(python).args(["-c", answer, &address]).stdout(Stdio::piped()).spawn()?;
        let mut ready = [0; 5];
        std::io::Read::read_exact(answering.stdout.as_mut().context("stdout")?, &mut ready)?;
        let asked = from.command(python).args(["-c", ask, &address, &count.to_string()]).output()?;
        answering.wait()?;
        let text = String::from_utf8(asked.stdout)?;
        let (heard, fastest) = text.trim().split_once(' ').context("two numbers")?;
        Ok((heard.parse()?, fastest.parse()?))
    }

    #[test]
    fn what_goes_over_a_wire_is_late_and_partly_lost() -> Result<()> {
        let Some(lan) = Lan::new()? else { return Ok(()) };
        let (one, (other, wire)) = (lan.host("one")?, lan.far_host("other")?);
        wait_until("the far machine is heard", PATIENCE, || hears(&one, &other))?;
        let (heard, fastest_ms) = echoes(&one, &other, 5)?;
        assert!(heard == 5 && fastest_ms < 120.0, "{heard} answers, the first after {fastest_ms} ms");
        wire.set(Weather { delay: Duration::from_millis(60), ..Weather::default() });
        let (heard, fastest_ms) = echoes(&one, &other, 5)?;
        assert!(heard == 5 && fastest_ms >= 120.0, "{heard} answers, the first after {fastest_ms} ms");
        wire.set(Weather { loses: 50, ..Weather::default() });
        let (heard, _) = echoes(&one, &other, 200)?;
        assert!((10..120).contains(&heard), "{heard} of 200 came back over a wire that loses half");
        wire.set(Weather { loses: 100, only_udp: true, ..Weather::default() });
        assert!(!hears(&one, &other)?);
        Ok(())
    }

    #[test]
    fn what_is_cut_is_lost_in_that_direction_and_no_other() -> Result<()> {
        let Some(lan) = Lan::new()? else { return Ok(()) };
        let (one, other, third) = (lan.host("one")?, lan.host("other")?, lan.host("third")?);
        lan.lose(&one, &other)?;
        assert!(!hears(&one, &other)?);
        assert!(hears(&other, &one)?);
        assert!(hears(&one, &third)?);
        lan.find(&one, &other)?;
        assert!(hears(&one, &other)?);
        lan.unplug(&one)?;
        assert!(!hears(&one, &third)?);
        assert!(!hears(&third, &one)?);
        assert!(hears(&other, &third)?);
        lan.plug(&one)?;
        wait_until("the machine is back", PATIENCE, || hears(&one, &third))?;
        let (name, switch) = (lan.name.clone(), format!("artifacts{}", lan.subnet));
        drop(lan);
        assert!(namespaces().all(|namespace| !namespace.starts_with(&name)));
        // The interface follows when the kernel has cleaned up behind the namespace.
        wait_until("the interface is gone", PATIENCE, || Ok(!Path::new("/sys/class/net").join(&switch).exists()))
    }
}
