//! Whisper files on a disk that is shared with other programs and users.

use crate::support::{Bench, NOW_S, last, put};
use silverback_engine::storage::DiskStorage;
use silverback_engine::{Db, MigrationOptions, Options, StoreOptions, WhisperOptions};
use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

fn options(bench: &Bench, root: &Path, change: impl Fn(&mut WhisperOptions)) -> Options {
    let dir = root.join("wsp");
    fs::create_dir_all(&dir).unwrap();
    let mut whisper = WhisperOptions::new(dir);
    change(&mut whisper);
    let store = StoreOptions::Whisper(Box::new(whisper));
    Options { path: root.join("db"), store, ..bench.options(Arc::new(DiskStorage)) }
}

#[test]
fn a_file_that_another_program_has_locked_holds_nobody_up() {
    let (bench, root) = (Bench::new("10s:1h"), tempfile::tempdir().unwrap());
    let root = root.path();
    let locking = options(&bench, root, |whisper| whisper.flock = true);
    let db = Db::open(Options { background: true, ..locking }).unwrap();
    put(&db, "held", NOW_S - 20, 1.0);
    db.seal().unwrap();
    let file = File::open(root.join("wsp/held.wsp")).unwrap();
    file.lock().unwrap();
    put(&db, "held", NOW_S - 10, 2.0);
    put(&db, "free", NOW_S - 10, 3.0);
    let (done, is_done) = mpsc::channel();
    let sealing = db.clone();
    std::thread::spawn(move || done.send(sealing.seal()).unwrap());
    is_done.recv_timeout(Duration::from_secs(60)).expect("a lock holds up a seal").unwrap();
    assert!(root.join("wsp/free.wsp").exists());
    assert_eq!(last(&db, "held", 600), BTreeMap::from([(NOW_S - 10, 2.0)]));
    drop(file);
    let expected = BTreeMap::from([(NOW_S - 20, 1.0), (NOW_S - 10, 2.0)]);
    assert_eq!(last(&db, "held", 600), expected);
    db.close().unwrap();
    drop(db);
    let db = Db::open(options(&bench, root, |_| {})).unwrap();
    assert_eq!(last(&db, "held", 600), expected);
}

#[test]
fn a_file_that_takes_the_place_of_another_has_its_mode() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let db = Db::open(options(&Bench::new("10s:1h"), root, |_| {})).unwrap();
    put(&db, "m", NOW_S - 20, 1.0);
    db.seal().unwrap();
    drop(db);
    let path = root.join("wsp/m.wsp");
    let before = fs::metadata(&path).unwrap().len();
    fs::set_permissions(&path, Permissions::from_mode(0o604)).unwrap();
    let migration =
        MigrationOptions { per_second: 0, x_files_factor: false, method: false, archives: true };
    let migrating = |whisper: &mut WhisperOptions| whisper.migration = Some(migration);
    let db = Db::open(options(&Bench::new("10s:2h"), root, migrating)).unwrap();
    put(&db, "m", NOW_S - 10, 1.0);
    db.seal().unwrap();
    let after = fs::metadata(&path).unwrap();
    assert!(after.len() > before);
    assert_eq!(after.permissions().mode() & 0o777, 0o604);
}
