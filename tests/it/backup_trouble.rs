//! Backups and restores that meet trouble: buckets that refuse, break off or say nothing, files
//! that are missing or changed, full disks, two at once. Each ends with an error that says what
//! and where, leaves nothing that counts by half, and goes well when it is run again.

use crate::backup::{EXTRA, blocks, over, send, sum, text, url};
use crate::bucket::{BUCKET, Bucket, Failure};
use crate::folder::SmallDisk;
use crate::support::node::{Node, silverback};
use crate::support::now_s;
use silverback_engine::{Db, Event, Options};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// A database whose server is stopped.
struct Site {
    folder: TempDir,
    now_s: i64,
    /// Points of each series, and the sum of all.
    contents: (i64, f64),
}

/// Exit code, and all that was said.
struct Ended {
    code: Option<i32>,
    said: String,
}

impl Ended {
    #[track_caller]
    fn is(&self, code: i32, parts: &[&str]) -> &Self {
        assert_eq!(self.code, Some(code), "{}", self.said);
        for part in parts {
            assert!(self.said.contains(part), "{part:?} is not in\n{}", self.said);
        }
        self
    }
}

fn ended(mut command: Command) -> Ended {
    ended_with(&mut command, &[])
}

fn ended_with(command: &mut Command, more: &[&str]) -> Ended {
    let output = command.args(more).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    Ended { code: output.status.code(), said: String::from_utf8(said).unwrap() }
}

