//! Bodies for whisper files.

use silverback_formats::whisper::{AggregationMethod, Fetched, Point, Rules, Whisper};

/// A standard file. The time in its first slot is taken for now, so that reads meet the slots.
pub fn whisper_read(data: &[u8]) {
    for rules in [Rules::SILVERBACK, Rules::PYTHON, Rules::GO] {
        let Ok(mut file) = Whisper::open(data.to_vec(), rules) else { continue };
        header_survives(&file, data);
        let mut first_s = 0;
        file.visit_slots(0, |slot, point| {
            if slot == 0 {
                first_s = i64::from(point.time_s);
            }
        })
        .expect("a file in memory can be read");
        for now_s in [first_s, first_s + 1000, 1_600_000_000] {
            read(&file, now_s);
        }
        file.verify().expect("a file in memory can be read");
        write(&mut file, first_s);
        assert_eq!(file.into_inner().len(), data.len());
    }
}

fn header_survives(file: &Whisper<Vec<u8>>, data: &[u8]) {
    let mut bytes = Vec::new();
    file.header().encode_into(&mut bytes);
    assert!(data.starts_with(&bytes));
}

/// Any fetch answers with no more values than its archive has points.
fn read(file: &Whisper<Vec<u8>>, now_s: i64) {
    for age_s in [0, 1, 300, file.header().reach_s()] {
        let from_s = now_s - age_s;
        let fetched = file.fetch(from_s, now_s, now_s).expect("the stretch goes forward");
        check(file, fetched);
        for archive in &file.header().archives {
            let fetched = file.fetch_step(archive.step_s, from_s, now_s, now_s);
            check(file, fetched.expect("an archive has this step"));
        }
    }
}

fn check(file: &Whisper<Vec<u8>>, fetched: Option<Fetched>) {
    let Some(fetched) = fetched else { return };
    let archives = &file.header().archives;
    let fits = |points: u32| fetched.values.len() <= points as usize;
    assert!(archives.iter().any(|a| a.step_s == fetched.step_s && fits(a.points)));
}

/// A point that was written to a file which takes it can be read.
fn write(file: &mut Whisper<Vec<u8>>, now_s: i64) {
    if file.check_writable().is_err() {
        let _ = file.set_aggregation(AggregationMethod::Last, 0.5);
    }
    let Ok(time_s) = u32::try_from(now_s) else { return };
    let points: Vec<Point> =
        (0..20).map(|n| Point { time_s: time_s.saturating_sub(n * 37), value: 1.5 }).collect();
    let written = file.update_many(&points, now_s).is_ok();
    let step_s = file.header().archives[0].step_s;
    if written && time_s >= step_s {
        let fetched = file.fetch(now_s - i64::from(step_s), now_s, now_s);
        let fetched = fetched.expect("the stretch goes forward").expect("now is covered");
        assert!(fetched.known().any(|(_, value)| value == 1.5));
    }
}
