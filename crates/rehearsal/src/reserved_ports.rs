//! Ports reserved for one rehearsal, so that several can run on one machine.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};
use supervisor::ports;

/// A range of ports for one rehearsal. Listening on the first port reserves the whole range, even while the lab restarts; nothing
/// connects to that port.
pub(crate) struct ReservedPorts(TcpListener);

impl ReservedPorts {
    /// The first port, below the range of ephemeral ports.
    const FIRST: u16 = 30_000;
    /// The largest number of rehearsals at a time.
    const PLACES: u16 = 130;
    /// The number of ports in a range, including the first.
    const EACH: u16 = 20;

    /// Reserves a free range; concurrent rehearsals of one process start their search at different ranges.
    pub(crate) fn of(number: u16) -> Result<ReservedPorts> {
        let begin = u16::try_from(std::process::id() % u32::from(Self::PLACES)).unwrap_or_default() + number;
        (0..Self::PLACES)
            .map(|step| Self::FIRST + (begin + step) % Self::PLACES * Self::EACH)
            .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
            .map(ReservedPorts)
            .with_context(|| {
                let last = Self::FIRST + Self::PLACES * Self::EACH - 1;
                format!(
                    "no free ports for a rehearsal from {} to {last}; end the programs that use them",
                    Self::FIRST
                )
            })
    }

    /// The free ports of the range.
    pub(crate) fn free(&self) -> impl Iterator<Item = u16> {
        let first = self.0.local_addr().map_or(Self::FIRST, |address| address.port());
        (first + 1..first + Self::EACH).filter(|&port| ports::is_free(port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn concurrent_rehearsals_have_different_ports() {
        let claims: Vec<ReservedPorts> =
            [0, 0, 1, 1, 2].map(|number| ReservedPorts::of(number).expect("some are free")).into();
        let mut all: Vec<u16> = claims.iter().flat_map(ReservedPorts::free).collect();
        let number = all.len();
        assert!(number >= claims.len() * 8, "{all:?}");
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), number);
    }
}
