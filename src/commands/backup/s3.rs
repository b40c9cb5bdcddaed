//! A bucket of S3, or of a server that speaks its language.
//!
//! Credentials, region and endpoint come from the environment, under the names that other tools
//! use: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`,
//! `AWS_ALLOW_HTTP`.
//!
//! A download may take as long as bytes flow. Of an upload nothing comes back before its last byte
//! is there, so a part of it has a limit of its own, which a slow link keeps and a dead one does
//! not. What fails and may come to pass is tried again, after pauses that grow.

use super::target::CopyError;
use crate::commands::whisper::CommandError;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path as Key;
use object_store::{
    ClientConfigKey, Error, ObjectStore, ObjectStoreExt, PutMode, RetryConfig, WriteMultipart,
};
use sha2::{Digest, Sha256};
use std::env;
use std::fs::File;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

/// Bytes of one part of a large file: ten thousand of them are the most there may be.
const PART_BYTES: usize = 16 << 20;
/// Parts on their way at once.
const PARTS: usize = 4;

/// How long a request may take unless the environment says something else: a block over a slow link
/// takes hours.
const TIMEOUT: (&str, &str) = ("AWS_TIMEOUT", "7days");
/// How long nothing may come.
const READ_TIMEOUT: (&str, &str) = ("AWS_READ_TIMEOUT", "30s");
/// How long nothing may come while something is sent: four parts in this time are 600 kbit/s.
const WRITE_TIMEOUT: (&str, &str) = ("AWS_WRITE_TIMEOUT", "15minutes");
/// How often a request is made at most.
const ATTEMPTS: (&str, usize) = ("AWS_MAX_ATTEMPTS", 11);
/// After this time it is not made again.
const RETRY: Duration = Duration::from_secs(15 * 60);

/// See the module.
pub(crate) struct Bucket {
    /// For what is read, and small.
    store: AmazonS3,
    /// For files.
    sending: AmazonS3,
    /// Tries nothing again.
    once: AmazonS3,
    name: String,
    prefix: Key,
    runtime: Runtime,
}

