//! TLS before a server: Debian's nginx, and certificates of the test's own.

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;
use testbed::until;

/// Whether these programs are there. Where one is not, this says that the test is skipped; where everything has to be tested, it
/// fails.
pub(crate) fn has(programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|name| program(name).is_none()).collect();
    missing.is_empty() || skip(&format!("there is no {} here", missing.join(", no ")))
}

/// Says that a test is skipped, and why; where everything has to be tested, it fails. Elsewhere than on Linux these are not.
pub(crate) fn skip(why: &str) -> bool {
    let is_ci = env::var_os("CI").is_some_and(|value| !value.is_empty());
    assert!(!(is_ci && cfg!(target_os = "linux")), "{why}");
    println!("skipped: {why}");
    false
}

/// Where a program is. Not everybody has the folders of servers on PATH.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// Makes, by openssl: two authorities; of the first a server's and a client's certificate, and both once more, long expired; of the
/// second both, too.
const MAKE: &str = r#"
key() { openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1.key"; }
authority() {
  key "$1"
  openssl req -x509 -new -key "$1.key" -subj "/CN=$1" -days 2 -out "$1.pem"
  printf '[ca]\ndefault_ca=it\n[it]\ndatabase=%s.index\nnew_certs_dir=.\nserial=%s.serial\ndefault_md=sha256\n' "$1" "$1" > "$1.cnf"
  printf 'policy=any\nunique_subject=no\ncopy_extensions=copy\ndefault_days=2\n[any]\ncommonName=supplied\n' >> "$1.cnf"
  : > "$1.index"
  echo 01 > "$1.serial"
}
# usage: certificate AUTHORITY NAME EXTENSION [DATES…]
certificate() {
  signer=$1 name=$2 extension=$3
  shift 3
  key "$name"
  openssl req -new -key "$name.key" -subj "/CN=$name" -addext "$extension" -out "$name.csr"
  openssl ca -batch -notext -config "$signer.cnf" -cert "$signer.pem" -keyfile "$signer.key" -in "$name.csr" -out "$name.pem" "$@"
}
names=subjectAltName=DNS:localhost,DNS:temporal.test
client=extendedKeyUsage=clientAuth
past="-startdate 20200101000000Z -enddate 20210101000000Z"
authority known
authority unknown
certificate known server $names
certificate known server-expired $names $past
certificate unknown server-unknown $names
certificate known client $client
certificate known client-expired $client $past
certificate unknown client-unknown $client
"#;

/// Certificates and their keys, gone when dropped.
pub(crate) struct Certificates {
    folder: TempDir,
}

impl Certificates {
    pub(crate) fn make() -> Certificates {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let made = Command::new("sh").args(["-euc", MAKE]).current_dir(folder.path()).output();
        let made = made.expect("there is a shell");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Certificates { folder }
    }

    /// The file of that name, such as `client.key`.
    pub(crate) fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("it is text").to_owned()
    }
}

/// What a front is like.
#[derive(Clone, Copy)]
pub(crate) struct Manner<'a> {
    /// The name of its certificate.
    pub(crate) certificate: &'a str,
    /// Whether only who has a certificate of the known authority gets through.
    pub(crate) wants_certificate: bool,
    /// Only who has this API key gets through.
    pub(crate) wants_key: Option<&'a str>,
}

impl Default for Manner<'_> {
    fn default() -> Self {
        Manner { certificate: "server", wants_certificate: false, wants_key: None }
    }
}

/// TLS on a port of its own. Killed when dropped.
pub(crate) struct Front {
    pub(crate) port: u16,
    child: Child,
    folder: TempDir,
}

impl Front {
    /// nginx before that server.
    pub(crate) async fn start(certificates: &Certificates, manner: Manner<'_>, server: &str) -> Front {
        let client = match manner.wants_certificate {
            true => {
                format!("ssl_client_certificate {}; ssl_verify_client on;", certificates.file("known.pem"))
            }
            false => String::new(),
        };
        let key = match manner.wants_key {
            Some(key) => format!("if ($http_authorization != \"Bearer {key}\") {{ return 401; }}"),
            None => String::new(),
        };
        let (certificate, certificate_key) = (
            certificates.file(&format!("{}.pem", manner.certificate)),
            certificates.file(&format!("{}.key", manner.certificate)),
        );
        Front::run(|port, folder| {
            let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|kind| format!("{kind}_temp_path {kind};\n"))
                .concat();
            // A worker's polls are open for a minute, and over one connection as many as it likes.
            let config = format!(
                "daemon off; master_process off; pid pid; error_log log info; events {{}}\n\
                 http {{ access_log off; {temporary} server {{\n\
                 listen 127.0.0.1:{port} ssl http2; http2_max_concurrent_streams 1000; keepalive_requests 100000;\n\
                 ssl_certificate {certificate}; ssl_certificate_key {certificate_key}; {client}\n\
                 grpc_read_timeout 120s; grpc_send_timeout 120s; client_body_timeout 120s;\n\
                 location / {{ {key} grpc_pass grpc://{server}; }}\n}} }}\n"
            );
            fs::write(folder.join("nginx.conf"), config).expect("it can be written");
            let mut command = Command::new(program("nginx").expect("it was there"));
            command.arg("-p").arg(folder).args(["-c", "nginx.conf", "-e", "log"]);
            command
        })
        .await
    }

    /// A server that refuses a client in the handshake, as Temporal's own does, where nginx answers a request with an error. It
    /// serves nobody else either.
    pub(crate) async fn start_strict(certificates: &Certificates) -> Front {
        Front::run(|port, _| {
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
        .await
    }

    /// Runs a server and waits until it listens.
    async fn run(command: impl Fn(u16, &Path) -> Command) -> Front {
        // A port that was free a moment ago may be another's by now: then the server ends at once.
        for _ in 0..5 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            let port = port.expect("a free port").port();
            let folder = tempfile::tempdir().expect("a temporary folder");
            let log = fs::File::create(folder.path().join("log")).expect("a log file");
            let mut command = command(port, folder.path());
            // One of the two ends when its input does.
            command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(log);
            let child = command.spawn().expect("it can be run");
            let mut front = Front { port, child, folder };
            if front.listens().await {
                return front;
            }
        }
        panic!("five fronts in a row did not start")
    }

    async fn listens(&mut self) -> bool {
        until("the front", || {
            let ended = self.child.try_wait().expect("a child can be asked").is_some();
            if ended {
                println!("{}", self.log());
            }
            let listens = !ended && TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            async move { if ended || listens { Ok(listens) } else { Err("it does not listen yet") } }
        })
        .await
    }

    /// What it has written to its log.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
