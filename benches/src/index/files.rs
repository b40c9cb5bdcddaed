//! A folder with a whisper file for each name, and a server that is started again over it.
//!
//! The files are links to a few, which takes folders and no more on the disk: what is measured
//! are the names. The first server finds them by itself, by its look through the folder.

use super::{Names, restart};
use crate::error::{BenchError, Trying};
use crate::http;
use crate::node::{Home, Node};
use crate::report::Report;
use silverback_engine::clock::monotonic;
use silverback_formats::whisper::{
    AggregationMethod, Allocation, Layout, Retention, Rules, Whisper,
};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const RULES: &str = "[all]\npattern = .*\nretentions = 60s:5m\n";
/// Links to one file: fewer than any usual file system allows.
const LINKS: usize = 30_000;
/// Between two looks at how many names the server has found.
const PAUSE: Duration = Duration::from_millis(200);
/// How long it may find none.
const STALLED: Duration = Duration::from_secs(120);

pub(super) fn run(names: &Names, folder: &Path, report: &mut Report) -> Result<(), BenchError> {
    let folder = folder.join("files");
    let files = folder.join("whisper");
    std::fs::create_dir_all(&files).trying(files.display().to_string())?;
    link(names, &folder, &files)?;
    let home = Home::whisper(&folder, RULES, &files, false)?;
    let started = monotonic();
    let node = Node::start(&home)?;
    wait_for(&node, names.len())?;
    let took_s = started.elapsed().as_secs_f64();
    report.add("server, files", "finds all files for the first time", "s", took_s);
    drop(node);
    let db = home.open_whisper(&files)?;
    db.seal_index()?;
    drop(db);
    restart::first_answers("server, files", &home, names, report)
}

/// Makes a file for each name.
fn link(names: &Names, folder: &Path, files: &Path) -> Result<(), BenchError> {
    let mut model = PathBuf::new();
    let mut parent = PathBuf::new();
    for (at, (name, _)) in names.of(0..names.len()).enumerate() {
        if at % LINKS == 0 {
            model = folder.join(format!("model{}.wsp", at / LINKS));
            std::fs::write(&model, blank()).trying(model.display().to_string())?;
        }
        let mut path = files.to_owned();
        path.extend(name.split(|&byte| byte == b'.').map(OsStr::from_bytes));
        path.as_mut_os_string().push(".wsp");
        let above = path.parent().unwrap_or(files);
        if parent != above {
            above.clone_into(&mut parent);
            std::fs::create_dir_all(&parent).trying(parent.display().to_string())?;
        }
        std::fs::hard_link(&model, &path).trying(path.display().to_string())?;
    }
    Ok(())
}

/// A file of one archive without points.
fn blank() -> Vec<u8> {
    let layout = Layout {
        retentions: &[Retention { step_s: 60, points: 5 }],
        method: AggregationMethod::Average,
        x_files_factor: 0.5,
    };
    let file = Whisper::create(Vec::new(), &layout, Allocation::Filled, Rules::GO);
    file.expect("one archive in memory can be made").into_inner()
}

/// Waits until a server has found so many names.
fn wait_for(node: &Node, names: usize) -> Result<(), BenchError> {
    let (mut found, mut since) = (0, monotonic());
    loop {
        let answer = http::get(node.api, "/metrics/list_query/?target=*&stats_only=true")?;
        let count = answer.split(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty());
        let now = count.and_then(|count| count.parse().ok()).unwrap_or(0);
        if now >= names {
            return Ok(());
        }
        if now > found {
            (found, since) = (now, monotonic());
        }
        if since.elapsed() > STALLED {
            let error =
                std::io::Error::other(format!("{found} of {names} names after a long time"));
            return Err(error).trying("a look through the folder of files");
        }
        std::thread::sleep(PAUSE);
    }
}
