//! The properties of `tail`.

use super::tag::dotted;
use crate::config::{
    ElseFirst, ElseSeconds, Kind, Ordered, Reading, Repeated, Size, Value, Verbatim, choices,
    properties,
};
use crate::input::encoding::{Encoding, Expected};
use crate::input::lines::CUT_KEY;
use crate::input::sqlite::{DatabaseSync, JournalMode};
use crate::parser::Parser;
use std::time::Duration;

choices! {
    /// In which form of Unicode files are written that have no byte order mark.
    pub enum Unicode {
        /// The start of each file tells.
        Auto = "auto",
        /// The low byte first.
        Utf16Le = "utf-16le" | "utf16-le",
        /// The high byte first.
        Utf16Be = "utf-16be" | "utf16-be",
    }
}

choices! {
    /// Code pages: Fluent Bit's names for them.
    pub enum CodePage {
        /// Japanese.
        ShiftJis = "ShiftJIS" | "SJIS" | "CP932" | "Windows-31J",
        /// Chinese, simplified; all of Unicode.
        Gb18030 = "GB18030",
        /// Chinese, simplified.
        Gbk = "GBK" | "CP936",
        /// Korean.
        Uhc = "UHC" | "CP949" | "Windows-949",
        /// Chinese, traditional.
        Big5 = "Big5" | "CP950",
        /// Cyrillic, of DOS.
        Win866 = "Win866" | "CP866",
        /// Thai.
        Win874 = "Win874" | "CP874",
        /// Central European.
        Win1250 = "Win1250" | "CP1250",
        /// Cyrillic.
        Win1251 = "Win1251" | "CP1251",
        /// Western European.
        Win1252 = "Win1252" | "CP1252",
        /// Greek.
        Win1253 = "Win1253" | "CP1253",
        /// Turkish.
        Win1254 = "Win1254" | "CP1254",
        /// Hebrew.
        Win1255 = "Win1255" | "CP1255",
        /// Arabic.
        Win1256 = "Win1256" | "CP1256",
    }
}

choices! {
    /// How paths are written, on Windows.
    pub enum PathEncoding {
        /// In the letters of the country.
        Ansi = "ansi",
        /// In Unicode.
        Utf8 = "utf-8" | "utf8",
    }
}

/// How long a line may be. What is no size is no bound, as in Fluent Bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LineBound(pub u64);

impl Value for LineBound {
    const KIND: Kind = Kind::Size;

    fn read(text: &str) -> Reading<Self> {
        match Size::read(text) {
            Reading::Clear(size) => Reading::Clear(Self(size.0)),
            Reading::Guess(size, why) => Reading::Guess(Self(size.0), why),
            Reading::Bad(why) => {
                Reading::Guess(Self(u64::MAX), format!("{why}; taken as no bound"))
            }
        }
    }
}

impl Unicode {
    /// What files without a mark are written in.
    fn expected(self) -> Expected {
        match self {
            Self::Auto => Expected::Unknown,
            Self::Utf16Le => Expected::Unmarked(Encoding::Utf16Le),
            Self::Utf16Be => Expected::Unmarked(Encoding::Utf16Be),
        }
    }
}

impl CodePage {
    fn charset(self) -> &'static encoding_rs::Encoding {
        match self {
            Self::ShiftJis => encoding_rs::SHIFT_JIS,
            Self::Gb18030 => encoding_rs::GB18030,
            Self::Gbk => encoding_rs::GBK,
            Self::Uhc => encoding_rs::EUC_KR,
            Self::Big5 => encoding_rs::BIG5,
            Self::Win866 => encoding_rs::IBM866,
            Self::Win874 => encoding_rs::WINDOWS_874,
            Self::Win1250 => encoding_rs::WINDOWS_1250,
            Self::Win1251 => encoding_rs::WINDOWS_1251,
            Self::Win1252 => encoding_rs::WINDOWS_1252,
            Self::Win1253 => encoding_rs::WINDOWS_1253,
            Self::Win1254 => encoding_rs::WINDOWS_1254,
            Self::Win1255 => encoding_rs::WINDOWS_1255,
            Self::Win1256 => encoding_rs::WINDOWS_1256,
        }
    }
}

