//! What lies in the stores, read back by their own means.

use opensearch::{OpenSearch, ScrollParts, SearchParts};
use serde_json::{Value, json};

/// One document of OpenSearch.
pub(crate) struct Document {
    pub(crate) index: String,
    pub(crate) fields: Value,
}

/// One line of Loki.
pub(crate) struct Line {
    pub(crate) labels: Value,
    /// Nanoseconds since the epoch.
    pub(crate) time: i64,
    pub(crate) text: String,
}

/// Documents a page; OpenSearch gives at most 10,000.
const PAGE: i64 = 10_000;

/// Lines a page. Loki gives at most 5,000, and fails on more than 4 MiB: a line with what is known of its pod has over
/// a kilobyte.
const LINES_PAGE: usize = 2_000;

/// How many documents can be found now; none while there is no index yet.
pub(crate) async fn count(client: &OpenSearch, indexes: &str) -> u64 {
    let parts = opensearch::indices::IndicesRefreshParts::Index(&[indexes]);
    client.indices().refresh(parts).send().await.unwrap();
    let parts = opensearch::CountParts::Index(&[indexes]);
    let answer: Value = client.count(parts).send().await.unwrap().json().await.unwrap();
    answer["count"].as_u64().unwrap_or(0)
}

/// Every document of the indexes.
pub(crate) async fn documents(client: &OpenSearch, indexes: &str) -> Vec<Document> {
    let mut documents = Vec::new();
    each_document(client, indexes, |document| documents.push(document)).await;
    documents
}

/// Shows every document of the indexes once, for those that are too many to keep.
pub(crate) async fn each_document(
    client: &OpenSearch,
    indexes: &str,
    mut show: impl FnMut(Document),
) {
    let mut page: Value = client
        .search(SearchParts::Index(&[indexes]))
        .scroll("1m")
        .size(PAGE)
        .body(json!({"query": {"match_all": {}}, "sort": ["_doc"]}))
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    loop {
        let hits = page["hits"]["hits"].as_array().unwrap();
        if hits.is_empty() {
            return;
        }
        for hit in hits {
            let index = hit["_index"].as_str().unwrap().to_owned();
            show(Document { index, fields: hit["_source"].clone() });
        }
        let scroll = page["_scroll_id"].as_str().unwrap().to_owned();
        page = client
            .scroll(ScrollParts::None)
            .body(json!({"scroll": "1m", "scroll_id": scroll}))
            .send()
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
    }
}

/// Every line of the streams `query` selects from `start` to `end`, which are nanoseconds since the
/// epoch. No two lines may have the same time: a page begins after the last time of the one before.
pub(crate) async fn lines(port: u16, query: &str, mut start: i64, end: i64) -> Vec<Line> {
    let client = reqwest::Client::new();
    // Lines of hours ago are found only once Loki has written them to its store.
    let flush = format!("http://127.0.0.1:{port}/flush");
    assert!(client.post(flush).send().await.unwrap().status().is_success());
    let mut lines = Vec::new();
    loop {
        let url = format!(
            "http://127.0.0.1:{port}/loki/api/v1/query_range\
             ?query={query}&start={start}&end={end}&limit={LINES_PAGE}&direction=forward"
        );
        let answer = client.get(url).send().await.unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let before = lines.len();
        for stream in answer["data"]["result"].as_array().unwrap() {
            for value in stream["values"].as_array().unwrap() {
                let time = value[0].as_str().unwrap().parse().unwrap();
                let text = value[1].as_str().unwrap().to_owned();
                start = start.max(time + 1);
                lines.push(Line { labels: stream["stream"].clone(), time, text });
            }
        }
        if lines.len() - before < LINES_PAGE {
            return lines;
        }
    }
}
