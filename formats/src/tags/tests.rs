//! Every key and set comes back, from every place on; every damage is an error or harmless.

use super::*;
use proptest::prelude::*;
use roaring::RoaringBitmap;
use std::collections::BTreeMap;

/// Who has which value of which tag.
type Tags = BTreeMap<(Vec<u8>, Vec<u8>), RoaringBitmap>;

const MARK: u32 = 0x1234_5678;

fn build(tags: &Tags) -> Vec<u8> {
    let (mut builder, mut file) = (TagsBuilder::new(MARK), Vec::new());
    for (number, ((tag, value), ids)) in tags.iter().enumerate() {
        builder.push(tag, value, ids.clone()).unwrap();
        if number % 3 == 0 {
            file.append(builder.drain());
            assert_eq!(builder.ready_bytes(), 0);
        }
    }
    let append = &mut |bytes: &[u8]| {
        file.extend_from_slice(bytes);
        Ok::<(), PushError>(())
    };
    let layout = builder.finish(append).unwrap();
    assert_eq!(TagsLayout::read(&file), Ok(layout));
    file
}

/// What a cursor goes through.
fn rest(view: &TagsView<'_>, mut cursor: Cursor<'_>) -> Result<Tags, TagsError> {
    let mut tags = Tags::new();
    while cursor.advance()? {
        let Entry { tag, value, ids } = cursor.entry();
        let set = view.set(ids)?;
        assert_eq!(set.len(), ids.count());
        assert!(tags.insert((tag.to_vec(), value.to_vec()), set).is_none());
    }
    Ok(tags)
}

/// What goes in comes out, all of it and from any place on, and the file holds to its own rules.
#[track_caller]
fn check(tags: &Tags) -> Vec<u8> {
    let file = build(tags);
    let layout = verify(&file).unwrap();
    let view = layout.view(&file);
    assert_eq!(rest(&view, view.first()).unwrap(), *tags);
    let all = tags.values().fold(RoaringBitmap::new(), |all, ids| all | ids);
    assert_eq!((layout.mark, u64::from(layout.tagged)), (MARK, all.len()));
    assert_eq!(view.all().unwrap(), all);
    let mut places: Vec<(Vec<u8>, Vec<u8>)> = tags.keys().cloned().collect();
    places.extend(tags.keys().map(|(tag, value)| (tag.clone(), [value, &b"!"[..]].concat())));
    places.extend([(Vec::new(), Vec::new()), (b"\xff".to_vec(), Vec::new())]);
    let from = |passes: &dyn Fn(&[u8], &[u8]) -> bool| -> Tags {
        let later = tags.iter().filter(|((tag, value), _)| passes(tag, value));
        later.map(|(key, ids)| (key.clone(), ids.clone())).collect()
    };
    for (tag, value) in &places {
        let found = rest(&view, view.seek_value(tag, value).unwrap()).unwrap();
        assert_eq!(found, from(&|t, v| (t, v) >= (&**tag, &**value)));
        let found = rest(&view, view.seek_tag(tag).unwrap()).unwrap();
        assert_eq!(found, from(&|t, _| t >= &**tag));
        let found = rest(&view, view.seek_after_tag(tag).unwrap()).unwrap();
        assert_eq!(found, from(&|t, _| t > &**tag));
        let values = tags.keys().filter(|(of, _)| of == tag).count();
        assert!(view.values_about(Some(tag)).unwrap() >= values);
    }
    assert!(view.values_about(None).unwrap() >= tags.len());
    file
}

fn tag_of(number: u32) -> (Vec<u8>, Vec<u8>) {
    (b"host".to_vec(), format!("web{number:05}.example").into_bytes())
}

/// Many blocks, sets of every shape: one id, some, a run, and most of a great many.
fn many() -> Tags {
    let mut tags: Tags = (0..300).map(|n| (tag_of(n), [n * 7].into_iter().collect())).collect();
    tags.insert((b"dc".to_vec(), b"ams".to_vec()), (0..200_000).collect());
    tags.insert((b"dc".to_vec(), b"".to_vec()), (0..200_000).filter(|n| n % 5 < 3).collect());
    tags.insert((b"dc1".to_vec(), b"x".to_vec()), (0..900).step_by(11).collect());
    for n in 0..70 {
        tags.insert((format!("t{n}").into_bytes(), b"v".to_vec()), [n, n + 1].into());
    }
    tags.insert((b"name".to_vec(), vec![b'n'; 9000]), [5].into());
    tags
}

