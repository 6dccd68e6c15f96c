//! What is at a path is respected, each step that fails leaves the old file or the new one, and nothing stays behind.

use std::path::PathBuf;
use std::process::Command;

use super::super::faults::{fail_at, fail_each};
use super::*;

/// A directory of its own, with the names in it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The message with the path of the file taken out.
fn refusal(path: &Path) -> String {
    let message = replace(path, b"new").unwrap_err().to_string();
    message.replace(&path.display().to_string(), "FILE")
}

#[test]
fn a_file_is_made_and_replaced() {
    let folder = Folder::new();
    let path = folder.path("file");
    replace(&path, b"first").unwrap();
    replace_unsynced(&path, b"second, longer").unwrap();
    replace(&path, b"").unwrap();
    replace(&path, b"last").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"last");
    assert_eq!(folder.names(), ["file"]);
    // The longest name that a file may have.
    let longest = folder.path(&"é".repeat(127));
    replace(&longest, b"1").unwrap();
    replace(&longest, b"2").unwrap();
    assert_eq!(fs::read(&longest).unwrap(), b"2");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    fn is_root() -> bool {
        fs::metadata("/proc/self").is_ok_and(|metadata| metadata.uid() == 0)
    }

    #[test]
    fn links_are_followed_and_stay() {
        let folder = Folder::new();
        fs::create_dir(folder.path("sub")).unwrap();
        fs::write(folder.path("sub/run7"), "old").unwrap();
        symlink("sub/run7", folder.path("latest")).unwrap();
        symlink("latest", folder.path("link to a link")).unwrap();
        symlink(folder.path("sub/new"), folder.path("to nothing")).unwrap();
        for (link, target) in [("latest", "sub/run7"), ("link to a link", "sub/run7"), ("to nothing", "sub/new")] {
            replace(&folder.path(link), link.as_bytes()).unwrap();
            assert!(fs::symlink_metadata(folder.path(link)).unwrap().is_symlink());
            assert_eq!(fs::read(folder.path(target)).unwrap(), link.as_bytes());
        }
        symlink("round", folder.path("round")).unwrap();
        assert_eq!(
            refusal(&folder.path("round")),
            "cannot follow the link FILE: more than 40 links lead to each other"
        );
        assert_eq!(folder.names(), ["latest", "link to a link", "round", "sub", "to nothing"]);
        assert_eq!(fs::read_dir(folder.path("sub")).unwrap().count(), 2);
    }

    #[test]
    fn mode_and_owner_stay() {
        let folder = Folder::new();
        let path = folder.path("file");
        replace(&path, b"new files go by the umask").unwrap();
        fs::write(folder.path("plain"), "").unwrap();
        assert_eq!(mode(&path), mode(&folder.path("plain")));
        for bits in [0o600, 0o640, 0o200, 0o666, 0o755] {
            fs::set_permissions(&path, Permissions::from_mode(bits)).unwrap();
            replace(&path, b"again").unwrap();
            assert_eq!(mode(&path), bits, "{bits:o}");
        }
        if is_root() {
            std::os::unix::fs::chown(&path, Some(1234), Some(5678)).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            replace(&path, b"somebody else's").unwrap();
            let metadata = fs::metadata(&path).unwrap();
            assert_eq!((metadata.uid(), metadata.gid(), mode(&path)), (1234, 5678, 0o600));
        }
        // Who may not give a file away writes over it.
        let inode = fs::metadata(&path).unwrap().ino();
        fail_each("keep the owner", ErrorKind::PermissionDenied, || replace(&path, b"kept").unwrap());
        assert_eq!((fs::metadata(&path).unwrap().ino(), fs::read(&path).unwrap()), (inode, b"kept".to_vec()));
    }

    #[test]
    fn what_is_no_file_to_write_to_is_refused() {
        let folder = Folder::new();
        let expected = "FILE: expected a regular file to replace, or none, found ";
        fs::create_dir(folder.path("directory")).unwrap();
        assert_eq!(refusal(&folder.path("directory")), format!("{expected}a directory"));
        assert!(Command::new("mkfifo").arg(folder.path("pipe")).status().unwrap().success());
        assert_eq!(refusal(&folder.path("pipe")), format!("{expected}a named pipe"));
        let _socket = std::os::unix::net::UnixListener::bind(folder.path("socket")).unwrap();
        assert_eq!(refusal(&folder.path("socket")), format!("{expected}a socket"));
        assert_eq!(refusal(Path::new("/dev/null")), format!("{expected}a device"));
        symlink("/dev/null", folder.path("link")).unwrap();
        assert_eq!(refusal(&folder.path("link")), format!("{expected}a device"));
        assert_eq!(refusal(Path::new("/")), format!("{expected}a path that ends in no name"));
        let fixed = folder.path("fixed");
        fs::write(&fixed, "old").unwrap();
        fs::set_permissions(&fixed, Permissions::from_mode(0o444)).unwrap();
        assert_eq!(refusal(&fixed), "cannot replace FILE: it is read-only");
        assert_eq!(fs::read(&fixed).unwrap(), b"old");
        assert_eq!(folder.names(), ["directory", "fixed", "link", "pipe", "socket"]);
    }

    #[test]
    fn other_names_of_the_file_keep_the_old_content() {
        let folder = Folder::new();
        fs::write(folder.path("model"), "old").unwrap();
        fs::hard_link(folder.path("model"), folder.path("backup")).unwrap();
        replace(&folder.path("model"), b"new").unwrap();
        assert_eq!(fs::read(folder.path("model")).unwrap(), b"new");
        assert_eq!(fs::read(folder.path("backup")).unwrap(), b"old");
    }

    #[test]
    fn a_planted_link_is_not_written_through_nor_followed_when_cleaning_up() {
        let folder = Folder::new();
        fs::write(folder.path("victim"), "precious").unwrap();
        let planted = [".model.0123456789ab.part", &format!(".model.{}-1.part", std::process::id())].map(str::to_owned);
        planted.iter().for_each(|name| symlink("victim", folder.path(name)).unwrap());
        for _ in 0..3 {
            replace(&folder.path("model"), b"new").unwrap();
        }
        assert_eq!(fs::read(folder.path("victim")).unwrap(), b"precious");
        assert!(fs::symlink_metadata(folder.path("model")).unwrap().is_file());
        assert_eq!(folder.names().len(), 4, "links are left alone: {:?}", folder.names());
    }

    /// Runs a script as root in a mount namespace of its own; `None` where this machine does not let us.
    fn with_mounts(folder: &Folder, script: &str, inside: &str) -> Option<()> {
        if !is_root() || std::env::var_os("WGRAD_TEST_MOUNTED").is_some() {
            return None;
        }
        let run = |script: &str| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "sh", "-ec", script]).current_dir(folder.0.path());
            command.env("WGRAD_TEST_MOUNTED", "1").env("WGRAD_TEST_PROGRAM", std::env::current_exe().unwrap());
            command.output()
        };
        if !run(script).is_ok_and(|output| output.status.success()) {
            return None;
        }
        let test = format!("{script}\nexec \"$WGRAD_TEST_PROGRAM\" --exact --ignored --nocapture {}", module(inside));
        let output = run(&test).unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        Some(())
    }

    fn module(test: &str) -> String {
        format!("{}::{test}", module_path!().split_once("::").unwrap().1)
    }

    #[test]
    fn a_full_disk_leaves_the_old_file() {
        let folder = Folder::new();
        fs::create_dir(folder.path("small")).unwrap();
        let script = "mount -t tmpfs -o size=64k tmpfs small";
        if with_mounts(&folder, script, "inside_a_small_disk").is_none() {
            eprintln!("not run with a real full disk: mounting is not allowed here");
        }
        // What every machine can show: each write fails as it does on a full disk.
        let path = folder.path("file");
        replace(&path, b"old").unwrap();
        let full = |step| fail_each(step, ErrorKind::StorageFull, || replace(&path, b"new").unwrap_err().to_string());
        for (step, action) in [("create", "create"), ("write", "write"), ("sync", "write"), ("rename", "replace")] {
            assert!(full(step).starts_with(&format!("cannot {action} {}: ", path.display())), "{}", full(step));
        }
        let quota = fail_each("write", ErrorKind::QuotaExceeded, || replace(&path, b"new").unwrap_err());
        assert!(quota.to_string().contains("quota exceeded"), "{quota}");
        assert_eq!((fs::read(&path).unwrap(), folder.names()), (b"old".to_vec(), vec!["file".into(), "small".into()]));
    }

    #[test]
    #[ignore = "run by the test of a full disk, in its small disk"]
    fn inside_a_small_disk() {
        if std::env::var_os("WGRAD_TEST_MOUNTED").is_none() {
            return;
        }
        let path = Path::new("small/file");
        replace(path, &[1; 30_000]).unwrap();
        // There is no room for a second one of this size, nor for this one alone.
        for size in [40_000, 100_000] {
            let message = replace(path, &vec![2; size]).unwrap_err().to_string();
            assert_eq!(message, "cannot write small/file: No space left on device (os error 28)");
        }
        assert_eq!(fs::read(path).unwrap(), [1; 30_000]);
        assert_eq!(fs::read_dir("small").unwrap().count(), 1);
        replace(path, &[3; 20_000]).unwrap();
    }

    #[test]
    fn a_mounted_file_and_a_directory_that_may_not_be_written_to_are_written_over() {
        let folder = Folder::new();
        for name in ["file", "source", "sub"] {
            match name {
                "sub" => fs::create_dir(folder.path(name)).unwrap(),
                _ => fs::write(folder.path(name), "old, and longer than the new one").unwrap(),
            }
        }
        fs::write(folder.path("sub/file"), "old").unwrap();
        let script = "touch sub/file && mount --bind source file && mount --bind sub/file sub/file && \
                      mount --bind sub sub && mount -o remount,bind,ro sub && mount --bind source sub/file";
        if with_mounts(&folder, script, "inside_the_mounts").is_none() {
            eprintln!("not run with real mounts: mounting is not allowed here");
        }
        let path = folder.path("file");
        for (step, kind) in [
            ("create", ErrorKind::PermissionDenied),
            ("create", ErrorKind::ReadOnlyFilesystem),
            ("rename", ErrorKind::ResourceBusy),
            ("rename", ErrorKind::CrossesDevices),
            ("rename", ErrorKind::PermissionDenied),
        ] {
            fs::write(&path, "old, and longer than the new one").unwrap();
            let inode = fs::metadata(&path).unwrap().ino();
            fail_each(step, kind, || replace(&path, b"new").unwrap());
            assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().ino()), (b"new".to_vec(), inode));
        }
        // A new file cannot be made there, and says so.
        let new = folder.path("another");
        let message =
            fail_each("create", ErrorKind::PermissionDenied, || replace(&new, b"new").unwrap_err().to_string());
        assert_eq!(message, format!("cannot create {}: permission denied", new.display()));
        assert_eq!(folder.names(), ["file", "source", "sub"]);
    }

    #[test]
    #[ignore = "run by the test of mounted files, in its mounts"]
    fn inside_the_mounts() {
        if std::env::var_os("WGRAD_TEST_MOUNTED").is_none() {
            return;
        }
        for path in ["file", "sub/file"] {
            let inode = fs::metadata(path).unwrap().ino();
            replace(Path::new(path), path.as_bytes()).unwrap();
            assert_eq!((fs::read(path).unwrap(), fs::metadata(path).unwrap().ino()), (path.into(), inode));
        }
        let message = replace(Path::new("sub/new"), b"").unwrap_err().to_string();
        assert_eq!(message, "cannot create sub/new: Read-only file system (os error 30)");
    }

    /// As another user than root, whom permissions hold back.
    #[test]
    fn a_directory_that_cannot_be_read_is_written_to() {
        let folder = Folder::new();
        let path = folder.path("file");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(folder.0.path(), Permissions::from_mode(0o333)).unwrap();
        // Root may sync it all the same, so the fault stands for those who may not.
        let outcome = fail_each("sync the directory", ErrorKind::PermissionDenied, || replace(&path, b"new"));
        fs::set_permissions(folder.0.path(), Permissions::from_mode(0o755)).unwrap();
        outcome.unwrap();
        assert_eq!((fs::read(&path).unwrap(), folder.names()), (b"new".to_vec(), vec!["file".into()]));
    }
}

