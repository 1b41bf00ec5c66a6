//! Which lines belong together: rules that say what a line may look like in a state, and what comes after it.
//!
//! Fluent Bit's [multiline parsers] of the type `regex`, with the words it has for them:
//!
//! * A record begins with a line that a rule of `start_state` matches, whatever the state is.
//! * It goes on with a line that one of the rules behind the last one matches; those of `start_state` are never meant.
//! * A rule behind which a record may begin ends the record with its own line.
//! * The state stays what it was when other lines come in between.
//!
//! [multiline parsers]: https://docs.fluentbit.io/manual/data-pipeline/parsers/multiline-parsing

mod builtin;

use crate::regex::Pattern;

/// The state in which every record begins.
pub const START: &str = "start_state";

/// The rules of one parser, in their order.
#[derive(Debug, Default)]
pub struct Rules(Vec<Rule>);

/// The rule that matched last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State(usize);

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The first of a record. `ends`: and the last one.
    Begins {
        /// Where the record stands now.
        state: State,
        /// Whether it ends the record.
        ends: bool,
    },
    /// One more of the record. `ends`: and the last one.
    Continues {
        /// Where the record stands now.
        state: State,
        /// Whether it ends the record.
        ends: bool,
    },
}

/// One rule, its states resolved.
#[derive(Debug)]
struct Rule {
    matcher: Matcher,
    is_start: bool,
    /// Rules that may match the line behind this one's.
    next: Vec<usize>,
    /// Whether a record may begin behind this one's line.
    ends: bool,
}

/// What a rule's line looks like.
#[derive(Debug)]
pub enum Matcher {
    /// As an expression says.
    Pattern(Pattern),
    /// As a function says.
    Own(fn(&str) -> bool),
}

/// A rule as it is written: states in which the line may stand, what it looks like, the state behind it.
#[derive(Debug)]
pub struct RuleText<S> {
    /// The states, at least one.
    pub states: Vec<S>,
    /// What the line looks like.
    pub matcher: Matcher,
    /// The state behind it; `None` leads nowhere.
    pub next: Option<S>,
}

impl Rules {
    /// Resolves the names of the states.
    pub fn new<S: AsRef<str>>(texts: Vec<RuleText<S>>) -> Self {
        let of_state = |wanted: Option<&str>| -> Vec<usize> {
            let is_it =
                |text: &RuleText<S>| text.states.iter().any(|state| Some(state.as_ref()) == wanted);
            (0..).zip(&texts).filter(|(_, text)| is_it(text)).map(|(index, _)| index).collect()
        };
        let starts = of_state(Some(START));
        let behind: Vec<Vec<usize>> = texts
            .iter()
            .map(|text| match &text.next {
                Some(next) => of_state(Some(next.as_ref())),
                None => Vec::new(),
            })
            .collect();
        let rule = |(index, (text, behind)): (usize, (RuleText<S>, Vec<usize>))| Rule {
            matcher: text.matcher,
            is_start: starts.contains(&index),
            ends: behind.iter().any(|next| starts.contains(next)),
            next: behind.into_iter().filter(|next| !starts.contains(next)).collect(),
        };
        Self(texts.into_iter().zip(behind).enumerate().map(rule).collect())
    }

    /// The rules for what programs of this language print: `go`, `java`, `python` or `ruby`.
    pub fn builtin(name: &str) -> Option<Self> {
        builtin::rules(name).map(Self::new)
    }

    /// What `line` is after `state`; `None` if no rule matches it.
    #[inline]
    pub fn step(&self, state: Option<State>, line: &str) -> Option<Step> {
        if let Some(State(last)) = state
            && let Some(rule) = self.0.get(last)
            && let Some(next) = self.find(rule.next.iter().copied(), line)
        {
            return Some(Step::Continues { state: State(next), ends: self.ends(next) });
        }
        let starts = self.0.iter().enumerate().filter(|(_, rule)| rule.is_start);
        let start = self.find(starts.map(|(index, _)| index), line)?;
        Some(Step::Begins { state: State(start), ends: self.ends(start) })
    }

    fn ends(&self, rule: usize) -> bool {
        self.0.get(rule).is_some_and(|rule| rule.ends)
    }

    fn find(&self, mut candidates: impl Iterator<Item = usize>, line: &str) -> Option<usize> {
        candidates.find(|index| self.0.get(*index).is_some_and(|rule| rule.matcher.matches(line)))
    }
}

