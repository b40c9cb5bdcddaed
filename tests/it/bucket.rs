//! A bucket as far as backups need one, in memory, that fails as it is told to.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};

/// Name of the bucket.
pub(crate) const BUCKET: &str = "b";

/// What is done with a request instead of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// This status.
    Status(u16),
    /// The connection ends after the request was read.
    Reset,
    /// The same, but what was asked for is done.
    ResetAfter,
    /// No answer, and the connection stays.
    Stall,
    /// Half of the body of a whole answer.
    Half,
}

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Without the name of the bucket; of a multi-part upload also that of the part.
    pub(crate) key: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    /// Whether it is only to be obeyed when nothing is there.
    pub(crate) fn is_conditional(&self) -> bool {
        self.headers.contains_key("if-none-match")
    }

    /// Whether it is of this method, for a key in which this stands.
    pub(crate) fn is(&self, method: &str, part: &str) -> bool {
        self.method == method && (self.key.contains(part) || self.query.contains(part))
    }
}

type Fails = Box<dyn FnMut(&Request) -> Option<Failure> + Send>;

struct State {
    objects: BTreeMap<String, Vec<u8>>,
    /// Parts of uploads that are not finished, by upload and number.
    parts: BTreeMap<(String, usize), Vec<u8>>,
    uploads: usize,
    requests: Vec<(String, String)>,
    fails: Fails,
    /// Connections that are not answered.
    stalled: Vec<TcpStream>,
}

/// See the module. It ends with the process of the test.
pub(crate) struct Bucket {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Bucket {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            objects: BTreeMap::new(),
            parts: BTreeMap::new(),
            uploads: 0,
            requests: Vec::new(),
            fails: Box::new(|_| None),
            stalled: Vec::new(),
        }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                // A connection that ends is no matter here.
                std::thread::spawn(move || _ = serve(&stream, &state));
            }
        });
        Self { address, state }
    }

    /// Lets a command find it, which gives up after few attempts.
    pub(crate) fn set_environment(&self, command: &mut Command) {
        command
            .env("AWS_ENDPOINT_URL", format!("http://{}", self.address))
            .env("AWS_ALLOW_HTTP", "true")
            .env("AWS_REGION", "r")
            .env("AWS_ACCESS_KEY_ID", "key")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_MAX_ATTEMPTS", "3");
    }

    /// Asks of every request from now on how it is to fail.
    pub(crate) fn set_fails(
        &self,
        fails: impl FnMut(&Request) -> Option<Failure> + Send + 'static,
    ) {
        let mut state = self.state.lock().unwrap();
        state.fails = Box::new(fails);
        state.stalled.clear();
    }

    /// Fails as often as this the requests of a method for keys with this in them.
    pub(crate) fn fail(
        &self,
        method: &'static str,
        part: &'static str,
        how: Failure,
        times: usize,
    ) {
        let mut left = times;
        self.set_fails(move |request| {
            let fails = left > 0 && request.is(method, part);
            left -= usize::from(fails);
            fails.then_some(how)
        });
    }

    /// Nothing fails from now on.
    pub(crate) fn mend(&self) {
        self.set_fails(|_| None);
    }

    /// Keys that begin with this.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        state.objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect()
    }

    /// How many parts belong to no file.
    pub(crate) fn parts(&self) -> usize {
        self.state.lock().unwrap().parts.len()
    }

    /// What is in the bucket.
    pub(crate) fn change<T>(&self, how: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> T {
        how(&mut self.state.lock().unwrap().objects)
    }

    /// Methods and keys of all requests since this was called last.
    pub(crate) fn requests(&self) -> Vec<(String, String)> {
        std::mem::take(&mut self.state.lock().unwrap().requests)
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    while let Some(request) = read(&mut reader)? {
        let mut state = state.lock().unwrap();
        state.requests.push((request.method.clone(), request.key.clone()));
        let failure = (state.fails)(&request);
        let (status, headers, body) = match failure {
            Some(Failure::Reset) => return Ok(()),
            Some(Failure::Stall) => {
                state.stalled.push(stream.try_clone()?);
                return Ok(());
            }
            Some(Failure::Status(status)) => {
                let text = "<?xml version=\"1.0\"?>\n<Error>\n  <Code>AsTold</Code>\n</Error>";
                (status, String::new(), text.as_bytes().to_vec())
            }
            None | Some(Failure::ResetAfter | Failure::Half) => answer(&mut state, &request),
        };
        drop(state);
        if failure == Some(Failure::ResetAfter) {
            return Ok(());
        }
        let head =
            format!("HTTP/1.1 {status} Told\r\nContent-Length: {}\r\n{headers}\r\n", body.len());
        let is_half = failure == Some(Failure::Half);
        let sent = match request.method.as_str() {
            "HEAD" => &body[..0],
            _ if is_half => &body[..body.len() / 2],
            _ => &body[..],
        };
        let mut to = stream;
        to.write_all(&[head.as_bytes(), sent].concat())?;
        if is_half {
            return Ok(());
        }
    }
    Ok(())
}

/// `None` at the end of the connection.
fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = path.strip_prefix('/').unwrap_or(path);
    let key = path.strip_prefix(BUCKET).unwrap_or(path).trim_start_matches('/');
    let (method, key, query) = (method.to_owned(), key.to_owned(), decoded(query));
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let len = headers.get("content-length").and_then(|len| len.parse().ok()).unwrap_or(0);
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    Ok(Some(Request { method, key, query, headers, body }))
}

