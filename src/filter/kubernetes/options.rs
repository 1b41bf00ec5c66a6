//! The options of `kubernetes`, and what of them is for the side of the API.

use crate::config::{Located, Secret, TlsOptions, properties};
use std::path::PathBuf;
use std::time::Duration;

properties! {
    /// Adds what the cluster knows of the pod that a record comes from, and reads what the pod logs as it asks for.
    pub struct KubernetesOptions for "kubernetes" {
        /// Start of the tags, left out before a tag is read; only its length counts, as in Fluent Bit.
        kube_tag_prefix: String ["Kube_Tag_Prefix" = "kube.var.log.containers."],
        /// Parser of `Format regex` that reads the tag, or with `Use_Journal` the field `CONTAINER_NAME`: the groups `pod_name`, `namespace_name`, `container_name`, `docker_id`, `container_hash` and `pod_id`.
        regex_parser: Option<Located<String>> ["Regex_Parser"],
        /// The records are the journal's: each says in `CONTAINER_NAME` where it comes from.
        use_journal: bool ["Use_Journal" = "false"],
        /// Adds what the tag says, and asks no API.
        use_tag_for_meta: bool ["Use_Tag_For_Meta" = "false"],
        /// Adds the time as `dummy`, and asks no API: for tests.
        dummy_meta: bool ["Dummy_Meta" = "false"],
        /// Adds the fields of `log` to the record if it is a JSON object, or a parser reads it.
        merge_log: bool ["Merge_Log" = "false"],
        /// Puts them under this key instead.
        merge_log_key: Option<String> ["Merge_Log_Key"],
        /// Leaves out line breaks at the end of their texts.
        merge_log_trim: bool ["Merge_Log_Trim" = "true"],
        /// Parser for `log`, instead of JSON.
        merge_parser: Option<Located<String>> ["Merge_Parser"],
        /// Keeps `log` when its fields were added.
        keep_log: bool ["Keep_Log" = "true"],
        /// Heeds the annotations `fluentbit.io/parser[_stdout|_stderr][-container]` of pods, and the same of `tailwater.io/`, which go before; with `Merge_Log` only.
        logging_parser: bool ["K8S-Logging.Parser" = "false"],
        /// Heeds the annotations `fluentbit.io/exclude[_stdout|_stderr][-container]` of pods, and the same of `tailwater.io/`, which go before.
        logging_exclude: bool ["K8S-Logging.Exclude" = "false"],
        /// Adds the pod's labels.
        labels: bool ["Labels" = "true"],
        /// Adds the pod's annotations.
        annotations: bool ["Annotations" = "true"],
        /// Adds whose the pod is.
        owner_references: bool ["Owner_References" = "false"],
        /// Adds `kubernetes_namespace` with the namespace's labels.
        namespace_labels: bool ["Namespace_Labels" = "false"],
        /// Adds `kubernetes_namespace` with the namespace's annotations.
        namespace_annotations: bool ["Namespace_Annotations" = "false"],
        /// Adds nothing of the pod.
        namespace_metadata_only: bool ["Namespace_Metadata_Only" = "false"],
        /// Folder with what the API would answer, in files `NAMESPACE_POD.meta` and `NAMESPACE.namespace_meta`; read at the start, and looked into before the API is asked.
        preload_dir: Option<Located<String>> ["Kube_meta_preload_cache_dir"],
        /// The API server: `http://` or `https://`, a host and, unless it is 443, a port.
        kube_url: String ["Kube_URL" = "https://kubernetes.default.svc"],
        /// File with the authorities to trust in the API server, PEM.
        kube_ca_file: String ["Kube_CA_File" = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"],
        /// Folder with authorities to trust in the API server, PEM.
        kube_ca_path: Option<String> ["Kube_CA_Path"],
        /// File with the token to show; read anew before it ends, and when it is refused.
        kube_token_file: String ["Kube_Token_File" = "/var/run/secrets/kubernetes.io/serviceaccount/token"],
        /// File with the own pod's namespace: by that pod the own node is found out, where nothing names it.
        kube_namespace_file: String ["Kube_Namespace_File" = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"],
        /// Command that prints the token, instead of a file.
        kube_token_command: Option<Secret> ["Kube_Token_Command"],
        /// Time after which the token is read anew.
        kube_token_ttl: Duration ["Kube_Token_TTL" = "10m"],
        /// Time after which a pod that had to be asked for by itself is asked for again; 0 is never.
        pod_ttl: Duration ["Kube_Meta_Cache_TTL" = "0"],
        /// Time after which a namespace is asked for again; 0 is never.
        namespace_ttl: Duration ["Kube_Meta_Namespace_Cache_TTL" = "15m"],
        /// Checks the certificate of the API server, or of the kubelet.
        tls_verify: bool ["tls.verify" = "true"],
        /// Checks that the certificate is for the host asked. Fluent Bit's default is off.
        tls_verify_hostname: bool ["tls.verify_hostname" = "off"],
        /// Name to ask for (SNI), and to check, instead of the host.
        tls_vhost: Option<String> ["tls.vhost"],
        /// Asks the node's kubelet for pods, not the API server.
        use_kubelet: bool ["Use_Kubelet" = "false"],
        /// Where the kubelet is.
        kubelet_host: String ["Kubelet_Host" = "127.0.0.1"],
        /// Its port.
        kubelet_port: u16 ["Kubelet_Port" = "10250"],
        /// The node that this runs on, whose pods are watched at one go; unset, it is found out.
        node_name: Option<String> ["tailwater.node_name"],
        @accepted {
            "Buffer_Size" as crate::config::Size: "an answer is read as it comes, whatever its size",
            "Cache_Use_Docker_Id" as bool: "a container that is started anew is always told from the one before",
            "DNS_Retries" as i64: "records do not wait for the API, which is asked until it answers",
            "DNS_Wait_Time" as Duration: "records do not wait for the API, which is asked until it answers",
            "tls.debug" as i64: "TLS says what it does at `Log_Level debug`",
            "aws_pod_association_host": "it goes with `aws_use_pod_association`",
            "aws_pod_association_endpoint": "it goes with `aws_use_pod_association`",
            "aws_pod_association_port" as i64: "it goes with `aws_use_pod_association`",
            "aws_pod_service_map_ttl" as i64: "it goes with `aws_use_pod_association`",
            "aws_pod_service_map_refresh_interval" as i64: "it goes with `aws_use_pod_association`",
            "aws_pod_service_preload_cache_dir": "it goes with `aws_use_pod_association`",
            "aws_pod_association_host_server_ca_file": "it goes with `aws_use_pod_association`",
            "aws_pod_association_host_client_cert_file": "it goes with `aws_use_pod_association`",
            "aws_pod_association_host_client_key_file": "it goes with `aws_use_pod_association`",
            "aws_pod_association_host_tls_debug" as i64: "it goes with `aws_use_pod_association`",
            "aws_pod_association_host_tls_verify" as bool: "it goes with `aws_use_pod_association`",
            "set_platform": "it goes with `aws_use_pod_association`",
        }
        @refused {
            "aws_use_pod_association": "CloudWatch's names of services are not looked up",
            "use_pod_association": "CloudWatch's names of services are not looked up",
        }
    }
}

/// What the side of the API needs to know.
#[derive(Clone, Debug)]
pub struct ApiOptions {
    /// `Kube_URL`.
    pub server: Server,
    /// `Kubelet_Host` and `Kubelet_Port`, with `Use_Kubelet`: asked for pods instead of the API server.
    pub kubelet: Option<Server>,
    /// `tls.*` and the authorities, for either.
    pub tls: TlsOptions,
    /// What to show who one is.
    pub token: Token,
    /// `Kube_Token_TTL`.
    pub token_ttl: Duration,
    /// `Kube_Meta_Cache_TTL`; `None` is never.
    pub pod_ttl: Option<Duration>,
    /// `Kube_Meta_Namespace_Cache_TTL`; `None` is never.
    pub namespace_ttl: Option<Duration>,
    /// `tailwater.node_name`.
    pub node_name: Option<String>,
    /// `Kube_Namespace_File`.
    pub namespace_file: PathBuf,
    /// Whether anything of a pod is asked for: not with `Namespace_Metadata_Only`.
    pub wants_pods: bool,
    /// Whether anything of a namespace is asked for.
    pub wants_namespaces: bool,
}

impl ApiOptions {
    /// Whether another one would be told the same.
    pub fn asks_as(&self, other: &Self) -> bool {
        let trust = |options: &Self| {
            let TlsOptions { verify, verify_hostname, ca_file, ca_path, vhost, .. } =
                options.tls.clone();
            (verify, verify_hostname, ca_file, ca_path, vhost)
        };
        self.server == other.server
            && self.kubelet == other.kubelet
            && trust(self) == trust(other)
            && self.token == other.token
            && self.token_ttl == other.token_ttl
            && self.pod_ttl == other.pod_ttl
            && self.namespace_ttl == other.namespace_ttl
            && self.node_name == other.node_name
            && self.namespace_file == other.namespace_file
            && self.wants_pods == other.wants_pods
    }
}

/// Where to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// Where the token comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// `Kube_Token_File`.
    File(PathBuf),
    /// `Kube_Token_Command`: what it prints.
    Command(Secret),
}

/// Why a `Kube_URL` is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Fluent Bit refuses it, too.
    #[error("`Kube_URL` does not begin with `http://` or `https://`")]
    Scheme,
    /// No name or address in it.
    #[error("`Kube_URL` names no host")]
    Host,
    /// What is behind the `:`.
    #[error("`Kube_URL` has no port from 0 to 65535 behind its `:`")]
    Port,
}

