//! Bodies for compressed whisper files.

use silverback_formats::whisper::compressed::{BlockPoints, Compressed, Conduct, Index};
use silverback_formats::whisper::{Fetched, Point};

/// More points than this an archive must prove by its bytes.
const POINTS_UNPROVEN_MAX: u32 = 1 << 22;

/// A compressed file. The time of its newest point is taken for now, so that reads meet its
/// blocks and buffers.
pub fn cwhisper_read(data: &[u8]) {
    block_ends(data);
    for conduct in [Conduct::Corrected, Conduct::GoWhisper] {
        let Ok(mut file) = Compressed::open(data.to_vec(), conduct) else { continue };
        let now_s = newest_s(file.index());
        file.verify().expect("a file in memory can be read");
        for level in 0..file.index().archives.len() {
            // A damaged block is an error.
            let _ = file.archive_points(level);
        }
        read(&file, now_s);
        if write(&mut file, now_s) {
            read(&file, now_s);
            reopen(file, conduct);
        }
    }
}

/// Any bytes hold so many points at most as they have pairs of bits, oldest first.
fn block_ends(data: &[u8]) {
    let mut newest_s = 0;
    let points = BlockPoints::unbounded(data, 60).map_while(Result::ok);
    let count = points.inspect(|point| {
        assert!(point.time_s >= newest_s);
        newest_s = point.time_s;
    });
    assert!(count.count() <= data.len() * 4 + 1);
}

fn newest_s(index: &Index) -> i64 {
    let base = &index.archives[0];
    let stored = base.blocks.iter().map(|block| block.end_s);
    let waiting = base.buffer.points().map(|point| point.time_s);
    stored.chain(waiting).max().unwrap_or(0).into()
}

/// Any fetch answers with no more values than its archive has points.
fn read(file: &Compressed<Vec<u8>>, now_s: i64) {
    let archives = &file.index().archives;
    for age_s in [0, 1, 300, i64::from(u32::MAX)] {
        let fetched = file.fetch(now_s - age_s, now_s, now_s).expect("the range goes forward");
        check(file.index(), fetched);
        for (level, archive) in archives.iter().enumerate() {
            let fetched = file.fetch_archive(level, now_s - age_s, now_s, now_s);
            check(file.index(), fetched.expect("there is such an archive"));
            // None that is made so may reach back.
            let fetched = file.fetch_summary(archive.summary, now_s - age_s, now_s, now_s);
            check(file.index(), fetched.unwrap_or_default());
        }
    }
}

fn check(index: &Index, fetched: Option<Fetched>) {
    let Some(fetched) = fetched else { return };
    let fits = |points: u32| fetched.values.len() <= points.max(1) as usize;
    let archives = &index.archives;
    assert!(archives.iter().any(|a| a.info.step_s == fetched.step_s && fits(a.info.points)));
}

/// Some points on time, some late. Whether they could be written.
fn write(file: &mut Compressed<Vec<u8>>, now_s: i64) -> bool {
    let Ok(time_s) = u32::try_from(now_s) else { return false };
    let points: Vec<Point> =
        (0..40).map(|n| Point { time_s: time_s.saturating_sub(n * 37), value: 1.5 }).collect();
    let newer = [Point { time_s: time_s.saturating_add(1000), value: 0.1 }];
    file.update_many(&newer, now_s).is_ok() && file.update_many(&points, now_s).is_ok()
}

/// What was written can be opened, with the same content.
fn reopen(file: Compressed<Vec<u8>>, conduct: Conduct) {
    let index = file.index().clone();
    let unproven = |points: u32| points > POINTS_UNPROVEN_MAX;
    if index.archives.iter().any(|archive| unproven(archive.info.points)) {
        return;
    }
    let (old, new) = file.into_parts();
    let again = Compressed::open(new.unwrap_or(old), conduct).expect("a written file can be read");
    assert_eq!(again.index().len_bytes(), index.len_bytes());
}
