//! TLS in front of a server: Debian's nginx, with certificates for the test.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, date_time_ymd,
};
use tempfile::TempDir;

use crate::skipping::program;

/// A timeout for a front to start that suffices on a slow and busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// A file in a front's folder: while it exists, the API key is revoked.
const REVOKED: &str = "revoked";

/// Certificates and their keys, deleted when dropped.
pub struct Certificates {
    folder: TempDir,
}

impl Certificates {
    /// Creates two authorities: the first with a server's and a client's certificate, valid ones and expired ones; the second with
    /// both, valid.
    ///
    /// # Panics
    /// They cannot be created.
    #[must_use]
    pub fn make() -> Certificates {
        let certificates = Certificates { folder: tempfile::tempdir().expect("a temporary folder") };
        let [known, unknown] = ["known", "unknown"].map(|name| certificates.authority(name));
        for (authority, suffix, is_expired) in
            [(&known, "", false), (&known, "-expired", true), (&unknown, "-unknown", false)]
        {
            certificates.issue(
                authority,
                &format!("server{suffix}"),
                &["localhost", "temporal.test"],
                is_expired,
            );
            certificates.issue(authority, &format!("client{suffix}"), &[], is_expired);
        }
        certificates
    }

    /// Creates an authority.
    fn authority(&self, name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut parameters = parameters(name, &[]);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(parameters, key()).expect("a certificate of an authority");
        self.write(name, &authority.pem(), authority.key());
        authority
    }

    /// Creates a certificate, signed by an authority: a server's for these hosts, or a client's without hosts.
    fn issue(&self, authority: &Issuer<'_, KeyPair>, name: &str, hosts: &[&str], is_expired: bool) {
        let (mut parameters, key) = (parameters(name, hosts), key());
        if hosts.is_empty() {
            parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        }
        if is_expired {
            (parameters.not_before, parameters.not_after) =
                (date_time_ymd(2020, 1, 1), date_time_ymd(2021, 1, 1));
        }
        let certificate = parameters.signed_by(&key, authority).expect("a signed certificate");
        self.write(name, &certificate.pem(), &key);
    }

    fn write(&self, name: &str, certificate: &str, key: &KeyPair) {
        for (kind, content) in [("pem", certificate), ("key", &key.serialize_pem())] {
            fs::write(self.file(&format!("{name}.{kind}")), content).expect("it can be written");
        }
    }

    /// The path of a file, such as `client.key`.
    ///
    /// # Panics
    /// The path of the temporary folder is not UTF-8.
    #[must_use]
    pub fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("it is text").to_owned()
    }

    /// Writes a `temporal.toml` whose profile `class` has this front, the client's certificate and this namespace; returns its path.
    ///
    /// # Panics
    /// It cannot be written.
    #[must_use]
    pub fn profile(&self, front: &Front, namespace: &str) -> String {
        let file = self.file("temporal.toml");
        let profile = format!(
            "[profile.class]\naddress = \"localhost:{}\"\nnamespace = \"{namespace}\"\n[profile.class.tls]\n\
             server_ca_cert_path = \"{}\"\nclient_cert_path = \"{}\"\nclient_key_path = \"{}\"\n",
            front.port,
            self.file("known.pem"),
            self.file("client.pem"),
            self.file("client.key"),
        );
        fs::write(&file, profile).expect("it can be written");
        file
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

/// The parameters of a certificate.
fn parameters(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let mut parameters = CertificateParams::new(hosts).expect("names of hosts");
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}

/// The settings of a front.
#[derive(Clone, Copy)]
pub struct Manner<'a> {
    /// The name of its certificate.
    pub certificate: &'a str,
    /// Whether it requires a client certificate of the known authority.
    pub wants_certificate: bool,
    /// The API key that it requires.
    pub wants_key: Option<&'a str>,
    /// The forbidden calls, by path, such as `/temporal.api.operatorservice.v1.OperatorService/AddSearchAttributes`.
    pub refuses: &'a [&'a str],
}

impl Default for Manner<'_> {
    fn default() -> Self {
        Manner { certificate: "server", wants_certificate: false, wants_key: None, refuses: &[] }
    }
}

/// A TLS front on its own port. Killed when dropped.
pub struct Front {
    /// Its port on 127.0.0.1.
    pub port: u16,
    child: Child,
    folder: TempDir,
}

