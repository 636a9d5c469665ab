//! Every function of a range of buses.
//!
//! Each bus number is asked once, in order, instead of following bridges from bus 0: servers have root buses
//! that no bridge leads to (one per host bridge, and only AML names them), and a walk by number cannot loop
//! whatever a bridge claims. It costs 8,192 reads for 256 empty buses.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use godwit_host::description::PciFunction;

use super::{ConfigSpace, FunctionAddress, Header};

/// Functions that are listed at most. Large servers have a few hundred.
pub const MAX_FUNCTIONS: usize = 4096;

/// The functions of a range of buses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Functions {
    /// In order of bus, device and function.
    pub list: Vec<PciFunction>,
    /// Whether there are more than were asked for, which are not listed.
    pub cut: bool,
}

/// Asks every function of `buses` of a segment group whether it is there, and lists `most` of them.
pub fn enumerate(
    config: &impl ConfigSpace,
    segment: u16,
    buses: RangeInclusive<u8>,
    most: usize,
) -> Functions {
    let mut functions = Functions { list: Vec::new(), cut: false };
    for bus in buses {
        for device in 0..FunctionAddress::DEVICES {
            let mut add =
                |function| functions.add(config, FunctionAddress::new(segment, bus, device, function)?, most);
            // A device has a function 0, or there is none (PCI Express 6.0, 7.5.1.1.9).
            let Some(first) = add(0) else { continue };
            if first.multifunction {
                for function in 1..FunctionAddress::FUNCTIONS {
                    add(function);
                }
            }
            if functions.cut {
                return functions;
            }
        }
    }
    functions
}

impl Functions {
    /// Lists the function if it is there and there is room.
    fn add(&mut self, config: &impl ConfigSpace, at: FunctionAddress, most: usize) -> Option<Header> {
        let header = Header::read(config, at)?;
        if self.list.len() >= most {
            self.cut = true;
            return Some(header);
        }
        self.list.push(PciFunction {
            segment: at.segment(),
            bus: at.bus(),
            device: at.device(),
            function: at.function(),
            vendor_id: header.vendor_id,
            device_id: header.device_id,
            class: header.class,
        });
        Some(header)
    }
}