impl TailOptions {
    /// All fields that a record can have; `None` if that depends on what is read. `parser` is what `Parser` names.
    pub fn field_names<'a>(&'a self, parser: Option<&'a Parser>) -> Option<Vec<&'a str>> {
        let joins = !self.multiline_parser.is_empty() || self.multiline || self.docker_mode;
        if joins {
            return None;
        }
        // A line that the parser cannot read is there as a whole.
        let mut names = vec![&*self.key];
        names.push(CUT_KEY);
        names.extend(self.path_key.as_deref().into_iter().chain(self.offset_key.as_deref()));
        if let Some(parser) = parser {
            names.extend(parser.field_names()?);
        }
        Some(names)
    }

    /// What the tags of files in these folders begin with, one for each pattern; none if that depends on more than
    /// where they lie.
    pub fn tag_starts(&self, tag: &str) -> Vec<String> {
        let before = tag.split_once('*').map(|(before, _)| before);
        let Some(before) = before.filter(|_| self.tag_regex.is_none()) else { return Vec::new() };
        let start = |path: &String| {
            let literal = path.split(['*', '?', '[', '{']).next()?;
            let (folder, _) = literal.rsplit_once('/').filter(|_| path.starts_with('/'))?;
            Some(dotted(&format!("{before}{folder}")) + ".")
        };
        self.path.iter().map(start).collect::<Option<_>>().unwrap_or_default()
    }

    /// How files are written. `None`: two answers are given.
    pub(super) fn expected(&self) -> Option<Expected> {
        match (self.unicode_encoding, self.generic_encoding) {
            (None, None) => Some(Expected::All(Encoding::Utf8)),
            (Some(unicode), None) => Some(unicode.expected()),
            (None, Some(page)) => Some(Expected::All(Encoding::Page(page.charset()))),
            (Some(_), Some(_)) => None,
        }
    }
}

