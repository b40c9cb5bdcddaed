//! Every name comes back, every damage is refused, and a reader survives all of it.

use super::builder::Bounds;
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Names in segment order, with their ids.
type Names = BTreeMap<Vec<Vec<u8>>, u32>;

fn build(names: &[(Vec<u8>, u32)]) -> Result<Vec<u8>, PushError> {
    build_with(IndexBuilder::new(), names)
}

fn build_with(mut builder: IndexBuilder, names: &[(Vec<u8>, u32)]) -> Result<Vec<u8>, PushError> {
    let mut file = Vec::new();
    for (number, (path, id)) in names.iter().enumerate() {
        builder.push(path, *id)?;
        if number % 3 == 0 {
            file.append(builder.drain());
            assert_eq!(builder.ready_bytes(), 0);
        }
    }
    let layout = builder.finish::<PushError>(&mut |bytes| {
        file.extend_from_slice(bytes);
        Ok(())
    })?;
    assert_eq!(Layout::read(&file), Ok(layout));
    Ok(file)
}

/// All (path, ordinal), by walking every entry.
fn walk(view: &IndexView<'_>, node: Node<'_>, base: u32, path: &[u8], out: &mut Vec<Vec<u8>>) {
    for at in 0..node.len() {
        let entry = node.entry(at);
        let below = [path, view.segment(entry.segment)].concat();
        let ordinal = base + entry.before;
        if entry.is_series {
            assert_eq!(out.len() as u32, ordinal);
            out.push(below.clone());
        }
        if let Some(child) = entry.child {
            let base = ordinal + u32::from(entry.is_series);
            walk(view, view.node(child), base, &[&below[..], b"."].concat(), out);
        }
    }
}

/// What goes in comes out, by ordinal, id and segment, and the file holds to its own rules.
#[track_caller]
fn check(names: &Names) -> Vec<u8> {
    let names: Vec<(Vec<u8>, u32)> =
        names.iter().map(|(parts, &id)| (parts.join(&b'.'), id)).collect();
    let file = build(&names).unwrap();
    check_file(&file, &names);
    check_file(&as_version_1(&file), &names);
    check_file(&build_wide(&names), &names);
    file
}

/// A file with the forms that other files have for very many names.
fn build_wide(names: &[(Vec<u8>, u32)]) -> Vec<u8> {
    let bounds = Bounds { short_entries: 2, narrow_bytes: 0 };
    build_with(IndexBuilder::within(names.len(), u32::MAX, bounds), names).unwrap()
}

/// A few names in a file of each form.
fn forms() -> [Vec<u8>; 3] {
    let names = names(&["a", "a.b", "a.c.x", "a.d.x", "b.c.x", "b.d.x", "c"]);
    let file = check(&names);
    let names: Vec<_> = names.iter().map(|(parts, &id)| (parts.join(&b'.'), id)).collect();
    [as_version_1(&file), build_wide(&names), file]
}

/// The same file as the first version was.
fn as_version_1(file: &[u8]) -> Vec<u8> {
    let layout = Layout::read(file).unwrap();
    let mut first = file[..file.len() - layout::FOOTER_BYTES].to_vec();
    first[8..12].copy_from_slice(&1_u32.to_le_bytes());
    let start = first.len();
    let Layout { names, words, segments, dictionary_bytes, next_id, root, crcs, .. } = layout;
    let fields = [names, words, segments, dictionary_bytes as u32, next_id, root];
    first.extend(fields.iter().chain(&crcs).flat_map(|word| word.to_le_bytes()));
    first.extend(crc32c::crc32c(&first[start..]).to_le_bytes());
    first.extend(layout::MAGIC);
    first
}

#[track_caller]
fn check_file(file: &[u8], names: &[(Vec<u8>, u32)]) {
    let layout = verify(file).unwrap();
    let view = layout.view(file);
    let mut paths = Vec::new();
    walk(&view, view.root(), 0, b"", &mut paths);
    assert!(paths.iter().eq(names.iter().map(|(path, _)| path)));
    for (ordinal, (path, id)) in names.iter().enumerate() {
        assert_eq!(view.id(ordinal as u32), Some(*id));
        assert_eq!(view.ordinal(*id), Some(ordinal as u32));
        for part in path.split(|&byte| byte == b'.') {
            let segment = view.find_segment(part).unwrap();
            assert_eq!(view.segment(segment), part);
            for len in 0..=part.len() {
                let range = view.segments_with(&part[..len]);
                let all = 0..view.segments();
                let with = all.filter(|&s| view.segment(s).starts_with(&part[..len]));
                assert!(with.eq(range));
            }
        }
    }
    let missing = [names.len() as u32, u32::MAX];
    assert!(missing.iter().all(|&ordinal| view.id(ordinal).is_none()));
    assert!(view.find_segment(b"absent").is_none() && view.find_segment(b"").is_none());
    let absent = (0..400).filter(|id| !names.iter().any(|name| name.1 == *id));
    assert!(absent.chain([u32::MAX]).all(|id| view.ordinal(id).is_none()));
}

