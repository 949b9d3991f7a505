//! The loop: clients, their connections, signals, the end of the command.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::signalfd::SignalFd;
use nix::sys::socket::{Backlog, listen};

use crate::args::{Bridge, Program};
use crate::command::{self, Child};
use crate::join::{Join, Side, Stream};
use crate::publish::Control;
use crate::signals;
use crate::visit::{Door, Visit};

const SIGNALS: u64 = 0;
const LISTENER: u64 = 1;
const CONTROL: u64 = 2;
const DOOR: u64 = 3;
/// Numbers from here on are sides of connections.
const JOINS: u64 = 4;
/// Numbers from here on are visits.
const VISITS: u64 = 1 << 63;

/// How much is read at once.
const SCRATCH: usize = 64 * 1024;

/// How many turns what is still on its way gets after the command has ended.
const LAST_TURNS: usize = 64;

/// Everything that the bridge waits for.
#[derive(Debug)]
pub(crate) struct Server {
    epoll: Epoll,
    signals: SignalFd,
    listener: Option<Listener>,
    control: Option<Control>,
    dies_with_host: bool,
    door: Option<Door>,
    visits: BTreeMap<u64, Visit>,
    next_visit: u64,
    /// What a visitor's command gets before it starts.
    limits: Program,
    soft: u64,
    joins: Vec<Option<Entry>>,
    free: Vec<usize>,
    scratch: Vec<u8>,
}

#[derive(Debug)]
struct Listener {
    socket: TcpListener,
    proxy: PathBuf,
    /// There are no descriptors left: nothing is accepted until some connection has ended.
    paused: bool,
}

#[derive(Debug)]
struct Entry {
    join: Join,
    interest: [EpollFlags; 2],
}

impl Server {
    /// Listens; when this returns, the command may start.
    pub(crate) fn new(bridge: &Bridge, signals: SignalFd, soft: u64) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(&signals, EpollEvent::new(EpollFlags::EPOLLIN, SIGNALS))?;
        let listener = match &bridge.proxy {
            Some((address, proxy)) => {
                let named = |error: io::Error| {
                    io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
                };
                let socket = TcpListener::bind(address).map_err(named)?;
                socket.set_nonblocking(true)?;
                // The standard library asks for a short queue; asking again makes it longer.
                listen(&socket, Backlog::MAXALLOWABLE)?;
                epoll.add(&socket, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
                Some(Listener { socket, proxy: proxy.clone(), paused: false })
            }
            None => None,
        };
        let control = match &bridge.publish {
            Some(path) => {
                let control = Control::connect(path.clone())?;
                epoll.add(&control, EpollEvent::new(EpollFlags::EPOLLIN, CONTROL))?;
                Some(control)
            }
            None => None,
        };
        let door = if bridge.visits { Some(Door::inherited()?) } else { None };
        if let Some(door) = &door {
            epoll.add(door, EpollEvent::new(EpollFlags::EPOLLIN, DOOR))?;
        }
        Ok(Self {
            epoll,
            signals,
            listener,
            control,
            dies_with_host: bridge.dies_with_host,
            door,
            visits: BTreeMap::new(),
            next_visit: VISITS,
            limits: bridge.program.clone(),
            soft,
            joins: Vec::new(),
            free: Vec::new(),
            scratch: vec![0; SCRATCH],
        })
    }

    /// Serves until the command has ended, and returns its exit code.
    pub(crate) fn serve(&mut self, child: &Child) -> io::Result<u8> {
        loop {
            if let Some(code) = self.turn(child, EpollTimeout::NONE)? {
                // What the command has sent is passed on, as far as the proxy takes it at once.
                for _ in 0..LAST_TURNS {
                    self.turn(child, EpollTimeout::ZERO)?;
                }
                return Ok(code);
            }
        }
    }

    fn turn(&mut self, child: &Child, wait: EpollTimeout) -> io::Result<Option<u8>> {
        let mut events = [EpollEvent::empty(); 256];
        let count = match self.epoll.wait(&mut events, wait) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        let mut code = None;
        for event in &events[..count] {
            match event.data() {
                SIGNALS => code = code.or(self.signalled(child)?),
                LISTENER => self.accept()?,
                CONTROL => self.asked(child),
                DOOR => self.visited(),
                number @ VISITS.. => self.heard(number),
                number => self.moved(number - JOINS, event.events()),
            }
        }
        Ok(code)
    }

    fn signalled(&mut self, child: &Child) -> io::Result<Option<u8>> {
        while let Some(signal) = self.signals.read_signal()? {
            if let Some(signal) = signals::forwarded(signal.ssi_signo) {
                child.signal(signal);
            }
        }
        // Ends of children are merged into one signal, so they are looked for in any case.
        let mut code = None;
        for (process, ended) in command::reap() {
            if child.is(process) {
                code = Some(ended);
            }
            let number = self.visits.iter().find(|(_, visit)| visit.is(process));
            if let Some(visit) = number.map(|(number, _)| *number).and_then(|it| self.leave(it)) {
                visit.ended(ended);
            }
        }
        Ok(code)
    }

