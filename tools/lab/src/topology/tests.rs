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
    let spec = south.spec(Path::new("image")).unwrap();
    assert_eq!((spec.name.as_str(), spec.cpus, spec.memory.mib()), ("south-2", 8, 16384));
    assert_eq!(spec.command_line, ["godwit.log=debug", "godwit.group=b", "godwit.fragment=60:7"]);
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
