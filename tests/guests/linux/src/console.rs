//! Lines on the console.

use rustix::io::Errno;

/// Prints one line, whole: what threads print does not mix.
macro_rules! say {
    ($($argument:tt)*) => { $crate::console::line(&format!($($argument)*)) };
}
pub(crate) use say;

/// Prints `text` and a line end in one call to the kernel, which lets no other call in between.
///
/// No lock is taken here: a real-time thread would wait for one that is not allowed to run.
pub(crate) fn line(text: &str) {
    let bytes = [text.as_bytes(), b"\n"].concat();
    let mut rest = bytes.as_slice();
    while !rest.is_empty() {
        match rustix::io::write(rustix::stdio::stdout(), rest) {
            Ok(written) => rest = rest.get(written..).unwrap_or_default(),
            Err(Errno::INTR | Errno::AGAIN) => {}
            // There is no console: nobody to tell.
            Err(_) => return,
        }
    }
}
