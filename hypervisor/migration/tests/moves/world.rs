//! A source and a destination with their hosts, and what must hold in every instant.

use godwit_guest::GuestMemory;
use godwit_migration::{
    Destination, DestinationEvent, DestinationPhase, Failure, Landed, NotInDoubt, Outbox, Patience, Source,
    SourceEvent, SourcePhase, SourceSettings,
};
use godwit_wire::record::ZeroRange;
use godwit_wire::{Accept, Message, Name, Offer, RefuseCode, StreamDecoder, Token};

use crate::guest::{Ram, random_guest};
use crate::network::{Arrival, FAIR, MILLISECOND_NS, Network, Side, Weather};
use crate::random::Random;

pub(crate) const TOKEN: Token = Token(0x00c0_ffee);
const HOUR_NS: u64 = 3600 * 1000 * MILLISECOND_NS;

/// What is different from a move that goes well.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) weather: Weather,
    pub(crate) datagram_bytes: [u16; 2],
    pub(crate) window_bytes: u32,
    pub(crate) state_bytes: usize,
    pub(crate) refuses: bool,
    pub(crate) restores: bool,
    pub(crate) starts: bool,
    /// Whether the hosts connect again after a cut.
    pub(crate) reconnects: bool,
    /// The page record to spoil, and the byte of it.
    pub(crate) flip: Option<(u64, usize)>,
}

pub(crate) const GOOD: Plan = Plan {
    weather: FAIR,
    datagram_bytes: [8972; 2],
    window_bytes: 4 << 20,
    state_bytes: 5000,
    refuses: false,
    restores: true,
    starts: true,
    reconnects: true,
    flip: None,
};

pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) now_ns: u64,
    pub(crate) random: Random,
    pub(crate) network: Network,
    /// `None` once its host has crashed.
    pub(crate) source: Option<Source>,
    pub(crate) destination: Option<Destination>,
    /// The machine of a later connection, until it has found the one its question is for.
    greeter: Option<Destination>,
    source_out: Outbox<SourceEvent>,
    destination_out: Outbox<DestinationEvent>,
    source_stream: StreamDecoder,
    destination_stream: StreamDecoder,
    pub(crate) source_ram: Ram,
    pub(crate) destination_ram: Ram,
    state: Vec<u8>,
    pub(crate) source_runs: bool,
    pub(crate) destination_runs: bool,
    pub(crate) source_events: Vec<SourceEvent>,
    pub(crate) destination_events: Vec<DestinationEvent>,
    pub(crate) page_records: u64,
    retries: u32,
}

impl World {
    pub(crate) fn random(seed: u64, plan: Plan) -> Self {
        let mut random = Random(seed);
        let (offer, ram) = random_guest(&mut random);
        Self::new(random, plan, offer, ram)
    }

    pub(crate) fn new(mut random: Random, plan: Plan, offer: Offer, source_ram: Ram) -> Self {
        let settings = SourceSettings {
            host: Name::new("host-a"),
            datagram_bytes: plan.datagram_bytes[0],
            window_bytes: plan.window_bytes,
            patience: Patience::default(),
        };
        let destination_ram = Ram::new(&offer.regions);
        let mut world = Self {
            now_ns: 1,
            network: Network::new(plan.weather),
            source: Some(Source::new(1, settings, offer).unwrap()),
            destination: Some(Destination::new(1, Name::new("host-b"), Patience::default())),
            greeter: None,
            source_out: Outbox::new(),
            destination_out: Outbox::new(),
            source_stream: StreamDecoder::new(),
            destination_stream: StreamDecoder::new(),
            source_ram,
            destination_ram,
            state: (0..plan.state_bytes).map(|_| random.next() as u8).collect(),
            source_runs: true,
            destination_runs: false,
            source_events: Vec::new(),
            destination_events: Vec::new(),
            page_records: 0,
            retries: 0,
            random,
            plan,
        };
        world.source.as_mut().unwrap().connected(1, &mut world.source_out);
        world.settle();
        world
    }

