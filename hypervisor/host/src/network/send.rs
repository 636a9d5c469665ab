//! What goes past the network stack: page datagrams and pings.

use core::net::{Ipv4Addr, SocketAddrV4};

use arrayvec::ArrayVec;

use super::{
    Network,
    frame::{self, IP_HEADERS},
};
use crate::machine::{Instant, MAX_HEADER_BYTES, Piece, TransmitError};

/// Why a page datagram was not taken for sending.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SendError {
    /// The hardware address is not known; it was asked for. Try again.
    #[error("the host's hardware address is not known yet")]
    NoAddress,
    /// The host is not in this host's network, and there is no way to others.
    #[error("the host is not in this host's network")]
    NotInNetwork,
    /// The adapter has no room now; try again after it sent some.
    #[error("the adapter has no room")]
    Full,
    /// It is longer than the link allows, or has more pieces than the adapter takes.
    #[error("the datagram is too long for the link, or in too many pieces")]
    TooLong,
    /// A piece lies outside its run.
    #[error("a piece lies outside its run")]
    OutsideRun,
    /// The adapter broke its own rules and was stopped.
    #[error("the network adapter was stopped")]
    Broken,
}

impl From<TransmitError> for SendError {
    fn from(error: TransmitError) -> Self {
        match error {
            TransmitError::Full => Self::Full,
            TransmitError::TooLong => Self::TooLong,
            TransmitError::OutsideRun => Self::OutsideRun,
            TransmitError::Broken => Self::Broken,
        }
    }
}

impl Network<'_> {
    /// Asks the host at `to` whether it is there. The question goes out at once.
    ///
    /// # Errors
    /// [`SendError`]; nothing was asked.
    pub fn ping(&mut self, to: Ipv4Addr, number: u16, now: Instant) -> Result<(), SendError> {
        let mac = self.locate(to, now)?;
        let question = frame::ping(&self.identity, mac, to, number).ok_or(SendError::TooLong)?;
        self.device.transmit(&question, &[])?;
        self.device.flush();
        Ok(())
    }

    /// Queues a page datagram for `to`: `header` is copied, the bytes of `body` are gathered from memory by the adapter
    /// while [`unfinished`](Self::unfinished) counts it. It goes out with the next [`flush`](Self::flush) or turn.
    ///
    /// # Errors
    /// [`SendError`]; nothing was queued.
    pub fn send_pages(
        &mut self,
        to: SocketAddrV4,
        header: &[u8],
        body: &[Piece<'_>],
        now: Instant,
    ) -> Result<(), SendError> {
        let body_bytes = body.iter().map(|piece| piece.bytes as usize).sum::<usize>();
        let payload_bytes = header.len() + body_bytes;
        if payload_bytes > self.max_page_bytes() {
            return Err(SendError::TooLong);
        }
        let mac = self.locate(*to.ip(), now)?;
        let number = self.next_datagram;
        let headers =
            frame::page_headers(&self.identity, mac, to, number, payload_bytes).ok_or(SendError::TooLong)?;
        let mut whole = ArrayVec::<u8, MAX_HEADER_BYTES>::new();
        for part in [headers.as_slice(), header] {
            whole.try_extend_from_slice(part).map_err(|_| SendError::TooLong)?;
        }
        self.device.transmit(&whole, body)?;
        self.next_datagram = number.wrapping_add(1);
        self.traffic.pages_sent += 1;
        self.traffic.page_bytes_sent += payload_bytes as u64;
        Ok(())
    }

    /// Where the host at `address` is. Where that is not known, or long since, it is asked for.
    pub(super) fn locate(&mut self, address: Ipv4Addr, now: Instant) -> Result<frame::Mac, SendError> {
        if !self.subnet.holds(address) || address == self.identity.address {
            return Err(SendError::NotInNetwork);
        }
        let resolution = self.neighbours.resolve(address, now);
        if resolution.ask {
            // A question that finds no room is asked again soon.
            let _ = self.device.transmit(&frame::arp_request(&self.identity, address), &[]);
            self.device.flush();
        }
        resolution.mac.ok_or(SendError::NoAddress)
    }

    /// Bytes of header and body of the longest page datagram.
    pub fn max_page_bytes(&self) -> usize {
        (self.mtu() as usize).saturating_sub(IP_HEADERS)
    }
}
