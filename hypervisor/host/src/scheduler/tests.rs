//! The queue in simulated time: CPUs that take turns, tasks that sleep and wake.

use core::time::Duration;

use godwit_guest::description::{Cap, Weight};
use proptest::prelude::*;

use super::{
    queue::{Leave, Queue, TURN, TaskKey, Turn},
    task::Terms,
};
use crate::{
    machine::{CpuNumber, Instant},
    round::CpuSet,
};

const ANYWHERE: u64 = u64::MAX;

fn terms(weight: u64, cpus: u64) -> Terms {
    Terms { weight: Weight::new(weight).unwrap(), cpus: CpuSet::from_bits(cpus) }
}

/// CPUs with one queue, in simulated time.
struct World {
    queue: Queue<usize>,
    now: Instant,
    cpus: Vec<Option<Turn<usize>>>,
    /// CPUs that look around at the next step.
    called: CpuSet,
    /// When each CPU looks by itself.
    alarms: Vec<Option<Instant>>,
    keys: Vec<TaskKey>,
    /// How long each task runs from its waking until it sleeps again, and how long then; always awake without.
    habits: Vec<Option<(Duration, Duration)>>,
    left: Vec<Duration>,
}

impl World {
    fn new(cpus: usize) -> Self {
        let called = CpuSet::from_bits((1 << cpus) - 1);
        Self {
            queue: Queue::new(),
            now: Instant::default(),
            cpus: (0..cpus).map(|_| None).collect(),
            called,
            alarms: vec![None; cpus],
            keys: Vec::new(),
            habits: Vec::new(),
            left: Vec::new(),
        }
    }

    fn add(&mut self, terms: Terms, cap: Option<u64>, habit: Option<(u64, u64)>) -> usize {
        let group = self.queue.found(self.now, cap.map(|percent| Cap::new(percent).unwrap()));
        let key = self.queue.admit(group, terms, self.keys.len());
        self.keys.push(key);
        let habit = habit.map(|(runs, sleeps)| (Duration::from_micros(runs), Duration::from_micros(sleeps)));
        self.habits.push(habit);
        self.left.push(habit.map_or(Duration::MAX, |(runs, _)| runs));
        self.call(self.keys.len() - 1);
        self.keys.len() - 1
    }

    fn call(&mut self, task: usize) {
        for cpu in self.queue.wake(self.now, self.keys[task]).numbers() {
            self.called.insert(cpu);
        }
    }

    /// Lets so much time pass, in steps of 100 µs.
    fn pass(&mut self, time: Duration) {
        const STEP: Duration = Duration::from_micros(100);
        let end = self.now.after(time);
        while self.now < end {
            for number in 0..self.cpus.len() {
                self.turn(number, STEP);
            }
            self.now = self.now.after(STEP);
        }
    }

    fn turn(&mut self, number: usize, step: Duration) {
        let cpu = CpuNumber(number as u16);
        let called = self.called.contains(cpu);
        self.called.remove(cpu);
        let due = self.alarms[number].is_some_and(|alarm| alarm <= self.now);
        if let Some(turn) = self.cpus[number].take() {
            let task = turn.payload;
            let is_tired = self.left[task].is_zero();
            if is_tired || called || due || turn.until.is_some_and(|until| until <= self.now) {
                let leave = match self.habits[task] {
                    Some((runs, sleeps)) if is_tired => {
                        self.left[task] = runs;
                        Leave::Asleep(Some(self.now.after(sleeps)))
                    }
                    _ => Leave::Ready,
                };
                self.queue.put_back(self.now, turn, leave);
            } else {
                self.cpus[number] = Some(turn);
            }
        } else if !called && !due && self.now != Instant::default() {
            return;
        }
        if self.cpus[number].is_none() {
            let pick = self.queue.pick(self.now, cpu);
            for other in pick.kick.numbers().filter(|&other| other != cpu) {
                self.called.insert(other);
            }
            let until = pick.turn.as_ref().and_then(|turn| turn.until);
            assert!(until.is_none_or(|until| until > self.now));
            self.alarms[number] = pick.next;
            self.cpus[number] = pick.turn;
        }
        if let Some(turn) = &self.cpus[number] {
            let left = &mut self.left[turn.payload];
            *left = left.saturating_sub(step);
        }
    }

