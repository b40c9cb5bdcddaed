//! Listen addresses as Go writes them: `":2003"`, `"127.0.0.1:2003"`, `"[::1]:2003"`,
//! `"localhost:2003"`.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

/// Where to listen. A name is looked up when the socket is opened, not when it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddress {
    /// Name or number without brackets; empty for every address of the machine.
    host: String,
    /// Port; 0 lets the system choose.
    port: u16,
}

impl ListenAddress {
    /// Reads `host:port`; IPv6 numbers stand in brackets, the host may be left out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(bracketed) => {
                let host = bracketed.strip_suffix(']')?;
                host.parse::<Ipv6Addr>().ok()?;
                host
            }
            None if host.contains([':', ']', ' ', '/']) => return None,
            None => host,
        };
        if !port.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        Some(Self { host: host.to_owned(), port: port.parse().ok()? })
    }

    /// Whether nobody but this machine can reach it.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let is_number = |host: &str| host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        self.host == "localhost" || is_number(&self.host)
    }

    /// The socket addresses to try, best first; the first that can be bound is the one.
    ///
    /// No host means every address of the machine: IPv6 (which takes IPv4 callers too), and
    /// IPv4 alone where the machine has no IPv6.
    ///
    /// # Errors
    /// When the host's name cannot be looked up.
    pub fn candidates(&self) -> io::Result<Vec<SocketAddr>> {
        if self.host.is_empty() {
            return Ok(vec![
                (Ipv6Addr::UNSPECIFIED, self.port).into(),
                (Ipv4Addr::UNSPECIFIED, self.port).into(),
            ]);
        }
        let mut found: Vec<SocketAddr> =
            (self.host.as_str(), self.port).to_socket_addrs()?.collect();
        // As Go does: a name with both kinds of address listens on its IPv4 one.
        found.sort_by_key(SocketAddr::is_ipv6);
        Ok(found)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ListenAddress;

    #[track_caller]
    fn candidates(text: &str) -> Vec<String> {
        let address = ListenAddress::parse(text).unwrap();
        assert_eq!(address.to_string(), text);
        address.candidates().unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_form() {
        assert_eq!(candidates(":2003"), ["[::]:2003", "0.0.0.0:2003"]);
        assert_eq!(candidates("127.0.0.1:2003"), ["127.0.0.1:2003"]);
        assert_eq!(candidates("[::1]:2003"), ["[::1]:2003"]);
        assert_eq!(candidates("localhost:0")[0], "127.0.0.1:0");
    }

    #[test]
    fn not_an_address() {
        for text in [
            "",
            "2003",
            "localhost",
            "127.0.0.1",
            "::1:2003",
            "[::1]",
            "[::1:2003",
            "[x]:1",
            ":65536",
            ":-1",
            ":http",
            ":",
            "a b:1",
            "http://host:80",
            ":+1",
        ] {
            assert_eq!(ListenAddress::parse(text), None, "{text:?}");
        }
    }
}
