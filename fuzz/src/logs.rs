//! Bodies for the logs and blocks of the store.

use silverback_formats::block::{BlockIndex, Check};
use silverback_formats::event::Event;
use silverback_formats::frame::{self, Frames, LogKind, Step};
use silverback_formats::manifest::Edit;
use silverback_formats::wal::{Row, Samples, Series, rules, rules_into, samples_into, series_into};

/// A log of any kind: the walk covers every byte once, and every frame is read as all that its
/// payload might be.
pub fn log_frames(data: &[u8]) {
    for kind in [LogKind::Wal, LogKind::Manifest, LogKind::Series, LogKind::Events] {
        let _ = frame::header_number(kind, data);
    }
    let mut end = frame::HEADER_BYTES.min(data.len());
    for step in Frames::new(data) {
        let (offset, len) = match step {
            Step::Frame { payload, offset, .. } => {
                wal_payload(payload);
                manifest_edit(payload);
                event(payload);
                (offset, frame::FRAME_BYTES + payload.len())
            }
            Step::Damage { offset, skipped_bytes, .. } => (offset, skipped_bytes),
            Step::Tail { offset, len_bytes } => (offset, len_bytes),
        };
        assert_eq!(offset, end);
        end += len;
    }
    assert_eq!(end, data.len());
}

/// Payloads of the WAL.
pub fn wal_payload(data: &[u8]) {
    if let Ok(samples) = Samples::new(data) {
        let now_s = samples.now_s();
        let rows: Result<Vec<Row>, _> = samples.collect();
        if let Ok(rows) = rows {
            let mut bytes = Vec::new();
            samples_into(now_s, &rows, &mut bytes);
            let again: Result<Vec<Row>, _> =
                Samples::new(&bytes).expect("written samples can be read").collect();
            let bits = |row: &Row| (row.id, row.time_s, row.value.to_bits());
            assert!(
                again
                    .expect("written samples can be read")
                    .iter()
                    .map(bits)
                    .eq(rows.iter().map(bits))
            );
        }
    }
    if let Ok((schemas, aggregation)) = rules(data) {
        let mut bytes = Vec::new();
        rules_into(schemas, aggregation, &mut bytes);
        assert_eq!(rules(&bytes), Ok((schemas, aggregation)));
    }
    if let Ok(series) = Series::new(data) {
        let entries: Result<Vec<(u32, &[u8])>, _> = series.collect();
        if let Ok(entries) = entries
            && let Some(&(first_id, _)) = entries.first()
        {
            let mut bytes = Vec::new();
            series_into(first_id, entries.iter().map(|(_, name)| *name), &mut bytes);
            let again: Result<Vec<(u32, &[u8])>, _> =
                Series::new(&bytes).expect("written names can be read").collect();
            assert_eq!(again, Ok(entries));
        }
    }
}

/// Payload of the manifest.
pub fn manifest_edit(data: &[u8]) {
    if let Ok(edit) = Edit::decode(data) {
        let mut bytes = Vec::new();
        edit.encode_into(&mut bytes);
        assert_eq!(Edit::decode(&bytes), Ok(edit));
    }
}

/// Payload of the event log.
fn event(data: &[u8]) {
    if let Ok((id, event)) = Event::decode(data) {
        let mut bytes = Vec::new();
        event.encode_into(id, &mut bytes);
        assert_eq!(Event::decode(&bytes), Ok((id, event)));
    }
}

/// A block file: opened, and every page read whether its checksum is right or not.
pub fn block_open(data: &[u8]) {
    let Ok(index) = BlockIndex::open(data) else { return };
    for page in 0..index.pages {
        let entry = index.page(data, page);
        let first = index.first_page(data, entry.first_id);
        assert!(first <= page);
        let checked = entry.bytes(data, Check::Checksum).is_ok();
        let bytes = entry.bytes(data, Check::Known).expect("an unchecked page is never refused");
        let walked = entry.for_each(bytes, |_, _| {});
        let _ = (checked, walked, entry.chunks(bytes, entry.last_id));
    }
}
