//! The sleep types in AML bytes.

use super::SleepTypes;
use crate::acpi::sleep::find_s5;

#[test]
fn every_encoding_of_the_package_is_read() {
    let cases: [(&[u8], (u8, u8)); 8] = [
        // Name (_S5_, Package (4) {Zero, Zero, Zero, Zero})
        (b"\x08_S5_\x12\x06\x04\0\0\0\0", (0, 0)),
        // With a root prefix.
        (b"\x08\\_S5_\x12\x06\x04\x01\x01\0\0", (1, 1)),
        // Byte, word and double word constants.
        (b"\x08_S5_\x12\x08\x04\x0a\x05\x0a\x07\0\0", (5, 7)),
        (b"\x08_S5_\x12\x0a\x02\x0b\x06\0\x0c\x07\0\0\0", (6, 7)),
        // Package lengths of two and three bytes.
        (b"\x08_S5_\x12\x46\0\x02\x01\0\0", (1, 0)),
        (b"\x08_S5_\x12\x87\0\0\x02\x01\0\0", (1, 0)),
        // One element that holds both types.
        (b"\x08_S5_\x12\x05\x01\x0b\x05\x06", (5, 6)),
        // Other names and a use of the name come first.
        (b"\x08_S3_\x12\x06\x04\x01\x01\0\0p_S5_`\x08_S5_\x12\x06\x04\x0a\x05\0\0", (5, 0)),
    ];
    for (aml, (a, b)) in cases {
        assert_eq!(find_s5(aml), Some(SleepTypes { a, b }), "{aml:02x?}");
    }
}

#[test]
fn what_is_no_package_of_sleep_types_is_not_taken() {
    let cases: [&[u8]; 11] = [
        b"",
        b"_S5_",
        b"\x08_S5_",
        // A method, a package without a name, an integer in place of the package.
        b"\x14_S5_\x12\x06\x04\0\0\0\0",
        b"\x08_S5_\x0a\x05",
        // A sleep type of four bits.
        b"\x08_S5_\x12\x07\x04\x0a\x08\0\0\0",
        // A package without elements, or with one that is a reference.
        b"\x08_S5_\x12\x02\x00",
        b"\x08_S5_\x12\x06\x02ABCD",
        // A package that its table cuts, or that its own length cuts.
        b"\x08_S5_\x12\x06\x04\0",
        b"\x08_S5_\x12\x03\x02\x01\x01",
        b"\x08_S5_\x12\xc0\0",
    ];
    for aml in cases {
        assert_eq!(find_s5(aml), None, "{aml:02x?}");
    }
}

#[test]
fn a_wrong_package_does_not_hide_a_right_one() {
    let aml = b"\x08_S5_\x12\x06\x04ABCD\x08_S5_\x12\x06\x04\x01\x01\0\0";
    assert_eq!(find_s5(aml), Some(SleepTypes { a: 1, b: 1 }));
}
