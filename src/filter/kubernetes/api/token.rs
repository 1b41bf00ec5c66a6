//! The token that says who asks: read from a file or printed by a command, and read anew.

use crate::filter::kubernetes::options::Token;
use hyper::header::HeaderValue;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// A token is no longer, as in Fluent Bit.
const TOKEN_BYTES_MAX: u64 = 1 << 20;

/// How long `Kube_Token_Command` may take: those of clouds ask a server.
const COMMAND_WAIT_MAX: Duration = Duration::from_secs(10);

/// The token as it goes into requests.
#[derive(Debug)]
pub(super) struct Credential {
    source: Token,
    /// `Kube_Token_TTL`.
    ttl: Duration,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    header: HeaderValue,
    since: Instant,
}

/// Why there is no token. None of these tells anything of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("cannot read the token in `Kube_Token_File` {}: {error}", path.display())]
    File { path: PathBuf, error: io::Error },
    #[error("`Kube_Token_Command` cannot be run: {0}")]
    Command(io::Error),
    #[error("`Kube_Token_Command` failed: {0}")]
    Failed(ExitStatus),
    #[error("`Kube_Token_Command` was not done within {COMMAND_WAIT_MAX:?}")]
    Late,
    #[error("the token is empty")]
    Empty,
    #[error("the token has characters that no header can carry")]
    Form,
}

impl Credential {
    /// Nothing is read yet.
    pub(super) fn new(source: Token, ttl: Duration) -> Self {
        Self { source, ttl, held: Mutex::new(None) }
    }

    /// The value of `Authorization`, read anew if its time is over. A token that cannot be read again is used on: the
    /// API tells when it has expired.
    pub(super) async fn header(&self) -> Result<HeaderValue, TokenError> {
        let mut held = self.held.lock().await;
        match &*held {
            Some(known) if known.since.elapsed() < self.ttl => Ok(known.header.clone()),
            Some(known) => {
                let header = self.read().await.unwrap_or_else(|_| known.header.clone());
                *held = Some(Held { header: header.clone(), since: Instant::now() });
                Ok(header)
            }
            None => {
                let header = self.read().await?;
                *held = Some(Held { header: header.clone(), since: Instant::now() });
                Ok(header)
            }
        }
    }

    /// Another token than the one that was refused, if there is one by now.
    pub(super) async fn other_than(&self, refused: &HeaderValue) -> Option<HeaderValue> {
        let mut held = self.held.lock().await;
        let header = self.read().await.ok()?;
        *held = Some(Held { header: header.clone(), since: Instant::now() });
        (header != *refused).then_some(header)
    }

    async fn read(&self) -> Result<HeaderValue, TokenError> {
        let token = match &self.source {
            Token::File(path) => {
                read_file(path).map_err(|error| TokenError::File { path: path.clone(), error })?
            }
            Token::Command(command) => timeout(COMMAND_WAIT_MAX, run(command.reveal()))
                .await
                .map_err(|_| TokenError::Late)??,
        };
        let token = token.trim_ascii();
        if token.is_empty() {
            return Err(TokenError::Empty);
        }
        let mut header =
            HeaderValue::from_bytes(&[b"Bearer ", token].concat()).map_err(|_| TokenError::Form)?;
        header.set_sensitive(true);
        Ok(header)
    }
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut token = Vec::new();
    std::fs::File::open(path)?.take(TOKEN_BYTES_MAX).read_to_end(&mut token)?;
    Ok(token)
}

/// What a command prints. A shell reads it, as in Fluent Bit (popen(3)).
async fn run(command: &str) -> Result<Vec<u8>, TokenError> {
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(TokenError::Command)?;
    let mut token = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(TOKEN_BYTES_MAX).read_to_end(&mut token).await.map_err(TokenError::Command)?;
    }
    let status = child.wait().await.map_err(TokenError::Command)?;
    if status.success() { Ok(token) } else { Err(TokenError::Failed(status)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Value as _;

    fn of_command(command: &str) -> Credential {
        let command = crate::config::Secret::read(command);
        let crate::config::Reading::Clear(command) = command else { panic!("no secret") };
        Credential::new(Token::Command(command), Duration::from_mins(1))
    }

    #[tokio::test]
    async fn a_command_prints_it() {
        let header = of_command("echo to'ke'n | tr k K").header().await.unwrap();
        assert_eq!(header, "Bearer toKen");
        assert!(header.is_sensitive());
        let check = async |command, expected: &str| {
            let error = of_command(command).header().await.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
            assert!(!error.contains("secret"), "{error}");
        };
        check("echo secret; exit 3", "exit status: 3").await;
        check("true secret", "empty").await;
        check("printf 'secr\\001et'", "no header").await;
        check("no-such-secret 2>/dev/null", "127").await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_is_read_anew_when_its_time_is_over_or_when_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let credential = Credential::new(Token::File(path.clone()), Duration::from_mins(10));
        let error = credential.header().await.unwrap_err().to_string();
        assert!(error.contains("token` ") || error.contains("No such file"), "{error}");
        std::fs::write(&path, "one\n").unwrap();
        let one = credential.header().await.unwrap();
        assert_eq!(one, "Bearer one");
        assert_eq!(credential.other_than(&one).await, None);
        std::fs::write(&path, "two").unwrap();
        assert_eq!(credential.header().await.unwrap(), one);
        tokio::time::advance(Duration::from_mins(11)).await;
        assert_eq!(credential.header().await.unwrap(), "Bearer two");
        std::fs::write(&path, "three").unwrap();
        let two = HeaderValue::from_static("Bearer two");
        assert_eq!(credential.other_than(&two).await.unwrap(), "Bearer three");
        std::fs::remove_file(&path).unwrap();
        tokio::time::advance(Duration::from_mins(11)).await;
        assert_eq!(credential.header().await.unwrap(), "Bearer three");
    }
}
