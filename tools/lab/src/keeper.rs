//! Starts emulators so that none outlives the program that started it.
//!
//! A destructor ends an emulator when a test returns or panics, but not when the whole program is killed. For that Linux has
//! the parent-death signal (prctl(2), PR_SET_PDEATHSIG), which `setpriv --pdeathsig` (util-linux) asks for before it becomes the
//! emulator. The signal comes when the *thread* that started the child ends, so one thread that never ends starts them all.

use std::{
    io,
    path::Path,
    process::{Child, Command},
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    thread,
};

/// A command to start, and where the child goes.
type Order = (Command, mpsc::Sender<io::Result<Child>>);

static ORDERS: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();

/// A command that runs `program` and is killed when the thread that starts it ends.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Starts `command` on the thread that lives as long as this program.
///
/// # Errors
/// The command could not be started.
pub(crate) fn start(command: Command) -> io::Result<Child> {
    let (answer, child) = mpsc::channel();
    let orders = ORDERS.get_or_init(|| Mutex::new(keeper()));
    let sent = orders.lock().unwrap_or_else(PoisonError::into_inner).send((command, answer));
    let gone = || io::Error::other("the thread that starts emulators has ended");
    sent.map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// Starts the thread that starts everything else.
fn keeper() -> mpsc::Sender<Order> {
    let (orders, incoming) = mpsc::channel::<Order>();
    thread::spawn(move || {
        for (mut command, answer) in incoming {
            // Nobody waits for the answer any more: the child is dropped and ends with this program.
            let _ = answer.send(command.spawn());
        }
    });
    orders
}
