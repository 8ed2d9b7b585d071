//! An upstream that misbehaves as a test wants: plain sockets, a thread for each connection, and full control over the bytes of
//! a response. It records its requests, and ends when dropped. It never judges numbers; real servers do.
//!
//! Most stubs have no remote read, so that their tests are about the range selectors that replace it: a stub refuses reads, and
//! does not record them, unless a test says how to respond.

mod request;

use std::collections::HashMap;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use super::process::agent;

pub use request::Request;

/// The timeout of each read and write of the stub.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running stub.
pub struct Stub {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

type Behaviour = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

struct Shared {
    behaviour: Mutex<Behaviour>,
    upon_reads: Mutex<Behaviour>,
    reads: Mutex<Vec<Request>>,
    requests: Mutex<Vec<Request>>,
    open: Mutex<HashMap<usize, TcpStream>>,
    connections: AtomicUsize,
    stopping: AtomicBool,
}

/// The behaviour of the stub on a request.
#[derive(Debug, Clone)]
pub struct Reply {
    bytes: Vec<u8>,
    delay: Duration,
    pause: Option<Duration>,
    after: After,
}

/// What happens after the bytes of a response.
#[derive(Debug, Clone)]
pub enum After {
    /// The connection waits for its next request.
    Serve,
    /// It is closed.
    Close,
    /// It is reset.
    Reset,
    /// It stays open and silent until the mirror closes it.
    Hang,
    /// These bytes follow, repeated without an end.
    Repeat(Vec<u8>),
    /// The same, with this pause before each time.
    Trickle(Vec<u8>, Duration),
    /// The results of this function for 0, 1, 2 and so on follow, without an end.
    Count(fn(usize) -> Vec<u8>),
}

impl Reply {
    /// Unchanged bytes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Reply {
        Reply { bytes: bytes.into(), delay: Duration::ZERO, pause: None, after: After::Serve }
    }

    /// An HTTP response of any kind.
    pub fn http(status: u16, content_type: &str, body: impl AsRef<[u8]>) -> Reply {
        let length = body.as_ref().len();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n");
        Reply::raw([head.as_bytes(), body.as_ref()].concat())
    }

    /// JSON with status 200, and the header in which VictoriaMetrics names itself.
    pub fn of_victoria(body: impl AsRef<str>) -> Reply {
        Reply::http(200, "application/json\r\nX-Server-Hostname: v", body.as_ref())
    }

