//! Which container a record comes from, as its tag or the journal says it.

use super::directory::PodKey;
use crate::parser::{Parser, Scratch};
use std::sync::Arc;

/// The name of a container's log ends in its id: 32 bytes, in hexadecimal digits.
const CONTAINER_ID_LEN: usize = 64;

/// The least that a tag has behind its prefix, as in Fluent Bit.
const NAME_LEN_MIN: usize = 2;

/// A container, as far as it was told. A text that is there is not empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Origin {
    /// Of the pod.
    pub(super) pod: Option<String>,
    /// Where the pod lies.
    pub(super) namespace: Option<String>,
    /// Of the container, in its pod.
    pub(super) container: Option<String>,
    /// Of the container, in its runtime.
    pub(super) container_id: Option<String>,
    /// What the container's image is, as the journal has it.
    pub(super) container_hash: Option<String>,
    /// Of the pod: the only one that was ever of that id.
    pub(super) uid: Option<String>,
}

impl Origin {
    /// What to look the pod up by, if enough is known of it.
    pub(super) fn pod_key(&self) -> Option<PodKey<'_>> {
        Some(PodKey {
            namespace: self.namespace.as_deref()?,
            name: self.pod.as_deref()?,
            uid: self.uid.as_deref(),
            container_id: self.container_id.as_deref(),
        })
    }

    /// Takes over what a group of an expression says; of several of one name the first.
    fn take(&mut self, name: &str, text: &str) {
        let part = match name {
            "pod_name" => &mut self.pod,
            "namespace_name" => &mut self.namespace,
            "container_name" => &mut self.container,
            "docker_id" => &mut self.container_id,
            "container_hash" => &mut self.container_hash,
            "pod_id" => &mut self.uid,
            _ => return,
        };
        if part.is_none() && !text.is_empty() {
            *part = Some(text.to_owned());
        }
    }
}

/// Reads what tells an origin.
#[derive(Debug)]
pub(super) struct Reader {
    /// `Regex_Parser`, instead of what is built in.
    parser: Option<Arc<Parser>>,
    scratch: Scratch,
}

impl Reader {
    /// With a `Regex_Parser`, or without.
    pub(super) fn new(parser: Option<Arc<Parser>>) -> Self {
        Self { parser, scratch: Scratch::default() }
    }

    /// Reads a tag that begins with a prefix so many bytes long.
    pub(super) fn read_tag(&mut self, tag: &str, prefix_len: usize) -> Option<Origin> {
        // Only the length of the prefix counts; a letter that it would part is left out whole.
        let start = (prefix_len..tag.len()).find(|at| tag.is_char_boundary(*at))?;
        let (_, name) = tag.split_at_checked(start)?;
        if name.len() < NAME_LEN_MIN {
            return None;
        }
        self.read(name, read_log_name)
    }

    /// Reads a journal entry's `CONTAINER_NAME`.
    pub(super) fn read_journal(&mut self, container_name: &str) -> Option<Origin> {
        self.read(container_name, read_docker_name)
    }

    fn read(&mut self, text: &str, built_in: fn(&str) -> Option<Origin>) -> Option<Origin> {
        let Some(parser) = &self.parser else { return built_in(text) };
        let mut origin = Origin::default();
        let is_read = parser.groups(&mut self.scratch, text, |name, text| origin.take(name, text));
        is_read.then_some(origin)
    }
}