properties! {
    /// Follows files by path patterns, through rotation, restarts and crashes.
    pub struct TailOptions for "tail" {
        /// Files to follow: patterns as the shell has them, with commas between them.
        path: Vec<String> ["Path"],
        /// Patterns of files to leave out; `*` stands for slashes as well.
        exclude_path: Vec<String> ["Exclude_Path"],
        /// The field that holds a line which no parser read.
        key: String ["Key" = "log"],
        /// Reads files that are there at the start, and not in the `DB`, from their first byte.
        read_from_head: bool ["Read_from_Head" = "false"],
        /// Reads files that appear later from their first byte.
        read_newly_discovered_files_from_head: bool
            ["Read_Newly_Discovered_Files_From_Head" = "true"],
        /// Time between two looks which files there are; most changes are noticed at once all the same.
        refresh_interval: ElseSeconds<60> ["Refresh_Interval" = "60"],
        /// How long a renamed or deleted file is followed on; never closed before its end is read.
        rotate_wait: Duration ["Rotate_Wait" = "5"],
        /// Adds the file's path under this key.
        path_key: Option<String> ["Path_Key"],
        /// Adds the offset of the line in its file under this key.
        offset_key: Option<String> ["Offset_Key"],
        /// Parser of every line. A line that it cannot read is passed on whole under `Key`, and counted.
        parser: Option<String> ["Parser"],
        /// SQLite file that keeps the positions, as Fluent Bit has it. Without it, a restart cannot go on where
        /// it stopped.
        db: Option<String> ["DB"],
        /// How carefully positions are written. New files are always registered as with `full`, except with `off`.
        db_sync: ElseFirst<DatabaseSync> ["DB.Sync" = "normal"],
        /// Keeps every other process out of the database.
        db_locking: bool ["DB.Locking" = "false"],
        /// SQLite's journal mode; `WAL` does not work on network file systems.
        db_journal_mode: JournalMode ["DB.Journal_Mode" = "WAL"],
        /// Goes on only with files that still have their base name.
        db_compare_filename: bool ["DB.Compare_Filename" = "false"],
        /// Upper bound of a line, its newline counted. A longer one is skipped or cut as the next two say; with
        /// neither, it is cut and flagged, and the file goes on (Fluent Bit would leave the file).
        buffer_max_size: LineBound ["Buffer_Max_Size" = "32768"],
        /// No effect on reading; must not be larger than `Buffer_Max_Size`.
        buffer_chunk_size: Size ["Buffer_Chunk_Size" = "32768"],
        /// Leaves out lines that are too long.
        skip_long_lines: bool ["Skip_Long_Lines" = "false"],
        /// Cuts lines that are too long; such a line is not parsed.
        truncate_long_lines: bool ["Truncate_Long_Lines" = "false"],
        /// Leaves out empty lines.
        skip_empty_lines: bool ["Skip_Empty_Lines" = "false"],
        /// Ends the process when all files are read to their end.
        exit_on_eof: bool ["Exit_On_Eof" = "false"],
        /// Off: looks at the files' sizes instead of being told of changes.
        inotify_watcher: bool ["Inotify_Watcher" = "true"],
        /// Leaves out files that were not written to for this long; 0: none.
        ignore_older: ElseSeconds<0> ["Ignore_Older" = "0"],
        /// Leaves such files again, too, when they are read to their end; they go on from there when they are
        /// written to.
        ignore_active_older_files: bool ["Ignore_Active_Older_Files" = "false"],
        /// Bytes that are read in one turn, from one file after another, before other inputs have theirs; never more
        /// than 4 MiB, which is also what 0 means.
        static_batch_size: Size ["Static_Batch_Size" = "50M"],
        /// The same: the smaller one counts.
        event_batch_size: Size ["Event_Batch_Size" = "50M"],
        /// Time between two looks at the sizes of all files, for changes that nobody told of.
        progress_check_interval: ElseSeconds<2> ["Progress_Check_Interval" = "2s"],
        /// Nanoseconds on top of that.
        progress_check_interval_nsec: u32 ["Progress_Check_Interval_Nsec" = "0"],
        /// Tells the kernel that what was read is not needed in its cache any more.
        file_cache_advise: bool ["File_Cache_Advise" = "true"],
        /// Unicode other than UTF-8. A file's byte order mark goes before it, and is no part of its text.
        unicode_encoding: Option<Unicode> ["Unicode.Encoding"],
        /// The code page that files are written in; not together with `Unicode.Encoding`.
        generic_encoding: Option<CodePage> ["Generic.Encoding"],
        /// Multiline parsers that join lines: `cri`, `docker`, `go`, `java`, `python`, `ruby`, or your own. The first one
        /// that takes a line decides; a line that none takes is a record by itself.
        multiline_parser: Repeated<Vec<String>> ["Multiline.Parser"],
        /// Multiline parsers that join what containers write, once their lines are whole: stack traces within
        /// `Multiline.Parser cri`, `docker`, or `tailwater.join_pieces`. For each stream by itself.
        then_multiline_parser: Vec<String> ["tailwater.multiline.parser"],
        /// Joins the pieces of long container lines that `Parser` reads: until `logtag` or `_p` says `F`, or, of JSON,
        /// until `log` ends with a line feed. Off, as in Fluent Bit, each piece is a record.
        join_pieces: bool ["tailwater.join_pieces" = "off"],
        /// Joins lines to a record that begins with a line which `Parser_Firstline` reads.
        multiline: bool ["Multiline" = "false"],
        /// For `Multiline`: how long a record waits for its next line.
        multiline_flush: Duration ["Multiline_Flush" = "4"],
        /// For `Multiline`: the parser of a record's first line.
        parser_firstline: Option<String> ["Parser_Firstline"],
        /// For `Multiline`: parsers of further lines, `Parser_1` to `Parser_N`; what none of them reads is added to the
        /// last field.
        parser_others: Ordered ["Parser_*"],
        /// Joins the JSON lines of Docker's log files whose `log` has no line feed at its end.
        docker_mode: bool ["Docker_Mode" = "false"],
        /// For `Docker_Mode`: seconds that a record waits for its next line.
        docker_mode_flush: i64 ["Docker_Mode_Flush" = "4"],
        /// For `Docker_Mode`: parser of the lines with which a record begins; what it does not read goes on.
        docker_mode_parser: Option<String> ["Docker_Mode_Parser"],
        /// Named captures of the path, for `Tag kube.<name>`.
        tag_regex: Option<Verbatim> ["Tag_Regex"],
        @accepted {
            "Watcher_Interval": "a rotated file is noticed at once",
            "Windows.Path_Encoding" as PathEncoding: "there is no build for Windows",
        }
    }
}