    pub(crate) fn source_phase(&self) -> Option<SourcePhase> {
        self.source.as_ref().map(Source::phase)
    }

    pub(crate) fn destination_phase(&self) -> Option<DestinationPhase> {
        self.destination.as_ref().map(Destination::phase)
    }

    /// Runs until nothing is under way and nobody waits for a time.
    pub(crate) fn run(&mut self) {
        while self.advance() {}
        let source_is_over = self.source_phase().is_none_or(|phase| phase > SourcePhase::Committed);
        assert!(source_is_over, "the source waits without a deadline: {:?}", self.source_phase());
        let destination_is_over =
            self.destination_phase().is_none_or(|phase| phase >= DestinationPhase::Running);
        assert!(
            destination_is_over,
            "the destination waits without a deadline: {:?}",
            self.destination_phase()
        );
    }

    /// Lets the next thing happen; `false` where there is none.
    pub(crate) fn advance(&mut self) -> bool {
        let deadlines = [
            self.source.as_ref().and_then(Source::deadline_ns),
            self.destination.as_ref().and_then(Destination::deadline_ns),
            self.greeter.as_ref().and_then(Destination::deadline_ns),
        ];
        let Some(next_ns) = deadlines.into_iter().flatten().chain(self.network.next_ns()).min() else {
            return false;
        };
        self.now_ns = self.now_ns.max(next_ns);
        assert!(self.now_ns < HOUR_NS, "a move that does not end");
        if self.network.next_ns().is_some_and(|at_ns| at_ns <= self.now_ns) {
            let (side, arrival) = self.network.take().unwrap();
            match side {
                Side::Source => self.source_arrival(arrival),
                Side::Destination => self.destination_arrival(arrival),
            }
        } else {
            if let Some(source) = &mut self.source {
                source.on_tick(self.now_ns, &mut self.source_out);
            }
            for machine in [&mut self.destination, &mut self.greeter].into_iter().flatten() {
                machine.on_tick(self.now_ns, &mut self.destination_out);
            }
        }
        self.settle();
        true
    }

    pub(crate) fn cut(&mut self) {
        self.network.cut(self.now_ns, &mut self.random);
        self.settle();
    }

    pub(crate) fn crash(&mut self, side: Side) {
        match side {
            Side::Source => (self.source, self.source_runs) = (None, false),
            Side::Destination => (self.destination, self.destination_runs) = (None, false),
        }
        self.network.cut(self.now_ns, &mut self.random);
    }

    /// Calls the move off at `side`; answers whether that was still possible.
    pub(crate) fn cancel(&mut self, side: Side, reason: &str) -> bool {
        let result = match side {
            Side::Source => self.source.as_mut().unwrap().cancel(self.now_ns, reason, &mut self.source_out),
            Side::Destination => self.destination.as_mut().unwrap().cancel(reason, &mut self.destination_out),
        };
        self.settle();
        result.is_ok()
    }

    pub(crate) fn force_resume(&mut self) -> Result<(), NotInDoubt> {
        let result = self.source.as_mut().unwrap().force_resume(&mut self.source_out);
        self.settle();
        result
    }

    /// Somebody else's bytes arrive at both page ports.
    pub(crate) fn noise(&mut self, bytes: &[u8]) {
        if let Some(source) = &mut self.source {
            source.on_datagram(self.now_ns, bytes, &mut self.source_out);
        }
        self.land(bytes);
        self.settle();
    }

    fn source_arrival(&mut self, arrival: Arrival) {
        let (now_ns, out) = (self.now_ns, &mut self.source_out);
        let Some(source) = &mut self.source else { return };
        match arrival {
            Arrival::Datagram(bytes) => source.on_datagram(now_ns, &bytes, out),
            Arrival::Stream(of, bytes) if of == self.network.connection() => {
                let mut bytes = &bytes[..];
                loop {
                    match self.source_stream.read(&mut bytes) {
                        Ok(Some(message)) => source.on_message(now_ns, message, out),
                        Ok(None) => break,
                        Err(error) => return source.on_broken_stream(now_ns, error, out),
                    }
                }
            }
            Arrival::Stream(..) => {}
            Arrival::Closed(of) if of == self.network.connection() => {
                source.disconnected(now_ns, out);
                self.reconnect();
            }
            Arrival::Closed(_) => {}
        }
    }

