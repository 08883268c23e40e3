//! Ports that a rehearsal has for itself, whatever else is rehearsed on this machine.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result};
use supervisor::ports;

/// Some ports that a rehearsal has for itself. Whoever has the first of them has them all, for as long as it listens there, whatever becomes
/// of its lab meanwhile; nobody connects to it.
pub(crate) struct ReservedPorts(TcpListener);

impl ReservedPorts {
    /// Where they begin: below those that the system gives away by itself.
    const FIRST: u16 = 30_000;
    /// How many rehearsals at a time find some.
    const PLACES: u16 = 130;
    /// How many each has, with the first.
    const EACH: u16 = 20;

    /// Takes some that no rehearsal beside this one has; of several in one process each looks from another place on.
    pub(crate) fn of(number: u16) -> Result<ReservedPorts> {
        let begin = u16::try_from(std::process::id() % u32::from(Self::PLACES)).unwrap_or_default() + number;
        (0..Self::PLACES)
            .map(|step| Self::FIRST + (begin + step) % Self::PLACES * Self::EACH)
            .find_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
            .map(ReservedPorts)
            .with_context(|| {
                let last = Self::FIRST + Self::PLACES * Self::EACH - 1;
                format!("no port is free for a rehearsal, from {} to {last}; end what has them", Self::FIRST)
            })
    }

    /// Those of them that are free.
    pub(crate) fn free(&self) -> impl Iterator<Item = u16> {
        let first = self.0.local_addr().map_or(Self::FIRST, |address| address.port());
        (first + 1..first + Self::EACH).filter(|&port| ports::is_free(port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rehearsals_at_the_same_time_have_ports_of_their_own() {
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