/// Reads `POD_NAMESPACE_CONTAINER-ID.log`, which is how the kubelet names the links in `/var/log/containers`.
///
/// As in Fluent Bit, anything may stand before the pod's name: of what ends in an underscore and could be a name with
/// something behind it, the first is it.
fn read_log_name(name: &str) -> Option<Origin> {
    let stem = name.strip_suffix(".log")?;
    let (left, id) = stem.split_at_checked(stem.len().checked_sub(CONTAINER_ID_LEN)?)?;
    if !id.bytes().all(is_lower_or_digit) {
        return None;
    }
    let mut rest = left.strip_suffix('-')?;
    loop {
        let (before, behind) = rest.split_once('_')?;
        if let Some(pod) = name_at_end(before)
            && let Some((namespace, container)) = behind.split_once('_')
            && !namespace.is_empty()
            && !container.is_empty()
            && !container.contains('\n')
        {
            return Some(Origin {
                pod: Some(pod.to_owned()),
                namespace: Some(namespace.to_owned()),
                container: Some(container.to_owned()),
                container_id: Some(id.to_owned()),
                ..Origin::default()
            });
        }
        rest = behind;
    }
}

/// The longest end of a text that can be a pod's name: words of small letters, digits and hyphens, with a dot between
/// two; none begins or ends with a hyphen.
fn name_at_end(text: &str) -> Option<&str> {
    let mut start = None;
    let mut next = b'.';
    for (at, byte) in text.bytes().enumerate().rev() {
        match byte {
            _ if is_lower_or_digit(byte) => start = Some(at),
            b'-' if next != b'.' => {}
            b'.' if is_lower_or_digit(next) => {}
            _ => break,
        }
        next = byte;
    }
    text.split_at_checked(start?).map(|(_, name)| name)
}

