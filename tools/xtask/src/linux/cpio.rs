//! Writes an archive that Linux unpacks as its first file system: cpio's `newc` format
//! (Linux, Documentation/driver-api/early-userspace/buffer-format.rst).

/// Kinds of files, as in `st_mode`.
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMBOLIC_LINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// The name that ends an archive.
const TRAILER: &str = "TRAILER!!!";
/// Headers and contents begin at multiples of this many bytes.
const ALIGNMENT: usize = 4;

/// An archive being written. All belongs to root, and nothing has a time, so that the same files make the same archive.
///
/// A directory comes before what is in it.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a directory.
    pub(super) fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY | 0o755, (0, 0), &[]);
    }

    /// Adds a file that may be executed.
    pub(super) fn program(&mut self, name: &str, content: &[u8]) {
        self.entry(name, REGULAR | 0o755, (0, 0), content);
    }

    /// Adds a file.
    pub(super) fn file(&mut self, name: &str, content: &[u8]) {
        self.entry(name, REGULAR | 0o644, (0, 0), content);
    }

    /// Adds a symbolic link to `target`.
    pub(super) fn link(&mut self, name: &str, target: &str) {
        self.entry(name, SYMBOLIC_LINK | 0o777, (0, 0), target.as_bytes());
    }

    /// Adds a character device by its major and minor number.
    pub(super) fn device(&mut self, name: &str, major: u32, minor: u32) {
        self.entry(name, CHARACTER_DEVICE | 0o600, (major, minor), &[]);
    }

    /// The whole archive.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        self.entries += 1;
        // Names are written in this program, and what they name fits into memory twice: 32 bits are enough.
        let (content_bytes, name_bytes) = (content.len() as u32, name.len() as u32 + 1);
        // Number, mode, owner, group, links, time; length; two numbers each of the device it is on and the one it is; sum.
        let fields = [self.entries, mode, 0, 0, 1, 0, content_bytes, 0, 0, major, minor, name_bytes, 0];
        self.bytes.extend(b"070701");
        for field in fields {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes().chain([0]));
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_a_header_a_name_and_a_content_each_padded() {
        let mut archive = Archive::default();
        archive.program("init", b"12345");
        let expected = "070701\
            00000001000081ed0000000000000000000000010000000000000005\
            00000000000000000000000000000000\
            0000000500000000\
            init\0\x0012345\0\0\0";
        let bytes = archive.finish();
        assert_eq!(String::from_utf8_lossy(&bytes[..expected.len()]), expected);
        assert_eq!(&bytes[expected.len()..][..6], b"070701");
    }

    #[test]
    fn devices_and_links_are_what_they_say() {
        let mut archive = Archive::default();
        archive.device("dev/console", 5, 1);
        archive.link("bin/sh", "busybox");
        let text = String::from_utf8(archive.finish()).unwrap();
        assert!(text.starts_with("070701000000010000218"), "{text}");
        assert!(text.contains("0000000500000001") && text.contains("0000a1ff") && text.contains("busybox"));
        assert!(text.contains("TRAILER!!!\0"));
    }

    #[test]
    fn every_part_is_padded_and_nothing_more() {
        let mut archive = Archive::default();
        archive.directory("dev");
        archive.file("version", b"one\n");
        // Headers of 110 bytes, each with its name, its content, and what pads them.
        let sizes = [110 + 4 + 2, 110 + 8 + 2 + 4, 110 + 11 + 3];
        assert_eq!(archive.finish().len(), sizes.iter().sum::<usize>());
    }
}
