//! Fluent Bit's flags: one table, from which parsing, hints and the help are loops.

use crate::config::PluginKind;

/// A flag of the command line.
#[derive(Debug)]
pub(super) struct Flag {
    /// `-c`.
    pub(super) short: Option<char>,
    /// `--config`; further ones mean the same.
    pub(super) long: &'static [&'static str],
    /// How the help calls its value; a flag without one is a switch.
    pub(super) value: Option<&'static str>,
    /// What it does, or why it is not there.
    pub(super) doc: &'static str,
    /// What happens to it.
    pub(super) effect: Effect,
}

/// What a flag does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// Sets a key of `[SERVICE]`; a switch sets it to this value.
    Service(&'static str, &'static str),
    /// Begins a plugin; what follows belongs to it.
    Plugin(PluginKind),
    /// Sets `key=value` of the plugin named last.
    Property,
    /// Sets `Match` of the filter or output named last.
    Match,
    /// Sets `Tag` of the plugin named last.
    Tag,
    /// Names the main configuration file.
    Config,
    /// Changes the directory before anything is read.
    Workdir,
    /// Logs more.
    Verbose,
    /// Logs nothing.
    Quiet,
    /// Reads the configuration and stops.
    DryRun,
    /// Prints the version.
    Version,
    /// Prints the help, of a plugin if one was named.
    Help,
    /// Prints the help as JSON, of a plugin if one was named.
    HelpJson,
    /// Is taken without effect.
    Accepted,
    /// Is refused: to go on would not be what was asked.
    Refused,
}

/// Every flag, in the help's order; refused ones last.
pub(super) const FLAGS: &[Flag] = &[
    flag('c', &["config"], Some("FILE"), "configuration file", Effect::Config),
    flag('i', &["input"], Some("INPUT"), "add an input", Effect::Plugin(PluginKind::Input)),
    flag('F', &["filter"], Some("FILTER"), "add a filter", Effect::Plugin(PluginKind::Filter)),
    flag('o', &["output"], Some("OUTPUT"), "add an output", Effect::Plugin(PluginKind::Output)),
    flag('p', &["prop"], Some("KEY=VALUE"), "property of the plugin named last", Effect::Property),
    flag(
        'm',
        &["match"],
        Some("MATCH"),
        "tags that the filter or output named last takes",
        Effect::Match,
    ),
    flag('t', &["tag"], Some("TAG"), "tag of the input named last", Effect::Tag),
    flag(
        'f',
        &["flush"],
        Some("SECONDS"),
        "longest time a record waits",
        Effect::Service("Flush", ""),
    ),
    flag(
        'R',
        &["parser"],
        Some("FILE"),
        "parsers file; may be repeated",
        Effect::Service("Parsers_File", ""),
    ),
    flag('D', &["dry-run"], None, "check the configuration and stop", Effect::DryRun),
    flag('q', &["quiet"], None, "log nothing", Effect::Quiet),
    flag('v', &["verbose"], None, "log more; -vv logs most", Effect::Verbose),
    flag('l', &["log_file"], Some("FILE"), "log to a file", Effect::Service("Log_File", "")),
    flag(
        'b',
        &["storage_path"],
        Some("PATH"),
        "folder of what waits on disk",
        Effect::Service("storage.path", ""),
    ),
    flag('w', &["workdir"], Some("PATH"), "change to this folder first", Effect::Workdir),
    flag(
        'H',
        &["http", "http_server"],
        None,
        "serve metrics and health",
        Effect::Service("HTTP_Server", "on"),
    ),
    flag(
        'L',
        &["http_listen"],
        Some("ADDRESS"),
        "address of the HTTP server",
        Effect::Service("HTTP_Listen", ""),
    ),
    flag(
        'P',
        &["port", "http_port"],
        Some("PORT"),
        "port of the HTTP server",
        Effect::Service("HTTP_Port", ""),
    ),
    flag(
        'Y',
        &["enable-hot-reload"],
        None,
        "let SIGHUP read the configuration again",
        Effect::Service("Hot_Reload", "on"),
    ),
    flag(
        'W',
        &["disable-thread-safety-on-hot-reload", "disable-thread-safety-on-hot-reloading"],
        None,
        "no effect: a reload is always safe",
        Effect::Service("Hot_Reload.Ensure_Thread_Safety", "off"),
    ),
    flag(
        'd',
        &["daemon"],
        None,
        "no effect: the agent stays in the foreground",
        Effect::Service("Daemon", "on"),
    ),
    flag(
        's',
        &["coro_stack_size"],
        Some("BYTES"),
        "no effect: there are no coroutines",
        Effect::Service("Coro_Stack_Size", ""),
    ),
    flag(
        'Z',
        &["enable-chunk-trace"],
        None,
        "no effect: there is no tap",
        Effect::Service("Enable_Chunk_Trace", "on"),
    ),
    Flag {
        short: None,
        long: &["supervisor"],
        value: None,
        doc: "no effect: let systemd or Kubernetes start it again",
        effect: Effect::Accepted,
    },
    flag('V', &["version"], None, "print the version", Effect::Version),
    flag('h', &["help"], None, "print this help; after -i, -F or -o, the plugin's", Effect::Help),
    flag('J', &["help-json"], None, "the help as JSON", Effect::HelpJson),
    flag('e', &["plugin"], Some("FILE"), "shared libraries cannot be loaded", Effect::Refused),
    flag('C', &["custom"], Some("CUSTOM"), "there are no custom plugins", Effect::Refused),
    flag(
        'r',
        &["processor"],
        Some("PROCESSOR"),
        "there are no processors yet; use filters",
        Effect::Refused,
    ),
    flag('T', &["sp-task"], Some("SQL"), "there is no stream processor", Effect::Refused),
    flag('S', &["sosreport"], None, "there is no support report", Effect::Refused),
    Flag {
        short: None,
        long: &["enable-fips"],
        value: None,
        doc: "no validated cryptography is built in",
        effect: Effect::Refused,
    },
    Flag {
        short: None,
        long: &["trace", "trace-input", "trace-output", "trace-output-property"],
        value: Some("TEXT"),
        doc: "there is no tap",
        effect: Effect::Refused,
    },
];

