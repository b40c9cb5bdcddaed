//! Bytes of each version of each file kind, written once and never edited: a change of what is
//! written, or of how the old bytes are read, fails here. `UPDATE_GOLDEN=1` writes files that
//! are not there yet; those of versions that are no longer written are only read.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use silverback_formats::block::{
    BlockBuilder, BlockHeader, BlockIndex, BlockKind, Check, IMPORTED, sealed_order,
};
use silverback_formats::chunk::{Chunk, ChunkBuilder};
use silverback_formats::event::{Event, KIND_EVENT};
use silverback_formats::frame::{self, Frames, LogKind, Step};
use silverback_formats::index::{self, IndexBuilder, PushError};
use silverback_formats::manifest::{
    BlockEntry, Edit, IndexEntry, KIND_EDIT, KIND_EDIT_V1, KIND_INDEX,
};
use silverback_formats::wal::{
    KIND_REMOVED, KIND_RULES, KIND_SAMPLES, KIND_SERIES, Row, Samples, Series, removed,
    removed_into, rules, rules_into, samples_into, series_into,
};
use std::path::PathBuf;

const NAMES: [&[u8]; 3] = [b"servers.web01.cpu", b"m;dc=ams;host=a", b"\xff"];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/data").join(name)
}

#[track_caller]
fn golden(name: &str) -> Vec<u8> {
    let path = path(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[track_caller]
fn check(name: &str, bytes: &[u8]) {
    let path = path(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() && !path.exists() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
    }
    assert!(golden(name) == bytes, "{name} is written otherwise than it was");
}

fn log(kind: LogKind, number: u64, frames: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    frame::header_into(kind, number, &mut out);
    for (kind, payload) in frames {
        let at = frame::start(*kind, &mut out);
        out.extend_from_slice(payload);
        frame::finish(at, &mut out);
    }
    out
}

fn frames(bytes: &[u8]) -> Vec<(u8, &[u8])> {
    Frames::new(bytes)
        .map(|step| match step {
            Step::Frame { kind, payload, .. } => (kind, payload),
            other => panic!("{other:?}"),
        })
        .collect()
}

fn rows() -> Vec<Row> {
    let row = |id, time_s, value| Row { id, time_s, value };
    vec![
        row(0, 1_700_000_000, 12.5),
        row(1, 1_700_000_000, 0.1),
        row(2, 1_699_990_000, -0.0),
        row(0, 1_700_000_060, f64::INFINITY),
        row(u32::MAX - 1, 1, 3.0),
    ]
}

#[test]
fn wal() {
    let (mut series, mut samples) = (Vec::new(), Vec::new());
    series_into(0, NAMES.into_iter(), &mut series);
    samples_into(1_700_000_001, &rows(), &mut samples);
    let bytes = log(LogKind::Wal, 7, &[(KIND_SERIES, series), (KIND_SAMPLES, samples)]);
    check("wal/v1_segment.bin", &bytes);

    assert_eq!(frame::header_number(LogKind::Wal, &bytes), Ok(7));
    let frames = frames(&bytes);
    let names: Vec<_> = Series::new(frames[0].1).unwrap().map(Result::unwrap).collect();
    assert_eq!(names, [(0, NAMES[0]), (1, NAMES[1]), (2, NAMES[2])]);
    let back: Vec<Row> = Samples::new(frames[1].1).unwrap().map(Result::unwrap).collect();
    assert_eq!(back, rows());
}

#[test]
fn removed_series() {
    let ids = [0, 7, u32::MAX - 1];
    let mut payload = Vec::new();
    removed_into(&ids, &mut payload);
    for (kind, path) in
        [(LogKind::Wal, "wal/v1_removed.bin"), (LogKind::Series, "series/v1_removed.bin")]
    {
        let bytes = log(kind, 0, &[(KIND_REMOVED, payload.clone())]);
        check(path, &bytes);
        assert_eq!(removed(frames(&bytes)[0].1).unwrap(), ids);
    }
}

#[test]
fn rules_of_samples() {
    let texts = (&b"[all]\npattern = .*\nretentions = 60s:1d\n"[..], &b""[..]);
    let mut payload = Vec::new();
    rules_into(texts.0, texts.1, &mut payload);
    let bytes = log(LogKind::Wal, 3, &[(KIND_RULES, payload)]);
    check("wal/v1_rules.bin", &bytes);
    assert_eq!(rules(frames(&bytes)[0].1), Ok(texts));
}

#[test]
fn series_log() {
    let mut names = Vec::new();
    series_into(5, NAMES.into_iter(), &mut names);
    let bytes = log(LogKind::Series, 0, &[(KIND_SERIES, names)]);
    check("series/v1_log.bin", &bytes);
    let read = Series::new(frames(&bytes)[0].1).unwrap().map(Result::unwrap);
    assert_eq!(read.collect::<Vec<_>>(), [(5, NAMES[0]), (6, NAMES[1]), (7, NAMES[2])]);
}

#[test]
fn event_log() {
    let deploy = Event {
        time_s: 1_700_000_000,
        what: "deploy v2".into(),
        tags: vec!["deploy".into(), "é".into()],
        data: "ok".into(),
    };
    let events = [deploy, Event { time_s: -1, ..Event::default() }];
    let payload = |id: u64, event: &Event| {
        let mut payload = Vec::new();
        event.encode_into(id, &mut payload);
        (KIND_EVENT, payload)
    };
    let bytes = log(LogKind::Events, 0, &[payload(1, &events[0]), payload(300, &events[1])]);
    check("events/v1_log.bin", &bytes);
    let read = frames(&bytes).into_iter().map(|(_, payload)| Event::decode(payload).unwrap());
    assert!(read.eq([1, 300].into_iter().zip(events)));
}

#[test]
fn manifest_with_an_index() {
    let entry = IndexEntry { number: 7, next_id: 1000, log_bytes: 65_536, len_bytes: 12_000 };
    let payload = |entry: Option<&IndexEntry>| {
        let mut payload = Vec::new();
        IndexEntry::encode_into(entry, &mut payload);
        (KIND_INDEX, payload)
    };
    let bytes = log(LogKind::Manifest, 0, &[payload(Some(&entry)), payload(None)]);
    check("manifest/v1_index.bin", &bytes);
    let frames = frames(&bytes);
    assert_eq!(IndexEntry::decode(frames[0].1), Ok(Some(entry)));
    assert_eq!(IndexEntry::decode(frames[1].1), Ok(None));
}

/// The edits of the manifest's golden files; `block` is the one that they add.
fn edits(block: BlockEntry) -> [Edit; 2] {
    let none = Edit { wal_floor: 2, next_id: 1000, next_block: 4, ..Edit::default() };
    let add = Edit { adds: vec![block], ..none.clone() };
    let remove = Edit { removes: vec![3], wal_floor: 9, ..none };
    [add, remove]
}

const BLOCK: BlockEntry = BlockEntry {
    number: 3,
    order: sealed_order(3),
    kind: BlockKind::Points,
    step_s: 60,
    keep_s: 86_400,
    min_s: 1_700_000_000,
    max_s: 1_700_007_140,
    len_bytes: 123_456,
    chunks: 1000,
};

#[test]
fn manifest_of_version_1() {
    let bytes = golden("manifest/v1_edits.bin");
    let frames = frames(&bytes);
    assert_eq!(frames.iter().map(|frame| frame.0).collect::<Vec<_>>(), [KIND_EDIT_V1; 2]);
    let found: Vec<_> = frames.iter().map(|frame| Edit::decode_v1(frame.1).unwrap()).collect();
    assert_eq!(found, edits(BLOCK));
}

#[test]
fn manifest() {
    let edits = edits(BlockEntry { order: IMPORTED, kind: BlockKind::RollUps, ..BLOCK });
    let payload = |edit: &Edit| {
        let mut payload = Vec::new();
        edit.encode_into(&mut payload);
        (KIND_EDIT, payload)
    };
    let bytes = log(LogKind::Manifest, 0, &edits.each_ref().map(payload));
    check("manifest/v2_edits.bin", &bytes);
    let found = frames(&bytes).into_iter().map(|frame| Edit::decode(frame.1).unwrap());
    assert_eq!(found.collect::<Vec<_>>(), edits);
}

fn block_samples(id: u32) -> impl Iterator<Item = (u32, f64)> {
    (0..40).map(move |slot| (slot * 2, f64::from(id * slot) / 10.0))
}

/// Whether the block of the golden files, under this header, is read from `bytes`.
#[track_caller]
fn check_block(bytes: &[u8], header: BlockHeader) {
    let index = BlockIndex::open(bytes).unwrap();
    assert_eq!((index.header, index.chunks), (header, 300));
    assert!(index.pages > 1);
    let mut next_id = 0;
    for page in 0..index.pages {
        let entry = index.page(bytes, page);
        let page = entry.bytes(bytes, Check::Checksum).unwrap();
        entry
            .for_each(page, |id, chunk| {
                assert_eq!(id, next_id * 3);
                let mut read = Vec::new();
                Chunk::parse(chunk, 60).unwrap().visit(|slot, v| read.push((slot, v))).unwrap();
                assert!(read.into_iter().eq(block_samples(next_id)));
                next_id += 1;
            })
            .unwrap();
    }
    assert_eq!(next_id, 300);
}

#[test]
fn block_of_version_1() {
    let (order, kind) = (sealed_order(3), BlockKind::Points);
    let header = BlockHeader { number: 3, order, kind, step_s: 60, keep_s: 86_400 };
    check_block(&golden("block/v1_block.bin"), header);
}

#[test]
fn block() {
    let mut bytes = Vec::new();
    let (order, kind) = (IMPORTED, BlockKind::RollUps);
    let header = BlockHeader { number: 3, order, kind, step_s: 60, keep_s: 86_400 };
    let mut builder = BlockBuilder::new(header);
    for id in 0..300 {
        let start_s = 1_700_000_040 / 60 * 60;
        let mut chunk = Vec::new();
        ChunkBuilder::from_samples(start_s, block_samples(id)).unwrap().encode_into(&mut chunk);
        builder.push(id * 3, start_s, start_s + 78 * 60, &chunk);
    }
    builder.finish();
    bytes.append(builder.drain());
    check("block/v2_block.bin", &bytes);
    check_block(&bytes, header);
}

const INDEX_NAMES: [(&[u8], u32); 7] = [
    (b"_tagged.0d1.m;dc=ams;host=a", 6),
    (b"servers.web01", 0),
    (b"servers.web01.cpu.idle", 4),
    (b"servers.web01.cpu.user", 2),
    (b"servers.web02.cpu.idle", 1),
    (b"servers.web02.cpu.user", 9),
    (b"\xff", 3),
];

#[test]
fn index() {
    check("index/v2_names.bin", &built(IndexBuilder::new(), 1));
    check("index/v2_sparse.bin", &built(IndexBuilder::of(7, 9001), 1000));
    check_index("index/v1_names.bin", 1);
    check_index("index/v2_names.bin", 1);
    check_index("index/v2_sparse.bin", 1000);
}

/// A file of the names, with so many times their ids.
fn built(mut builder: IndexBuilder, times: u32) -> Vec<u8> {
    for (path, id) in INDEX_NAMES {
        builder.push(path, id * times).unwrap();
    }
    let mut file = Vec::new();
    let append = &mut |bytes: &[u8]| {
        file.extend_from_slice(bytes);
        Ok::<(), PushError>(())
    };
    let layout = builder.finish(append).unwrap();
    assert_eq!(index::verify(&file), Ok(layout));
    file
}

#[track_caller]
fn check_index(name: &str, times: u32) {
    let file = golden(name);
    let layout = index::verify(&file).unwrap();
    let view = layout.view(&file);
    for (ordinal, (_, id)) in (0..).zip(INDEX_NAMES) {
        assert_eq!((view.id(ordinal), view.ordinal(id * times)), (Some(id * times), Some(ordinal)));
    }
    let segment = view.find_segment(b"servers").unwrap();
    assert_eq!(view.root().find(segment).map(|entry| entry.before), Some(1));
}
