//! Just enough HTTP to ask a server on this machine something.

use crate::error::{BenchError, Trying};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// The whole answer to a GET request, head included.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<String, BenchError> {
    let what = || format!("GET http://{address}{path}");
    let mut stream = TcpStream::connect(address).trying(what())?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
        .trying(what())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).trying(what())?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
