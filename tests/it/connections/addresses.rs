//! Several addresses of a name, some of which do not answer.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::json;
use socket2::{Domain, Socket, Type};

use super::{check_fails, check_good, named, verdict};
use crate::support::mirror::Mirror;
use crate::support::name_server::{Dnsmasq, mirror_with};
use crate::support::stub::{Stub, good};

const SECOND: Duration = Duration::from_secs(1);

/// An address that answers no attempt to connect: its queue is full, and nobody accepts.
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
    // The resolver puts those first that have most in common with 127.0.0.1, from where the mirror connects (RFC 6724, rule 9).
    let hosts = [(2, "one"), (129, "one"), (2, "two"), (3, "two"), (129, "two"), (2, "none"), (3, "none")];
    let hosts: Vec<String> = hosts.iter().map(|(last, name)| format!("127.0.0.{last} {name}")).collect();
    let names = Dnsmasq::start(&hosts.join("\n"));
    let (mirror, _conf) = mirror_with(&names.resolv_conf(""), &["--connection-lifetime", "1"]);
    for (name, least) in [("one", SECOND / 4), ("two", SECOND / 2)] {
        let (said, took) = verdict(&mirror, &named(name, stub.port(), SECOND * 10));
        assert!(said == "OK" && took >= least && took < least + SECOND / 2, "{name}: {took:?}: {said}");
    }
    let says = ["cannot be reached: the attempt to connect was not answered within", "NetworkPolicy"];
    check_fails(&mirror, &named("none", stub.port(), SECOND), SECOND * 2, &says);
    drop(holes);
}

#[test]
fn no_answer_a_refusal_and_no_route_are_told_apart() {
    let mirror = Mirror::start();
    let hole = BlackHole::at("127.0.0.43:0".parse().unwrap());
    let details = json!({"host": "127.0.0.43", "port": hole.address.port(), "requestTimeout": 500});
    let says = ["the attempt to connect was not answered within", "firewall or NetworkPolicy drops"];
    check_fails(&mirror, &details, SECOND, &says);
    let nobody = json!({"host": "127.0.0.44", "port": hole.address.port()});
    check_fails(&mirror, &nobody, SECOND, &["cannot be reached: Connection refused; check the port"]);
    // Accepted by the system, but never answered.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", silent.local_addr().unwrap());
    let says = ["accepted the connection, but did not answer the TLS hello within", "check that the port speaks https"];
    check_fails(&mirror, &json!({"url": url, "requestTimeout": 500}), SECOND, &says);
    let stub = Stub::start(good);
    check_good(&mirror, &stub.details(), SECOND);
}
