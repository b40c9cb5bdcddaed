//! New folders, folders that others filled, names and their paths, restarts.

use super::{
    Points, Setup, agreed, as_of, check, finds, golden, info, own, path_of, place, rendered,
    seconds, send, stored, told,
};
use crate::support::node::Node;
use crate::support::now_s;
use std::fs;

/// Files of both kinds appear, and say what the node says.
#[test]
fn a_new_folder() {
    let setup = Setup {
        rules: "[packed]\npattern = packed\nretentions = 1s:1h,10s:1d\ncompressed = true\n\
                [all]\npattern = .*\nretentions = 1s:1h,10s:1d\n",
        own_metrics: true,
        ..Setup::default()
    };
    let node = setup.start();
    let first_s = now_s() - 600;
    let points = seconds(first_s, 500);
    for (name, format) in [("new.plain.a", "whisper"), ("new.packed.b", "cwhisper")] {
        send(&node, name, &points);
        check(&node, name, first_s..first_s + 550, &points);
        assert_eq!(info(&path_of(&node, name)).unwrap()["format"], format);
        // The coarser archive, from what was rolled up in the file.
        let slots = first_s - 5000..first_s + 550;
        let coarse = told(&node, name, slots.clone()).unwrap();
        assert!(coarse.len() > 40 && coarse.keys().all(|time_s| time_s % 10 == 0), "{coarse:?}");
        assert_eq!(stored(&path_of(&node, name), slots.clone()), Some(coarse.clone()));
        assert_eq!(rendered(&node, name, slots), coarse);
    }
    // go-carbon's own metrics, with its names.
    node.wait_for("own metrics", |node| {
        own(node, "persister.created").is_some_and(|(sum, _)| sum >= 2.0)
            && own(node, "persister.committedPoints").is_some_and(|(sum, _)| sum >= 1000.0)
    });
    for name in ["updateOperations", "pointsPerUpdate", "oooDiscardedPoints", "extended", "workers"]
    {
        assert!(own(&node, &format!("persister.{name}")).is_some(), "{name}");
    }
}

/// All of them keep their finest points for at least five minutes.
const RECORDED: [&str; 6] = [
    "standard/s04_three_archives_average",
    "standard/s05_three_archives_sum",
    "standard/s06_three_archives_last",
    "compressed/c03_three_archives_batches",
    "compressed/c04_sum",
    "compressed/c05_last",
];

/// Files of other writers are found and read, and take further points.
#[test]
fn a_folder_of_files() {
    let folder = tempfile::tempdir().unwrap();
    let now_s = now_s();
    for (at, recorded) in RECORDED.iter().enumerate() {
        place(folder.path(), &format!("old/n{at}/value.wsp"), &as_of(recorded, now_s));
        place(folder.path(), &format!("older/n{at}.wsp"), &golden(recorded));
    }
    let node = Setup::default().start_in(folder);
    for (at, recorded) in RECORDED.iter().enumerate() {
        let (name, older) = (format!("old.n{at}.value"), format!("older.n{at}"));
        node.wait_for("a walk", |node| finds(node, &name) && finds(node, &older));
        let kept_s = info(&path_of(&node, &name)).unwrap()["maxRetention"].as_i64().unwrap();
        let (fine, coarse) = (now_s - 200..now_s + 10, now_s - kept_s * 3 / 4..now_s + 10);
        assert!(!agreed(&node, &name, fine.clone()).is_empty(), "{recorded}");
        let before = agreed(&node, &name, coarse.clone());
        assert!(!before.is_empty(), "{recorded}");
        // One more, in the slot of now.
        send(&node, &name, &Points::from([(now_s, 77.25)]));
        let file = path_of(&node, &name);
        node.wait_for("a point", |_| {
            stored(&file, fine.clone()).unwrap().values().any(|value| *value == 77.25)
        });
        agreed(&node, &name, fine);
        let kept = agreed(&node, &name, coarse);
        assert!(before.keys().all(|time_s| kept.contains_key(time_s)), "{recorded}");
        // Of long ago there is nothing left to say, and that is said of both.
        assert_eq!(agreed(&node, &older, now_s - 60..now_s), Points::new());
        assert_eq!(fs::read(path_of(&node, &older)).unwrap(), golden(recorded));
    }
}

#[test]
fn files_that_come_and_go() {
    let node = Setup::default().start();
    let now_s = now_s();
    let bytes = as_of(RECORDED[0], now_s);
    send(&node, "stays.a", &Points::from([(now_s, 1.0)]));
    for name in ["comes.and.goes", "comes.again"] {
        place(node.folder(), &format!("{}.wsp", name.replace('.', "/")), &bytes);
        node.wait_for("its name", |node| finds(node, name));
        assert!(!agreed(&node, name, now_s - 200..now_s + 10).is_empty());
    }
    fs::remove_dir_all(node.folder().join("whisper/comes")).unwrap();
    node.wait_for("the end of its name", |node| {
        !finds(node, "comes.and.goes") && !finds(node, "comes.again")
    });
    // Points bring it back, by the rules.
    let again = Points::from([(now_s - 5, 4.0)]);
    send(&node, "comes.again", &again);
    check(&node, "comes.again", now_s - 60..now_s, &again);
    assert!(finds(&node, "stays.a"));
}

