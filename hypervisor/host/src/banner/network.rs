//! The host's place on the network.

use core::fmt::{self, Write};

use super::layout::paragraph;
use crate::{
    machine::Machine,
    network::{NoNetwork, frame::Colons},
    startup::Startup,
};

/// The address that the host was given and the adapter that carries it, or what is missing; nothing where it was given none.
///
/// # Errors
/// Those of `out`.
pub fn network(out: &mut impl Write, startup: &Startup<'_>, machine: &dyn Machine) -> fmt::Result {
    let Some(subnet) = startup.command_line.options.address else { return Ok(()) };
    match machine.network() {
        Some(device) => {
            let (mac, mtu) = (Colons(device.mac()), device.mtu());
            paragraph(
                out,
                "network",
                format_args!("{subnet}, hardware address {mac}, packets of up to {mtu} bytes"),
            )
        }
        None => paragraph(out, "network", format_args!("none: {}", NoNetwork::NoDevice)),
    }
}
