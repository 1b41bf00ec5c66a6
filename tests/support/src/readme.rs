//! The commands in a README, so that a test can run what a reader will type.

/// The lines of every fenced block that begins with `fence`, such as `sh`; one in a list may be indented.
#[must_use]
pub fn readme_commands(text: &str, fence: &str) -> Vec<String> {
    let mut commands = Vec::new();
    let mut inside = false;
    for line in text.lines().map(str::trim_start) {
        if let Some(name) = line.strip_prefix("```") {
            inside = name == fence;
        } else if inside {
            commands.push(line.to_owned());
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::readme_commands;

    #[test]
    fn only_the_asked_blocks_are_read() {
        let text = "# x\n```sh\na\nb\n```\nno\n```sh stores\nc\n```\n```\nd\n```\n1. x\n   ```sh\n   e\n   ```\n";
        assert_eq!(readme_commands(text, "sh"), ["a", "b", "e"]);
        assert_eq!(readme_commands(text, "sh stores"), ["c"]);
    }
}
