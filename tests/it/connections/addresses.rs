//! Names with several addresses, some of which do not answer, or accept connections and then stay silent.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

use super::{check_fails, check_good, named, verdict};
use crate::support::certificates::Certificates;
use crate::support::mirror::Mirror;
use crate::support::name_server::{Dnsmasq, mirror_with};
use crate::support::process::{Server, wait_until};
use crate::support::stub::{After, Reply, Request, Stub, good};

const SECOND: Duration = Duration::from_secs(1);

/// The `requestTimeout` of the tests with mute addresses. The mirror waits for such an address for a quarter of it.
const TIMEOUT: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_millis(500);

/// How long the mirror waits for each address alone if all are mute.
const STAGGER: Duration = Duration::from_millis(300);

/// How long everything else may take.
const SLACK: Duration = Duration::from_millis(800);

/// Two addresses of the name `two.example`. The resolver prefers the one that has the longer common prefix with 127.0.0.1, from
/// which the mirror connects (RFC 6724, rule 9).
const FIRST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SECOND_ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 129);
const TWO: &str = "127.0.0.2 two.example\n127.0.0.129 two.example\n";

/// An address that does not complete connections: its queue is full, and no program accepts.
struct BlackHole {
    address: SocketAddr,
    _listener: Socket,
    _queued: Vec<TcpStream>,
}

impl BlackHole {
    fn at(address: SocketAddr) -> BlackHole {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(100));
        let queued = std::iter::from_fn(|| connect().ok()).collect();
        BlackHole { address, _listener: listener, _queued: queued }
    }
}

#[test]
fn an_address_that_does_not_answer_costs_a_fraction_of_a_second() {
    let at = |last: u8, port: u16| SocketAddr::new(Ipv4Addr::new(127, 0, 0, last).into(), port);
    let stub = Stub::start_on(at(129, 0).ip(), good);
    let holes = [BlackHole::at(at(2, stub.port())), BlackHole::at(at(3, stub.port()))];
    // As above, the last one comes last.
    let hosts = [(2, "one"), (129, "one"), (2, "two"), (3, "two"), (129, "two"), (2, "none"), (3, "none")];
    let hosts: Vec<String> = hosts.iter().map(|(last, name)| format!("127.0.0.{last} {name}")).collect();
    let names = Dnsmasq::start(&hosts.join("\n"));
    let (mirror, _conf) = mirror_with(&names.resolv_conf(""), &["--connection-lifetime", "1"]);
    for (name, least) in [("one", SECOND / 4), ("two", SECOND / 2)] {
        let (said, took) = verdict(&mirror, &named(name, stub.port(), SECOND * 10));
        assert!(said == "OK" && took >= least && took < least + SECOND / 2, "{name}: {took:?}: {said}");
    }
    let says = ["cannot be reached: no connection within", "NetworkPolicy"];
    check_fails(&mirror, &named("none", stub.port(), SECOND), SECOND * 2, &says);
    drop(holes);
}

#[test]
fn silence_a_refusal_and_no_route_are_told_apart() {
    let mirror = Mirror::start();
    let hole = BlackHole::at("127.0.0.43:0".parse().unwrap());
    let details = json!({"host": "127.0.0.43", "port": hole.address.port(), "requestTimeout": 500});
    let says = ["no connection within", "firewall or NetworkPolicy drops"];
    check_fails(&mirror, &details, SECOND, &says);
    let no_listener = json!({"host": "127.0.0.44", "port": hole.address.port()});
    check_fails(&mirror, &no_listener, SECOND, &["cannot be reached: Connection refused; check the port"]);
    // The system accepts the connection, but no program answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let says = ["accepted the connection, but did not answer the TLS hello within", "check that the port uses https"];
    check_fails(&mirror, &json!({"url": url, "requestTimeout": 500}), SECOND, &says);
    let stub = Stub::start(good);
    check_good(&mirror, &stub.details(), SECOND);
}

