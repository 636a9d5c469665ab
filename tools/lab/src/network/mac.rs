//! Ethernet addresses.

use std::fmt;

/// An Ethernet address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct MacAddress(pub [u8; 6]);

impl MacAddress {
    /// The address of the lab's host `number`: QEMU's own prefix, so that it collides with no real adapter.
    pub const fn of_host(number: u16) -> Self {
        let [high, low] = number.to_be_bytes();
        Self([0x52, 0x54, 0x00, 0x60, high, low])
    }

    /// Whether it names many stations: broadcast, or a multicast group.
    pub const fn is_group(self) -> bool {
        self.0[0] & 1 != 0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_have_different_addresses_of_their_own() {
        assert_eq!(MacAddress::of_host(1).to_string(), "52:54:00:60:00:01");
        assert_eq!(MacAddress::of_host(0x1234).to_string(), "52:54:00:60:12:34");
        assert!(!MacAddress::of_host(u16::MAX).is_group());
        assert!(MacAddress([0xff; 6]).is_group());
    }
}