/// Where the API server is if the URL does not say it: also for `http`, as in Fluent Bit.
const API_PORT: u16 = 443;

impl KubernetesOptions {
    /// What the side of the API needs; `None` where nothing is asked of it.
    pub fn api(&self) -> Result<Option<ApiOptions>, UrlError> {
        if self.use_tag_for_meta {
            return Ok(None);
        }
        let server = Server::of_url(&self.kube_url)?;
        let wants_pods = !self.namespace_metadata_only;
        let wants_namespaces = self.adds_namespace();
        if self.dummy_meta || !(wants_pods || wants_namespaces) {
            return Ok(None);
        }
        let kubelet = self.use_kubelet.then(|| Server {
            tls: true,
            host: self.kubelet_host.clone(),
            port: self.kubelet_port,
        });
        let tls = TlsOptions {
            tls: true,
            verify: self.tls_verify,
            verify_hostname: self.tls_verify_hostname,
            ca_file: Some(self.kube_ca_file.clone()),
            ca_path: self.kube_ca_path.clone(),
            vhost: self.tls_vhost.clone(),
            ..TlsOptions::default()
        };
        let unless_zero = |time: Duration| (!time.is_zero()).then_some(time);
        Ok(Some(ApiOptions {
            server,
            kubelet,
            tls,
            token: match &self.kube_token_command {
                Some(command) => Token::Command(command.clone()),
                None => Token::File(PathBuf::from(&self.kube_token_file)),
            },
            token_ttl: self.kube_token_ttl,
            pod_ttl: unless_zero(self.pod_ttl),
            namespace_ttl: unless_zero(self.namespace_ttl),
            node_name: self.node_name.clone(),
            namespace_file: PathBuf::from(&self.kube_namespace_file),
            wants_pods,
            wants_namespaces,
        }))
    }