#[test]
fn whatever_step_fails_the_file_is_the_old_one_or_the_new_one() {
    let folder = Folder::new();
    let path = folder.path("file");
    let mut steps_seen = 0;
    for n in 0.. {
        fs::write(&path, "old").unwrap();
        let (outcome, steps) = fail_at(n, || replace(&path, b"new"));
        let found = fs::read(&path).unwrap();
        assert_eq!(outcome.is_ok(), found == b"new", "step {n} of {steps:?}: {outcome:?}");
        assert!(outcome.is_ok() || found == b"old", "step {n} of {steps:?}");
        assert_eq!(folder.names(), ["file"], "step {n} of {steps:?}");
        if n >= steps.len() {
            steps_seen = steps.len();
            break;
        }
    }
    assert!(steps_seen >= 5, "{steps_seen} steps were come to");
}

#[test]
fn an_overwriting_that_fails_puts_the_old_content_back() {
    let folder = Folder::new();
    let path = folder.path("file");
    let denied = ErrorKind::PermissionDenied.into();
    for (old, new) in [("old content", "new"), ("old", "new content"), ("", "new")] {
        for n in 0.. {
            fs::write(&path, old).unwrap();
            let place = Place::of(&path).unwrap();
            let (outcome, steps) = fail_at(n, || place.write_over(new.as_bytes(), true, &denied));
            let found = fs::read_to_string(&path).unwrap();
            match outcome {
                Ok(()) => assert_eq!((found.as_str(), n), (new, 2), "{steps:?}"),
                Err(error) => {
                    assert_eq!(found, old, "step {n} of {steps:?}");
                    let start = format!("cannot write {}: a fault on purpose at ", path.display());
                    assert!(error.to_string().starts_with(&start), "{error}");
                    continue;
                }
            }
            break;
        }
    }
}

