//! Whether a guest takes NMIs, which the processor does not track for it without vNMI (APM vol. 2, 15.21.10).

/// What holds a guest's NMIs off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum NmiBlocking {
    /// Nothing.
    None,
    /// The handler of one runs: until it returns by IRET, which is intercepted.
    UntilIret,
    /// The IRET at this RIP is about to run: until RIP is seen elsewhere. The intercept comes before the instruction, and an NMI
    /// delivered there would find the handler's stack in use.
    AtIret(u64),
}