fn names(paths: &[&str]) -> Names {
    let parts = |path: &&str| path.split('.').map(|part| part.as_bytes().to_vec()).collect();
    paths.iter().map(parts).zip((0..paths.len() as u32).rev().map(|id| id * 2 + 1)).collect()
}

#[test]
fn names_come_back() {
    check(&names(&[]));
    check(&names(&["a"]));
    check(&names(&[
        "a",
        "a.b",
        "a-b",
        "a.b.c",
        "a-b.c",
        "a b",
        "a/b",
        "b",
        "b.b.c",
        "\u{1}.\u{0}",
    ]));
}

#[test]
fn alike_hosts_are_one_directory() {
    let paths = |hosts: u32| -> Vec<String> {
        let of = |host| (0..50).map(move |metric| format!("h{host}.cpu.m{metric}"));
        (0..hosts).flat_map(of).collect()
    };
    let words = |hosts| {
        let paths = paths(hosts);
        let file = check(&names(&paths.iter().map(String::as_str).collect::<Vec<_>>()));
        Layout::read(&file).unwrap().words
    };
    assert_eq!(words(20) - words(10), 30);
}

#[test]
fn a_path_of_many_parts_comes_back() {
    let deep = vec!["d"; 300].join(".");
    let file = check(&names(&["d.e", &deep]));
    let layout = Layout::read(&file).unwrap();
    assert_eq!(layout.view(&file).root().levels(), 255);
    let deep = vec![b"d".to_vec(); 100_000].join(&b'.');
    assert!(verify(&build(&[(deep, 0)]).unwrap()).is_ok());
}

/// The forms for very many names are taken where they are needed, and only there.
#[test]
fn forms_are_as_wide_as_need_be() {
    let many: Vec<_> = (0..40_u32).map(|i| (format!("n{i:02}").into_bytes(), i)).collect();
    let file = build(&many).unwrap();
    let layout = Layout::read(&file).unwrap();
    assert_eq!((layout.words, layout.dictionary_bytes), (2 + 40, 120));
    let form = layout.form;
    assert!(form.has_long_heads && !form.has_wide_offsets && !form.has_paired_ids);
    let of = |short_entries, narrow_bytes, end| {
        let bounds = Bounds { short_entries, narrow_bytes };
        let file = build_with(IndexBuilder::within(many.len(), end, bounds), &many).unwrap();
        check_file(&file, &many);
        Layout::read(&file).unwrap()
    };
    assert_eq!((of(40, 120, 80).words, of(39, 120, 80).words), (42, 43));
    assert!(!of(40, 120, 80).form.has_wide_offsets && of(40, 119, 80).form.has_wide_offsets);
    assert!(!of(40, 120, 80).form.has_paired_ids && of(40, 120, 81).form.has_paired_ids);
    assert_eq!(Head::read([LONG, 5], true).entries, 5);
    assert_eq!(Head::read([LONG, 5], false).entries, LONG);
}

/// More names in one directory than its first word can tell. That may be set to any number; with
/// nine million, which takes too long without optimization, it is the format's own.
#[test]
fn a_directory_of_very_many_names_comes_back() {
    let names = std::env::var("SILVERBACK_DIRECTORY_NAMES");
    let names: u32 = names.map_or(90_000, |names| names.parse().expect("a number of names"));
    let Bounds { short_entries, narrow_bytes } = Bounds::OF_FORMAT;
    let short_entries = short_entries.min(names as usize - 1);
    let bounds = Bounds { short_entries, narrow_bytes };
    let mut builder = IndexBuilder::within(names as usize, names, bounds);
    let mut file = Vec::new();
    for id in 0..names {
        builder.push(format!("n;k={id:07}").as_bytes(), id).unwrap();
    }
    let layout = builder.finish::<PushError>(&mut |bytes| {
        file.extend_from_slice(bytes);
        Ok(())
    });
    let layout = layout.unwrap();
    let view = layout.view(&file);
    assert_eq!(layout.words, 1 + 2 + names, "the first word is left, and the head has two");
    assert_eq!(view.root().len(), names as usize);
    for id in (0..names).step_by(1001).chain([names - 1]) {
        let segment = view.find_segment(format!("n;k={id:07}").as_bytes()).unwrap();
        let entry = view.root().find(segment).unwrap();
        assert_eq!(view.id(entry.before), Some(id));
    }
    layout.check(&file).unwrap();
}

