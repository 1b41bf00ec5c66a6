//! As a user who is not root, with the file capabilities that the image gives the program.

use crate::{LIMIT, PROGRAM, Place, STDOUT, tail};
use rustix::fs::{XattrFlags, setxattr};
use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use tailwater_testing::{Agent, until};

/// `cap_dac_override=p` as `setcap` writes it: revision 2, then what is permitted and what can be inherited, in two
/// halves (`struct vfs_cap_data` of capability.h).
const DAC_OVERRIDE: [u8; 20] = [0, 0, 0, 2, 1 << 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// The image's user.
const USER: &str = "65532";

/// Only root can give a file capabilities, or become somebody else.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Starts a copy of the program as the image's user in a folder of root's, with a file that only root may read.
fn start(place: &Place, with: Option<&[u8]>) -> Agent {
    place.write("app.log", b"for root alone\n");
    let set = |name: &str, mode| {
        std::fs::set_permissions(place.path(name), Permissions::from_mode(mode)).unwrap();
    };
    set("app.log", 0o640);
    set(".", 0o755);
    let program = place.path("tailwater");
    std::fs::copy(PROGRAM, &program).unwrap();
    if let Some(capabilities) = with {
        setxattr(&program, "security.capability", capabilities, XattrFlags::empty()).unwrap();
    }
    let user = [&format!("--reuid={USER}"), &format!("--regid={USER}"), "--clear-groups"];
    let arguments = [&user[..], &[program.to_str().unwrap(), "-c", "fluent-bit.conf"]].concat();
    Agent::start(Path::new("setpriv"), place.dir(), &arguments)
}

#[test]
fn what_only_root_may_read_is_read_and_positions_are_written() {
    if !is_root() {
        return;
    }
    let place =
        Place::new(&["[SERVICE]\n    Flush 0.2\n", &tail("@DIR@/*.log", ""), STDOUT].concat());
    let agent = start(&place, Some(&DAC_OVERRIDE));
    let shipped = until(LIMIT, || agent.stdout().contains("for root alone"));
    assert!(shipped, "{}", agent.stderr());
    assert_eq!(agent.terminate(LIMIT).code, Some(0));
    assert!(place.path("positions.db").exists());
}

/// An image that lost them on its way says so, and what stands in.
#[test]
fn without_them_it_says_what_it_cannot_do() {
    if !is_root() {
        return;
    }
    let place =
        Place::new(&["[SERVICE]\n    Flush 0.2\n", &tail("@DIR@/*.log", ""), STDOUT].concat());
    let ended = start(&place, None).wait(LIMIT);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("positions.db"), "{}", ended.stderr);
}