const fn flag(
    short: char,
    long: &'static [&'static str],
    value: Option<&'static str>,
    doc: &'static str,
    effect: Effect,
) -> Flag {
    Flag { short: Some(short), long, value, doc, effect }
}

/// The flag of that letter.
pub(super) fn by_letter(letter: char) -> Option<&'static Flag> {
    FLAGS.iter().find(|flag| flag.short == Some(letter))
}

/// The flag of that long name, or of the only one that begins so, as getopt_long(3) takes it.
pub(super) fn by_name(name: &str) -> Option<&'static Flag> {
    let begins = |flag: &&Flag| flag.long.iter().any(|long| long.starts_with(name));
    FLAGS.iter().find(|flag| flag.long.contains(&name)).or_else(|| {
        let mut found = FLAGS.iter().filter(begins);
        let flag = found.next()?;
        found.next().is_none().then_some(flag)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_be_cut_short() {
        let check = |name: &str, expected: Option<char>| {
            assert_eq!(by_name(name).and_then(|flag| flag.short), expected, "{name}");
        };
        check("config", Some('c'));
        check("conf", Some('c'));
        check("http", Some('H'));
        check("http_l", Some('L'));
        check("he", None);
        check("confg", None);
    }

    #[test]
    fn no_letter_and_no_name_stands_twice() {
        for (index, flag) in FLAGS.iter().enumerate() {
            for later in &FLAGS[index + 1..] {
                assert!(flag.short.is_none() || flag.short != later.short, "{flag:?}");
                assert!(flag.long.iter().all(|name| !later.long.contains(name)), "{flag:?}");
            }
        }
    }
}
