//! stub
pub const SYMBOL_BYTES: usize = 128 << 10;
pub struct Symbols<'a>(&'a [u8]);
impl<'a> Symbols<'a> {
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        Some(Self(bytes))
    }
    pub fn lookup(&self, _a: u64) -> Option<(&'a str, u64)> {
        let _ = self.0;
        None
    }
}
