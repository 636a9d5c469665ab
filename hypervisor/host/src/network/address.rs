//! The host's own address and the network it is in.

use core::{fmt, net::Ipv4Addr};

/// An IPv4 address of one host, and how long the part is that all hosts of its network share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Subnet {
    address: Ipv4Addr,
    prefix_bits: u8,
}

impl Subnet {
    /// What an address has to look like, for messages.
    pub const EXPECTED: &'static str = "a host's IPv4 address and prefix length, such as 10.0.0.1/24";

    /// `address` in a network of `prefix_bits`, 1 to 30; `None` where no host can have it.
    pub fn new(address: Ipv4Addr, prefix_bits: u8) -> Option<Self> {
        let subnet = Self { address, prefix_bits };
        ((1..=30).contains(&prefix_bits) && is_host(address) && subnet.holds(address)).then_some(subnet)
    }

    /// Reads `10.0.0.1/24`.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let digits_only = prefix.bytes().all(|byte| byte.is_ascii_digit());
        Self::new(address.parse().ok()?, prefix.parse().ok().filter(|_| digits_only)?)
    }

    /// The host's address.
    pub const fn address(self) -> Ipv4Addr {
        self.address
    }

    /// Bits that all hosts of the network share.
    pub const fn prefix_bits(self) -> u8 {
        self.prefix_bits
    }

    /// Whether `other` can be a host of this network: its first and last address are the network's own.
    pub fn holds(self, other: Ipv4Addr) -> bool {
        let host_bits = u32::MAX >> self.prefix_bits;
        let (own, other) = (self.address.to_bits(), other.to_bits());
        own & !host_bits == other & !host_bits && other & host_bits != 0 && other & host_bits != host_bits
    }
}

/// Whether one host of a network can have the address.
pub(super) fn is_host(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    // 0 is "this network", 127 the host itself, 224 and above groups and what is reserved (RFC 6890).
    first != 0 && first != 127 && first < 224
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;

    use super::Subnet;

    #[test]
    fn an_address_is_a_hosts_in_its_network() {
        for good in ["10.0.0.1/24", "192.168.7.254/24", "10.1.2.3/8", "172.16.0.1/30", "223.0.0.1/1"] {
            assert_eq!(Subnet::parse(good).map(|subnet| subnet.to_string()).as_deref(), Some(good));
        }
        for bad in [
            "",
            "10.0.0.1",
            "10.0.0.1/",
            "10.0.0.1/0",
            "10.0.0.1/31",
            "10.0.0.1/+24",
            "10.0.0.1/024x",
            "10.0.0/24",
            "10.0.0.0/24",
            "10.0.0.255/24",
            "127.0.0.1/8",
            "0.0.0.1/24",
            "224.0.0.1/24",
            "10.0.0.256/24",
            "a/24",
        ] {
            assert_eq!(Subnet::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_network_holds_its_hosts() {
        let subnet = Subnet::parse("10.0.0.1/24").unwrap();
        for (other, inside) in [
            ([10, 0, 0, 2], true),
            ([10, 0, 0, 254], true),
            ([10, 0, 0, 255], false),
            ([10, 0, 0, 0], false),
            ([10, 0, 1, 2], false),
        ] {
            assert_eq!(subnet.holds(Ipv4Addr::from(other)), inside, "{other:?}");
        }
    }
}
