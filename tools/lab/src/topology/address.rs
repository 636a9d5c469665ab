//! A host's IPv4 address with the length of its network's prefix.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use anyhow::{Error, Result, anyhow, ensure};

/// An address such as `10.0.0.1/24`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InterfaceAddress {
    ip: Ipv4Addr,
    prefix_bits: u8,
}

impl InterfaceAddress {
    /// The address alone.
    pub const fn ip(self) -> Ipv4Addr {
        self.ip
    }

    /// How many leading bits name the network, 1 to 30.
    pub const fn prefix_bits(self) -> u8 {
        self.prefix_bits
    }

    /// The bits that name the host.
    fn host_mask(self) -> u32 {
        u32::MAX >> self.prefix_bits
    }

    /// Checks that `other` can be reached on the same link.
    ///
    /// # Errors
    /// It has the same address, or lies in another network.
    pub(super) fn check_neighbour(self, other: Self) -> Result<()> {
        ensure!(self.ip != other.ip, "has {self} already");
        let network = |address: Self| address.ip.to_bits() & !address.host_mask();
        ensure!(
            self.prefix_bits == other.prefix_bits && network(self) == network(other),
            "has {other}, which lies in another network than {self}"
        );
        Ok(())
    }
}

impl FromStr for InterfaceAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let expected = || anyhow!("`{text}`: expected an IPv4 address and a prefix, such as 10.0.0.1/24");
        let (ip, prefix) = text.split_once('/').ok_or_else(expected)?;
        let address = Self {
            ip: ip.parse().map_err(|_| expected())?,
            prefix_bits: prefix.parse().map_err(|_| expected())?,
        };
        ensure!(
            (1..=30).contains(&address.prefix_bits),
            "`{text}`: expected a prefix of 1 to 30 bits, which leaves room for two hosts"
        );
        let host = address.ip.to_bits() & address.host_mask();
        ensure!(
            host != 0 && host != address.host_mask() && !address.ip.is_multicast(),
            "`{text}`: no host can have the address of a network, of all hosts, or of a group"
        );
        Ok(address)
    }
}

impl fmt::Display for InterfaceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> InterfaceAddress {
        text.parse().unwrap()
    }

    #[test]
    fn reads_addresses() {
        assert_eq!(address("10.0.0.1/24").to_string(), "10.0.0.1/24");
        assert_eq!(
            (address("10.1.2.3/8").ip(), address("10.1.2.3/8").prefix_bits()),
            (Ipv4Addr::new(10, 1, 2, 3), 8)
        );
    }

    #[test]
    fn refuses_what_no_host_can_have() {
        let cases = [
            ("", "expected an IPv4 address"),
            ("10.0.0.1", "expected an IPv4 address"),
            ("10.0.0/24", "expected an IPv4 address"),
            ("10.0.0.1/24/1", "expected an IPv4 address"),
            ("10.0.0.1/256", "expected an IPv4 address"),
            ("10.0.0.1/0", "1 to 30"),
            ("10.0.0.1/31", "1 to 30"),
            ("10.0.0.0/24", "no host"),
            ("10.0.0.255/24", "no host"),
            ("224.0.0.1/24", "no host"),
        ];
        for (text, part) in cases {
            let error = text.parse::<InterfaceAddress>().unwrap_err().to_string();
            assert!(error.contains(part) && error.contains(text), "{text}: {error}");
        }
    }

    #[test]
    fn neighbours_share_a_network_and_no_address() {
        let own = address("10.0.0.1/24");
        own.check_neighbour(address("10.0.0.2/24")).unwrap();
        for (other, part) in [
            ("10.0.0.1/24", "already"),
            ("10.0.1.2/24", "another network"),
            ("10.0.0.2/16", "another network"),
        ] {
            let error = own.check_neighbour(address(other)).unwrap_err().to_string();
            assert!(error.contains(part), "{other}: {error}");
        }
    }
}