/// More than a block of them, in few bytes.
fn few() -> Tags {
    let mut tags = many();
    tags.retain(|(tag, value), ids| ids.len() < 1000 && value.len() < 1000 && tag != b"host");
    tags.extend((0..9).map(|n| (tag_of(n), [n].into())));
    tags
}

#[test]
fn edges() {
    check(&Tags::new());
    check(&Tags::from([((b"".to_vec(), b"".to_vec()), [u32::MAX].into())]));
    let file = check(&many());
    assert!(TagsLayout::read(&file).unwrap().blocks > 6);
    assert!(file.len() < 25_000 * 3, "{} bytes", file.len());
}

#[test]
fn keys_out_of_order_are_refused() {
    let mut builder = TagsBuilder::new(MARK);
    let one = || RoaringBitmap::from([1]);
    builder.push(b"b", b"x", one()).unwrap();
    assert_eq!(builder.push(b"b", b"w", RoaringBitmap::new()), Ok(()), "nobody has it");
    for (tag, value) in [(b"b", b"x"), (b"b", b"w"), (b"a", b"z")] {
        assert!(matches!(builder.push(tag, value, one()), Err(PushError::Order { .. })));
    }
    assert!(matches!(builder.push(b"c\0", b"w", one()), Err(PushError::Tag { .. })));
}

/// All that a reader can ask.
fn read_all(file: &[u8]) -> Result<(RoaringBitmap, Tags), TagsError> {
    let layout = TagsLayout::read(file)?;
    let view = layout.view(file);
    let _ = view.values_about(Some(b"host"))?;
    let found = rest(&view, view.seek_value(b"host", b"web00100")?)?;
    assert!(found.keys().is_sorted());
    Ok((view.all()?, rest(&view, view.first())?))
}

#[test]
fn every_flipped_bit_and_cut_is_an_error() {
    let file = check(&few());
    for at in 0..file.len() {
        let mut damaged = file.clone();
        damaged[at] ^= 1 << (at % 8);
        assert!(read_all(&damaged).is_err() && verify(&damaged).is_err(), "byte {at}");
        assert!(TagsLayout::read(&file[..at]).is_err(), "{at} bytes");
    }
    let mut newer = [&file[..8], &9_u32.to_le_bytes(), &file[12..]].concat();
    assert!(matches!(TagsLayout::read(&newer), Err(TagsError::Damaged { offset: 0, .. })));
    let crc_at = newer.len() - 12;
    newer[crc_at] ^= 1;
    assert_eq!(TagsLayout::read(&newer), Err(TagsError::Version { found: 9 }));
}

/// Writes the checksums anew, as one would who wants to be believed.
fn forge(file: &mut [u8]) {
    let Ok(layout) = TagsLayout::read(file) else { return };
    let table = layout.table();
    for at in table.step_by(8) {
        let at = layout::long(file, at) as usize;
        let end = at + 8 + layout::word(file, at + 4) as usize;
        if let Some(checked) = file.get(at + 4..end) {
            let crc = crc32c::crc32c(checked);
            file[at..at + 4].copy_from_slice(&crc.to_le_bytes());
        }
    }
}

#[test]
fn as_the_golden_file() {
    let golden = include_bytes!("../../../tests/data/tags/v1_tags.bin");
    assert!(check(&few()) == golden, "the bytes have changed");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_tags_come_back(
        tags in prop::collection::btree_map(
            ("[a-c]{0,2}", "[a-c]{0,3}").prop_map(|(t, v)| (t.into_bytes(), v.into_bytes())),
            prop::collection::btree_set(0_u32..300, 1..40),
            0..70,
        ),
    ) {
        check(&tags.into_iter().map(|(key, ids)| (key, ids.into_iter().collect())).collect());
    }

    /// With right checksums over wrong bytes: an error or an answer, no panic, no endless walk.
    #[test]
    fn forged_blocks_are_survived(at in 16_usize..8000, byte in any::<u8>()) {
        let mut file = build(&few());
        let at = at % (file.len() - 60);
        file[at] = byte;
        forge(&mut file);
        let _ = read_all(&file);
        let _ = verify(&file);
    }

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(read_all(&bytes).is_err());
        let _ = set::decode(&bytes, 3);
    }
}
