use super::*;

const TWO_HOSTS: &str = r#"
[[host]]
name = "north"

[[host]]
name = "south-2"
cpus = 8
memory = "16GiB"
machine = "pc"
cmdline = "godwit.log=debug godwit.group=b"
fragment = { percent = 60, seed = 7 }
"#;

#[test]
fn reads_hosts_with_and_without_defaults() {
    let lab = LabFile::parse(TWO_HOSTS).unwrap();
    let [north, south] = lab.hosts.as_slice() else { panic!("{lab:?}") };
    assert_eq!((north.cpus, north.memory.mib(), north.machine), (1, 128, MachineKind::Q35));
    assert_eq!((south.cpus, south.memory.mib(), south.machine), (8, 16384, MachineKind::Pc));
    assert_eq!((&north.fragment, north.command_line.len()), (&None, 0));
    let specs = lab.specs(Path::new("image"), &lab.switch().unwrap()).unwrap();
    let [_, spec] = specs.as_slice() else { panic!("{specs:?}") };
    assert_eq!((spec.name.as_str(), spec.cpus, spec.memory.mib()), ("south-2", 8, 16384));
    assert_eq!(spec.command_line, ["godwit.log=debug", "godwit.group=b", "godwit.fragment=60:7"]);
    assert!(spec.network.is_none() && spec.module.is_none());
}

const NETWORK: &str = r#"
[network]
mtu = 9000

[[host]]
name = "north"
address = "10.0.0.1/24"
bundle = "guests.bundle"

[[host]]
name = "south"
address = "10.0.0.2/24"
mtu = 65535

[[host]]
name = "island"

[[host]]
name = "west"
address = "10.0.0.3/24"
"#;

#[test]
fn tells_hosts_of_their_peers() {
    let lab = LabFile::parse(NETWORK).unwrap();
    let switch = lab.switch().unwrap();
    let specs = lab.specs(Path::new("image"), &switch).unwrap();
    let [north, south, island, west] = specs.as_slice() else { panic!("{specs:?}") };
    assert_eq!(
        north.command_line,
        ["godwit.address=10.0.0.1/24", "godwit.peers=south@10.0.0.2,west@10.0.0.3"]
    );
    assert_eq!(south.command_line[1], "godwit.peers=north@10.0.0.1,west@10.0.0.3");
    assert_eq!(north.module.as_deref(), Some(Path::new("guests.bundle")));
    assert!(island.network.is_none() && island.command_line.is_empty());
    let adapters = [north, south, west].map(|spec| spec.network.as_ref().unwrap());
    assert_eq!(adapters.map(|adapter| adapter.mtu), [9000, 65535, 9000]);
    assert_eq!(adapters.map(|adapter| adapter.port.number()), [0, 1, 2]);
    assert_eq!(adapters.map(|adapter| adapter.mac.0[5]), [1, 2, 4]);
}

#[test]
fn a_host_alone_in_its_network_has_no_peers() {
    let lab = LabFile::parse("[[host]]\nname = \"a\"\naddress = \"10.0.0.1/30\"\n").unwrap();
    let specs = lab.specs(Path::new("image"), &lab.switch().unwrap()).unwrap();
    assert_eq!(specs[0].command_line, ["godwit.address=10.0.0.1/30"]);
    assert_eq!(specs[0].network.as_ref().unwrap().mtu, 1500);
}

#[test]
fn paths_are_meant_from_the_lab_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lab.toml");
    let text = NETWORK.replace("mtu = 9000", "pcap = \"out/lab.pcap\"");
    std::fs::write(&path, text).unwrap();
    let lab = LabFile::read(&path).unwrap();
    assert_eq!(lab.hosts[0].bundle, Some(directory.path().join("guests.bundle")));
    assert_eq!(lab.pcap, Some(directory.path().join("out/lab.pcap")));
    let error = format!("{:#}", crate::Lab::start(&lab, Path::new("image")).unwrap_err());
    assert!(error.contains("`network.pcap`") && error.contains("out/lab.pcap"), "{error}");
}

#[test]
fn every_refusal_names_its_host_and_field() {
    let host = |fields: &str| format!("[[host]]\nname = \"a\"\n{fields}\n");
    let cases = [
        (String::new(), &["[[host]]"][..]),
        (host("cpu = 2"), &["unknown field `cpu`", "`cpus`", "line 3"]),
        (host("cpus = 0"), &["host 1 (`a`)", "`cpus`", "1 to 255"]),
        (host("cpus = 256"), &["`cpus`", "1 to 255"]),
        (host("cpus = \"two\""), &["expected u32", "line 3"]),
        (host("memory = \"12 parsecs\""), &["host 1 (`a`)", "`memory`", "12 parsecs", "GiB"]),
        (host("memory = \"0MiB\""), &["`memory`", "1 MiB"]),
        (host("machine = \"microvm\""), &["`machine`", "`pc` or `q35`"]),
        (host("fragment = { percent = 101, seed = 1 }"), &["`fragment.percent`", "1 to 100"]),
        (host("fragment = { percent = 0, seed = 1 }"), &["`fragment.percent`", "1 to 100"]),
        (host("fragment = { percent = 10 }"), &["missing field `seed`"]),
        (host("fragment = { percent = 10, seed = 1, extra = 2 }"), &["unknown field `extra`"]),
        (host("name = \"b\""), &["duplicate key"]),
        ("[[host]]\ncpus = 1\n".to_owned(), &["missing field `name`"]),
        ("[[host]]\nname = \"A b\"\n".to_owned(), &["host 1 (`A b`)", "`name`", "lower-case"]),
        ("[[host]]\nname = \"\"\n".to_owned(), &["`name`"]),
        (host("") + &host(""), &["host 2 (`a`)", "`name`", "used twice"]),
        ("[[hosts]]\n".to_owned(), &["unknown field `hosts`"]),
        (host("address = \"10.0.0.1\""), &["host 1 (`a`)", "`address`", "10.0.0.1/24"]),
        (host("address = \"10.0.0.1/24\"\nmtu = 1499"), &["host 1 (`a`)", "`mtu`", "1500 to 65535"]),
        (host("mtu = 9000"), &["host 1 (`a`)", "`mtu`", "without `address`"]),
        (host("mtu = 65536"), &["line 3", "u16"]),
        (
            host("address = \"10.0.0.1/24\"") + "[[host]]\nname = \"b\"\naddress = \"10.0.0.1/24\"\n",
            &["host 2 (`b`)", "`address`", "host `a`", "already"],
        ),
        ("[network]\nmtu = 100\n".to_owned() + &host(""), &["[network]", "`mtu`", "1500 to 65535"]),
        ("[network]\ndelay = 1\n".to_owned() + &host(""), &["unknown field `delay`", "`pcap`", "line 2"]),
    ];
    for (text, words) in cases {
        let error = format!("{:#}", LabFile::parse(&text).unwrap_err());
        for word in words {
            assert!(error.contains(word), "{text:?}: `{word}` is not in: {error}");
        }
    }
}

#[test]
fn a_file_is_named_in_its_errors() {
    let missing = format!("{:#}", LabFile::read(Path::new("/nowhere/lab.toml")).unwrap_err());
    assert!(missing.contains("/nowhere/lab.toml"), "{missing}");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.toml");
    std::fs::write(&path, "[[host]]\nname = \"a\"\ncpus = 0\n").unwrap();
    let bad = format!("{:#}", LabFile::read(&path).unwrap_err());
    assert!(bad.contains("bad.toml") && bad.contains("`cpus`"), "{bad}");
}