    fn ran(&self, task: usize) -> Duration {
        self.queue.account(self.now, self.keys[task]).unwrap().ran
    }

    fn longest_wait(&self, task: usize) -> Duration {
        self.queue.account(self.now, self.keys[task]).unwrap().longest_wait
    }

    /// Each task's share of `time` since `before`, in CPUs.
    fn shares(&self, before: &[Duration], time: Duration) -> Vec<f64> {
        let share = |task| (self.ran(task) - before[task]).as_secs_f64() / time.as_secs_f64();
        (0..self.keys.len()).map(share).collect()
    }

    fn measure(&mut self, time: Duration) -> Vec<f64> {
        let before: Vec<_> = (0..self.keys.len()).map(|task| self.ran(task)).collect();
        self.pass(time);
        self.shares(&before, time)
    }
}

/// What each of these weights gets of so many CPUs, nobody more than one.
fn fair_shares(weights: &[u64], cpus: usize) -> Vec<f64> {
    let mut shares = vec![None; weights.len()];
    loop {
        let settled = shares.iter().flatten().sum::<f64>();
        let open: Vec<_> = (0..weights.len()).filter(|&task| shares[task].is_none()).collect();
        let weight: u64 = open.iter().map(|&task| weights[task]).sum();
        let each = (cpus as f64 - settled) / weight.max(1) as f64;
        let full: Vec<_> = open.iter().copied().filter(|&task| weights[task] as f64 * each >= 1.0).collect();
        if full.is_empty() {
            return (0..weights.len())
                .map(|task| shares[task].unwrap_or(weights[task] as f64 * each))
                .collect();
        }
        full.iter().for_each(|&task| shares[task] = Some(1.0));
    }
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    for (found_one, expected_one) in found.iter().zip(expected) {
        let error = (found_one - expected_one).abs() / expected_one;
        assert!(error <= tolerance, "{found:?} instead of {expected:?}");
    }
}

#[test]
fn busy_tasks_share_by_weight() {
    for (weights, cpus) in [
        (&[100, 100, 200, 400][..], 2),
        (&[100, 100, 100], 2),
        (&[50, 100, 150], 1),
        (&[100, 900, 100], 2),
        (&[100, 100, 100, 100, 100], 3),
        (&[1, 100], 1),
    ] {
        let mut world = World::new(cpus);
        weights.iter().for_each(|&weight| _ = world.add(terms(weight, ANYWHERE), None, None));
        world.pass(Duration::from_secs(2));
        let found = world.measure(Duration::from_secs(20));
        assert_close(&found, &fair_shares(weights, cpus), 0.03);
    }
}

#[test]
fn no_cpu_idles_while_a_task_may_run_there() {
    let mut world = World::new(3);
    (0..2).for_each(|_| _ = world.add(terms(100, ANYWHERE), None, None));
    let shares = world.measure(Duration::from_secs(1));
    assert_close(&shares, &[1.0, 1.0], 0.01);
    world.add(terms(100, ANYWHERE), None, None);
    let shares = world.measure(Duration::from_secs(1));
    assert_close(&shares, &[1.0, 1.0, 1.0], 0.01);
}

#[test]
fn a_task_runs_only_where_it_is_pinned() {
    let mut world = World::new(2);
    let pinned: Vec<_> = (0..3).map(|_| world.add(terms(100, 0b10), None, None)).collect();
    let free = world.add(terms(100, ANYWHERE), None, None);
    let shares = world.measure(Duration::from_secs(3));
    assert_close(&shares, &[1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, 1.0], 0.05);
    assert_eq!(pinned.len() + free, 6);
}

#[test]
fn a_cap_holds_also_on_an_idle_host_and_is_used_up() {
    for percent in [10, 50, 150] {
        let mut world = World::new(2);
        let group = world.queue.found(world.now, Some(Cap::new(percent).unwrap()));
        for task in 0..2 {
            let key = world.queue.admit(group, terms(100, ANYWHERE), task);
            world.keys.push(key);
            world.habits.push(None);
            world.left.push(Duration::MAX);
            world.call(task);
        }
        let shares = world.measure(Duration::from_secs(10));
        assert_close(&[shares.iter().sum()], &[percent as f64 / 100.0], 0.03);
    }
}

