//! The addresses at which other machines can reach this one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// Addresses in common private networks, and one in TEST-NET-1, which nobody uses, for the default route.
const TOWARDS: [Ipv4Addr; 4] = [
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(192, 168, 255, 254),
    Ipv4Addr::new(10, 255, 255, 254),
    Ipv4Addr::new(172, 31, 255, 254),
];

/// The addresses at which other machines may reach this one, the most likely first.
///
/// Found by asking the system for the source address of routes to some networks. Nothing is sent: connecting a UDP socket only
/// chooses a route. An address without a route to any of these networks is not found.
pub fn of_this_machine() -> Vec<IpAddr> {
    let mut found = Vec::new();
    for towards in TOWARDS {
        let address = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
            socket.connect((towards, 9))?;
            Ok(socket.local_addr()?.ip())
        });
        if let Ok(address) = address
            && !address.is_loopback()
            && !address.is_unspecified()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// The addresses that a learner can type for a server with this bind address.
pub fn to_type(bound: IpAddr) -> Vec<IpAddr> {
    if bound.is_unspecified() { of_this_machine() } else { vec![bound] }
}

/// The command with which a learner joins.
pub fn join_line(host: &str, port: u16, ui_port: u16, usual_ui_port: u16) -> String {
    // By default, the lab expects the UI on a dev server's UI port.
    let ui = if ui_port == usual_ui_port { String::new() } else { format!(" --ui http://{host}:{ui_port}") };
    format!("cargo xtask lab start --address {host}:{port} --learner YOUR-NAME{ui}")
}

/// An address as it is written before a port.
pub fn host(ip: IpAddr) -> String {
    let with_port = SocketAddr::new(ip, 0).to_string();
    with_port.strip_suffix(":0").unwrap_or(&with_port).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_join_has_a_concrete_address() {
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(to_type(ip("10.0.0.7")), [ip("10.0.0.7")]);
        assert!(to_type(ip("0.0.0.0")).iter().all(|ip| !ip.is_unspecified() && !ip.is_loopback()));
        assert_eq!((host(ip("10.0.0.7")), host(ip("::1"))), ("10.0.0.7".to_owned(), "[::1]".to_owned()));
        assert_eq!(
            join_line("10.0.0.7", 7233, 8233, 8233),
            "cargo xtask lab start --address 10.0.0.7:7233 --learner YOUR-NAME"
        );
        assert_eq!(
            join_line("10.0.0.7", 7300, 8300, 8233),
            "cargo xtask lab start --address 10.0.0.7:7300 --learner YOUR-NAME --ui http://10.0.0.7:8300"
        );
    }
}
