//! Which Temporal Service, and how to talk to it: `temporal.toml`, its profiles, and `TEMPORAL_*`.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use temporalio_client::ConnectionOptions;
use temporalio_common::envconfig::{
    ClientConfigProfile, DataSource, LoadClientConfigProfileOptions, load_client_config_profile,
};
use tonic::{
    metadata::MetadataMap,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity},
};

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an idle connection sends a keep-alive ping; without an answer it is closed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long the answer to a ping may take.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The address of a profile that names none.
const DEFAULT_ADDRESS: &str = "localhost:7233";

/// A Temporal Service, by its profile.
#[derive(Clone, Debug)]
pub struct Service {
    /// `host:port`.
    pub address: String,
    /// The namespace.
    pub namespace: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// Whether a client certificate is shown.
    pub(crate) has_certificate: bool,
    /// The metadata of every request: an API key, and what the profile adds.
    pub(crate) metadata: MetadataMap,
    pub(crate) endpoint: Endpoint,
}

impl Service {
    /// The service of the profile of that name, or of the default one, with what `TEMPORAL_*` says instead.
    ///
    /// # Errors
    /// There is no such profile, or what it says cannot be used; the sentence says what of it.
    pub fn load(profile: Option<&str>) -> Result<Service> {
        let options =
            LoadClientConfigProfileOptions::builder().maybe_config_file_profile(profile.map(str::to_owned));
        let options = options.config_file_strict(false).build();
        let profile_name = profile.unwrap_or("default");
        let profile = load_client_config_profile(options, None)
            .map_err(|error| anyhow!("cannot use the Temporal profile {profile_name}: {error}; profiles stand in temporal.toml, and TEMPORAL_* variables go before them"))?;
        let address = profile.address.clone().unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
        Service::of(profile).with_context(|| {
            format!("cannot use the Temporal profile {profile_name}, which is for {address}")
        })
    }

    /// The service at that address, without TLS.
    ///
    /// # Errors
    /// It is no address.
    pub fn at(address: &str, namespace: &str) -> Result<Service> {
        let mut profile = ClientConfigProfile::default();
        profile.address = Some(address.to_owned());
        profile.namespace = Some(namespace.to_owned());
        Service::of(profile)
    }

    fn of(profile: ClientConfigProfile) -> Result<Service> {
        let namespace = profile.namespace.clone().unwrap_or_else(|| "default".to_owned());
        if profile.tls.as_ref().is_some_and(|tls| tls.disable_host_verification) {
            bail!(
                "its tls part asks for no look at whose certificate that is (disable_host_verification), by which anybody could take \
                 the key: name the authority, as server_ca_cert_path, and the name in the certificate, as server_name"
            );
        }
        let files = profile.tls.iter().flat_map(|tls| {
            [
                ("client_cert", "CERTIFICATE", &tls.client_cert),
                ("client_key", "PRIVATE KEY", &tls.client_key),
                ("server_ca_cert", "CERTIFICATE", &tls.server_ca_cert),
            ]
        });
        for (name, kind, source) in files {
            check_pem(name, kind, source.as_ref())?;
        }
        let options = ConnectionOptions::try_from(profile).map_err(|error| anyhow!("{error}"))?;
        let url = &options.target;
        let Some(host) = url.host_str() else { bail!("{url} is no address: it needs to be host:port") };
        let address = format!("{host}:{}", url.port_or_known_default().unwrap_or(7233));
        let mut endpoint = Endpoint::from_shared(url.to_string())
            .with_context(|| format!("{url} is no address: it needs to be host:port"))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let tls = options.tls_options.is_some();
        // An address with a scheme would go before the tls part.
        match (url.scheme(), tls) {
            ("https", false) => {
                bail!("its address asks for TLS, and it has no tls part: write host:port, and give it one")
            }
            ("http", true) => {
                bail!("its address asks for no TLS, and its tls part does: write it as host:port")
            }
            _ => {}
        }
        let mut has_certificate = false;
        if let Some(options) = options.tls_options {
            let mut config = ClientTlsConfig::new();
            config = match &options.server_root_ca_cert {
                Some(authority) => config.ca_certificate(Certificate::from_pem(authority)),
                None => config.with_native_roots(),
            };
            if let Some(name) = &options.domain {
                config = config.domain_name(name);
            }
            if let Some(client) = &options.client_tls_options {
                has_certificate = true;
                config = config.identity(Identity::from_pem(&client.client_cert, &client.client_private_key));
            }
            endpoint = endpoint
                .tls_config(config)
                .map_err(|error| {
                    let words = chain(&error);
                    match words.contains("KeyMismatch") {
                        true => anyhow!("its client_key does not belong to its client_cert ({words}): name the two of one pair"),
                        false => anyhow!("its certificates or its key cannot be used ({words}): are they files of PEM?"),
                    }
                })?;
        }
        let mut metadata = MetadataMap::new();
        for (name, value) in options.headers.into_iter().flatten() {
            let name: tonic::metadata::MetadataKey<_> =
                name.parse().map_err(|_| anyhow!("{name} cannot be the name of gRPC metadata"))?;
            let value =
                value.parse().map_err(|_| anyhow!("the value of the gRPC metadata {name} cannot be sent"))?;
            metadata.insert(name, value);
        }
        if let Some(key) = options.api_key {
            let mut value: tonic::metadata::MetadataValue<_> =
                format!("Bearer {key}").parse().map_err(|_| {
                    anyhow!("its API key has characters that cannot be sent: is there a line break in it?")
                })?;
            value.set_sensitive(true);
            metadata.insert("authorization", value);
        }
        Ok(Service { address, namespace, tls, has_certificate, metadata, endpoint })
    }

    /// Whether an API key is shown.
    pub(crate) fn has_api_key(&self) -> bool {
        self.metadata.contains_key("authorization")
    }
}

/// Looks whether a profile's certificate or key is there. The SDK does not say which file it cannot read, and rustls takes one
/// with nothing in it for no authority at all.
fn check_pem(name: &str, kind: &str, source: Option<&DataSource>) -> Result<()> {
    let (place, data) = match source {
        Some(DataSource::Path(path)) => {
            let data = std::fs::read(path);
            (
                format!("{name}_path, {path},"),
                data.with_context(|| format!("its {name}_path, {path}, cannot be read"))?,
            )
        }
        Some(DataSource::Data(data)) => (format!("{name}_data"), data.clone()),
        _ => return Ok(()),
    };
    let text = String::from_utf8_lossy(&data);
    let has_one = text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(kind));
    if !has_one {
        bail!("its {place} has no {kind} in PEM, which would begin with -----BEGIN: is it the right file?");
    }
    Ok(())
}

/// An error with all its causes, each once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_words = cause.to_string();
        if words.last().is_none_or(|last| !last.contains(&cause_words)) {
            words.push(cause_words);
        }
        next = cause.source();
    }
    words.join(": ")
}
