//! The table of `docs/PROTOCOL.md`: each place where a move can stand, each fault, and what becomes of both copies.

use godwit_guest::GuestFrame;
use godwit_guest::GuestMemory;
use godwit_migration::{
    Destination, DestinationEvent, DestinationPhase, Landed, Outbox, Patience, Source, SourceEvent,
    SourcePhase, SourceSettings,
};
use godwit_wire::{Accept, Message, Name, Region};

use crate::guest::{Ram, offer};
use crate::world::TOKEN;

const PROTOCOL: &str = include_str!("../../../../docs/PROTOCOL.md");
const REGION: Region = Region { start: GuestFrame(16), frames: 4 };

/// The cells of the table whose first cell in the first row is `name`; that row comes first.
fn table(name: &str) -> Vec<Vec<&'static str>> {
    let rows = PROTOCOL.lines().skip_while(|line| !line.starts_with(&format!("| {name} |")));
    rows.take_while(|line| line.starts_with('|'))
        .filter(|line| !line.starts_with("|---"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect()
}

type Step = fn(&mut Pair);

/// Both sides, with nothing between them: what is in an outbox is on its way until it is delivered.
struct Pair {
    now_ns: u64,
    source: Option<Source>,
    destination: Option<Destination>,
    source_out: Outbox<SourceEvent>,
    destination_out: Outbox<DestinationEvent>,
    source_runs: bool,
    destination_runs: bool,
    /// Questions of the machines that their hosts have not answered.
    pauses: bool,
    reserves: bool,
    restores: bool,
    starts: bool,
    words: Vec<String>,
    ram: [Ram; 2],
}

impl Pair {
    fn new() -> Self {
        let settings = SourceSettings {
            host: Name::new("host-a"),
            datagram_bytes: 8972,
            window_bytes: 1 << 20,
            patience: Patience::default(),
        };
        let ram = [Ram::new(&[REGION]), Ram::new(&[REGION])];
        ram[0].fill(17, 1);
        let mut pair = Self {
            now_ns: 0,
            source: Some(Source::new(0, settings, offer(vec![REGION])).unwrap()),
            destination: Some(Destination::new(0, Name::new("host-b"), Patience::default())),
            source_out: Outbox::new(),
            destination_out: Outbox::new(),
            source_runs: true,
            destination_runs: false,
            pauses: false,
            reserves: false,
            restores: false,
            starts: false,
            words: Vec::new(),
            ram,
        };
        pair.source.as_mut().unwrap().connected(0, &mut pair.source_out);
        pair
    }

    /// A pair whose move stands at `place`.
    fn at(place: &str) -> Self {
        let mut pair = Self::new();
        // What leads from each place to the next.
        let steps: [(&str, Step); 10] = [
            ("greeting", Self::deliver),
            ("offering", |pair| (pair.answer_offer(), pair.deliver()).1),
            ("pausing", Self::answer_pause),
            ("streaming", Self::deliver),
            ("finishing", Self::answer_restore),
            ("PREPARED on its way", Self::deliver_to_source),
            ("GO on its way", Self::deliver_to_destination),
            ("GO arrived", Self::answer_start),
            ("RUNNING on its way", Self::deliver),
            ("RUNNING arrived", |_| panic!("nothing comes behind the end")),
        ];
        for (name, step) in steps {
            if name == place {
                return pair;
            }
            step(&mut pair);
            pair.listen();
        }
        panic!("no such place: {place}")
    }

    fn deliver(&mut self) {
        while !(self.source_out.is_empty() && self.destination_out.is_empty()) {
            self.deliver_to_destination();
            self.deliver_to_source();
            self.step();
        }
    }

    fn deliver_to_destination(&mut self) {
        let Some(machine) = &mut self.destination else { return self.source_out.messages.clear() };
        let out = &mut self.destination_out;
        for datagram in self.source_out.datagrams.drain(..) {
            let mut bytes = datagram.header.to_vec();
            if let Some(body) = datagram.body {
                bytes.resize(bytes.len() + body.bytes as usize, 0);
                self.ram[0].read(body.at, &mut bytes[datagram.header.len()..]).unwrap();
            }
            if let Some(landing) = machine.on_datagram(self.now_ns, &bytes, out) {
                if let Landed::Bytes { at, bytes } = landing.content() {
                    self.ram[1].write(*at, bytes).unwrap();
                }
                machine.landed(self.now_ns, landing, &self.ram[1], out);
            }
        }
        for message in self.source_out.messages.drain(..) {
            machine.on_message(self.now_ns, message, out);
        }
        self.listen();
    }

    fn deliver_to_source(&mut self) {
        let Some(machine) = &mut self.source else { return self.destination_out.messages.clear() };
        for datagram in self.destination_out.datagrams.drain(..) {
            machine.on_datagram(self.now_ns, &datagram.header, &mut self.source_out);
        }
        for message in self.destination_out.messages.drain(..) {
            machine.on_message(self.now_ns, message, &mut self.source_out);
        }
        self.listen();
    }

    fn step(&mut self) {
        if let Some(source) = &mut self.source {
            source.step(self.now_ns, 100, &self.ram[0], &mut self.source_out);
        }
    }

    /// What both hosts hear.
    fn listen(&mut self) {
        for event in self.source_out.events.drain(..) {
            match event {
                SourceEvent::Pause => self.pauses = true,
                SourceEvent::ResumeHere(failure) => {
                    (self.source_runs, self.pauses) = (true, false);
                    self.words.push(failure.to_string());
                }
                SourceEvent::InDoubt { .. } | SourceEvent::Done => assert!(!self.source_runs),
                SourceEvent::Forgotten | SourceEvent::Conflict => panic!("{event:?}"),
            }
        }
        for event in self.destination_out.events.drain(..) {
            match event {
                DestinationEvent::Reserve(_) => self.reserves = true,
                DestinationEvent::Restore { .. } => self.restores = true,
                DestinationEvent::Start { .. } => self.starts = true,
                DestinationEvent::Discard(failure) => self.words.push(failure.to_string()),
            }
        }
        assert!(!(self.source_runs && self.destination_runs), "two copies run");
    }

    fn answer_offer(&mut self) {
        if let Some(machine) = self.destination.as_mut().filter(|_| self.reserves) {
            let accept = Accept { token: TOKEN, page_port: 1, datagram_bytes: 8972, sum_key: 5 };
            let _ = machine.accept(self.now_ns, accept, &mut self.destination_out);
        }
        self.reserves = false;
    }

    fn answer_pause(&mut self) {
        if let Some(machine) = self.source.as_mut().filter(|_| self.pauses) {
            self.source_runs = false;
            machine.paused(self.now_ns, self.now_ns, vec![1, 2], &mut self.source_out);
        }
        self.pauses = false;
        self.step();
    }

    fn answer_restore(&mut self) {
        if let Some(machine) = self.destination.as_mut().filter(|_| self.restores) {
            machine.restored(self.now_ns, Ok(()), &mut self.destination_out);
        }
        self.restores = false;
    }

    fn answer_start(&mut self) {
        if let Some(machine) = self.destination.as_mut().filter(|_| self.starts) {
            self.destination_runs = true;
            machine.started(self.now_ns, Ok(()), &mut self.destination_out);
        }
        self.starts = false;
        self.listen();
    }

    /// Everything on its way is lost, and whoever lives hears that the connection is.
    fn disconnect(&mut self) {
        (self.source_out, self.destination_out) = (Outbox::new(), Outbox::new());
        if let Some(source) = &mut self.source {
            source.disconnected(self.now_ns, &mut self.source_out);
        }
        if let Some(destination) = &mut self.destination {
            destination.disconnected(&mut self.destination_out);
        }
        self.listen();
    }

    /// Nothing passes any more until no side waits for a time.
    fn wait(&mut self) {
        loop {
            let source_ns = self.source.as_ref().and_then(Source::deadline_ns);
            let destination_ns = self.destination.as_ref().and_then(Destination::deadline_ns);
            let Some(next_ns) = source_ns.into_iter().chain(destination_ns).min() else { return };
            self.now_ns = next_ns;
            if let Some(source) = &mut self.source {
                source.on_tick(next_ns, &mut self.source_out);
            }
            if let Some(destination) = &mut self.destination {
                destination.on_tick(next_ns, &mut self.destination_out);
            }
            self.listen();
            self.step();
            (self.source_out, self.destination_out) = (Outbox::new(), Outbox::new());
        }
    }

    /// Everything goes on, as long as there is something to do.
    fn go_on(&mut self) {
        for _ in 0..10 {
            self.deliver();
            self.answer_offer();
            self.answer_pause();
            self.answer_restore();
            self.answer_start();
        }
    }

    fn suffer(&mut self, fault: &str) {
        match fault {
            "connection lost" => self.disconnect(),
            "lost, then found" => {
                self.disconnect();
                self.source.as_mut().unwrap().reconnected(&mut self.source_out);
                // The greeting is between the new connection's own machine and the source.
                self.source_out.messages.retain(|message| matches!(message, Message::Inquire { .. }));
                self.go_on();
            }
            "source crashes" => {
                (self.source, self.source_runs) = (None, false);
                self.disconnect();
            }
            "destination crashes" => {
                (self.destination, self.destination_runs) = (None, false);
                self.disconnect();
            }
            "silence" => (self.source_out, self.destination_out) = (Outbox::new(), Outbox::new()),
            "called off at the source" => {
                let source = self.source.as_mut().unwrap();
                let _ = source.cancel(self.now_ns, "no", &mut self.source_out);
                self.listen();
                self.go_on();
            }
            "called off at the destination" => {
                let _ = self.destination.as_mut().unwrap().cancel("no", &mut self.destination_out);
                self.listen();
                self.go_on();
            }
            other => panic!("no such fault: {other}"),
        }
        self.answer_start();
        self.wait();
    }

    /// What became of both copies, in the table's words.
    fn end(&self) -> String {
        let source = match self.source.as_ref().map(Source::phase) {
            None => "crashed",
            Some(SourcePhase::Resumed) if self.source_runs => "runs",
            Some(SourcePhase::InDoubt) if !self.source_runs => "doubt",
            Some(SourcePhase::Done) if !self.source_runs => "freed",
            Some(phase) => panic!("the source ends as {phase:?}, and runs: {}", self.source_runs),
        };
        let destination = match self.destination.as_ref().map(Destination::phase) {
            None => "crashed",
            Some(DestinationPhase::Running) if self.destination_runs => "runs",
            Some(DestinationPhase::Discarded) if !self.destination_runs => "gave up",
            Some(DestinationPhase::Prepared) if !self.destination_runs => "waits",
            Some(phase) => panic!("the destination ends as {phase:?}, and runs: {}", self.destination_runs),
        };
        format!("{source} / {destination}")
    }
}

#[test]
fn every_cell_of_the_table_is_what_happens() {
    let places = table("where the move stands ✓");
    let words = table("fault ✓");
    let (faults, places) = places.split_first().unwrap();
    assert_eq!((places.len(), faults.len(), words.len()), (10, 8, 8), "the tables are whole");
    for row in places {
        for (fault, expected) in faults.iter().zip(row).skip(1) {
            let what = format!("{}, {fault}", row[0]);
            let mut pair = Pair::at(row[0]);
            pair.suffer(fault);
            assert_eq!(pair.end(), *expected, "{what}");
            let said = words.iter().find(|row| row[0] == *fault).unwrap()[1];
            if expected.contains("gave up") || expected.starts_with("runs") {
                assert!(pair.words.iter().any(|words| words.starts_with(said)), "{what}: {:?}", pair.words);
            } else {
                assert!(pair.words.is_empty(), "{what}: nobody ended the move, yet {:?}", pair.words);
            }
        }
    }
}

#[test]
fn a_move_stands_where_the_table_says() {
    use DestinationPhase as D;
    use SourcePhase as S;
    let places = [
        ("greeting", S::Greeting, D::Greeting),
        ("offering", S::Offering, D::Deciding),
        ("pausing", S::Pausing, D::Receiving),
        ("streaming", S::Streaming, D::Receiving),
        ("finishing", S::Finishing, D::Restoring),
        ("PREPARED on its way", S::Finishing, D::Prepared),
        ("GO on its way", S::Committed, D::Prepared),
        ("GO arrived", S::Committed, D::Starting),
        ("RUNNING on its way", S::Committed, D::Running),
        ("RUNNING arrived", S::Done, D::Running),
    ];
    for (place, source, destination) in places {
        let pair = Pair::at(place);
        let phases = (pair.source.as_ref().unwrap().phase(), pair.destination.as_ref().unwrap().phase());
        assert_eq!(phases, (source, destination), "{place}");
    }
}