#[test]
fn names_that_cannot_be_added_are_refused() {
    let name = |path: &str, id| (path.as_bytes().to_vec(), id);
    for path in ["", ".", "a.", ".a", "a..b"] {
        assert!(matches!(build(&[name(path, 0)]), Err(PushError::EmptyPart { .. })), "{path}");
    }
    for (first, second) in [("b", "a"), ("a", "a"), ("a.b", "a"), ("a-b", "a.b")] {
        let built = build(&[name(first, 0), name(second, 1)]);
        assert!(matches!(built, Err(PushError::Order { .. })), "{first} {second}");
    }
    let twice = build(&[name("a", 7), name("b", 7)]);
    assert_eq!(twice, Err(PushError::Id { id: 7 }));
    let sparse = IndexBuilder::of(2, 1000);
    let twice = build_with(sparse, &[name("a", 7), name("b", 7)]);
    assert_eq!(twice, Err(PushError::Id { id: 7 }));
    let built = build(&[name("a", u32::MAX)]);
    assert!(matches!(built, Err(PushError::Full { what: "series", .. })));
}

/// Walks and looks up whatever the bytes say, as far as a budget goes.
fn survive(bytes: &[u8]) {
    let Ok(layout) = Layout::read(bytes) else { return };
    let view = layout.view(bytes);
    let mut rest = vec![view.root()];
    for _ in 0..200 {
        let Some(node) = rest.pop() else { break };
        let _ = (node.find(3), node.find_rank(2), node.seek(9, 1));
        for at in 0..node.len().min(20) {
            let entry = node.entry(at);
            let _ = view.segment(entry.segment);
            rest.extend(entry.child.map(|child| view.node(child)));
        }
    }
    let _ = (view.find_segment(b"b"), view.segments_with(b"a"));
    for number in 0..8 {
        let _ = (view.id(number), view.ordinal(number));
    }
}

#[test]
fn every_cut_and_every_flipped_bit_is_refused() {
    for file in forms() {
        for cut in 0..file.len() {
            assert!(Layout::read(&file[..cut]).is_err(), "cut at {cut}");
        }
        let mut damaged = file.clone();
        for at in 0..file.len() {
            for bit in 0..8 {
                damaged[at] ^= 1 << bit;
                assert!(verify(&damaged).is_err(), "bit {bit} of byte {at}");
                survive(&damaged);
                damaged[at] ^= 1 << bit;
            }
        }
        damaged.push(0);
        assert!(Layout::read(&damaged).is_err());
    }
}

#[test]
fn another_version_is_told_from_a_damaged_header() {
    for mut bytes in forms() {
        bytes[8] ^= 0x40;
        let damaged = IndexError::Malformed { part: Part::Header, item: 2 };
        assert_eq!(Layout::read(&bytes), Err(damaged));
        let footer = bytes.len() - 64;
        bytes[footer..].fill(7);
        let found = u32::from(bytes[8]);
        assert_eq!(Layout::read(&bytes), Err(IndexError::Version { found }));
    }
}

/// Damage whose checksums are right, as a faulty program would write it.
#[test]
fn what_makes_no_sense_is_refused() {
    let [_, wide, file] = forms();
    what_is_forged_makes_no_sense(&wide);
    what_is_forged_makes_no_sense(&file);
}

#[track_caller]
fn what_is_forged_makes_no_sense(file: &[u8]) {
    let footer = file.len() - layout::FOOTER_BYTES;
    let layout = Layout::read(file).unwrap();
    for at in layout::HEADER_BYTES..footer + 32 {
        for bit in 0..8 {
            let mut forged = file.to_vec();
            forged[at] ^= 1 << bit;
            let crcs = layout.section_crcs(&forged);
            for (place, crc) in forged[footer + 32..footer + 52].chunks_exact_mut(4).zip(crcs) {
                place.copy_from_slice(&crc.to_le_bytes());
            }
            let crc = crc32c::crc32c(&forged[footer..footer + 52]);
            forged[footer + 52..footer + 56].copy_from_slice(&crc.to_le_bytes());
            survive(&forged);
            // Another text in the dictionary may be as good as the first, and so may an id.
            if let Ok(layout) = verify(&forged) {
                let view = layout.view(&forged);
                let mut paths = Vec::new();
                walk(&view, view.root(), 0, b"", &mut paths);
                assert_eq!(paths.len(), 7, "bit {bit} of byte {at}");
                assert!(paths.is_sorted_by(|a, b| compare(a, b).is_lt()), "{bit} of {at}");
            }
        }
    }
}

fn some_names() -> impl Strategy<Value = Names> {
    let byte = prop_oneof![6 => b'a'..=b'c', 1 => any::<u8>()];
    let part = prop::collection::vec(byte.prop_map(|b| if b == b'.' { b'-' } else { b }), 1..3);
    let path = prop::collection::vec(part, 1..5);
    let paths = prop::collection::vec(path, 0..40);
    paths.prop_map(|paths| paths.into_iter().zip((0..).map(|id| id * 3 % 128)).collect())
}

proptest! {
    #[test]
    fn any_names_come_back(names in some_names()) {
        check(&names);
    }

    #[test]
    fn any_bytes_are_survived(
        names in some_names(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..20),
    ) {
        let mut file = check(&names);
        let sections = layout::HEADER_BYTES..file.len() - layout::FOOTER_BYTES;
        for (at, byte) in damage {
            if !sections.is_empty() {
                file[sections.start + at.index(sections.len())] = byte;
            }
        }
        survive(&file);
    }
}
