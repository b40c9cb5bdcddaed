//! A set of ids ⇄ bytes: the portable form of roaring bitmaps.

use super::layout::Fault;
use roaring::RoaringBitmap;

const MALFORMED: Fault = Fault::Malformed("set of ids");

/// Appends a set in its shortest form.
pub(super) fn encode_into(mut ids: RoaringBitmap, out: &mut Vec<u8>) {
    ids.optimize();
    ids.serialize_into(out).expect("a vector takes all bytes");
}

/// The set of `count` ids in `bytes`. Takes memory in proportion to the bytes.
pub(super) fn decode(bytes: &[u8], count: u64) -> Result<RoaringBitmap, Fault> {
    let mut rest = bytes;
    let ids = RoaringBitmap::deserialize_from(&mut rest).map_err(|_| MALFORMED)?;
    if !rest.is_empty() || ids.len() != count {
        return Err(MALFORMED);
    }
    Ok(ids)
}
