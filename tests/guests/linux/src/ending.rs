//! How the guest ends itself.

use rustix::system::{RebootCommand, reboot};

use crate::console::say;

/// Switches the machine off.
pub(crate) fn power_off() {
    say!("power off");
    end(RebootCommand::PowerOff);
}

/// Starts the machine again.
pub(crate) fn reboot_machine() {
    say!("reboot");
    end(RebootCommand::Restart);
}

fn end(how: RebootCommand) {
    if let Err(error) = reboot(how) {
        say!("BAD END {error}");
    }
}
