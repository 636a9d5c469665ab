//! The driver, with a device that is only pretended.

mod arrive;
mod broken;
mod layout;
mod pretended;
mod send;
mod start;

use std::sync::Arc;

use pretended::{Knobs, Pretended, Shared};

use super::device::{VirtioNet, Windows};

type Adapter = VirtioNet<pretended::Window, pretended::Memory>;

/// An adapter that was started on a device with `knobs`.
fn started(knobs: Knobs) -> (Adapter, Arc<Pretended>) {
    let device = Pretended::new(knobs);
    let adapter =
        Adapter::start(device.windows(), &mut |bytes| device.provide(bytes)).expect("the device comes up");
    (adapter, device)
}