impl Front {
    /// nginx in front of a server at this address, `host:port`.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start(certificates: &Certificates, manner: Manner<'_>, server: &str) -> Front {
        let client = match manner.wants_certificate {
            true => {
                format!("ssl_client_certificate {}; ssl_verify_client on;", certificates.file("known.pem"))
            }
            false => String::new(),
        };
        let key = match manner.wants_key {
            Some(key) => format!(
                "if ($http_authorization != \"Bearer {key}\") {{ return 401; }} if (-f $document_root/{REVOKED}) {{ return 401; }}"
            ),
            None => String::new(),
        };
        // A trailers-only response with PERMISSION_DENIED, 7.
        let refusals: String = manner
            .refuses
            .iter()
            .map(|path| {
                format!(
                    "location = {path} {{ default_type application/grpc; add_header grpc-status 7; \
                     add_header grpc-message 'not for you'; return 200 ''; }}\n"
                )
            })
            .collect();
        let (certificate, certificate_key) = (
            certificates.file(&format!("{}.pem", manner.certificate)),
            certificates.file(&format!("{}.key", manner.certificate)),
        );
        Front::nginx(|port, folder| {
            let root = folder.display();
            // A worker's polls stay open for a minute, and one connection may have any number of them.
            format!(
                "root {root}; listen 127.0.0.1:{port} ssl http2; http2_max_concurrent_streams 1000; keepalive_requests 100000;\n\
                 ssl_certificate {certificate}; ssl_certificate_key {certificate_key}; {client}\n\
                 grpc_read_timeout 120s; grpc_send_timeout 120s; client_body_timeout 120s;\n\
                 {refusals}location / {{ {key} grpc_pass grpc://{server}; }}\n"
            )
        })
    }

    /// nginx as a reverse proxy of a web service at this address, `host:port`, with these directives. With certificates, it is `https`
    /// outside.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn of_web(certificates: Option<&Certificates>, directives: &str, service: &str) -> Front {
        let tls = certificates.map(|certificates| {
            let (certificate, key) = (certificates.file("server.pem"), certificates.file("server.key"));
            format!(" ssl; ssl_certificate {certificate}; ssl_certificate_key {key}")
        });
        let tls = tls.unwrap_or_default();
        Front::nginx(|port, _| {
            format!(
                "listen 127.0.0.1:{port}{tls};\nlocation / {{ proxy_pass http://{service};\n{directives} }}\n"
            )
        })
    }

    /// Runs nginx with this server.
    fn nginx(server: impl Fn(u16, &Path) -> String) -> Front {
        Front::run(Some("pid"), |port, folder| {
            let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|kind| format!("{kind}_temp_path {kind};\n"))
                .concat();
            let server = server(port, folder);
            let config = format!(
                "daemon off; master_process off; pid pid; error_log log info; events {{}}\n\
                 http {{ access_log off; {temporary} server {{\n{server}}} }}\n"
            );
            fs::write(folder.join("nginx.conf"), config).expect("it can be written");
            let mut command = Command::new(program("nginx").expect("it was there"));
            command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "log"]);
            command
        })
    }

    /// Revokes its API key: from now on it responds with 401.
    ///
    /// # Panics
    /// Its folder is not writable.
    pub fn revoke(&self) {
        fs::write(self.folder.path().join(REVOKED), "").expect("it is this test's own");
    }

    /// A server that rejects a client in the TLS handshake, like Temporal's own, while nginx responds to a request with an error. It does
    /// not serve valid clients either.
    ///
    /// # Panics
    /// It does not start.
    #[must_use]
    pub fn start_strict(certificates: &Certificates) -> Front {
        Front::run(None, |port, _| {
            let mut command = Command::new("openssl");
            command.args(["s_server", "-quiet", "-alpn", "h2", "-Verify", "1", "-verify_return_error"]);
            command.args([
                "-accept",
                &format!("127.0.0.1:{port}"),
                "-CAfile",
                &certificates.file("known.pem"),
            ]);
            command.args([
                "-cert",
                &certificates.file("server.pem"),
                "-key",
                &certificates.file("server.key"),
            ]);
            command
        })
    }

    /// Runs a server and waits until it listens, and until it has written this file if there is one.
    fn run(writes: Option<&str>, command: impl Fn(u16, &Path) -> Command) -> Front {
        // Another process may have taken the port in the meantime; then the server exits, nginx after some retries.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            let port = port.expect("a free port").port();
            let folder = tempfile::tempdir().expect("a temporary folder");
            let log = fs::File::create(folder.path().join("log")).expect("a log file");
            let mut command = command(port, folder.path());
            // One of the two servers ends with its input.
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
            let child = command.spawn().expect("it can be run");
            let mut front = Front { port, child, folder };
            if front.listens(writes) {
                return front;
            }
        }
        panic!("five fronts in a row did not start")
    }

    /// Whether it listens before it exits.
    fn listens(&mut self, writes: Option<&str>) -> bool {
        let begin = Instant::now();
        loop {
            if self.child.try_wait().expect("a child can be asked").is_some() {
                println!("{}", self.log());
                return false;
            }
            let is_up = match writes {
                Some(file) => self.folder.path().join(file).exists(),
                None => TcpStream::connect(("127.0.0.1", self.port)).is_ok(),
            };
            if is_up {
                return true;
            }
            assert!(begin.elapsed() < DEADLINE, "a front does not listen: {}", self.log());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its log so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