    /// What a source's host does about doubt: connect again.
    fn reconnect(&mut self) {
        if self.source_phase() == Some(SourcePhase::InDoubt) && self.plan.reconnects && self.retries < 3 {
            self.retries += 1;
            self.network.connect(self.now_ns);
            self.source_stream = StreamDecoder::new();
            self.source.as_mut().unwrap().reconnected(&mut self.source_out);
            self.greeter = Some(Destination::new(self.now_ns, Name::new("host-b"), Patience::default()));
        }
    }

    fn destination_arrival(&mut self, arrival: Arrival) {
        let now_ns = self.now_ns;
        match arrival {
            Arrival::Datagram(bytes) => self.land(&bytes),
            Arrival::Stream(0, bytes) => {
                let mut bytes = &bytes[..];
                while let Some(machine) = &mut self.destination {
                    match self.destination_stream.read(&mut bytes) {
                        Ok(Some(message)) => machine.on_message(now_ns, message, &mut self.destination_out),
                        Ok(None) => break,
                        Err(error) => return machine.on_broken_stream(error, &mut self.destination_out),
                    }
                }
            }
            Arrival::Stream(_, bytes) => self.greet(&bytes),
            Arrival::Closed(0) => {
                if let Some(machine) = &mut self.destination {
                    machine.disconnected(&mut self.destination_out);
                }
            }
            Arrival::Closed(_) => self.greeter = None,
        }
    }

    /// The first messages of a later connection, which come in one segment: a question goes to the machine it is for.
    fn greet(&mut self, mut bytes: &[u8]) {
        let mut stream = StreamDecoder::new();
        while let Some(message) = stream.read(&mut bytes).unwrap() {
            let asked = if let Message::Inquire { token } = &message { Some(*token) } else { None };
            let known =
                self.destination.as_mut().filter(|machine| asked.is_some() && machine.token() == asked);
            let machine = known.or(self.greeter.as_mut()).unwrap();
            machine.on_message(self.now_ns, message, &mut self.destination_out);
            if asked.is_some() {
                self.greeter = None;
            }
        }
    }

    fn land(&mut self, datagram: &[u8]) {
        let (now_ns, out) = (self.now_ns, &mut self.destination_out);
        let Some(machine) = &mut self.destination else { return };
        let Some(landing) = machine.on_datagram(now_ns, datagram, out) else { return };
        match landing.content() {
            Landed::Bytes { at, bytes } => {
                if let Err(error) = self.destination_ram.write(*at, bytes) {
                    return machine.not_landed(error, out);
                }
            }
            Landed::Zeros(ranges) => {
                let is_zero = |range: &ZeroRange| self.destination_ram.is_zero(range.start, range.end());
                assert!(ranges.as_slice().iter().all(is_zero), "zero over content");
            }
        }
        machine.landed(now_ns, landing, &self.destination_ram, out);
    }

    /// Does what both outboxes ask for, until nothing is left to do in this instant.
    fn settle(&mut self) {
        loop {
            while let Some(event) = self.source_out.events.pop_front() {
                self.source_host(event);
            }
            while let Some(event) = self.destination_out.events.pop_front() {
                self.destination_host(event);
            }
            self.transmit();
            assert!(!(self.source_runs && self.destination_runs), "two copies run");
            let budget_frames = 1 + self.random.below(20) as u32;
            let more = self.source.as_mut().is_some_and(|source| {
                source.step(self.now_ns, budget_frames, &self.source_ram, &mut self.source_out)
            });
            if !more && self.source_out.is_empty() && self.destination_out.is_empty() {
                return;
            }
        }
    }