    /// JSON with status 200, in chunks of 16 KiB.
    pub fn chunked(body: &Value) -> Reply {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut bytes = head.as_bytes().to_vec();
        for chunk in body.to_string().as_bytes().chunks(16 << 10) {
            bytes.extend([format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
        }
        bytes.extend(b"0\r\n\r\n");
        Reply::raw(bytes)
    }

    /// JSON with status 200.
    pub fn json(body: &Value) -> Reply {
        Reply::http(200, "application/json", body.to_string())
    }

    /// The `data` of a success in Prometheus's envelope.
    pub fn success(data: Value) -> Reply {
        Reply::json(&json!({"status": "success", "data": data}))
    }

    /// An error in Prometheus's envelope.
    pub fn error(status: u16, kind: &str, message: &str) -> Reply {
        let body = json!({"status": "error", "errorType": kind, "error": message});
        Reply::http(status, "application/json", body.to_string())
    }

    /// The same with another JSON body.
    pub fn edited(self, edit: impl FnOnce(&mut Value)) -> Reply {
        let head_end = self.bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let mut body = serde_json::from_slice(&self.bytes[head_end + 4..]).expect("a JSON body");
        edit(&mut body);
        Reply { bytes: Reply::json(&body).bytes, ..self }
    }

    /// The same, but then the connection behaves like this.
    pub fn then(self, after: After) -> Reply {
        Reply { after, ..self }
    }

    /// The same, but this much later.
    pub fn delayed(self, delay: Duration) -> Reply {
        Reply { delay, ..self }
    }

    /// The same, but one byte at a time with this pause after each.
    pub fn dripping(self, pause: Duration) -> Reply {
        Reply { pause: Some(pause), ..self }
    }
}

impl Stub {
    /// Starts a stub on a free port of 127.0.0.1.
    pub fn start(behaviour: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Stub {
        Stub::start_on(Ipv4Addr::LOCALHOST.into(), behaviour)
    }

    /// Starts a stub on a free port of this address.
    pub fn start_on(address: IpAddr, behaviour: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Stub {
        Stub::start_at(SocketAddr::new(address, 0), behaviour)
    }

    /// Starts a stub at this address and port.
    pub fn start_at(address: SocketAddr, behaviour: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Stub {
        let listener = TcpListener::bind(address).expect("a free port");
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(Arc::new(behaviour)),
            upon_reads: Mutex::new(Arc::new(|_| Reply::http(404, "text/plain", "404 page not found"))),
            reads: Mutex::default(),
            requests: Mutex::default(),
            open: Mutex::default(),
            connections: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        });
        let of_acceptor = Arc::clone(&shared);
        let acceptor = std::thread::spawn(move || accept(&listener, &of_acceptor));
        Stub { address, shared, acceptor: Some(acceptor) }
    }

    /// Starts a stub that forwards all requests except remote reads to a server at this URL, and returns its responses.
    pub fn in_front_of(url: String) -> Stub {
        Stub::start(move |request| forwarded(&url, request))
    }

    /// Behaves like this from now on, and forgets the recorded requests.
    pub fn behave(&self, behaviour: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.shared.behaviour.lock().unwrap() = Arc::new(behaviour);
        self.shared.requests.lock().unwrap().clear();
    }

    /// Responds to remote reads like this from now on, and forgets the recorded ones.
    pub fn upon_reads(&self, behaviour: impl Fn(&Request) -> Reply + Send + Sync + 'static) {
        *self.shared.upon_reads.lock().unwrap() = Arc::new(behaviour);
        self.shared.reads.lock().unwrap().clear();
    }

    /// The number of remote reads.
    pub fn reads(&self) -> usize {
        self.read_requests().len()
    }

    /// The remote reads.
    pub fn read_requests(&self) -> Vec<Request> {
        self.shared.reads.lock().unwrap().clone()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Connection Details of the stub. They contain the scrape interval, so that the mirror need not measure it.
    pub fn details(&self) -> Value {
        json!({"host": self.address.ip().to_string(), "port": self.port(), "scrapeInterval": 15_000})
    }

    /// The requests seen since the start or the last change of behaviour.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many connections were made since the start.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// The requests whose PromQL contains this text.
    pub fn queries(&self, text: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.promql().contains(text)).collect()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then ends.
        let _ = TcpStream::connect(self.address);
        for stream in self.shared.open.lock().unwrap().values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for (connection, stream) in listener.incoming().map_while(Result::ok).enumerate() {
        let mut open = shared.open.lock().unwrap();
        if shared.stopping.load(Ordering::SeqCst) {
            return;
        }
        shared.connections.fetch_add(1, Ordering::SeqCst);
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        open.insert(connection, stream.try_clone().expect("a second handle"));
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // An error here, usually because the mirror has hung up, ends only the connection.
            let _ = serve(&stream, connection, &shared);
            // Both handles must be closed, or the mirror never sees the end.
            shared.open.lock().unwrap().remove(&connection);
        });
    }
}

fn serve(mut stream: &TcpStream, connection: usize, shared: &Shared) -> std::io::Result<()> {
    for nth in 0.. {
        let Some(request) = request::read(stream)? else { return Ok(()) };
        let request = Request { connection, nth, ..request };
        let is_read = request.path == "/api/v1/read";
        let behaviour = if is_read { &shared.upon_reads } else { &shared.behaviour };
        let behaviour = Arc::clone(&behaviour.lock().unwrap());
        let seen = if is_read { &shared.reads } else { &shared.requests };
        seen.lock().unwrap().push(request.clone());
        let reply = behaviour(&request);
        std::thread::sleep(reply.delay);
        match reply.pause {
            None => stream.write_all(&reply.bytes)?,
            Some(pause) => {
                for byte in reply.bytes {
                    stream.write_all(&[byte])?;
                    std::thread::sleep(pause);
                }
            }
        }
        match reply.after {
            After::Serve => {}
            After::Close => return Ok(()),
            After::Reset => return socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            After::Hang => return std::io::copy(&mut stream, &mut std::io::sink()).map(drop),
            After::Repeat(bytes) => loop {
                stream.write_all(&bytes)?;
            },
            After::Trickle(bytes, pause) => loop {
                std::thread::sleep(pause);
                stream.write_all(&bytes)?;
            },
            After::Count(bytes) => {
                for nth in 0.. {
                    stream.write_all(&bytes(nth))?;
                }
            }
        }
    }
    Ok(())
}

/// What a server at this URL responds to a request. If it is VictoriaMetrics, the response says so.
pub fn forwarded(url: &str, request: &Request) -> Reply {
    let url = format!("{url}{}", request.path);
    let parameters = request.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let response = match request.method.as_str() {
        "POST" => agent().post(url).send_form(parameters),
        _ => agent().get(url).query_pairs(parameters).call(),
    };
    let mut response = response.expect("a response of the server behind the stub");
    let text = response.body_mut().with_config().limit(256 << 20).read_to_string().unwrap();
    if response.status() == 200 && response.headers().contains_key("x-server-hostname") {
        return Reply::of_victoria(text);
    }
    Reply::http(response.status().as_u16(), "application/json", text)
}

/// A small, correct Prometheus: one series `stub_metric{job="a"}`, whose value is always 1.5.
pub fn good(request: &Request) -> Reply {
    let labels = json!({"__name__": "stub_metric", "job": "a"});
    let seconds = |millis: i64| millis as f64 / 1000.0;
    match request.path.as_str() {
        "/api/v1/query" if request.promql().ends_with(']') => {
            let end = request.millis("time");
            let samples = json!([[seconds(end - 1000), "1.5"], [seconds(end), "1.5"]]);
            Reply::success(json!({"resultType": "matrix", "result": [{"metric": labels, "values": samples}]}))
        }
        "/api/v1/query" => {
            let sample = json!([1_700_000_000, "1.5"]);
            Reply::success(json!({"resultType": "vector", "result": [{"metric": labels, "value": sample}]}))
        }
        "/api/v1/query_range" => {
            let step: f64 = request.parameter("step").map_or(15.0, |step| step.parse().unwrap());
            let times = (request.millis("start")..=request.millis("end")).step_by((step * 1000.0) as usize);
            let samples: Vec<Value> = times.map(|time| json!([seconds(time), "1.5"])).collect();
            Reply::success(json!({"resultType": "matrix", "result": [{"metric": labels, "values": samples}]}))
        }
        "/api/v1/series" => Reply::success(json!([labels])),
        "/api/v1/labels" => Reply::success(json!(["__name__", "instance", "job"])),
        "/api/v1/metadata" => Reply::success(json!({})),
        "/api/v1/label/__name__/values" => Reply::success(json!(["stub_metric", "stub_requests_total"])),
        path if path.starts_with("/api/v1/label/") => Reply::success(json!(["a", "b", "c"])),
        _ => Reply::http(404, "text/plain", "404 page not found"),
    }
}