#[test]
fn what_killed_saves_left_is_removed_and_what_others_are_at_is_not() {
    let folder = Folder::new();
    let (path, other) = (folder.path("model"), folder.path("model2"));
    for name in [".model.aB3456789xyz.part", ".model.77-3.part", ".model2.000000000000.part"] {
        fs::write(folder.path(name), "half").unwrap();
    }
    let users =
        [".model.part", ".model.mine.part", ".model.aB3456789xyz", "model.aB3456789xyz.part", ".model.1-x.part"];
    users.iter().for_each(|name| fs::write(folder.path(name), "the user's").unwrap());
    let place = Place::of(&path).unwrap();
    let at_work = Unfinished::create(&place).unwrap();
    let busy = at_work.0.path().to_owned();
    assert!(!folder.path(".model.77-3.part").exists() && !folder.path(".model.aB3456789xyz.part").exists());
    replace(&path, b"new").unwrap();
    assert!(busy.exists(), "another writer's file was removed");
    at_work.finish_in(place, true).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"", "the other writer was the last one");
    replace(&other, b"new").unwrap();
    let mut expected: Vec<_> = users.into_iter().chain(["model", "model2"]).collect();
    expected.sort_unstable();
    assert_eq!(folder.names(), expected);
}

#[test]
fn many_writers_of_one_file_never_collide() {
    let folder = Folder::new();
    let path = folder.path("file");
    let whole = |writer: usize| vec![writer as u8; 10_000 + writer];
    replace(&path, &whole(0)).unwrap();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let path = &path;
            scope.spawn(move || (0..50).for_each(|_| replace_unsynced(path, &whole(writer)).unwrap()));
        }
        for _ in 0..200 {
            let found = fs::read(&path).unwrap();
            assert_eq!(found, whole(usize::from(found[0])));
        }
    });
    assert_eq!(folder.names(), ["file"]);
}

