//! Just enough HTTP to ask a server on this machine something.

use crate::error::{BenchError, Trying};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// Bytes read at once: large answers should not cost the client more calls than they must.
const READ_BYTES: usize = 256 << 10;

/// The body of the answer to one GET request.
pub(crate) fn get(address: SocketAddr, path: &str) -> Result<String, BenchError> {
    let mut connection = Connection::open(address)?;
    Ok(String::from_utf8_lossy(connection.get(path)?).into_owned())
}

/// The body of the answer to one POST request that says all in its path.
pub(crate) fn post(address: SocketAddr, path: &str) -> Result<String, BenchError> {
    let mut connection = Connection::open(address)?;
    Ok(String::from_utf8_lossy(connection.ask("POST", path)?).into_owned())
}

/// A connection that is kept for many requests, one after the other.
#[derive(Debug)]
pub(crate) struct Connection {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    /// The last answer's.
    body: Vec<u8>,
}

impl Connection {
    pub(crate) fn open(address: SocketAddr) -> Result<Self, BenchError> {
        let stream = TcpStream::connect(address).trying(format!("connect to {address}"))?;
        stream.set_nodelay(true).trying("option of a socket")?;
        let stream = BufReader::with_capacity(READ_BYTES, stream);
        Ok(Self { address, stream, body: Vec::new() })
    }

    /// The body of the answer to a GET request; any status but 200 is an error.
    pub(crate) fn get(&mut self, path: &str) -> Result<&[u8], BenchError> {
        self.ask("GET", path)
    }

    fn ask(&mut self, method: &str, path: &str) -> Result<&[u8], BenchError> {
        let what = format!("{method} http://{}{path}", self.address);
        let status = self.exchange(method, path).trying(&what)?;
        if status == 200 {
            return Ok(&self.body);
        }
        let answer = String::from_utf8_lossy(&self.body).into_owned();
        Err(BenchError::Refused { what, status, answer })
    }

    /// Asks, reads the answer's body, and gives its status.
    fn exchange(&mut self, method: &str, path: &str) -> io::Result<u16> {
        let length = if method == "POST" { "Content-Length: 0\r\n" } else { "" };
        let request = format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n{length}\r\n");
        self.stream.get_mut().write_all(request.as_bytes())?;
        let first = self.line()?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| malformed(&first))?;
        let mut length = Length::Bytes(0);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':') {
                Some(("content-length", value)) => length = Length::Bytes(number(value, 10)?),
                Some(("transfer-encoding", _)) => length = Length::Chunks,
                Some(_) => {}
                None => break,
            }
        }
        self.body.clear();
        match length {
            Length::Bytes(len) => self.take(len)?,
            Length::Chunks => loop {
                let len = number(&self.line()?, 16)?;
                self.take(len)?;
                self.line()?;
                if len == 0 {
                    break;
                }
            },
        }
        Ok(status)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }

    fn take(&mut self, len: u64) -> io::Result<()> {
        let read = self.stream.by_ref().take(len).read_to_end(&mut self.body)?;
        if read as u64 == len { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy)]
enum Length {
    Bytes(u64),
    Chunks,
}

fn number(text: &str, radix: u32) -> io::Result<u64> {
    u64::from_str_radix(text.trim(), radix).map_err(|_| malformed(text))
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not an answer: {text:?}"))
}

/// `text` as a part of a query string.
pub(crate) fn escaped(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'_' => (byte as char).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, TcpListener};

    /// A server that gives `answers`, one a request, on one connection.
    fn server(answers: &'static [&'static str]) -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            for answer in answers {
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    stream.read_line(&mut line).unwrap();
                }
                stream.get_mut().write_all(answer.as_bytes()).unwrap();
            }
        });
        address
    }

    #[test]
    fn both_kinds_of_bodies_on_one_connection() {
        let address = server(&[
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nsec\r\nA\r\nond answer\r\n0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad",
            "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut",
        ]);
        let mut connection = Connection::open(address).unwrap();
        assert_eq!(connection.get("/").unwrap(), b"first");
        assert_eq!(connection.get("/").unwrap(), b"second answer");
        let refused = connection.get("/x").unwrap_err().to_string();
        assert!(refused.contains("/x") && refused.contains("400") && refused.contains("bad"));
        assert!(connection.get("/").is_err());
    }

    #[test]
    fn query_strings() {
        assert_eq!(escaped("a.{b-1}*\"_"), "a.%7Bb-1%7D%2A%22_");
    }
}
