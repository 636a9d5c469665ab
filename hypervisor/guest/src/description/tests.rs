use proptest::prelude::*;

use super::*;

fn description() -> GuestDescription {
    GuestDescription {
        name: GuestName::new("web-1").unwrap(),
        memory_bytes: 256 << 20,
        command_line: CommandLine::new("console=ttyS0").unwrap(),
        pages: PagePolicy::FourKib,
        autostart: true,
        processors: Default::default(),
        trust_domain: None,
        tsc_hz: None,
    }
}

#[test]
fn names_are_lower_case_letters_digits_and_hyphens() {
    for good in ["a", "web-1", "0", "-", "x".repeat(32).as_str()] {
        assert_eq!(GuestName::new(good).map(|name| name.to_string()), Ok(good.to_owned()));
    }
    for bad in ["", "A", "a b", "a.b", "é", "a\n", "a\0", "x".repeat(33).as_str()] {
        assert_eq!(GuestName::new(bad), Err(NameError), "{bad:?}");
    }
}

#[test]
fn command_lines_fit_a_kernel() {
    let longest = "x".repeat(2047);
    assert_eq!(CommandLine::new(longest.as_str()).unwrap().as_str(), longest);
    assert_eq!(CommandLine::new(longest + "x"), Err(CommandLineError::TooLong { bytes: 2048 }));
    assert_eq!(CommandLine::new("ab\0c"), Err(CommandLineError::Nul { at: 2 }));
}

#[test]
fn a_description_survives_its_journey() {
    let bytes = postcard::to_allocvec(&description()).unwrap();
    assert_eq!(postcard::from_bytes::<GuestDescription>(&bytes), Ok(description()));
}

#[test]
fn what_a_peer_sent_is_checked() {
    // The same fields with plain types, as a peer that breaks the rules would send them.
    let sent = |name: &str, line: &str| {
        let rest = (Processors::default(), None::<GuestName>, None::<u64>);
        postcard::to_allocvec(&(name, 256u64 << 20, line, PagePolicy::Largest, true, rest)).unwrap()
    };
    assert!(postcard::from_bytes::<GuestDescription>(&sent("web-1", "quiet")).is_ok());
    for bytes in [sent("Web", ""), sent("", ""), sent("a", "a\0b"), sent("a", &"x".repeat(2048))] {
        assert!(postcard::from_bytes::<GuestDescription>(&bytes).is_err());
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_description_or_an_error(bytes: Vec<u8>) {
        if let Ok(found) = postcard::from_bytes::<GuestDescription>(&bytes) {
            prop_assert!(GuestName::new(found.name.as_str()).is_ok());
            prop_assert!(CommandLine::new(found.command_line.as_str()).is_ok());
        }
    }
}
