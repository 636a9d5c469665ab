//! Where the boot path arrives, and where a panic ends.

use core::panic::PanicInfo;

use godwit_frames::Frames;
use godwit_host::{Startup, guests::GuestTable};
use godwit_machine::{
    bring_up::{self, Continue, Up},
    fault,
    hardware::Hardware,
    heap::Heap,
};

/// Control structures only: bounded, and filled from the frame allocator during bring-up.
#[global_allocator]
static HEAP: Heap = Heap::empty();

/// The guests that run here, by host CPU.
static GUESTS: GuestTable = GuestTable::new();

/// Room for the names of the image's functions, in bytes: three times what they take now.
const SYMBOL_BYTES: usize = 384 << 10;

/// Room for the names of the image's functions; `cargo xtask build` fills it after linking.
#[unsafe(link_section = ".godwit.symbols")]
#[used]
static SYMBOLS: [u8; SYMBOL_BYTES] = [0; SYMBOL_BYTES];

/// The first Rust function, called once by the PVH entry with the physical address of the start information.
#[unsafe(no_mangle)]
extern "C" fn godwit_start_pvh(start_info: u64) -> ! {
    bring_up::pvh(start_info, &HEAP, Continue { host, cpu })
}

fn host(up: Up) -> ! {
    godwit_host::run(
        up.machine,
        up.frames,
        &GUESTS,
        Startup {
            version: env!("CARGO_PKG_VERSION"),
            build_id: option_env!("GODWIT_BUILD_ID").unwrap_or("unknown"),
            boot: up.boot,
            memory: up.memory_map,
            command_line: up.command_line,
        },
    )
}

fn cpu(machine: &'static Hardware, frames: &'static Frames<'static>) -> ! {
    godwit_host::run_cpu(machine, frames, &GUESTS)
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fault::report_panic(info)
}

/// Named by prebuilt `core`; the image never unwinds.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    panic!("unwinding was asked for")
}

/// Named by prebuilt `core`; the image never unwinds.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    panic!("unwinding was asked for")
}
