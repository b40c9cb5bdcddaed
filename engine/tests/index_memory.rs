//! Memory of the live index. Alone in its process: what inserts replace is used again once no
//! thread of the process is in the middle of a find, and other tests find.

use silverback_engine::SeriesId;
use silverback_engine::index::LiveIndex;

#[test]
fn memory_is_shared_between_alike_hosts() {
    let index = LiveIndex::new();
    let mut id = 0;
    for host in 0..300 {
        for metric in 0..100 {
            let name = format!("servers.host{host:04}.group{}.metric{metric}", metric / 10);
            index.insert(name.as_bytes(), SeriesId(id));
            id += 1;
        }
    }
    let per_name = index.memory_bytes() as f64 / index.len() as f64;
    assert!(per_name < 40.0, "{per_name} bytes a name");
}
