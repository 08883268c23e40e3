//! The settings of a Temporal Service, from the profiles in `temporal.toml` and from `TEMPORAL_*`.

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
/// How often an idle connection sends a keep-alive ping; without a response it is closed.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// The timeout of a ping.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The address of a profile without one.
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
    /// Whether it uses a client certificate.
    pub(crate) has_certificate: bool,
    /// The metadata of every request: the API key, and the profile's own.
    pub(crate) metadata: MetadataMap,
    pub(crate) endpoint: Endpoint,
}

impl Service {
    /// The service of this profile, or of the default one. `TEMPORAL_*` variables take precedence.
    ///
    /// # Errors
    /// The profile does not exist or is invalid.
    pub fn load(profile: Option<&str>) -> Result<Service> {
        let options =
            LoadClientConfigProfileOptions::builder().maybe_config_file_profile(profile.map(str::to_owned));
        let options = options.config_file_strict(false).build();
        let profile_name = profile.unwrap_or("default");
        let profile = load_client_config_profile(options, None)
            .map_err(|error| anyhow!("cannot use the Temporal profile {profile_name}: {error}; profiles are in temporal.toml, and TEMPORAL_* variables take precedence"))?;
        let address = profile.address.clone().unwrap_or_else(|| DEFAULT_ADDRESS.to_owned());
        Service::of(profile).with_context(|| {
            format!("cannot use the Temporal profile {profile_name}, which is for {address}")
        })
    }

    /// The service at this address, without TLS.
    ///
    /// # Errors
    /// It is not an address.
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
                "its tls section turns off certificate verification (disable_host_verification), which would let anyone intercept the \
                 key; set server_ca_cert_path to the authority, and server_name to the name in the certificate"
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
        let Some(host) = url.host_str() else { bail!("{url} is not an address; write it as host:port") };
        let address = format!("{host}:{}", url.port_or_known_default().unwrap_or(7233));
        let mut endpoint = Endpoint::from_shared(url.to_string())
            .with_context(|| format!("{url} is not an address; write it as host:port"))?
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let tls = options.tls_options.is_some();
        // The scheme in an address would override the tls section.
        match (url.scheme(), tls) {
            ("https", false) => {
                bail!(
                    "its address starts with https, but it has no tls section; write the address as host:port, and add a tls section"
                )
            }
            ("http", true) => {
                bail!(
                    "its address starts with http, but it has a tls section; write the address as host:port"
                )
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
                        true => anyhow!("its client_key does not belong to its client_cert ({words}); use the two files of one pair"),
                        false => anyhow!("its certificates or its key cannot be used ({words}); check that they are PEM files"),
                    }
                })?;
        }
        let mut metadata = MetadataMap::new();
        for (name, value) in options.headers.into_iter().flatten() {
            let name: tonic::metadata::MetadataKey<_> =
                name.parse().map_err(|_| anyhow!("{name} is not a valid name for gRPC metadata"))?;
            let value = value
                .parse()
                .map_err(|_| anyhow!("the value of the gRPC metadata {name} has invalid characters"))?;
            metadata.insert(name, value);
        }
        if let Some(key) = options.api_key {
            let mut value: tonic::metadata::MetadataValue<_> = format!("Bearer {key}")
                .parse()
                .map_err(|_| anyhow!("its API key has invalid characters; check it for line breaks"))?;
            value.set_sensitive(true);
            metadata.insert("authorization", value);
        }
        Ok(Service { address, namespace, tls, has_certificate, metadata, endpoint })
    }

    /// Whether it uses an API key.
    pub(crate) fn has_api_key(&self) -> bool {
        self.metadata.contains_key("authorization")
    }
}

/// Checks a profile's certificate or key file: the SDK does not say which file it cannot read, and rustls accepts an empty one as
/// no authority.
fn check_pem(name: &str, kind: &str, source: Option<&DataSource>) -> Result<()> {
    let (place, data) = match source {
        Some(DataSource::Path(path)) => {
            let data = std::fs::read(path);
            (
                format!("{name}_path, {path},"),
                data.with_context(|| format!("cannot read its {name}_path, {path}"))?,
            )
        }
        Some(DataSource::Data(data)) => (format!("{name}_data"), data.clone()),
        _ => return Ok(()),
    };
    let text = String::from_utf8_lossy(&data);
    let has_one = text.lines().any(|line| line.starts_with("-----BEGIN ") && line.contains(kind));
    if !has_one {
        bail!(
            "its {place} has no {kind} in PEM format, which starts with -----BEGIN; check that it is the right file"
        );
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