impl Matcher {
    #[inline]
    fn matches(&self, line: &str) -> bool {
        match self {
            Self::Pattern(pattern) => pattern.is_match(line),
            Self::Own(matches) => matches(line),
        }
    }
}

/// Fuzz entry: any text is a line for any rules.
pub fn fuzz_multiline(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for name in ["go", "java", "python", "ruby"] {
        let Some(rules) = Rules::builtin(name) else { continue };
        let mut state = None;
        for line in text.split('\n').chain([text]) {
            if let Some(Step::Begins { state: next, .. } | Step::Continues { state: next, .. }) =
                rules.step(state, line)
            {
                state = Some(next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use std::fmt::Write as _;

    /// Shows each line with what it is: `+` begins, `|` continues, `.` neither; `!` ends.
    fn show(rules: &Rules, lines: &str) -> String {
        let mut state = None;
        let mut out = String::new();
        for line in lines.lines() {
            let (sign, ends) = match rules.step(state, line) {
                Some(Step::Begins { state: next, ends }) => {
                    state = Some(next);
                    ('+', ends)
                }
                Some(Step::Continues { state: next, ends }) => {
                    state = Some(next);
                    ('|', ends)
                }
                None => ('.', false),
            };
            writeln!(out, "{sign}{} {line}", if ends { '!' } else { ' ' }).unwrap();
        }
        out
    }

    fn check(rules: &[(&'static str, &str, Option<&'static str>)], lines: &str, expected: &Expect) {
        let rule =
            |(states, pattern, next): &(&'static str, &str, Option<&'static str>)| RuleText {
                states: states.split(',').collect(),
                matcher: Matcher::Pattern(Pattern::new(pattern).unwrap()),
                next: *next,
            };
        let rules = Rules::new(rules.iter().map(rule).collect());
        expected.assert_eq(&show(&rules, lines));
    }

    fn check_builtin(name: &str, lines: &str, expected: &Expect) {
        expected.assert_eq(&show(&Rules::builtin(name).unwrap(), lines));
    }

    #[test]
    fn a_start_begins_anew_and_what_follows_goes_on() {
        check(
            &[("start_state", "/^a/", Some("cont")), ("cont", "/^ /", Some("cont"))],
            "x\n y\na\n 1\n 2\nx\n 3\na\na\n",
            &expect![[r#"
                .  x
                .   y
                +  a
                |   1
                |   2
                .  x
                |   3
                +  a
                +  a
            "#]],
        );
    }

    #[test]
    fn a_rule_behind_which_a_record_may_begin_ends_its_own() {
        check(
            &[("start_state", "/^a/", Some("b")), ("b", "/^b/", Some("start_state"))],
            "a\nb\nb\na\na\nb\n",
            &expect![[r#"
                +  a
                |! b
                .  b
                +  a
                +  a
                |! b
            "#]],
        );
        check(
            &[("start_state", "/^a/", Some("start_state"))],
            "a\na\n",
            &expect![[r#"
                +! a
                +! a
            "#]],
        );
    }

    #[test]
    fn a_rule_that_also_starts_never_goes_on() {
        check(
            &[("start_state", "/^a/", Some("b")), ("b,start_state", "/^b/", None)],
            "a\nb\n",
            &expect![[r#"
                +! a
                +  b
            "#]],
        );
        check(
            &[],
            "a\n",
            &expect![[r#"
            .  a
        "#]],
        );
    }

    #[test]
    fn java() {
        check_builtin(
            "java",
            "single line...\n\
             Dec 14 06:41:08 Exception in thread \"main\" java.lang.RuntimeException: wrong\n    \
             at com.myproject.module.MyProject.badMethod(MyProject.java:22)\n    \
             at com.myproject.module.MyProject.main(MyProject.java:6)\n\
             Caused by: java.lang.NullPointerException: null\n\
             \tat a.B.c(D.java:1)\n\
             \t... 12 more\n\
             another line...\n",
            &expect![[r#"
                .  single line...
                +  Dec 14 06:41:08 Exception in thread "main" java.lang.RuntimeException: wrong
                |      at com.myproject.module.MyProject.badMethod(MyProject.java:22)
                |      at com.myproject.module.MyProject.main(MyProject.java:6)
                |  Caused by: java.lang.NullPointerException: null
                |  	at a.B.c(D.java:1)
                |  	... 12 more
                .  another line...
            "#]],
        );
        check_builtin(
            "java",
            "Unhandled Exception: System.AggregateException: one ---> System.Exception: two\n   \
             at Program.Main()\n   \
             --- End of inner exception stack trace ---\n   \
             at x\n\
             --- End of stack trace from previous location where exception was thrown ---\n   \
             at y\n\
             x Error: a\n\
             \n\
             nested exception is: b\n\
             \tSuppressed: c\n",
            &expect![[r#"
                +  Unhandled Exception: System.AggregateException: one ---> System.Exception: two
                |     at Program.Main()
                |     --- End of inner exception stack trace ---
                |     at x
                |  --- End of stack trace from previous location where exception was thrown ---
                |     at y
                +  x Error: a
                |  
                |! nested exception is: b
                .  	Suppressed: c
            "#]],
        );
    }

    #[test]
    fn go() {
        check_builtin(
            "go",
            "panic: my panic\n\
             \n\
             goroutine 4 [running]:\n\
             panic(0x45cb40, 0x47ad70)\n\
             \t/usr/local/go/src/runtime/panic.go:542 +0x46c fp=0xc42003f7b8\n\
             main.main.func1(0xc420024120)\n\
             \tfoo.go:6 +0x39 fp=0xc42003f7d8\n\
             created by main.main\n\
             \tfoo.go:5 +0x58\n\
             \n\
             goroutine 1 [chan receive]:\n\
             runtime.gopark(0x4739b8)\n\
             \t/usr/local/go/src/runtime/proc.go:280 +0x12c\n\
             one more line, no multiline\n\
             http: panic serving 1.2.3.4:5: x\n\
             goroutine 24 [running]:\n",
            &expect![[r#"
                +  panic: my panic
                |  
                |  goroutine 4 [running]:
                |  panic(0x45cb40, 0x47ad70)
                |  	/usr/local/go/src/runtime/panic.go:542 +0x46c fp=0xc42003f7b8
                |  main.main.func1(0xc420024120)
                |  	foo.go:6 +0x39 fp=0xc42003f7d8
                |  created by main.main
                |  	foo.go:5 +0x58
                |  
                |  goroutine 1 [chan receive]:
                |  runtime.gopark(0x4739b8)
                |  	/usr/local/go/src/runtime/proc.go:280 +0x12c
                .  one more line, no multiline
                +  http: panic serving 1.2.3.4:5: x
                |  goroutine 24 [running]:
            "#]],
        );
        check_builtin(
            "go",
            "panic: runtime error\n[signal SIGSEGV: segmentation violation]\n\ngoroutine 5 [running]:\n",
            &expect![[r#"
                +  panic: runtime error
                |  [signal SIGSEGV: segmentation violation]
                |  
                |  goroutine 5 [running]:
            "#]],
        );
    }

    #[test]
    fn python() {
        check_builtin(
            "python",
            "Traceback (most recent call last):\n  \
             File \"/base/webapp2.py\", line 1535, in __call__\n    \
             rv = self.handle_exception(request, response, e)\n  \
             File \"/base/helloworld.py\", line 5\n    \
             return 1 / 0\n\
             ZeroDivisionError: division by zero\n\
             hello world, not multiline\n",
            &expect![[r#"
                +  Traceback (most recent call last):
                |    File "/base/webapp2.py", line 1535, in __call__
                |      rv = self.handle_exception(request, response, e)
                |    File "/base/helloworld.py", line 5
                |      return 1 / 0
                |! ZeroDivisionError: division by zero
                .  hello world, not multiline
            "#]],
        );
    }

    #[test]
    fn ruby() {
        check_builtin(
            "ruby",
            "/app/a.rb:6:in `/': divided by 0 (ZeroDivisionError)\n\
             \tfrom /app/a.rb:6:in `inner'\n        \
             from /app/a.rb:10:in `outer'\n\
             hello world, not multiline\n",
            &expect![[r#"
                +  /app/a.rb:6:in `/': divided by 0 (ZeroDivisionError)
                |  	from /app/a.rb:6:in `inner'
                |          from /app/a.rb:10:in `outer'
                .  hello world, not multiline
            "#]],
        );
    }
}
