use std::{
    fmt::Write as _,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};

use secrecy::ExposeSecret;

use super::{People, Person, RETAIL};
use crate::proxy::Proxy;

/// Worth trying in this order; the tests run them.
pub const QUERIES: [(&str, &str); 3] = [
    (
        "The same question, another answer for each user:",
        "SELECT region, count(*) AS sales, sum(amount) AS revenue
FROM retail.sales GROUP BY region ORDER BY region;",
    ),
    (
        "A join over four tables, Parquet and CSV:",
        "SELECT st.country, p.category, count(DISTINCT c.customer_id) AS customers, sum(s.amount) AS revenue
FROM retail.sales s
JOIN retail.products p ON p.product_id = s.product_id
JOIN retail.stores st ON st.store_id = s.store_id
JOIN retail.customers c ON c.customer_id = s.customer_id
WHERE c.segment = 'vip' AND s.sold_at >= '2025-01-01'
GROUP BY st.country, p.category ORDER BY revenue DESC LIMIT 10;",
    ),
    (
        "The best customers, with masked e-mail addresses:",
        "SELECT c.name, c.email, c.phone, sum(s.amount) AS spent
FROM retail.sales s JOIN retail.customers c ON c.customer_id = s.customer_id
GROUP BY c.customer_id, c.name, c.email, c.phone ORDER BY spent DESC LIMIT 5;",
    ),
];

/// What a newcomer needs to begin, ready to paste.
pub fn text(proxy: &Proxy, people: &People, policy: &Path) -> String {
    let mut text = "weir is ready; Ctrl-C ends it.\n\nCatalogs\n".to_owned();
    let catalogs = proxy.catalogs();
    let width = catalogs.iter().map(|catalog| catalog.name.len()).max().unwrap_or_default();
    for catalog in &catalogs {
        let name = &catalog.name;
        // Writing to a String can't fail.
        let _ = match &catalog.failure {
            None => writeln!(text, "  {name:width$}  {} tables", catalog.tables),
            Some(why) => writeln!(text, "  {name:width$}  can't be read yet: {why}"),
        };
    }
    let People([first, others @ ..]) = people;
    let addresses = proxy.addresses();
    if let Some(address) = addresses.postgres.first() {
        let _ = writeln!(text, "\nConnect with psql\n  {}", psql(*address, first));
        let _ = writeln!(text, "  as {}, who sees {}", first.name, first.sees);
        let _ = writeln!(text, "\nThe same as somebody else");
        for person in others {
            let line = psql(*address, person);
            let _ = writeln!(text, "  {line}\n  as {}, who sees {}", person.name, person.sees);
        }
    }
    if let Some(address) = addresses.flight.first() {
        let _ = writeln!(text, "\nConnect from Python (pip install adbc-driver-flightsql pyarrow)");
        let _ = writeln!(text, "  import adbc_driver_flightsql.dbapi");
        let _ = writeln!(text, "  {}", python(*address, first));
    }
    text.push_str("\nThree queries worth trying\n");
    for (about, query) in QUERIES {
        let _ = writeln!(text, "\n  -- {about}");
        query.lines().for_each(|line| {
            let _ = writeln!(text, "  {line}");
        });
    }
    let added: Vec<_> = catalogs.iter().filter(|catalog| catalog.name != RETAIL).collect();
    if let Some(catalog) = added.first() {
        let name = &catalog.name;
        let _ = writeln!(text, "\nTables of {name} are {name}.TABLE; \\dt {name}.* lists them.");
    }
    let _ = writeln!(text, "\nWho may see what: {} (read again when it changes)", policy.display());
    if let Some(address) = addresses.http.first() {
        let _ = writeln!(text, "For operators:    http://{}/metrics", reachable(*address));
    }
    text
}

fn psql(address: SocketAddr, person: &Person) -> String {
    let (name, password) = (person.name, person.password.expose_secret());
    let (host, port) = (reachable(address).ip(), address.port());
    format!("PGPASSWORD={password} psql -h {host} -p {port} -U {name} weir")
}

fn python(address: SocketAddr, person: &Person) -> String {
    let (name, password) = (person.name, person.password.expose_secret());
    let address = reachable(address);
    format!(
        "connection = adbc_driver_flightsql.dbapi.connect(\"grpc://{address}\", \
         db_kwargs={{\"username\": \"{name}\", \"password\": \"{password}\"}})"
    )
}

/// Where a client of this machine finds a listener of every address.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