/// Two stubs at the two addresses, on the same port.
fn two_stubs(first: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (Stub, Stub) {
    let second = Stub::start_on(SECOND_ADDRESS.into(), good);
    (Stub::start_at(SocketAddr::new(FIRST.into(), second.port()), first), second)
}

/// Checks for a good response that takes this time.
fn check_took(mirror: &Mirror, details: &Value, least: Duration) {
    let (said, took) = verdict(mirror, details);
    assert!(said == "OK" && took >= least && took < least + SLACK, "{took:?}: {said}");
}

/// Checks for an error at the timeout with this text.
fn check_silent(mirror: &Mirror, details: &Value, says: &str) {
    let (said, took) = verdict(mirror, details);
    assert!(said.contains(says) && took >= TIMEOUT && took < TIMEOUT + SLACK, "{took:?}: {said}");
}

/// Waits until the mirror makes new connections.
fn outlive_connections() {
    std::thread::sleep(SECOND + SECOND / 10);
}

#[test]
fn an_address_that_accepts_connections_and_says_nothing_costs_one_query_and_that_not_much() {
    let (first, second) = two_stubs(|_| Reply::raw("").then(After::Hang));
    let names = Dnsmasq::start(TWO);
    let (mirror, _conf) = mirror_with(&names.resolv_conf(""), &["--connection-lifetime", "1"]);
    let details = named("two.example", second.port(), TIMEOUT);
    check_took(&mirror, &details, PATIENCE);
    check_took(&mirror, &details, Duration::ZERO);
    outlive_connections();
    check_took(&mirror, &details, Duration::ZERO);
    assert_eq!((first.requests().len(), second.requests().len(), second.connections()), (1, 3, 2));

    // If the preferred address becomes mute as well, the query fails in time.
    second.behave(|_| Reply::raw("").then(After::Hang));
    outlive_connections();
    check_silent(&mirror, &details, "did not answer within");
}

#[test]
fn an_address_that_closes_connections_is_passed_over() {
    for after in [After::Close, After::Reset] {
        let end = after.clone();
        let (first, second) = two_stubs(move |_| Reply::raw("").then(end.clone()));
        let names = Dnsmasq::start(TWO);
        let (mirror, _conf) = mirror_with(&names.resolv_conf(""), &["--connection-lifetime", "1"]);
        let details = named("two.example", second.port(), TIMEOUT);
        check_took(&mirror, &details, Duration::ZERO);
        outlive_connections();
        check_took(&mirror, &details, Duration::ZERO);
        assert_eq!((first.requests().len(), second.requests().len()), (1, 2), "{after:?}");
        // If all close, each gets one call.
        let end = after.clone();
        second.behave(move |_| Reply::raw("").then(end.clone()));
        outlive_connections();
        check_fails(&mirror, &details, SLACK, &["closed the connection before the response was complete"]);
        assert!(first.requests().len() + second.requests().len() <= 3, "{after:?}");
    }
}

#[test]
fn the_third_address_gets_its_chance_where_two_say_nothing() {
    let at = |last: u8, port: u16| SocketAddr::new(Ipv4Addr::new(127, 0, 0, last).into(), port);
    let third = Stub::start_on(at(129, 0).ip(), good);
    let mute = |last| Stub::start_at(at(last, third.port()), |_| Reply::raw("").then(After::Hang));
    let (first, second) = (mute(2), mute(3));
    let hosts: Vec<String> = [2, 3, 129].map(|last| format!("127.0.0.{last} three.example")).to_vec();
    let names = Dnsmasq::start(&hosts.join("\n"));
    let (mirror, _conf) = mirror_with(&names.resolv_conf(""), &["--connection-lifetime", "1"]);
    let details = named("three.example", third.port(), TIMEOUT);
    // A quarter of the time, and then a quarter of the rest.
    check_took(&mirror, &details, PATIENCE * 7 / 4);
    check_took(&mirror, &details, Duration::ZERO);
    assert_eq!([&first, &second, &third].map(|stub| stub.requests().len()), [1, 1, 2]);
}

#[test]
fn where_all_addresses_say_nothing_the_first_that_is_back_is_found_at_once() {
    let at = |last: u8, port: u16| SocketAddr::new(Ipv4Addr::new(127, 0, 0, last).into(), port);
    let mute = |_: &Request| Reply::raw("").then(After::Hang);
    let third = Stub::start_on(at(129, 0).ip(), good);
    let (first, second) = (Stub::start_at(at(2, third.port()), mute), Stub::start_at(at(3, third.port()), mute));
    let hosts: Vec<String> = [2, 3, 129].map(|last| format!("127.0.0.{last} three.example")).to_vec();
    let names = Dnsmasq::start(&hosts.join("\n"));
    let (mirror, _conf) = mirror_with(&names.resolv_conf(""), &["--connection-lifetime", "1"]);
    let details = named("three.example", third.port(), TIMEOUT);
    check_took(&mirror, &details, PATIENCE * 7 / 4);
    // Now all are mute. The mirror tries them in the order in which they became mute, so the first is tried first and last.
    third.behave(mute);
    for least in [Duration::ZERO, STAGGER * 2] {
        outlive_connections();
        check_silent(&mirror, &details, "did not answer within");
        first.behave(good);
        check_took(&mirror, &details, least);
        first.behave(mute);
    }
    drop(second);
}

#[test]
fn a_kept_connection_that_is_silent_once_its_name_has_moved_costs_no_query() {
    let (old, new) = two_stubs(good);
    let names = Dnsmasq::start(&format!("{FIRST} moving.example"));
    let (mirror, _conf) = mirror_with(&names.resolv_conf(""), &[]);
    let details = named("moving.example", old.port(), TIMEOUT);
    check_took(&mirror, &details, Duration::ZERO);
    // Nothing answers at the old address any more, as if its machine were gone.
    names.know(&format!("{SECOND_ADDRESS} moving.example"));
    old.behave(|_| Reply::raw("").then(After::Hang));
    check_took(&mirror, &details, PATIENCE);
    check_took(&mirror, &details, Duration::ZERO);
    assert_eq!((old.requests().len(), new.requests().len()), (1, 2));
}

#[test]
fn an_address_that_is_slow_is_not_taken_for_a_mute_one() {
    const SLOW: Duration = Duration::from_millis(1_200);
    let (first, second) = two_stubs(|request| good(request).delayed(SLOW));
    second.behave(|request| good(request).delayed(SLOW));
    let names = Dnsmasq::start(TWO);
    let (mirror, _conf) = mirror_with(&names.resolv_conf(""), &["--connection-lifetime", "1"]);
    let details = named("two.example", second.port(), TIMEOUT);
    check_took(&mirror, &details, SLOW);
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
    // The first address is tried first again.
    first.behave(good);
    outlive_connections();
    check_took(&mirror, &details, Duration::ZERO);
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
}

/// TLS at the second address, before a stub.
fn tls_in_front_of(stub: &Stub, certificates: &Certificates) -> Server {
    let tls = Server::start("socat", "socat", |_, port| {
        let Certificates { certificate, key, .. } = certificates;
        let files = format!("cert={},key={},verify=0", certificate.display(), key.display());
        vec![
            format!("OPENSSL-LISTEN:{port},bind={SECOND_ADDRESS},{files},fork"),
            format!("TCP:127.0.0.1:{},nodelay", stub.port()),
        ]
    });
    let listens = || TcpStream::connect((SECOND_ADDRESS, tls.port())).is_ok();
    wait_until(|| format!("socat listens; its log:\n{}", tls.log()), listens);
    tls
}

#[test]
fn an_address_that_does_not_answer_the_tls_hello_is_given_up_for_another() {
    let (certificates, stub) = (Certificates::of("two.example"), Stub::start(good));
    let tls = tls_in_front_of(&stub, &certificates);
    let mute = TcpListener::bind((FIRST, tls.port())).unwrap();
    let names = Dnsmasq::start(TWO);
    let flags = ["--connection-lifetime", "1", "--ca-path", certificates.authority.to_str().unwrap()];
    let (mirror, _conf) = mirror_with(&names.resolv_conf(""), &flags);
    let url = format!("https://two.example:{}/", tls.port());
    let details = json!({"url": url, "requestTimeout": TIMEOUT.as_millis() as u64});
    check_took(&mirror, &details, PATIENCE);
    outlive_connections();
    check_took(&mirror, &details, Duration::ZERO);
    mute.set_nonblocking(true).unwrap();
    assert_eq!(mute.incoming().map_while(Result::ok).count(), 1);
}

#[test]
fn an_address_that_closes_the_connection_upon_the_tls_hello_is_given_up_for_another() {
    let (certificates, stub) = (Certificates::of("two.example"), Stub::start(good));
    let tls = tls_in_front_of(&stub, &certificates);
    let closing = TcpListener::bind((FIRST, tls.port())).unwrap();
    std::thread::spawn(move || closing.incoming().for_each(drop));
    let names = Dnsmasq::start(TWO);
    let flags = ["--connection-lifetime", "1", "--ca-path", certificates.authority.to_str().unwrap()];
    let (mirror, _conf) = mirror_with(&names.resolv_conf(""), &flags);
    let url = format!("https://two.example:{}/", tls.port());
    let details = json!({"url": url, "requestTimeout": TIMEOUT.as_millis() as u64});
    for _ in 0..2 {
        check_took(&mirror, &details, Duration::ZERO);
        outlive_connections();
    }
}

#[test]
fn an_address_of_the_proxy_that_says_nothing_costs_one_query() {
    let (first, second) = two_stubs(|_| Reply::raw("").then(After::Hang));
    second.behave(|request| match request.method.as_str() {
        "CONNECT" => Reply::raw("HTTP/1.1 200 Connection established\r\n\r\n"),
        _ => good(request),
    });
    let names = Dnsmasq::start(TWO);
    let proxy = format!("http://two.example:{}", second.port());
    let (mirror, _conf) = mirror_with(&names.resolv_conf(""), &["--connection-lifetime", "1", "--proxy", &proxy]);
    let details = named("prometheus.example", 9090, TIMEOUT);
    check_silent(&mirror, &details, "opened no connection to the upstream");
    for _ in 0..2 {
        check_took(&mirror, &details, Duration::ZERO);
        outlive_connections();
    }
    assert_eq!(first.requests().len(), 1);
}
