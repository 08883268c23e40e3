//! Which Temporal Service, and how to talk to it: `temporal.toml`, its profiles, and `TEMPORAL_*`.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use temporalio_client::ConnectionOptions;
use temporalio_common::envconfig::{
    ClientConfigProfile, LoadClientConfigProfileOptions, load_client_config_profile,
};
use tonic::{
    metadata::MetadataMap,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity},
};

/// How long a connection may take to be made.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A connection on which nothing happens is asked for a sign of life this often, and given up without one.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// So long a sign of life may take.
const SIGN_WITHIN: Duration = Duration::from_secs(10);

/// A Temporal Service, by its profile.
#[derive(Clone, Debug)]
pub struct Service {
    /// `host:port`.
    pub address: String,
    /// The namespace.
    pub namespace: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// What every request carries: an API key, and what the profile adds.
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
        Service::of(profile).with_context(|| format!("cannot use the Temporal profile {profile_name}"))
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
        let options = ConnectionOptions::try_from(profile).map_err(|error| anyhow!("{error}"))?;
        let url = &options.target;
        let Some(host) = url.host_str() else { bail!("{url} is no address: it needs to be host:port") };
        let address = format!("{host}:{}", url.port_or_known_default().unwrap_or(7233));
        let mut endpoint = Endpoint::from_shared(url.to_string())
            .with_context(|| format!("{url} is no address: it needs to be host:port"))?
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(SIGN_WITHIN)
            .keep_alive_while_idle(true);
        let tls = options.tls_options.is_some();
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
                config = config.identity(Identity::from_pem(&client.client_cert, &client.client_private_key));
            }
            endpoint = endpoint
                .tls_config(config)
                .map_err(|error| anyhow!("its certificates or its key cannot be used: {}", chain(&error)))?;
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
            let mut value: tonic::metadata::MetadataValue<_> = format!("Bearer {key}")
                .parse()
                .map_err(|_| anyhow!("the API key has characters that cannot be sent"))?;
            value.set_sensitive(true);
            metadata.insert("authorization", value);
        }
        Ok(Service { address, namespace, tls, metadata, endpoint })
    }
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