fn is_lower_or_digit(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Reads `k8s_CONTAINER.HASH_POD_NAMESPACE_UID_ATTEMPT`, which is how the kubelet named Docker's containers.
fn read_docker_name(name: &str) -> Option<Origin> {
    let mut parts = name.split('_');
    let mut part = || parts.next().filter(|part| !part.is_empty());
    let (_prefix, container) = (part()?, part()?);
    let (pod, namespace, uid, _attempt) = (part()?, part()?, part()?, part()?);
    if parts.next().is_some() {
        return None;
    }
    let (container, hash) = match container.split_once('.') {
        Some((container, hash)) => (container, Some(hash)),
        None => (container, None),
    };
    if container.is_empty() || hash.is_some_and(str::is_empty) {
        return None;
    }
    let owned = |text: &str| Some(text.to_owned());
    Some(Origin {
        pod: owned(pod),
        namespace: owned(namespace),
        container: owned(container),
        container_id: None,
        container_hash: hash.and_then(owned),
        uid: owned(uid),
    })
}

/// Fuzz entry: tags are read as the expression says that Fluent Bit's manual shows.
///
/// # Panics
/// When they are not.
pub fn fuzz_origin(data: &[u8]) {
    use tailwater_parsers::regex::Pattern;

    const LABEL: &str = "[0-9a-z](?:[0-9a-z-]*[0-9a-z])?";
    let Ok(name) = str::from_utf8(data) else { return };
    // There `$` also stands before a line break.
    if name.contains('\n') {
        return;
    }
    let text = format!(
        r"(?<pod>{LABEL}(?:\.{LABEL})*)_(?<ns>[^_]+)_(?<container>.+)-(?<id>[0-9a-z]{{64}})[.]log$"
    );
    let pattern = Pattern::new(&text);
    assert!(pattern.is_ok(), "{text}");
    let Ok(pattern) = pattern else { return };
    let mut found = pattern.captures();
    let mut expected = Vec::new();
    pattern.fields(&mut found, name, |_, _, text| expected.push(text.to_owned()));
    let read = read_log_name(name).map_or_else(Vec::new, |origin| {
        let Origin { pod, namespace, container, container_id, .. } = origin;
        [pod, namespace, container, container_id].into_iter().flatten().collect()
    });
    assert_eq!(read, expected, "{name:?}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ID: &str = "a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f90";

    /// Reads a tag without the id at its end; expected is `pod namespace container`.
    #[track_caller]
    fn check(name: &str, expected: &str) {
        let mut reader = Reader::new(None);
        let read = reader.read_tag(&format!("kube.{name}-{ID}.log"), "kube.".len());
        let shown = read.map(|origin| {
            assert_eq!(origin.container_id.as_deref(), Some(ID));
            let part = |part: Option<String>| part.unwrap_or_default();
            [part(origin.pod), part(origin.namespace), part(origin.container)].join(" ")
        });
        assert_eq!(shown.as_deref().unwrap_or("nothing"), expected, "{name}");
    }

    #[test]
    fn names_of_container_logs() {
        check("web-6c9f_shop_app", "web-6c9f shop app");
        check("web.example.com_shop_app", "web.example.com shop app");
        check("var.log.containers.web_shop_app", "var.log.containers.web shop app");
        check("/x/y/web_shop_app", "web shop app");
        check("Web_shop_app", "eb shop app");
        check("-web_shop_app", "web shop app");
        check("a..web_shop_app", "web shop app");
        check("a-.web_shop_app", "web shop app");
        check(".-.web_shop_app", "web shop app");
        check("web-_shop_app", "nothing");
        check("WEB_shop_app_x", "shop app x");
        check("web_Shop.1_app", "web Shop.1 app");
        check("web_shop_my_app-2", "web shop my_app-2");
        check("web__app", "nothing");
        check("web__app_x_y", "app x y");
        check("web_shop_", "nothing");
        check("web_shop", "nothing");
        check("é_wéb_shop_app", "b shop app");
        check("web_sh\nop_app", "web sh\nop app");
        check("web_shop_a\npp", "nothing");
        check("", "nothing");
    }

    #[test]
    fn what_is_no_container_log() {
        let mut reader = Reader::new(None);
        let long = format!("web_shop_app-{ID}");
        for (tag, prefix) in [
            (format!("{long}.txt"), 0),
            (format!("{long}.log.gz"), 0),
            (format!("web_shop_app{ID}.log"), 0),
            (format!("web_shop_app-{}.log", ID.to_uppercase()), 0),
            (format!("web_shop_app-{}.log", ID.trim_end_matches('0')), 0),
            ("x.log".to_owned(), 0),
            ("x".to_owned(), 0),
            (String::new(), 0),
            (format!("{long}.log"), 200),
        ] {
            assert_eq!(reader.read_tag(&tag, prefix), None, "{tag}");
        }
        assert!(reader.read_tag(&format!("é{long}.log"), 1).is_some());
    }

    #[test]
    fn names_of_docker_containers() {
        let check = |name: &str, expected: &str| {
            let read = Reader::new(None).read_journal(name);
            let shown = read.map(|it| {
                let parts = [
                    it.pod,
                    it.namespace,
                    it.container,
                    it.container_hash,
                    it.uid,
                    it.container_id,
                ];
                parts.map(Option::unwrap_or_default).join(",")
            });
            assert_eq!(shown.as_deref().unwrap_or("nothing"), expected, "{name}");
        };
        check("k8s_app.1f2e_web-0_shop_11-22_3", "web-0,shop,app,1f2e,11-22,");
        check("k8s_app_web-0_shop_11-22_3", "web-0,shop,app,,11-22,");
        check("k8s_app.a.b_web-0_shop_11-22_3", "web-0,shop,app,a.b,11-22,");
        check("k8s_app._web-0_shop_11-22_3", "nothing");
        check("k8s_.x_web-0_shop_11-22_3", "nothing");
        check("k8s_app_web-0_shop_11-22", "nothing");
        check("k8s_app_web-0_shop_11-22_3_4", "nothing");
        check("k8s__web-0_shop_11-22_3", "nothing");
        check("registry", "nothing");
        check("", "nothing");
    }

    proptest! {
        /// The reading by hand is that of the expression.
        #[test]
        fn as_the_expression_says(name in "[-a-c.A_é/0]{0,24}", id in "[0-9a-f]{63,65}") {
            fuzz_origin(format!("{name}-{id}.log").as_bytes());
        }
    }
}
