//! What this machine, or the container around us, has to give.

use std::{fs, path::Path};

/// Assumed where the system does not say how much memory it has.
const UNKNOWN_MEMORY_BYTES: u64 = 4 << 30;

/// The memory that this process may use: the machine's, or less where a cgroup says so.
pub(super) fn memory_bytes() -> u64 {
    let read = |path: &Path| fs::read_to_string(path).ok();
    let machine = read(Path::new("/proc/meminfo")).and_then(|text| total_bytes(&text));
    let group = read(Path::new("/proc/self/cgroup"))
        .and_then(|text| group_limit_bytes(&text, Path::new("/sys/fs/cgroup"), &read));
    machine.into_iter().chain(group).min().unwrap_or(UNKNOWN_MEMORY_BYTES)
}

/// Reads the line `MemTotal:  16305432 kB`.
fn total_bytes(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// The smallest limit of our cgroup and all around it: version 2 (`0::/a/b`), or version 1
/// (`5:memory:/a/b`).
fn group_limit_bytes(
    groups: &str,
    root: &Path,
    read: &dyn Fn(&Path) -> Option<String>,
) -> Option<u64> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, group) = (parts.next()?, parts.next()?, parts.next()?);
        let (folder, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            "memory" => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        // Inside a container the group's own path may not be visible: its parents are.
        let path = folder.join(group.trim_start_matches('/'));
        path.ancestors()
            .take_while(|ancestor| ancestor.starts_with(&folder))
            .filter_map(|ancestor| read(&ancestor.join(file))?.trim().parse::<u64>().ok())
            .min()
    });
    limits.min()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_machine_says_how_much_memory_it_has() {
        assert_eq!(total_bytes("MemTotal:       2048 kB\nMemFree: 1 kB\n"), Some(2 * 1024 * 1024));
        assert_eq!(total_bytes("MemFree: 1 kB\n"), None);
        assert!(memory_bytes() > 1 << 20);
    }

    #[test]
    fn the_tightest_cgroup_wins() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("system.slice/weir.service");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("memory.max"), "max\n").unwrap();
        fs::write(root.path().join("system.slice/memory.max"), "1000\n").unwrap();
        fs::create_dir_all(root.path().join("memory")).unwrap();
        fs::write(root.path().join("memory/memory.limit_in_bytes"), "500\n").unwrap();
        let read = |path: &Path| fs::read_to_string(path).ok();
        for (groups, expected) in [
            ("0::/system.slice/weir.service\n", Some(1000)),
            ("0::/system.slice/gone/deeper\n", Some(1000)),
            ("0::/\n", None),
            ("5:memory:/docker/abc\n0::/system.slice\n", Some(500)),
            ("nonsense", None),
        ] {
            assert_eq!(group_limit_bytes(groups, root.path(), &read), expected, "{groups}");
        }
    }
}