    /// Lets visitors in. One that cannot be served sees the connection closed.
    fn visited(&mut self) {
        let Some(door) = &self.door else { return };
        while let Some(visit) = door.next().transpose() {
            let visit = match visit {
                Ok(visit) => visit,
                Err(error) => {
                    if is_shortage(&error) {
                        // It would be told again and again, and there is nothing to be done.
                        self.door = None;
                    }
                    return;
                }
            };
            let number = self.next_visit;
            if self.epoll.add(&visit, EpollEvent::new(EpollFlags::EPOLLIN, number)).is_ok() {
                self.visits.insert(number, visit);
                self.next_visit += 1;
            }
        }
    }

    /// Listens to a visitor, and hangs up on the command of one who has gone away.
    fn heard(&mut self, number: u64) {
        let Some(visit) = self.visits.get_mut(&number) else { return };
        if visit.hear(&self.limits, self.soft).is_err()
            && let Some(visit) = self.leave(number)
        {
            visit.hang_up();
        }
    }

    fn leave(&mut self, number: u64) -> Option<Visit> {
        let visit = self.visits.remove(&number)?;
        _ = self.epoll.delete(&visit);
        Some(visit)
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let Some(listener) = &mut self.listener else { return Ok(()) };
            let client = match listener.socket.accept() {
                Ok((client, _)) => client,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if is_shortage(&error) => {
                    self.epoll.delete(&listener.socket)?;
                    listener.paused = true;
                    return Ok(());
                }
                // The client went away before it was accepted.
                Err(_) => continue,
            };
            let proxy = listener.proxy.clone();
            // A client whose connection cannot be made sees it closed.
            let joined = UnixStream::connect(proxy).and_then(|proxy| {
                proxy.set_nonblocking(true)?;
                client.set_nonblocking(true)?;
                _ = client.set_nodelay(true);
                let (left, right): (Box<dyn Stream>, Box<dyn Stream>) =
                    (Box::new(client), Box::new(proxy));
                Ok(Join::new(left, right))
            });
            if let Ok(join) = joined {
                self.insert(join)?;
            }
        }
    }

    fn asked(&mut self, child: &Child) {
        while let Some(control) = &mut self.control {
            match control.next() {
                Ok(Some(join)) => _ = self.insert(join),
                Ok(None) => return,
                Err(_) => {
                    self.control = None;
                    if self.dies_with_host {
                        child.kill();
                    }
                }
            }
        }
    }

    fn insert(&mut self, join: Join) -> io::Result<()> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.joins.push(None);
            self.joins.len() - 1
        });
        let interest = [Side::Left, Side::Right].map(|side| join.interest(side));
        for (side, events) in [Side::Left, Side::Right].into_iter().zip(interest) {
            self.epoll.add(join.descriptor(side), EpollEvent::new(events, token(index, side)))?;
        }
        self.joins[index] = Some(Entry { join, interest });
        Ok(())
    }

    fn moved(&mut self, number: u64, events: EpollFlags) {
        let Ok(index) = usize::try_from(number / 2) else { return };
        let side = if number.is_multiple_of(2) { 0 } else { 1 };
        let Some(Some(entry)) = self.joins.get_mut(index) else { return };
        // Broken while nothing was expected of it: nothing more can come of the connection.
        let broken = events.contains(EpollFlags::EPOLLERR)
            && entry.interest[side].contains(EpollFlags::EPOLLET);
        if broken || entry.join.pump(&mut self.scratch) || self.watch(index).is_err() {
            self.joins[index] = None;
            self.free.push(index);
            self.resume();
        }
    }

    /// Waits for what the connection needs next.
    fn watch(&mut self, index: usize) -> io::Result<()> {
        let Some(Some(entry)) = self.joins.get_mut(index) else { return Ok(()) };
        for (at, side) in [Side::Left, Side::Right].into_iter().enumerate() {
            let events = entry.join.interest(side);
            if events != entry.interest[at] {
                let mut event = EpollEvent::new(events, token(index, side));
                self.epoll.modify(entry.join.descriptor(side), &mut event)?;
                entry.interest[at] = events;
            }
        }
        Ok(())
    }

    fn resume(&mut self) {
        if let Some(listener) = self.listener.as_mut().filter(|listener| listener.paused) {
            let event = EpollEvent::new(EpollFlags::EPOLLIN, LISTENER);
            listener.paused = self.epoll.add(&listener.socket, event).is_err();
        }
    }
}

fn token(index: usize, side: Side) -> u64 {
    JOINS + 2 * index as u64 + u64::from(side == Side::Right)
}

/// Whether the process or the system has no descriptor left.
fn is_shortage(error: &io::Error) -> bool {
    let shortages = [Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM];
    shortages.iter().any(|errno| error.raw_os_error() == Some(*errno as i32))
}