impl Site {
    fn new() -> Self {
        let (node, now_s) = (Node::start(EXTRA), now_s() / 60 * 60);
        send(&node, 0, now_s);
        node.wait_for("a block", |node| blocks(&node.folder().join("data")) > 0);
        send(&node, 1, now_s);
        let contents = sum(&node, now_s);
        Self { folder: node.kill(), now_s, contents }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn backup(&self, to: &str) -> Command {
        silverback(&["backup", "--to", to, "--config", text(&self.at("silverback.toml"))])
    }

    fn restore(&self, from: &str, to: &str) -> Command {
        silverback(&["restore", "--from", from, "--to", text(&self.at(to))])
    }

    /// What a failed backup must not leave, and what a failed restore must not.
    #[track_caller]
    fn is_clean(&self, restored: &str) {
        let snapshots = fs::read_dir(self.at("data/snapshots")).map_or(0, Iterator::count);
        assert_eq!(snapshots, 0, "a snapshot is left");
        assert!(!self.at(restored).join("MANIFEST").exists(), "half of it is restored");
    }

    /// What was restored is the database.
    #[track_caller]
    fn is_back(&self, restored: &str) {
        ended(silverback(&["verify", text(&self.at(restored))])).is(0, &[]);
        assert_eq!(sum(&over(&self.at(restored)), self.now_s), self.contents);
    }
}

const PLACE: &str = "s3://b/some/node";

/// A command that uses the bucket.
fn with(bucket: &Bucket, mut command: Command) -> Command {
    bucket.set_environment(&mut command);
    command
}

#[test]
fn what_a_bucket_refuses_is_told() {
    let (site, bucket) = (Site::new(), Bucket::start());
    let credentials = "credentials in the environment";
    for (method, part) in
        [("GET", "list-type"), ("PUT", "DATABASE"), ("PUT", "objects/"), ("PUT", "backups/2")]
    {
        bucket.fail(method, part, Failure::Status(403), usize::MAX);
        let told = ended(with(&bucket, site.backup(PLACE)));
        told.is(1, &["s3://b/some/node, ", "403", credentials]);
        assert_eq!(told.said.trim_end().lines().count(), 1, "{}", told.said);
        assert!(bucket.keys("some/node/backups/2").is_empty(), "it does not count");
        site.is_clean("back");
    }
    bucket.mend();
    let sent = bucket.keys("some/node/objects/").len();
    bucket.requests();
    ended(with(&bucket, site.backup(PLACE))).is(0, &[]);
    let again = bucket
        .requests()
        .into_iter()
        .filter(|(method, key)| method == "PUT" && key.contains("objects/"));
    // Each time that it is opened the database begins new segments of its log.
    assert!(again.count() < sent, "what was there is copied again");
    for (method, part) in [("GET", "list-type"), ("GET", "backups/2"), ("GET", "objects/")] {
        bucket.fail(method, part, Failure::Status(403), usize::MAX);
        let told = ended(with(&bucket, site.restore(PLACE, "back")));
        told.is(1, &["s3://b/some/node, ", "403", credentials]);
        site.is_clean("back");
    }
    // The backup is there, only what is too old cannot be removed.
    bucket.fail("POST", "delete", Failure::Status(403), usize::MAX);
    let mut command = with(&bucket, site.backup(PLACE));
    ended_with(&mut command, &["--keep", "1"]).is(1, &["is whole, but older", "403", credentials]);
    assert_eq!(bucket.keys("some/node/backups/2").len(), 2);
    bucket.mend();
    ended(with(&bucket, site.restore(PLACE, "back"))).is(0, &[]);
    site.is_back("back");
    let mut command = with(&bucket, silverback(&["restore", "--from", "s3://none/x", "--list"]));
    bucket.fail("GET", "", Failure::Status(404), usize::MAX);
    ended_with(&mut command, &[]).is(1, &["s3://none/x, backups: ", "404", "such a bucket"]);
    command.env("AWS_MAX_ATTEMPTS", "0");
    ended_with(&mut command, &[]).is(2, &["AWS_MAX_ATTEMPTS"]);
}

#[test]
fn what_passes_is_tried_again() {
    let (site, bucket) = (Site::new(), Bucket::start());
    for how in [Failure::Status(500), Failure::Reset, Failure::ResetAfter] {
        bucket.change(|objects| objects.clear());
        let steps =
            [("GET", "list-type"), ("PUT", "DATABASE"), ("PUT", "objects/"), ("PUT", "backups/2")];
        for (at, (method, part)) in steps.into_iter().enumerate() {
            if part == "DATABASE" {
                bucket.change(|objects| objects.clear());
            }
            bucket.fail(method, part, how, 2);
            ended(with(&bucket, site.backup(PLACE))).is(0, &[]);
            let listed = bucket.keys("some/node/backups/2").len();
            assert_eq!(listed, at.max(1), "after {how:?} of {method} {part}: two by one command");
        }
        for (method, part) in [("GET", "list-type"), ("GET", "backups/2"), ("GET", "objects/")] {
            bucket.fail(method, part, how, 2);
            ended(with(&bucket, site.restore(PLACE, "back"))).is(0, &[]);
            fs::remove_dir_all(site.at("back")).unwrap();
        }
    }
    ended(with(&bucket, site.restore(PLACE, "back"))).is(0, &[]);
    site.is_back("back");
}

#[test]
fn a_bucket_that_says_nothing_is_left() {
    let (site, bucket) = (Site::new(), Bucket::start());
    let hasty = |mut command: Command| {
        bucket.set_environment(&mut command);
        for (variable, value) in [
            ("AWS_READ_TIMEOUT", "300ms"),
            ("AWS_WRITE_TIMEOUT", "300ms"),
            ("AWS_MAX_ATTEMPTS", "2"),
        ] {
            command.env(variable, value);
        }
        command
    };
    let again = "run it again, what was copied is kept";
    for (method, part) in [("GET", "list-type"), ("PUT", "objects/"), ("PUT", "backups/2")] {
        bucket.fail(method, part, Failure::Stall, usize::MAX);
        ended(hasty(site.backup(PLACE))).is(1, &["s3://b/some/node, ", again]);
        assert!(bucket.keys("some/node/backups/2").is_empty(), "it does not count");
        site.is_clean("back");
    }
    bucket.mend();
    ended(with(&bucket, site.backup(PLACE))).is(0, &[]);
    for (method, part) in [("GET", "list-type"), ("GET", "backups/2"), ("GET", "objects/")] {
        bucket.fail(method, part, Failure::Stall, usize::MAX);
        ended(hasty(site.restore(PLACE, "back"))).is(1, &["s3://b/some/node, ", again]);
        site.is_clean("back");
    }
    bucket.mend();
    ended(with(&bucket, site.restore(PLACE, "back"))).is(0, &[]);
    site.is_back("back");
}

/// Servers that are older than the condition say that they do not know it.
#[test]
fn a_bucket_without_conditions() {
    let (site, bucket) = (Site::new(), Bucket::start());
    bucket.set_fails(|request| request.is_conditional().then_some(Failure::Status(501)));
    ended(with(&bucket, site.backup(PLACE))).is(0, &[]);
    let mut command = with(&bucket, site.backup(PLACE));
    command.env("AWS_CONDITIONAL_PUT", "disabled");
    ended_with(&mut command, &[]).is(0, &[]);
    assert_eq!(bucket.keys("some/node/backups/2").len(), 2);
    let other = "7477656c766520627974657397353c69\n";
    bucket.change(|objects| objects.insert("some/node/backups/DATABASE".into(), other.into()));
    ended(with(&bucket, site.backup(PLACE))).is(1, &["another database, 7477656c"]);
    ended(with(&bucket, site.restore(PLACE, "back"))).is(0, &[]);
    site.is_back("back");
}

/// It is a file when its last part is there, and none before.
#[test]
fn a_large_file_goes_in_parts() {
    let (site, bucket) = (Site::new(), Bucket::start());
    let options = Options { background: false, ..Options::new(site.at("data")) };
    let db = Db::open(options).unwrap();
    // Numbers, so that no part is like another.
    let mut numbers = (0_u64..).map(|number| format!("{number:08x}"));
    for _ in 0..18 {
        let data = numbers.by_ref().take((1 << 17) - 1).collect();
        db.add_event(Event { time_s: site.now_s, data, ..Event::default() }).unwrap();
    }
    db.close().unwrap();
    drop(db);
    let large = || {
        let mut sizes = Vec::new();
        bucket.change(|objects| sizes.extend(objects.values().map(Vec::len)));
        sizes.into_iter().filter(|&len| len > 16 << 20).count()
    };
    bucket.fail("PUT", "partNumber=2", Failure::Status(403), usize::MAX);
    ended(with(&bucket, site.backup(PLACE))).is(1, &["s3://b/some/node, objects/", "403"]);
    assert_eq!((large(), bucket.parts()), (0, 0), "parts are left");
    site.is_clean("back");
    let mut seen = Vec::new();
    bucket.set_fails(move |request| {
        let part = ["partNumber=1", "partNumber=2", "uploadId"]
            .into_iter()
            .find(|part| request.is("PUT", part) || request.is("POST", part))?;
        seen.push(part);
        let how = if seen.len() % 2 == 0 { Failure::Status(500) } else { Failure::Reset };
        (seen.iter().filter(|seen| **seen == part).count() <= 2).then_some(how)
    });
    ended(with(&bucket, site.backup(PLACE))).is(0, &[]);
    assert_eq!((large(), bucket.parts()), (1, 0));
    bucket.fail("GET", "objects/", Failure::Half, 2);
    ended(with(&bucket, site.restore(PLACE, "back"))).is(0, &[]);
    site.is_back("back");
}

/// While a file is sent nothing comes back, over a slow link for long.
#[test]
fn a_slow_upload_is_no_silence() {
    let (site, bucket) = (Site::new(), Bucket::start());
    let mut is_first = true;
    bucket.set_fails(move |request| {
        if request.is("PUT", "objects/") && std::mem::take(&mut is_first) {
            std::thread::sleep(std::time::Duration::from_secs(4));
        }
        None
    });
    let mut command = with(&bucket, site.backup(PLACE));
    command.env("AWS_READ_TIMEOUT", "2s").env("AWS_MAX_ATTEMPTS", "1");
    ended_with(&mut command, &[]).is(0, &[]);
}

#[test]
fn a_download_that_breaks_off_is_taken_up() {
    let (site, bucket) = (Site::new(), Bucket::start());
    ended(with(&bucket, site.backup(PLACE))).is(0, &[]);
    bucket.fail("GET", "objects/", Failure::Half, 2);
    ended(with(&bucket, site.restore(PLACE, "whole"))).is(0, &[]);
    site.is_back("whole");
    // The third file never comes.
    let mut seen = Vec::<String>::new();
    bucket.set_fails(move |request| {
        if !request.is("GET", "objects/") {
            return None;
        }
        if !seen.contains(&request.key) {
            seen.push(request.key.clone());
        }
        (seen.len() == 3).then_some(Failure::Half)
    });
    ended(with(&bucket, site.restore(PLACE, "back")))
        .is(1, &["s3://b/some/node, objects/", "run it again, what was copied is kept"]);
    site.is_clean("back");
    bucket.mend();
    bucket.requests();
    ended(with(&bucket, site.restore(PLACE, "back"))).is(0, &[]);
    let objects = bucket.keys("some/node/objects/").len();
    let fetched = bucket.requests().iter().filter(|(_, key)| key.contains("objects/")).count();
    assert_eq!(fetched, objects - 2, "what was there is fetched again");
    site.is_back("back");
}

#[test]
fn missing_and_changed_files_are_named() {
    let (site, bucket) = (Site::new(), Bucket::start());
    ended(with(&bucket, site.backup(PLACE))).is(0, &[]);
    let whole = bucket.change(|objects| objects.clone());
    let listing = whole.iter().find(|(key, _)| key.contains("backups/2")).unwrap().1;
    let listing = std::str::from_utf8(listing).unwrap().lines().next().unwrap();
    let listing: serde_json::Value = serde_json::from_str(listing).unwrap();
    let key_of = |part: &str| {
        let mut files = listing["files"].as_array().unwrap().iter();
        let file = files.find(|file| file["path"].as_str().unwrap().contains(part)).unwrap();
        format!("some/node/objects/{}", file["sha256"].as_str().unwrap())
    };
    let (block, series) = (key_of("blocks/"), key_of("SERIES"));
    // A byte of a block, and all names.
    bucket.change(|objects| {
        objects.get_mut(&block).unwrap()[70] ^= 1;
        objects.remove(&series);
    });
    let told = ended(with(&bucket, site.restore(PLACE, "back")));
    told.is(1, &["(SERIES): the file is missing", "--damaged", "nothing is restored to"]);
    told.is(1, &[".block): the file is damaged: it has ", ".block: damaged at byte "]);
    site.is_clean("back");
    assert!(!site.at("back.restoring/MANIFEST").exists(), "a server would open it");
    // What there is.
    let mut command = with(&bucket, site.restore(PLACE, "part"));
    ended_with(&mut command, &["--damaged"]).is(1, &["the file is missing", "the file is damaged"]);
    ended(silverback(&["verify", text(&site.at("part"))])).is(1, &[".block", "at byte"]);
    drop(over(&site.at("part")));
    // Without a manifest there is nothing.
    let manifest = key_of("MANIFEST");
    bucket.change(|objects| objects.remove(&manifest));
    let mut command = with(&bucket, site.restore(PLACE, "none"));
    ended_with(&mut command, &["--damaged"]).is(1, &["(MANIFEST): the file is missing"]);
    site.is_clean("none");
    // The next backup has what was missing again, but does not read what it sees there.
    ended(with(&bucket, site.backup(PLACE))).is(0, &[]);
    bucket.change(|objects| objects.insert(block.clone(), whole[&block].clone()));
    for name in ["back", "none"] {
        ended(with(&bucket, site.restore(PLACE, name))).is(0, &[]);
        site.is_back(name);
    }
}

#[test]
fn a_place_is_of_one_database() {
    let (one, other, bucket) = (Site::new(), Site::new(), Bucket::start());
    let places = [text(&one.at("place")).to_owned(), format!("s3://{BUCKET}/place")];
    for place in places {
        let backup =
            |site: &Site, more: &[&str]| ended_with(&mut with(&bucket, site.backup(&place)), more);
        let backups = || {
            let list = silverback(&["restore", "--from", &place, "--list"]);
            ended(with(&bucket, list)).said.lines().count()
        };
        backup(&one, &[]).is(0, &[]);
        // Nothing of the other one comes there, and nothing of this one goes.
        let refused = backup(&other, &["--keep", "1"]);
        refused.is(1, &[&place, "backups/DATABASE", "another database", "--take-over"]);
        assert_eq!(backups(), 1);
        other.is_clean("back");
        // It is restored to what may be backed up there.
        ended(with(&bucket, one.restore(&place, "again"))).is(0, &[]);
        let again =
            Site { folder: tempfile::tempdir().unwrap(), now_s: one.now_s, contents: one.contents };
        fs::rename(one.at("again"), again.at("data")).unwrap();
        let config = fs::read_to_string(one.at("silverback.toml")).unwrap();
        let config = config.replace(text(&one.at("data")), text(&again.at("data")));
        fs::write(again.at("silverback.toml"), config).unwrap();
        backup(&again, &[]).is(0, &[]);
        // Who says so takes it over, and the backups stay.
        backup(&other, &["--take-over"]).is(0, &[]);
        backup(&other, &[]).is(0, &[]);
        assert_eq!(backups(), 4);
        backup(&one, &[]).is(1, &["another database"]);
        ended(with(&bucket, other.restore(&place, "back"))).is(0, &[]);
        other.is_back("back");
    }
    // What cannot be read is not taken for this one.
    let database = one.at("place/backups/DATABASE");
    let line = fs::read_to_string(&database).unwrap();
    fs::write(&database, line.replace(&line[..1], "z")).unwrap();
    let place = text(&one.at("place")).to_owned();
    ended(other.backup(&place)).is(1, &["backups/DATABASE: no id of a database", "--take-over"]);
    // A place of before has none, and becomes that of the first that comes.
    fs::remove_file(&database).unwrap();
    ended(other.backup(&place)).is(0, &[]);
    assert_eq!(fs::read_to_string(&database).unwrap(), line);
    // So does a database whose own was damaged.
    let id = fs::read(other.at("data/ID")).unwrap();
    fs::write(other.at("data/ID"), &id[1..]).unwrap();
    ended(other.backup(&place)).is(1, &["/ID: no id of a database", "remove ID", "--take-over"]);
    fs::remove_file(other.at("data/ID")).unwrap();
    ended(other.backup(&place)).is(1, &["another database"]);
    let mut command = other.backup(&place);
    ended_with(&mut command, &["--take-over"]).is(0, &[]);
    ended(other.backup(&place)).is(0, &[]);
}

/// A backup that was made while the clock was ahead stays the newest of those before, and what a
/// killed one left then is in nobody's way.
#[test]
fn a_clock_that_was_ahead_stops_nothing() {
    let site = Site::new();
    let place = text(&site.at("place")).to_owned();
    ended(site.backup(&place)).is(0, &[]);
    let listing = fs::read_dir(site.at("place/backups")).unwrap().map(|file| file.unwrap().path());
    let listing = listing.into_iter().find(|path| path.extension().is_some()).unwrap();
    fs::rename(&listing, listing.with_file_name("29991231T235959.999999Z.json")).unwrap();
    let (config, next) = (site.at("silverback.toml"), "30000101T000000.000000Z");
    let left = format!("backup-{next}");
    ended(silverback(&["snapshot", &left, "--config", text(&config)])).is(0, &[]);
    ended(site.backup(&place)).is(0, &[next]);
    site.is_clean("back");
    ended(site.restore(&place, "back")).is(0, &[next]);
    site.is_back("back");
}

/// Of two databases that come first to a place at the same moment one gets it.
#[test]
fn two_first_backups_at_once() {
    let sites = [Site::new(), Site::new()];
    let bucket = Bucket::start();
    for round in 0..4 {
        let place = format!("s3://{BUCKET}/{round}");
        let children = sites.each_ref().map(|site| {
            let mut command = with(&bucket, site.backup(&place));
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
        });
        let ended = children.map(|child| child.wait_with_output().unwrap());
        let codes = ended.each_ref().map(|ended| ended.status.code());
        assert!(codes == [Some(0), Some(1)] || codes == [Some(1), Some(0)], "{codes:?}");
        let refused = ended.iter().find(|ended| !ended.status.success()).unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(said.contains("another database"), "{said}");
        assert_eq!(bucket.keys(&format!("{round}/backups/2")).len(), 1);
    }
}

/// One backup at a time to one place, of a database that is served.
#[test]
fn two_backups_at_once() {
    let (node, bucket, now_s) = (Node::start(EXTRA), Bucket::start(), now_s() / 60 * 60);
    send(&node, 0, now_s);
    let server = url(&node);
    let backup = |to: &str| with(&bucket, silverback(&["backup", "--to", to, "--server", &server]));
    bucket.fail("PUT", "1/objects/", Failure::Stall, 1);
    let mut command = backup("s3://b/1");
    let first = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    node.wait_for("the first one", |_| {
        bucket.requests().iter().any(|(method, key)| method == "PUT" && key.contains("1/objects/"))
    });
    ended(backup("s3://b/1")).is(1, &["s3://b/1: another backup to it is running", ".LOCK locked"]);
    // Another place is another matter.
    ended(backup("s3://b/2")).is(0, &[]);
    // The connection ends, and what was sent is sent again.
    bucket.mend();
    let first = first.wait_with_output().unwrap();
    assert!(first.status.success(), "{first:?}");
    ended(backup("s3://b/1")).is(0, &[]);
    assert_eq!(bucket.keys("1/backups/2").len(), 2);

    let place = node.folder().join("place");
    ended(backup(text(&place))).is(0, &[]);
    let lock = fs::File::options().write(true).open(place.join("LOCK")).unwrap();
    lock.lock().unwrap();
    ended(backup(text(&place))).is(1, &["another backup to it is running", text(&place)]);
    drop(lock);
    ended(backup(text(&place))).is(0, &[]);
    assert!(!node.folder().join("data/snapshots").read_dir().unwrap().any(|_| true));
}

/// Blocks that are merged while a backup goes on are in it as they were.
#[test]
fn blocks_that_are_merged_away_meanwhile() {
    let (node, bucket, now_s) = (Node::start(EXTRA), Bucket::start(), now_s() / 60 * 60);
    let data = node.folder().join("data");
    for round in 0..4 {
        send(&node, round, now_s);
        node.wait_for("a block", |_| blocks(&data) > round as usize);
    }
    let then = sum(&node, now_s);
    bucket.fail("PUT", "objects/", Failure::Stall, 1);
    let server = url(&node);
    let mut command = with(&bucket, silverback(&["backup", "--to", PLACE, "--server", &server]));
    let backup = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    node.wait_for("the first file", |_| {
        bucket.requests().iter().any(|(method, key)| method == "PUT" && key.contains("objects/"))
    });
    let before = blocks(&data);
    ended(silverback(&["compact", "--server", &server])).is(0, &[]);
    assert!(blocks(&data) < before, "nothing was merged");
    bucket.mend();
    let backup = backup.wait_with_output().unwrap();
    assert!(backup.status.success(), "{backup:?}");
    let back = node.folder().join("back");
    ended(with(&bucket, silverback(&["restore", "--from", PLACE, "--to", text(&back)]))).is(0, &[]);
    ended(silverback(&["verify", text(&back)])).is(0, &[]);
    assert_eq!(sum(&over(&back), now_s), then);
    // What is merged is another file to the next one, and the old ones stay as long as they count.
    ended(with(&bucket, silverback(&["backup", "--to", PLACE, "--server", &server]))).is(0, &[]);
    let oldest = bucket.keys("some/node/backups/2")[0].clone();
    let oldest = oldest.rsplit('/').next().unwrap().strip_suffix(".json").unwrap().to_owned();
    let back = node.folder().join("again");
    let restore = ["restore", "--from", PLACE, "--to", text(&back), "--backup", &oldest];
    ended(with(&bucket, silverback(&restore))).is(0, &[]);
    assert_eq!(sum(&over(&back), now_s), then);
}

/// What is there is never overwritten, whoever asks for it.
#[test]
fn folders_that_are_no_place_for_a_restore() {
    let site = Site::new();
    let place = text(&site.at("place")).to_owned();
    ended(site.backup(&place)).is(0, &[]);
    fs::create_dir(site.at("own")).unwrap();
    fs::write(site.at("own/file"), "mine").unwrap();
    let manifest = fs::read(site.at("data/MANIFEST")).unwrap();
    for folder in ["own", "data"] {
        ended(site.restore(&place, folder))
            .is(2, &["there are files in it", text(&site.at(folder))]);
    }
    assert_eq!(fs::read(site.at("own/file")).unwrap(), b"mine");
    assert_eq!(fs::read_dir(site.at("own")).unwrap().count(), 1);
    assert_eq!(fs::read(site.at("data/MANIFEST")).unwrap(), manifest);
    ended(site.restore(&place, "own/file")).is(1, &["own/file: Not a directory"]);
    // Another restore that goes on has it locked, beside or inside.
    for (folder, locked) in [("back", "back.restoring"), ("mount", "mount")] {
        fs::create_dir(site.at(locked)).unwrap();
        let lock = fs::File::create(site.at(locked).join("LOCK")).unwrap();
        lock.lock().unwrap();
        ended(site.restore(&place, folder)).is(2, &["somebody else restores to it"]);
        drop(lock);
        ended(site.restore(&place, folder)).is(0, &[]);
        site.is_back(folder);
    }
}

/// A snapshot that something cut short is no obstacle, and one that is whole is not touched.
#[test]
fn half_a_snapshot_of_that_name() {
    let (node, now_s) = (Node::start(EXTRA), now_s() / 60 * 60);
    send(&node, 0, now_s);
    let then = sum(&node, now_s);
    let half = node.folder().join("data/snapshots/one");
    fs::create_dir_all(half.join("blocks")).unwrap();
    fs::write(half.join("blocks/0000000001.block"), "half").unwrap();
    fs::write(half.join("MANIFEST.tmp"), "half").unwrap();
    let server = url(&node);
    let take = || ended(silverback(&["snapshot", "one", "--server", &server]));
    take().is(0, &[]);
    let manifest = fs::read(half.join("MANIFEST")).unwrap();
    send(&node, 1, now_s);
    take().is(1, &["snapshots/one"]);
    assert_eq!(fs::read(half.join("MANIFEST")).unwrap(), manifest);
    ended(silverback(&["verify", text(&half)])).is(0, &[]);
    assert_eq!(sum(&over(&half), now_s), then);
}

/// Full disks on the far side and on this one.
#[test]
fn no_space_left() {
    let site = Site::new();
    let Some(disk) = SmallDisk::mount(site.at("small")) else { return };
    let room = |path: &Path| format!("{}", path.display());
    let place = room(&site.at("small/place"));
    disk.fill_up_to(8 << 10);
    ended(site.backup(&place))
        .is(1, &[&place, "No space left", "make room there and run it again"]);
    site.is_clean("back");
    let listed = fs::read_dir(site.at("small/place/backups")).map_or(0, |files| {
        files.filter(|file| file.as_ref().unwrap().path().extension().is_some()).count()
    });
    assert_eq!(listed, 0, "it does not count");
    disk.empty();
    ended(site.backup(&place)).is(0, &[]);
    // Of a restore the folder is full, not the place.
    let elsewhere = room(&site.at("elsewhere"));
    ended(site.backup(&elsewhere)).is(0, &[]);
    disk.fill_up_to(8 << 10);
    let told = ended(site.restore(&elsewhere, "small/back"));
    told.is(1, &["small/back.restoring/", "No space left", "make room there and run it again"]);
    assert!(!told.said.contains("/elsewhere"), "{}", told.said);
    site.is_clean("small/back");
    disk.empty();
    ended(site.restore(&elsewhere, "small/back")).is(0, &[]);
    ended(silverback(&["verify", text(&site.at("small/back"))])).is(0, &[]);
    drop(disk);
}

/// Where no snapshot can be taken there is no backup, and nothing of it is left.
#[test]
fn no_space_for_a_snapshot() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().join("data")) else { return };
    let (node, now_s) = (Node::start_in(folder, EXTRA), now_s() / 60 * 60);
    send(&node, 0, now_s);
    let (server, place) = (url(&node), node.folder().join("place"));
    let backup = || ended(silverback(&["backup", "--to", text(&place), "--server", &server]));
    disk.fill_up_to(0);
    backup().is(1, &["data/", "No space left"]);
    let snapshots =
        || fs::read_dir(node.folder().join("data/snapshots")).map_or(0, Iterator::count);
    assert_eq!(snapshots(), 0, "it takes the space that is lacking");
    disk.empty();
    backup().is(0, &[]);
    assert_eq!(snapshots(), 0);
    let back = node.folder().join("back");
    ended(silverback(&["restore", "--from", text(&place), "--to", text(&back)])).is(0, &[]);
    assert_eq!(sum(&over(&back), now_s), sum(&node, now_s));
    drop((node, disk));
}