    fn transmit(&mut self) {
        let (now_ns, random) = (self.now_ns, &mut self.random);
        for message in self.source_out.messages.drain(..) {
            self.network.stream(now_ns, random, Side::Destination, &message.encode().unwrap());
        }
        for message in self.destination_out.messages.drain(..) {
            self.network.stream(now_ns, random, Side::Source, &message.encode().unwrap());
        }
        for datagram in self.source_out.datagrams.drain(..) {
            let mut bytes = datagram.header.to_vec();
            if let Some(body) = datagram.body {
                let from = bytes.len();
                bytes.resize(from + body.bytes as usize, 0);
                self.source_ram.read(body.at, &mut bytes[from..]).unwrap();
                if let Some((record, byte)) = self.plan.flip
                    && record == self.page_records
                {
                    let byte = from + byte % (bytes.len() - from);
                    bytes[byte] ^= 0x10;
                }
                self.page_records += 1;
            }
            let most = self.plan.datagram_bytes[0].min(self.plan.datagram_bytes[1]);
            assert!(bytes.len() <= most.into(), "a datagram longer than the link takes");
            self.network.datagram(now_ns, random, Side::Destination, bytes);
        }
        for datagram in self.destination_out.datagrams.drain(..) {
            self.network.datagram(now_ns, random, Side::Source, datagram.header.to_vec());
        }
    }

    fn source_host(&mut self, event: SourceEvent) {
        self.source_events.push(event.clone());
        match event {
            SourceEvent::Pause => {
                self.source_runs = false;
                let source = self.source.as_mut().unwrap();
                source.paused(self.now_ns, self.now_ns, self.state.clone(), &mut self.source_out);
            }
            SourceEvent::ResumeHere(_) => self.source_runs = true,
            SourceEvent::InDoubt { .. } => assert!(!self.source_runs),
            SourceEvent::Done => assert!(self.destination_runs || self.destination.is_none()),
            SourceEvent::Forgotten => assert!(self.destination.is_none()),
            SourceEvent::Conflict => panic!("nobody forced anything"),
        }
    }

    fn destination_host(&mut self, event: DestinationEvent) {
        self.destination_events.push(event.clone());
        let (now_ns, out) = (self.now_ns, &mut self.destination_out);
        let Some(machine) = &mut self.destination else { return };
        match event {
            DestinationEvent::Reserve(_) if self.plan.refuses => {
                machine.refuse(RefuseCode::Memory, "3 GiB are not free", out);
            }
            DestinationEvent::Reserve(_) => {
                let [_, datagram_bytes] = self.plan.datagram_bytes;
                let accept =
                    Accept { token: TOKEN, page_port: 4789, datagram_bytes, sum_key: self.random.next() };
                machine.accept(now_ns, accept, out).unwrap();
            }
            DestinationEvent::Restore { state } => {
                assert_eq!(state, self.state);
                machine.restored(
                    now_ns,
                    if self.plan.restores { Ok(()) } else { Err("no such device") },
                    out,
                );
            }
            DestinationEvent::Start { .. } => {
                assert_eq!(
                    self.destination_ram.written(),
                    self.source_ram.written(),
                    "memory arrived different"
                );
                self.destination_runs = self.plan.starts;
                machine.started(now_ns, if self.plan.starts { Ok(()) } else { Err("no CPU") }, out);
            }
            DestinationEvent::Discard(_) => assert!(!self.destination_runs),
        }
    }

    /// Why the guest stays at the source.
    pub(crate) fn resumed_because(&self) -> Option<&Failure> {
        self.source_events.iter().find_map(|event| match event {
            SourceEvent::ResumeHere(failure) => Some(failure),
            _ => None,
        })
    }

    /// Why the destination gave up.
    pub(crate) fn discarded_because(&self) -> Option<&Failure> {
        self.destination_events.iter().find_map(|event| match event {
            DestinationEvent::Discard(failure) => Some(failure),
            _ => None,
        })
    }
}