#[test]
fn what_is_capped_does_not_take_from_the_shares_of_others() {
    let mut world = World::new(1);
    world.add(terms(100, ANYWHERE), Some(10), None);
    world.add(terms(100, ANYWHERE), None, None);
    world.add(terms(200, ANYWHERE), None, None);
    world.pass(Duration::from_secs(1));
    let shares = world.measure(Duration::from_secs(10));
    assert_close(&shares, &[0.1, 0.3, 0.6], 0.05);
}

#[test]
fn who_sleeps_most_of_the_time_gets_a_cpu_soon() {
    let mut world = World::new(2);
    (0..6).for_each(|_| _ = world.add(terms(100, ANYWHERE), None, None));
    world.pass(Duration::from_secs(1));
    let light = world.add(terms(100, ANYWHERE), None, Some((200, 9_800)));
    let shares = world.measure(Duration::from_secs(5));
    // 2 % of a CPU is all that it wants.
    assert!(shares[light] > 0.018, "{shares:?}");
    let wait = world.longest_wait(light);
    assert!(wait <= 2 * TURN, "it waited for {wait:?}");
}

#[test]
fn a_long_sleep_gives_no_right_to_more_than_a_turn() {
    let mut world = World::new(1);
    let busy = world.add(terms(100, ANYWHERE), None, None);
    let sleeper = world.add(terms(100, ANYWHERE), None, Some((1_000_000, 60_000_000)));
    // It runs for a second of CPU time, sleeps for a minute, and comes back.
    world.pass(Duration::from_secs(62));
    let before = world.longest_wait(busy);
    let shares = world.measure(Duration::from_secs(1));
    assert_close(&shares, &[0.5, 0.5], 0.05);
    assert!(world.longest_wait(busy).max(before) <= 4 * TURN, "{:?}", world.longest_wait(busy));
    assert!(world.ran(sleeper) > Duration::from_secs(1));
}

#[test]
fn what_happens_while_a_task_runs_is_not_slept_over() {
    let mut queue = Queue::new();
    let (now, cpu) = (Instant::default(), CpuNumber(0));
    let group = queue.found(now, None);
    let key = queue.admit(group, terms(100, ANYWHERE), ());
    queue.wake(now, key);
    let turn = queue.pick(now, cpu).turn.unwrap();
    assert_eq!(queue.wake(now, key), CpuSet::of(cpu), "the CPU that runs it is told");
    queue.put_back(now, turn, Leave::Asleep(None));
    let turn = queue.pick(now, cpu).turn.expect("it was woken before it fell asleep");
    queue.put_back(now, turn, Leave::Asleep(None));
    assert!(queue.pick(now, cpu).turn.is_none());
}

#[test]
fn who_waits_for_another_task_lets_it_go_first() {
    let mut queue = Queue::new();
    let (now, cpu) = (Instant::default(), CpuNumber(1));
    let group = queue.found(now, None);
    let keys = ["spins", "is waited for"].map(|name| queue.admit(group, terms(100, ANYWHERE), name));
    queue.wake(now, keys[0]);
    let turn = queue.pick(now, cpu).turn.unwrap();
    assert_eq!((turn.payload, turn.until), ("spins", None), "nobody else wants the CPU");
    queue.wake(now, keys[1]);
    queue.put_back(now, turn, Leave::Ready);
    let turn = queue.pick(now, cpu).turn.unwrap();
    assert_eq!(turn.payload, "spins", "its turn is not over");
    assert!(turn.until.is_some());
    queue.put_back(now, turn, Leave::Yielding);
    let turn = queue.pick(now, cpu).turn.unwrap();
    assert_eq!(turn.payload, "is waited for");
    queue.put_back(now, turn, Leave::Asleep(None));
    assert_eq!(queue.pick(now, cpu).turn.unwrap().payload, "spins");
}

