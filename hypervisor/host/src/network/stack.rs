//! The network stack's way to the adapter: copies of small frames.

use core::net::Ipv4Addr;

use smoltcp::{
    iface::{Config, Interface},
    phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken},
    time,
    wire::{EthernetAddress, HardwareAddress, IpCidr},
};

use super::{
    Subnet,
    counters::Traffic,
    frame::Mac,
    inbox::{ControlFrame, Inbox, MAX_CONTROL_FRAME},
};
use crate::machine::{Instant, NetworkDevice};

/// Bytes of an Ethernet header.
const ETHERNET: usize = 14;

/// The adapter as the stack sees it for one round.
pub(super) struct Link<'r, 'd> {
    pub(super) device: &'d dyn NetworkDevice,
    pub(super) inbox: &'r mut Inbox,
    pub(super) traffic: &'r mut Traffic,
}

/// The stack's interface to the network of `subnet`, whose adapter has address `mac`, a station's and not a group's.
pub(super) fn interface(
    link: &mut Link<'_, '_>,
    mac: Mac,
    subnet: Subnet,
    seed: u64,
    now: Instant,
) -> Interface {
    let mut config = Config::new(HardwareAddress::Ethernet(EthernetAddress(mac)));
    config.random_seed = seed;
    let mut interface = Interface::new(config, link, time(now));
    interface.update_ip_addrs(|addresses| {
        // The list is new and has room for two.
        let _ = addresses.push(IpCidr::new(subnet.address().into(), subnet.prefix_bits()));
    });
    interface
}

/// A point in time as the stack writes it, in microseconds.
pub(super) fn time(now: Instant) -> time::Instant {
    time::Instant::from_micros_const(i64::try_from(now.as_nanoseconds() / 1_000).unwrap_or(i64::MAX))
}

/// A point in time as the host writes it; what lies before boot is at boot.
pub(super) fn instant(time: time::Instant) -> Instant {
    Instant::from_nanoseconds(u64::try_from(time.total_micros()).unwrap_or(0).saturating_mul(1_000))
}

/// An IPv4 address as the stack writes it, if it is one.
pub(super) fn ipv4(address: smoltcp::wire::IpAddress) -> Option<Ipv4Addr> {
    let smoltcp::wire::IpAddress::Ipv4(address) = address;
    Some(address)
}

impl<'d> Device for Link<'_, 'd> {
    type RxToken<'t>
        = Copied
    where
        Self: 't;
    type TxToken<'t>
        = Outgoing<'t, 'd>
    where
        Self: 't;

    fn receive(&mut self, _now: time::Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let frame = self.inbox.take()?;
        Some((Copied(frame), Outgoing { device: self.device, traffic: self.traffic }))
    }

    fn transmit(&mut self, _now: time::Instant) -> Option<Self::TxToken<'_>> {
        Some(Outgoing { device: self.device, traffic: self.traffic })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        let mtu = usize::try_from(self.device.mtu()).unwrap_or(usize::MAX);
        capabilities.max_transmission_unit = mtu.saturating_add(ETHERNET).min(MAX_CONTROL_FRAME);
        capabilities
    }
}

/// A frame that arrived.
pub(super) struct Copied(ControlFrame);

impl RxToken for Copied {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, look: F) -> R {
        look(&self.0)
    }
}

/// A frame to be sent. Where the adapter has no room it is lost, as on any Ethernet: the protocols above send it again.
pub(super) struct Outgoing<'t, 'd> {
    device: &'d dyn NetworkDevice,
    traffic: &'t mut Traffic,
}

impl TxToken for Outgoing<'_, '_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut frame = [0; MAX_CONTROL_FRAME];
        // The stack asks for no more than its capabilities say.
        let length = length.min(MAX_CONTROL_FRAME);
        let frame = &mut frame[..length];
        let result = fill(frame);
        if self.device.transmit(frame, &[]).is_err() {
            self.traffic.unsent += 1;
        }
        result
    }
}
