//! The seam between the format and whatever holds a file's bytes.

use std::io;

/// A file as a row of bytes, read and written at any place.
///
/// The format asks for whole runs of slots at a time, so that one call here can be one
/// system call. It never reads or writes past [`len`](Self::len).
#[expect(clippy::len_without_is_empty, reason = "only the length decides anything here")]
pub trait FileBytes {
    /// Length of the file in bytes.
    ///
    /// # Errors
    /// When the file cannot be asked.
    fn len(&self) -> io::Result<u64>;

    /// Cuts the file to `len_bytes`, or makes it longer with zeros, without writing them where
    /// holes can stand for them.
    ///
    /// # Errors
    /// When the length cannot be set.
    fn set_len(&mut self, len_bytes: u64) -> io::Result<()>;

    /// Fills `out` with the bytes at `offset`.
    ///
    /// # Errors
    /// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) when the file ends before; else what
    /// reading came to.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()>;

    /// Replaces the bytes at `offset`.
    ///
    /// # Errors
    /// When the bytes cannot be written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
}

/// A file in memory. Writing past its end is an error, because no writer here may.
impl FileBytes for Vec<u8> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.as_slice().len() as u64)
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        let len = usize::try_from(len_bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        self.resize(len, 0);
        Ok(())
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let rest = self.get(start..).ok_or(io::ErrorKind::UnexpectedEof)?;
        let (found, _) = rest.split_at_checked(out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(|_| io::ErrorKind::WriteZero)?;
        let rest = self.get_mut(start..).ok_or(io::ErrorKind::WriteZero)?;
        let target = rest.get_mut(..bytes.len()).ok_or(io::ErrorKind::WriteZero)?;
        target.copy_from_slice(bytes);
        Ok(())
    }
}

/// Files that are lent are files.
impl<F: FileBytes + ?Sized> FileBytes for &mut F {
    fn len(&self) -> io::Result<u64> {
        (**self).len()
    }

    fn set_len(&mut self, len_bytes: u64) -> io::Result<()> {
        (**self).set_len(len_bytes)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, out)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write_at(offset, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_or_written_past_the_end() {
        let mut file = vec![1_u8, 2, 3];
        let mut two = [0; 2];
        file.read_at(1, &mut two).unwrap();
        assert_eq!(two, [2, 3]);
        for offset in [2, 3, 4, u64::MAX] {
            let error = file.read_at(offset, &mut two).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            file.write_at(offset, &two).unwrap_err();
        }
        assert_eq!(file, [1, 2, 3]);
        FileBytes::set_len(&mut file, 5).unwrap();
        file.write_at(3, &two).unwrap();
        assert_eq!(file, [1, 2, 3, 2, 3]);
    }
}