    /// Whether records get `kubernetes_namespace`.
    pub(super) fn adds_namespace(&self) -> bool {
        self.namespace_labels || self.namespace_annotations
    }
}

impl Server {
    /// Reads a `Kube_URL`; what follows the port is left out, as in Fluent Bit.
    fn of_url(url: &str) -> Result<Self, UrlError> {
        let (tls, rest) = if let Some(rest) = url.strip_prefix("https://") {
            (true, rest)
        } else if let Some(rest) = url.strip_prefix("http://") {
            (false, rest)
        } else {
            return Err(UrlError::Scheme);
        };
        let authority = rest.split('/').next().unwrap_or(rest);
        let (host, port) = match authority.rsplit_once(':') {
            // More colons without brackets are an IPv6 address.
            Some((host, port)) if host.ends_with(']') || !host.contains(':') => {
                (host, port.parse().map_err(|_| UrlError::Port)?)
            }
            _ => (authority, API_PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(UrlError::Host);
        }
        Ok(Self { tls, host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_server_is() {
        let check = |url: &str, expected: Result<(bool, &str, u16), UrlError>| {
            let expected =
                expected.map(|(tls, host, port)| Server { tls, host: host.to_owned(), port });
            assert_eq!(Server::of_url(url), expected, "{url}");
        };
        check("https://kubernetes.default.svc", Ok((true, "kubernetes.default.svc", 443)));
        check("https://kubernetes.default.svc:443", Ok((true, "kubernetes.default.svc", 443)));
        check("http://127.0.0.1:8080/", Ok((false, "127.0.0.1", 8080)));
        check("http://host/path", Ok((false, "host", 443)));
        check("https://[::1]:6443", Ok((true, "::1", 6443)));
        check("https://fd00::1", Ok((true, "fd00::1", 443)));
        check("https://[fd00::1]", Ok((true, "fd00::1", 443)));
        check("kubernetes.default.svc", Err(UrlError::Scheme));
        check("https://", Err(UrlError::Host));
        check("https://:443", Err(UrlError::Host));
        check("https://host:", Err(UrlError::Port));
        check("https://host:65536", Err(UrlError::Port));
    }
}