/// Names lead to the files of go-carbon, odd ones too.
#[test]
fn names_and_paths() {
    const TAGGED: [(&str, &str, &str); 2] = [
        (
            "t.m;b=2;a=1",
            "_tagged/bec/f22/becf2263fb5d296535fbb7f12149e1749b3f9723e1c66aebbeb1fa038e92476e.wsp",
            "_tagged/bec/f22/t_DOT_m;a=1;b=2.wsp",
        ),
        (
            "some.metric;tag1=value2;tag2=value.2",
            "_tagged/eff/aae/effaae5b55950b150a7493d2f5430772ca2460bf7cccb4d9e523643df54c010f.wsp",
            "_tagged/eff/aae/some_DOT_metric;tag1=value2;tag2=value_DOT_2.wsp",
        ),
    ];
    for hashed in [true, false] {
        let whisper = format!("hash-filenames = {hashed}\n");
        let more = "[tags]\nenabled = true\n";
        let setup = Setup { whisper: &whisper, more, ..Setup::default() };
        let node = setup.start();
        let time_s = now_s() - 5;
        let mut files = vec![("odd..dots", "odd/dots.wsp"), (".lead", "lead.wsp")];
        for (name, hash, plain) in TAGGED {
            files.push((name, if hashed { hash } else { plain }));
        }
        let expected = Points::from([(time_s, 2.5)]);
        for (name, path) in &files {
            send(&node, name, &expected);
            let file = node.folder().join("whisper").join(path);
            node.wait_for(path, |_| stored(&file, time_s..time_s + 1).as_ref() == Some(&expected));
        }
        // Tagged series have answers, which go-carbon's have not, also after a restart.
        let tagged = "t.m;a=1;b=2";
        assert_eq!(told(&node, tagged, time_s..time_s + 1), Some(expected.clone()));
        let folder = node.kill();
        let files = folder.path().join("whisper");
        fs::copy(files.join("odd/dots.wsp"), files.join("later.wsp")).unwrap();
        let node = setup.start_in(folder);
        assert_eq!(told(&node, tagged, time_s..time_s + 1), Some(expected.clone()));
        assert_eq!(told(&node, "odd.dots", time_s..time_s + 1), Some(expected));
        // When the folder was looked through, no file became a series for a second time.
        let find = |node: &Node, query: &str| {
            node.get("graphite-api", &format!("/metrics/find?query={query}"))
        };
        node.wait_for("look at the folder", |node| find(node, "later").contains("later"));
        let doubles = find(&node, "_tagged.*.*.*");
        assert!(!hashed || doubles.trim() == "[]", "{doubles}");
    }
}

/// Names are found at once after a stop and after a kill, without a look at the folder.
#[test]
fn a_restart_waits_for_no_walk() {
    let setup = Setup { never_scan: true, ..Setup::default() };
    let mut node = setup.start();
    let time_s = now_s() - 5;
    let mut names = Vec::new();
    for round in 0..3 {
        let name = format!("kept.n{round}.value");
        send(&node, &name, &Points::from([(time_s, 1.0)]));
        names.push(name);
        for name in &names {
            check(&node, name, time_s..time_s + 1, &Points::from([(time_s, 1.0)]));
        }
        let folder = if round == 1 {
            node.kill()
        } else {
            node.signal("TERM");
            let (status, folder) = node.wait();
            assert_eq!(status.code(), Some(0));
            folder
        };
        // What appears while nobody looks stays unseen, so it was not a walk that found the rest.
        place(folder.path(), &format!("unseen/n{round}.wsp"), &golden(RECORDED[0]));
        node = setup.start_in(folder);
        assert!(names.iter().all(|name| finds(&node, name)));
        assert!(!finds(&node, &format!("unseen.n{round}")));
    }
}

/// After a stop all points are in files, whatever the limits: another daemon may be next.
#[test]
fn a_stop_leaves_nothing_behind() {
    let whisper = "max-updates-per-second = 1\nmax-creates-per-second = 1\n";
    let setup = Setup { whisper, ..Setup::default() };
    let node = setup.start();
    let first_s = now_s() - 60;
    let (points, slots) = (seconds(first_s, 10), first_s..first_s + 10);
    let names: Vec<String> = (0..50).map(|at| format!("stop.n{at}")).collect();
    for name in &names {
        send(&node, name, &points);
    }
    node.wait_for("answers", |node| {
        let all = node.fetch("stop.*", slots.clone());
        all.len() == names.len() && all.iter().all(|series| series.points.len() == 10)
    });
    let files: Vec<_> = names.iter().map(|name| path_of(&node, name)).collect();
    assert!(!files.iter().all(|file| file.exists()), "there was nothing left to do");
    node.signal("TERM");
    let (status, folder) = node.wait();
    assert_eq!(status.code(), Some(0));
    for name in &names {
        let file = folder.path().join("whisper").join(name.replace('.', "/")).with_extension("wsp");
        assert_eq!(stored(&file, slots.clone()).as_ref(), Some(&points), "{name}");
    }
}