impl Bucket {
    /// `place` is `BUCKET/PREFIX`; the prefix may be left out.
    pub(crate) fn open(place: &str) -> Result<Self, CommandError> {
        let (bucket, prefix) = place.split_once('/').unwrap_or((place, ""));
        let usage = |reason: String| CommandError::Usage(format!("s3://{place}: {reason}"));
        if bucket.is_empty() {
            return Err(usage("the bucket has no name".to_owned()));
        }
        let prefix = Key::parse(prefix).map_err(|error| usage(error.to_string()))?;
        let attempts = match env::var(ATTEMPTS.0) {
            Err(_) => ATTEMPTS.1,
            Ok(text) => {
                text.parse().ok().filter(|&attempts| attempts > 0).ok_or_else(|| {
                    usage(format!("{}: {text:?} is no number from 1 on", ATTEMPTS.0))
                })?
            }
        };
        // Another one was chosen before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let store = |(variable, read_timeout): (&str, &str), attempts: usize| {
            let of = |variable, default: &str| env::var(variable).unwrap_or(default.to_owned());
            let key = AmazonS3ConfigKey::Client;
            AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .with_config(key(ClientConfigKey::Timeout), of(TIMEOUT.0, TIMEOUT.1))
                .with_config(key(ClientConfigKey::ReadTimeout), of(variable, read_timeout))
                .with_retry(RetryConfig {
                    max_retries: attempts - 1,
                    retry_timeout: RETRY,
                    ..RetryConfig::default()
                })
                .build()
                .map_err(|error| usage(error.to_string()))
        };
        Ok(Self {
            store: store(READ_TIMEOUT, attempts)?,
            sending: store(WRITE_TIMEOUT, attempts)?,
            once: store(READ_TIMEOUT, 1)?,
            name: format!("{bucket}/{prefix}"),
            prefix,
            runtime: Builder::new_current_thread().enable_all().build()?,
        })
    }

    /// Part of a name of a file, the same for the same place.
    pub(crate) fn short_name(&self) -> String {
        let sum = Sha256::digest(self.name.as_bytes());
        sum[..8].iter().map(|byte| format!("{byte:02x}")).collect()
    }

    pub(crate) fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let folder = self.key(folder)?;
        let listed = self.runtime.block_on(self.store.list_with_delimiter(Some(&folder)))?;
        let names = listed.objects.iter().filter_map(|object| object.location.filename());
        Ok(names.map(str::to_owned).collect())
    }

    /// In parts: they become a file when the last one is there.
    pub(crate) fn put_file(&self, key: &str, from: &Path) -> Result<(), CopyError> {
        let key = self.key(key)?;
        let mut file = File::open(from).map_err(CopyError::Source)?;
        if file.metadata().map_err(CopyError::Source)?.len() <= PART_BYTES as u64 {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(CopyError::Source)?;
            let put = self.runtime.block_on(self.sending.put(&key, bytes.into()));
            return Ok(put.map(drop).map_err(io::Error::from)?);
        }
        self.runtime.block_on(async {
            let upload = self.sending.put_multipart(&key).await.map_err(io::Error::from)?;
            let mut parts = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
            match send(&mut file, &mut parts).await {
                Ok(()) => Ok(parts.finish().await.map(drop).map_err(io::Error::from)?),
                Err(error) => {
                    // Parts that stay behind are no file; buckets can be told to drop them.
                    let _ = parts.abort().await;
                    Err(error)
                }
            }
        })
    }

    pub(crate) fn put(&self, key: &str, bytes: &[u8]) -> io::Result<()> {
        self.runtime.block_on(self.sending.put(&self.key(key)?, bytes.to_vec().into()))?;
        Ok(())
    }

    /// Puts some bytes there unless others are. Whether they are there.
    pub(crate) fn create(&self, key: &str, bytes: &[u8]) -> io::Result<bool> {
        let at = self.key(key)?;
        let put = self.once.put_opts(&at, bytes.to_vec().into(), PutMode::Create.into());
        match self.runtime.block_on(put) {
            Ok(_) => return Ok(true),
            Err(Error::AlreadyExists { .. }) => {}
            Err(error @ (Error::PermissionDenied { .. } | Error::Unauthenticated { .. })) => {
                return Err(error.into());
            }
            // It may be there all the same; or this is a server that knows no such condition, and
            // there is no better way to ask.
            Err(_) => match self.runtime.block_on(self.store.head(&at)) {
                Ok(_) => {}
                Err(Error::NotFound { .. }) => return self.put(key, bytes).map(|()| true),
                Err(error) => return Err(error.into()),
            },
        }
        let mut found = Vec::new();
        match self.get(key, &mut found) {
            Err(CopyError::Source(error) | CopyError::Target(error)) => Err(error),
            Ok(()) => Ok(found == bytes),
        }
    }

    pub(crate) fn get(&self, key: &str, out: &mut dyn Write) -> Result<(), CopyError> {
        let source = |error: Error| CopyError::Source(error.into());
        let key = self.key(key)?;
        self.runtime.block_on(async {
            let mut stream = self.store.get(&key).await.map_err(source)?.into_stream();
            while let Some(bytes) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
                out.write_all(&bytes.map_err(source)?).map_err(CopyError::Target)?;
            }
            Ok(())
        })
    }

    pub(crate) fn remove(&self, key: &str) -> io::Result<()> {
        Ok(self.runtime.block_on(self.store.delete(&self.key(key)?))?)
    }

    fn key(&self, key: &str) -> io::Result<Key> {
        let key = format!("{}/{key}", self.prefix);
        Key::parse(key.trim_start_matches('/')).map_err(io::Error::other)
    }
}

async fn send(file: &mut File, parts: &mut WriteMultipart) -> Result<(), CopyError> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer).map_err(CopyError::Source)?;
        if read == 0 {
            return Ok(());
        }
        parts.wait_for_capacity(PARTS).await.map_err(io::Error::from)?;
        parts.write(&buffer[..read]);
    }
}