#[test]
fn a_cpu_that_leaves_a_task_to_another_stays_known_as_idle() {
    let mut queue = Queue::new();
    let (now, cpus) = (Instant::default(), [CpuNumber(0), CpuNumber(1)]);
    let group = queue.found(now, None);
    let keys = ["a", "b"].map(|name| queue.admit(group, terms(100, ANYWHERE), name));
    // CPU 1 is idle, CPU 0 runs a and puts it back: CPU 1 is called, and CPU 0 leaves it to that.
    assert!(queue.pick(now, cpus[1]).turn.is_none());
    assert_eq!(queue.wake(now, keys[0]), CpuSet::of(cpus[1]));
    let pick = queue.pick(now, cpus[0]);
    assert!(pick.turn.is_none() && pick.kick.is_empty(), "{pick:?}");
    assert_eq!(queue.pick(now, cpus[1]).turn.unwrap().payload, "a");
    assert_eq!(queue.wake(now, keys[1]), CpuSet::of(cpus[0]), "it sleeps, and has to be told");
}

#[test]
fn a_cpu_is_called_by_what_it_runs_itself() {
    let mut queue = Queue::new();
    let (now, cpu) = (Instant::default(), CpuNumber(1));
    let group = queue.found(now, None);
    let keys = ["a", "b"].map(|name| queue.admit(group, terms(100, 0b10), name));
    queue.wake(now, keys[0]);
    let turn = queue.pick(now, cpu).turn.unwrap();
    assert_eq!(turn.until, None);
    assert_eq!(queue.wake(now, keys[1]), CpuSet::of(cpu), "a has to let b have its turn");
    queue.put_back(now, turn, Leave::Ready);
    assert!(queue.pick(now, cpu).turn.unwrap().until.is_some());
}

#[test]
fn who_wakes_without_a_share_left_is_waited_for() {
    let mut queue = Queue::new();
    let (mut now, cpu) = (Instant::default(), CpuNumber(1));
    let group = queue.found(now, Some(Cap::new(10).unwrap()));
    let key = queue.admit(group, terms(100, 0b10), "capped");
    queue.wake(now, key);
    let turn = queue.pick(now, cpu).turn.unwrap();
    now = now.after(Duration::from_millis(20));
    queue.put_back(now, turn, Leave::Asleep(None));
    assert_eq!(queue.pick(now, cpu).next, None);
    assert_eq!(queue.wake(now, key), CpuSet::of(cpu));
    let pick = queue.pick(now, cpu);
    assert!(pick.turn.is_none());
    let renewal = pick.next.expect("it looks again when there is a new share");
    let mut later = renewal;
    // What it took too much is paid by the next period.
    let turn = loop {
        let pick = queue.pick(later, cpu);
        match pick.turn {
            Some(turn) => break turn,
            None => later = pick.next.unwrap(),
        }
    };
    assert_eq!(turn.payload, "capped");
}

#[test]
fn a_task_that_runs_is_not_dismissed() {
    let mut queue = Queue::new();
    let (now, cpu) = (Instant::default(), CpuNumber(3));
    let group = queue.found(now, None);
    let key = queue.admit(group, terms(100, ANYWHERE), "a");
    queue.wake(now, key);
    let turn = queue.pick(now, cpu).turn.unwrap();
    assert_eq!(queue.dismiss(key), Err(cpu));
    queue.put_back(now, turn, Leave::Ready);
    assert_eq!(queue.dismiss(key), Ok(Some("a")));
    assert_eq!(queue.dismiss(key), Ok(None));
    assert!(queue.pick(now, cpu).turn.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn nobody_starves_and_no_cpu_is_lost(
        cpus in 1..4usize,
        tasks in prop::collection::vec((20..400u64, prop::option::of((100..5000u64, 100..20_000u64))), 1..8),
    ) {
        let mut world = World::new(cpus);
        for (weight, habit) in &tasks {
            world.add(terms(*weight, ANYWHERE), None, *habit);
        }
        world.pass(Duration::from_secs(1));
        let shares = world.measure(Duration::from_secs(2));
        let busy = tasks.iter().filter(|(_, habit)| habit.is_none()).count();
        let used: f64 = shares.iter().sum();
        prop_assert!(used <= cpus as f64 + 0.01, "{shares:?}");
        prop_assert!(used >= busy.min(cpus) as f64 * 0.98, "{shares:?} of {cpus} CPUs");
        for (task, share) in shares.iter().enumerate() {
            prop_assert!(*share > 0.0, "task {task} never ran: {shares:?}");
        }
    }
}
