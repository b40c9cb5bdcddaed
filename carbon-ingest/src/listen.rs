//! Addresses → bound sockets, with the options that a receiver wants.

use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use tokio::net::{TcpListener, UdpSocket};

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Bytes of datagrams that may wait to be read, if the system allows.
///
/// Senders flush once per interval, all at once: the system's usual 208 KiB
/// hold a few thousand points.
const UDP_RECEIVE_BUFFER_BYTES: usize = 8 << 20;

/// Binds a TCP listener. The port may be 0, and is free again at once after a restart.
///
/// To be called inside a tokio runtime.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    bind(&socket, address)?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Binds a UDP socket with a large receive buffer.
///
/// Unlike TCP it does not ask to reuse the address: that would let a second
/// process take over the port, and the datagrams, without an error.
///
/// To be called inside a tokio runtime.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    bind(&socket, address)?;
    if let Err(error) = socket.set_recv_buffer_size(UDP_RECEIVE_BUFFER_BYTES) {
        tracing::warn!(target: "udp", %address, "udp receive buffer stays at the system's size: {error}");
    }
    let granted = socket.recv_buffer_size()?;
    if granted < UDP_RECEIVE_BUFFER_BYTES {
        tracing::info!(
            target: "udp",
            %address,
            "udp receive buffer is {granted} bytes, {UDP_RECEIVE_BUFFER_BYTES} were asked for: \
             raise net.core.rmem_max if datagrams get lost"
        );
    }
    UdpSocket::from_std(socket.into())
}

/// Both families on `[::]`, as Go listens on an address without a host.
fn bind(socket: &Socket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_an_error() {
        let any_port = "127.0.0.1:0".parse().unwrap();
        let tcp = bind_tcp(any_port).unwrap();
        let error = bind_tcp(tcp.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let udp = bind_udp(any_port).unwrap();
        let error = bind_udp(udp.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
