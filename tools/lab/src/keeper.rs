//! Starts emulators so that none outlives the program that started it.
//!
//! A destructor ends an emulator when a test returns or panics, but not when the whole program is killed. For that Linux has
//! the parent-death signal (prctl(2), PR_SET_PDEATHSIG), which `setpriv --pdeathsig` (util-linux) asks for before it becomes the
//! emulator. The signal comes when the *thread* that started the child ends, so one thread that never ends starts them all.

use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command},
    sync::{Mutex, OnceLock, PoisonError, mpsc},
    thread,
};

use rustix::io::{FdFlags, fcntl_setfd};

/// A child to start, and where it goes.
struct Order {
    command: Command,
    /// Descriptors that the child gets under the numbers they have here.
    inherited: Vec<OwnedFd>,
    child: mpsc::Sender<io::Result<Child>>,
}

static ORDERS: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();

/// A command that runs `program` and is killed when the thread that starts it ends.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// Starts `command` on the thread that lives as long as this program. The child gets the descriptors `inherited` under the
/// numbers they have here; here they are closed.
///
/// # Errors
/// The command could not be started.
pub(crate) fn start(command: Command, inherited: Vec<OwnedFd>) -> io::Result<Child> {
    let (answer, child) = mpsc::channel();
    let orders = ORDERS.get_or_init(|| Mutex::new(keeper()));
    let order = Order { command, inherited, child: answer };
    let sent = orders.lock().unwrap_or_else(PoisonError::into_inner).send(order);
    let gone = || io::Error::other("the thread that starts emulators has ended");
    sent.map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// Starts the thread that starts everything else.
fn keeper() -> mpsc::Sender<Order> {
    let (orders, incoming) = mpsc::channel::<Order>();
    thread::spawn(move || {
        for order in incoming {
            let answer = order.child.clone();
            // Nobody waits for the answer any more: the child is dropped and ends with this program.
            let _ = answer.send(spawn(order));
        }
    });
    orders
}

/// Starts one child. No other emulator inherits its descriptors, since one thread starts them all; a program that another thread
/// starts at this very moment may, and holds them until it ends.
fn spawn(mut order: Order) -> io::Result<Child> {
    for descriptor in &order.inherited {
        fcntl_setfd(descriptor, FdFlags::empty())?;
    }
    order.command.spawn()
}
