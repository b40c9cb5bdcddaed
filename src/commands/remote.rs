//! A running server as a command asks it: one request to its admin API, and the answer.
//!
//! HTTP/1.0 over a connection of its own, so that the answer ends where the connection does.
//! There is no limit of time: merging and deleting take as long as they take.

use super::whisper::CommandError;
use clap::Args;
use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::TcpStream;

/// Argument of commands that a running server may do.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub(crate) struct Remote {
    /// Admin API of the running server that is to do it, such as http://127.0.0.1:8082
    #[arg(long = "server", value_name = "URL", conflicts_with = "config")]
    url: Option<String>,
}

impl Remote {
    /// The server to ask, if one is to be asked.
    pub(crate) fn server(&self) -> Result<Option<Server>, CommandError> {
        self.url.as_deref().map(Server::parse).transpose()
    }
}

/// An admin API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// Host and port, as in a URL.
    authority: String,
}

impl Server {
    fn parse(url: &str) -> Result<Self, CommandError> {
        let bad = || {
            let reason = format!("--server {url}: allowed is http://HOST:PORT of an admin API");
            CommandError::Usage(reason)
        };
        let authority = url.strip_prefix("http://").ok_or_else(bad)?;
        let authority = authority.strip_suffix('/').unwrap_or(authority);
        let (host, port) = authority.rsplit_once(':').ok_or_else(bad)?;
        let is_plain = !host.is_empty() && !host.contains(['/', '@', ' ', '?', '#']);
        if !is_plain || port.parse::<u16>().is_err() {
            return Err(bad());
        }
        Ok(Self { authority: authority.to_owned() })
    }

    /// Posts parameters to a path and gives the answer.
    pub(crate) fn post(&self, path: &str, params: &[(&str, &str)]) -> Result<Value, CommandError> {
        let failed = |reason: String| {
            CommandError::Database(format!("http://{}{path}: {reason}", self.authority))
        };
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
        let answer = self.exchange(path, &form).map_err(|error| match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                failed(format!("{error}: is the server running, with enabled = true in [admin]?"))
            }
            _ => failed(error.to_string()),
        })?;
        let (status, body) = parse(&answer).ok_or_else(|| failed("no HTTP answer".to_owned()))?;
        match status {
            200 => serde_json::from_slice(body).map_err(|error| failed(error.to_string())),
            _ => Err(failed(String::from_utf8_lossy(body).trim_end().to_owned())),
        }
    }

    fn exchange(&self, path: &str, form: &str) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(&self.authority)?;
        let (host, len) = (&self.authority, form.len());
        let head = format!(
            "POST {path} HTTP/1.0\r\nHost: {host}\r\nContent-Length: {len}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\n\r\n"
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(form.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    }
}

/// Status and body of an answer.
fn parse(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some((status, &answer[end + 4..]))
}

#[cfg(test)]
mod tests {
    use super::{Server, parse};

    #[test]
    fn urls() {
        for (url, authority) in [
            ("http://127.0.0.1:8082", "127.0.0.1:8082"),
            ("http://localhost:1/", "localhost:1"),
            ("http://[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(Server::parse(url).unwrap().authority, authority);
        }
        for url in ["", "127.0.0.1:8082", "https://h:1", "http://h", "http://h:x", "http://h:1/x"] {
            assert!(Server::parse(url).is_err(), "{url}");
        }
    }

    #[test]
    fn answers() {
        assert_eq!(parse(b"HTTP/1.0 200 OK\r\na: b\r\n\r\nbody"), Some((200, &b"body"[..])));
        assert_eq!(parse(b"HTTP/1.1 403 Forbidden\r\n\r\n"), Some((403, &b""[..])));
        for answer in ["", "HTTP/1.0 200 OK\r\n", "SMTP 200\r\n\r\n", "HTTP/1.0\r\n\r\n"] {
            assert_eq!(parse(answer.as_bytes()), None, "{answer}");
        }
    }
}
