//! The properties of `loki`.

use crate::config::{Located, Repeated, Secret, Size, Verbatim, choices, properties};

choices! {
    /// What a record's fields become in a line.
    pub enum LineFormat {
        /// The record as JSON.
        Json = "json",
        /// `key=value`, with blanks between.
        KeyValue = "key_value",
    }
}

choices! {
    /// What becomes of a record with one field.
    pub enum DropSingleKey {
        /// Nothing special.
        Off = "off" | "false" | "no",
        /// The line is the field's value.
        On = "on" | "true" | "yes",
        /// The line is the field's value, strings without quotes.
        Raw = "raw",
    }
}

choices! {
    /// What Fluent Bit does with a chunk of which only some tenants' pushes were taken.
    pub enum TenantErrors {
        /// Forgets the others.
        Success = "partial_success",
        /// Sends all of it again.
        Error = "partial_error",
    }
}

choices! {
    /// How a push is written.
    pub enum Encoding {
        /// Protocol buffers in a snappy block: least work for both sides.
        Protobuf = "protobuf",
        /// JSON, as Fluent Bit sends it, for what sits between and reads it.
        Json = "json",
    }
}

properties! {
    /// Pushes records to Grafana Loki.
    pub struct LokiOptions for "loki" {
        /// Path of the push interface.
        uri: String ["Uri" = "/loki/api/v1/push"],
        /// Tenant of all records (`X-Scope-OrgID`).
        tenant_id: Option<String> ["Tenant_ID"],
        /// Record accessor of the field that names a record's tenant.
        tenant_id_key: Option<Verbatim> ["Tenant_ID_Key"],
        /// Accepted: each tenant's records are delivered and tried again by themselves, whichever it is.
        tenant_id_key_error_handling: TenantErrors ["Tenant_ID_Key_Error_Handling" = "partial_success"],
        /// Labels: `name=text`, `name=$accessor`, or `$accessor` alone. Without any it is `job=fluent-bit`.
        labels: Vec<String> ["Labels"],
        /// More labels, as record accessors.
        label_keys: Vec<String> ["Label_Keys"],
        /// JSON file of more labels: names of fields, each with its label (`{"kubernetes":{"pod_name":"pod"}}`).
        label_map_path: Option<Located<String>> ["Label_Map_Path"],
        /// Makes every label of the pod a label of the stream.
        auto_kubernetes_labels: bool ["Auto_Kubernetes_Labels" = "off"],
        /// Structured metadata: `name=text`, `name=$accessor`, or `$accessor` alone.
        structured_metadata: Vec<String> ["Structured_Metadata"],
        /// Record accessors of maps whose fields become structured metadata.
        structured_metadata_map_keys: Vec<String> ["Structured_Metadata_Map_Keys"],
        /// Fields left out of the line, beside those that became labels or metadata.
        remove_keys: Vec<String> ["Remove_Keys"],
        /// What the fields become in the line: `json` or `key_value`.
        line_format: LineFormat ["Line_Format" = "json"],
        /// Sends the value alone where one field is left: `on`, `off`, or `raw` for text without quotes.
        drop_single_key: DropSingleKey ["Drop_Single_Key" = "off"],
        /// User for basic authentication.
        http_user: Option<String> ["HTTP_User"],
        /// Password for basic authentication.
        http_passwd: Secret ["HTTP_Passwd"],
        /// Bearer token, if there is no user.
        bearer_token: Option<Secret> ["Bearer_Token"],
        /// A further header: its name, a blank, its value.
        header: Repeated<Verbatim> ["Header"],
        /// How a push is written: `protobuf` or `json`.
        encoding: Option<Encoding> ["tailwater.encoding"],
        /// `gzip` sends compressed JSON, as Fluent Bit does; any other word changes nothing.
        compress: Option<String> ["Compress"],
        /// Accepted: an answer is read as it streams in.
        buffer_size: Size ["Buffer_Size" = "512k"],
    }
}
