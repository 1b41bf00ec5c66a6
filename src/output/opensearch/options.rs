//! The properties of `es` and `opensearch`.

use crate::config::{Diagnostics, Property, Secret, Section, Size, Verbatim, choices, properties};

/// By which name the output was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// `es`
    Elasticsearch,
    /// `opensearch`, whose `Index` may hold record accessors.
    OpenSearch,
}

choices! {
    /// What `_bulk` is asked to do with a document.
    pub enum Operation {
        /// Stores it, unless its id is taken.
        Create = "create",
        /// Stores it in place of the one with its id.
        Index = "index",
        /// Changes the one with its id, if there is one.
        Update = "update",
        /// Changes the one with its id, or stores it.
        Upsert = "upsert",
    }
}

properties! {
    /// Stores records in Elasticsearch by its bulk interface.
    pub struct BulkOptions for "es" {
        /// API key, base64, instead of user and password.
        http_api_key: Option<Secret> ["HTTP_API_Key"],
        /// Index, when `Logstash_Format` is off. May hold `%Y.%m.%d` and the like for the date of sending, or, of `opensearch` only, record accessors (`logs-$kubernetes['namespace_name']`).
        index: Verbatim ["Index" = "fluent-bit"],
        /// Mapping type. Left out for stores that know none any more (OpenSearch 2, Elasticsearch 8).
        type_name: String ["Type" = "_doc"],
        /// Leaves the mapping type out.
        suppress_type_name: bool ["Suppress_Type_Name" = "off"],
        /// User for basic authentication.
        http_user: Option<String> ["HTTP_User"],
        /// Password for basic authentication.
        http_passwd: Secret ["HTTP_Passwd"],
        /// `gzip` or `zstd` compresses requests; any other word does not. A store that refuses zstd is sent gzip.
        compress: Option<String> ["Compress"],
        /// Names the index by a prefix and the record's date.
        logstash_format: bool ["Logstash_Format" = "off"],
        /// The prefix.
        logstash_prefix: String ["Logstash_Prefix" = "logstash"],
        /// Record accessor of a field that stands in for the prefix where a record has it.
        logstash_prefix_key: Option<Verbatim> ["Logstash_Prefix_Key"],
        /// Between the prefix and the date.
        logstash_prefix_separator: Verbatim ["Logstash_Prefix_Separator" = "-"],
        /// The date, as strftime(3) has it, in UTC.
        logstash_dateformat: Verbatim ["Logstash_DateFormat" = "%Y.%m.%d"],
        /// Dates indices by the time of sending, not by the record's.
        current_time_index: bool ["Current_Time_Index" = "off"],
        /// Field that takes the record's time.
        time_key: String ["Time_Key" = "@timestamp"],
        /// The time down to the second, as strftime(3) has it, in UTC; fraction and `Z` follow.
        time_key_format: Verbatim ["Time_Key_Format" = "%Y-%m-%dT%H:%M:%S"],
        /// Nine digits of fraction instead of three.
        time_key_nanos: bool ["Time_Key_Nanos" = "off"],
        /// Adds the tag to the document.
        include_tag_key: bool ["Include_Tag_Key" = "off"],
        /// Field that takes the tag.
        tag_key: String ["Tag_Key" = "flb-key"],
        /// Path before `/_bulk`, behind a reverse proxy.
        path: String ["Path"],
        /// Ingest pipeline.
        pipeline: Option<String> ["Pipeline"],
        /// What to do with a document: `create`, `index`, `update` or `upsert`.
        write_operation: Operation ["Write_Operation" = "create"],
        /// Gives each document an id, which it has anyway unless `tailwater.ids` is off.
        generate_id: bool ["Generate_ID" = "off"],
        /// Record accessor of the field that is the document's id. A record without one gets its own id.
        id_key: Option<Verbatim> ["Id_Key"],
        /// Gives each record an id that is always the same, so that sending it again changes nothing. Off: the store makes ids, and a record may be stored twice.
        ids: bool ["tailwater.ids" = "on"],
        /// Replaces dots in field names with underscores.
        replace_dots: bool ["Replace_Dots" = "off"],
        /// Accepted: an answer is read as it streams in, however long it is.
        buffer_size: Size ["Buffer_Size" = "512k"],
        /// Logs every request, records included.
        trace_output: bool ["Trace_Output" = "off"],
        /// Logs why a record was refused; the store's reason may quote the record.
        trace_error: bool ["Trace_Error" = "off"],
        @accepted {
            "AWS_STS_Endpoint": "requests are not signed for AWS yet",
            "AWS_Role_ARN": "requests are not signed for AWS yet",
            "AWS_External_ID": "requests are not signed for AWS yet",
            "AWS_Service_Name": "requests are not signed for AWS yet",
            "AWS_Profile": "requests are not signed for AWS yet",
            "AWS_Region": "requests are not signed for AWS yet",
        }
        @refused {
            "AWS_Auth": "requests are not signed for AWS yet",
            "Cloud_ID": "not yet; give `Host`, `Port` and `tls` of the deployment",
            "Cloud_Auth": "not yet; give `HTTP_User` and `HTTP_Passwd`",
            "Upstream": "not yet; give one `Host`, such as a load balancer's",
        }
    }
}

/// What `opensearch` is for.
pub const OPENSEARCH_DOC: &str = " Stores records in OpenSearch by its bulk interface.";

/// The properties of `opensearch`: those of `es` without its first row and its last three.
pub const OPENSEARCH_PROPERTIES: &[Property] = {
    let (rows, _) = BulkOptions::PROPERTIES.split_at(BulkOptions::PROPERTIES.len() - 3);
    rows.split_at(1).1
};

/// Reads a section of `opensearch` for the reports alone. Of what only `es` has, the API key is all that
/// is not refused there too.
pub fn check_opensearch(section: &mut Section, diagnostics: &mut Diagnostics) {
    if BulkOptions::read(section, diagnostics).http_api_key.is_some() {
        let message = "`opensearch` has no property `HTTP_API_Key`";
        diagnostics.error(section.location_of("HTTP_API_Key"), message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opensearch_lacks_what_only_elasticsearch_has() {
        let names =
            |table: &'static [Property]| table.iter().map(|row| row.name).collect::<Vec<_>>();
        let own: Vec<_> = names(BulkOptions::PROPERTIES)
            .into_iter()
            .filter(|name| !names(OPENSEARCH_PROPERTIES).contains(name))
            .collect();
        assert_eq!(own, ["HTTP_API_Key", "Cloud_ID", "Cloud_Auth", "Upstream"]);
    }
}