/// Of what is written as `%XX` only the slash comes.
fn decoded(query: &str) -> String {
    query.replace("%2F", "/")
}

type Answer = (u16, String, Vec<u8>);

fn answer(state: &mut State, request: &Request) -> Answer {
    let Request { method, key, query, headers, body } = request;
    let param = |name: &str| {
        let value = |param: &'_ str| param.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
        query.split('&').find_map(value)
    };
    let empty = |status| (status, "ETag: \"e\"\r\n".to_owned(), Vec::new());
    match (method.as_str(), param("uploadId")) {
        ("GET", _) if key.is_empty() => listed(state, &param("prefix").unwrap_or_default()),
        ("POST", _) if query == "delete" => deleted(state, body),
        ("POST", None) => {
            state.uploads += 1;
            let id = state.uploads;
            let text = format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId>\
                 </InitiateMultipartUploadResult>"
            );
            (200, String::new(), text.into_bytes())
        }
        ("POST", Some(id)) => {
            let mut whole = Vec::new();
            for (_, part) in state.parts.extract_if(.., |(upload, _), _| *upload == id) {
                whole.extend(part);
            }
            state.objects.insert(key.clone(), whole);
            let text = "<CompleteMultipartUploadResult><ETag>\"e\"</ETag>\
                        </CompleteMultipartUploadResult>";
            (200, String::new(), text.as_bytes().to_vec())
        }
        ("DELETE", Some(id)) => {
            state.parts.retain(|(upload, _), _| *upload != id);
            empty(204)
        }
        ("PUT", Some(id)) => {
            let number = param("partNumber").and_then(|number| number.parse().ok()).unwrap();
            state.parts.insert((id, number), body.clone());
            empty(200)
        }
        ("PUT", None) if request.is_conditional() && state.objects.contains_key(key) => empty(412),
        ("PUT", None) => {
            state.objects.insert(key.clone(), body.clone());
            empty(200)
        }
        _ => match state.objects.get(key) {
            None => (404, String::new(), b"<Error><Code>NoSuchKey</Code></Error>".to_vec()),
            Some(bytes) => part(bytes, headers.get("range").map(String::as_str)),
        },
    }
}

/// An object, or its end from some byte on.
fn part(bytes: &[u8], range: Option<&str>) -> Answer {
    let date = "ETag: \"e\"\r\nLast-Modified: Mon, 23 Nov 2026 12:00:00 GMT\r\n";
    let from =
        range.and_then(|range| range.strip_prefix("bytes=")?.split('-').next()?.parse().ok());
    match from {
        None => (200, date.to_owned(), bytes.to_vec()),
        Some(from) => {
            let (last, len) = (bytes.len() - 1, bytes.len());
            let headers = format!("{date}Content-Range: bytes {from}-{last}/{len}\r\n");
            (206, headers, bytes[from..].to_vec())
        }
    }
}

fn listed(state: &State, prefix: &str) -> Answer {
    let mut text = "<ListBucketResult>".to_owned();
    for (key, bytes) in state.objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
        let _ = write!(
            text,
            "<Contents><Key>{key}</Key><LastModified>2026-11-23T12:00:00.000Z</LastModified>\
             <Size>{}</Size><ETag>\"e\"</ETag></Contents>",
            bytes.len()
        );
    }
    text += "<IsTruncated>false</IsTruncated></ListBucketResult>";
    (200, String::new(), text.into_bytes())
}

fn deleted(state: &mut State, body: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(body);
    let mut answer = "<DeleteResult>".to_owned();
    for key in text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()) {
        state.objects.remove(key);
        let _ = write!(answer, "<Deleted><Key>{key}</Key></Deleted>");
    }
    answer += "</DeleteResult>";
    (200, String::new(), answer.into_bytes())
}
