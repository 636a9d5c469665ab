//! What PCI functions are, by class, and who made them, by vendor.

/// The class of a function in words, after the PCI Code and ID Assignment Specification 1.11, section 1.
///
/// `class` is the class code, the subclass and the programming interface.
pub fn class_name(class: (u8, u8, u8)) -> &'static str {
    match class {
        (0x01, 0x01, _) => "IDE controller",
        (0x01, 0x06, 0x01) => "SATA controller (AHCI)",
        (0x01, 0x06, _) => "SATA controller",
        (0x01, 0x07, _) => "SAS controller",
        (0x01, 0x08, 0x02) => "NVMe controller",
        (0x01, ..) => "storage controller",
        (0x02, 0x00, _) => "Ethernet controller",
        (0x02, ..) => "network controller",
        (0x03, 0x00, _) => "VGA controller",
        (0x03, ..) => "display controller",
        (0x04, ..) => "multimedia controller",
        (0x05, ..) => "memory controller",
        (0x06, 0x00, _) => "host bridge",
        (0x06, 0x01, _) => "ISA bridge",
        (0x06, 0x04, _) => "PCI bridge",
        (0x06, ..) => "bridge",
        (0x07, 0x00, _) => "serial port",
        (0x07, ..) => "communication controller",
        (0x08, 0x06, _) => "IOMMU",
        (0x08, ..) => "system peripheral",
        (0x09, ..) => "input device",
        (0x0b, ..) => "processor",
        (0x0c, 0x03, 0x00) => "USB controller (UHCI)",
        (0x0c, 0x03, 0x10) => "USB controller (OHCI)",
        (0x0c, 0x03, 0x20) => "USB controller (EHCI)",
        (0x0c, 0x03, 0x30) => "USB controller (xHCI)",
        (0x0c, 0x03, _) => "USB controller",
        (0x0c, 0x05, _) => "SMBus controller",
        (0x0c, ..) => "serial bus controller",
        (0x0d, ..) => "wireless controller",
        (0x10, ..) => "encryption controller",
        (0x11, ..) => "signal processing controller",
        (0x12, ..) => "accelerator",
        (0x00, ..) => "device from before class codes",
        _ => "device of an unknown class",
    }
}

/// The maker of a function, for the vendors that hosts like ours meet; `None` for any other.
pub fn vendor_name(vendor_id: u16) -> Option<&'static str> {
    Some(match vendor_id {
        0x1002 | 0x1022 => "AMD",
        0x1014 => "IBM",
        0x10de => "NVIDIA",
        0x10ec => "Realtek",
        0x1234 => "QEMU or Bochs",
        0x144d => "Samsung",
        0x14e4 => "Broadcom",
        0x15b3 => "Mellanox",
        0x1af4 => "Red Hat, virtio",
        0x1b36 => "Red Hat, QEMU",
        0x1d0f => "Amazon",
        0x8086 => "Intel",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{class_name, vendor_name};

    #[test]
    fn the_most_specific_name_is_given() {
        assert_eq!(class_name((6, 0, 0)), "host bridge");
        assert_eq!(class_name((6, 0x80, 0)), "bridge");
        assert_eq!(class_name((1, 6, 1)), "SATA controller (AHCI)");
        assert_eq!(class_name((2, 0, 0)), "Ethernet controller");
        assert_eq!(class_name((0xff, 0, 0)), "device of an unknown class");
        assert_eq!((vendor_name(0x8086), vendor_name(0)), (Some("Intel"), None));
    }
}