#[test]
fn whoever_panics_leaves_nothing() {
    let folder = Folder::new();
    let path = folder.path("file");
    let panicked = std::panic::catch_unwind(|| {
        let _unfinished = Unfinished::create(&Place::of(&path).unwrap()).unwrap();
        std::panic::resume_unwind(Box::new("on purpose"));
    });
    assert!(panicked.is_err() && folder.names().is_empty());
}

/// Bytes of a file that is saved again and again.
const SAVED: usize = 1 << 20;

#[test]
fn killed_writers_leave_a_whole_file_and_the_next_save_cleans_up() {
    let folder = Folder::new();
    let path = folder.path("file");
    replace(&path, &[0; SAVED]).unwrap();
    let test = format!("{}::saves_until_killed", module_path!().split_once("::").unwrap().1);
    let (mut left, mut round) = (0, 0);
    // At least one must have been killed at work; a machine that is busy takes longer to start them.
    while round < 20 || left == 0 {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "--ignored", &test]).env("WGRAD_TEST_FILE", &path);
        let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(30 + 7 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        left += folder.names().len() - 1;
        let found = fs::read(&path).unwrap();
        assert!(found.len() == SAVED && found.iter().all(|&byte| byte == found[0]), "round {round}");
        round += 1;
        assert!(round < 300, "no writer was killed at work: nothing is shown");
    }
    replace(&path, b"new").unwrap();
    assert_eq!(folder.names(), ["file"]);
}

#[test]
#[ignore = "run by the test of killed writers, which kills it"]
fn saves_until_killed() {
    let Some(path) = std::env::var_os("WGRAD_TEST_FILE") else { return };
    for number in (0..=u8::MAX).cycle() {
        replace(Path::new(&path), &vec![number; SAVED]).unwrap();
    }
}
