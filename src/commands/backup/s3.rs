//! A bucket of S3, or of a server that speaks its language.
//!
//! Credentials, region and endpoint come from the environment, under the names that other tools
//! use: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_REGION`, `AWS_ENDPOINT_URL`,
//! `AWS_ALLOW_HTTP`. A transfer may take as long as bytes flow; what fails is tried again for a
//! quarter of an hour.

use crate::commands::whisper::CommandError;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path as Key;
use object_store::{ClientConfigKey, ObjectStore, ObjectStoreExt, RetryConfig, WriteMultipart};
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

/// How long a request may take unless the environment says something else, and how long nothing
/// may come: a block over a slow link takes hours, and a link that is dead half a minute.
const TIMEOUTS: [(&str, ClientConfigKey, &str); 2] = [
    ("AWS_TIMEOUT", ClientConfigKey::Timeout, "7days"),
    ("AWS_READ_TIMEOUT", ClientConfigKey::ReadTimeout, "30s"),
];
/// How long a request is tried again.
const RETRY: Duration = Duration::from_secs(15 * 60);

/// See the module.
pub(crate) struct Bucket {
    store: AmazonS3,
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
        // Another one was chosen before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut store = AmazonS3Builder::from_env().with_bucket_name(bucket);
        for (variable, key, value) in TIMEOUTS {
            if std::env::var_os(variable).is_none() {
                store = store.with_config(AmazonS3ConfigKey::Client(key), value);
            }
        }
        let retry = RetryConfig { retry_timeout: RETRY, ..RetryConfig::default() };
        let store = store.with_retry(retry).build().map_err(|error| usage(error.to_string()))?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { store, prefix, runtime })
    }

    pub(crate) fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let folder = self.key(folder)?;
        let listed = self.runtime.block_on(self.store.list_with_delimiter(Some(&folder)))?;
        let names = listed.objects.iter().filter_map(|object| object.location.filename());
        Ok(names.map(str::to_owned).collect())
    }

    /// In parts: they become a file when the last one is there.
    pub(crate) fn put_file(&self, key: &str, from: &Path) -> io::Result<()> {
        let (key, mut file) = (self.key(key)?, File::open(from)?);
        if file.metadata()?.len() <= PART_BYTES as u64 {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            self.runtime.block_on(self.store.put(&key, bytes.into()))?;
            return Ok(());
        }
        self.runtime.block_on(async {
            let upload = self.store.put_multipart(&key).await?;
            let mut parts = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
            match send(&mut file, &mut parts).await {
                Ok(()) => Ok(parts.finish().await.map(drop)?),
                Err(error) => {
                    // Parts that stay behind are no file; buckets can be told to drop them.
                    let _ = parts.abort().await;
                    Err(error)
                }
            }
        })
    }

    pub(crate) fn put(&self, key: &str, bytes: Vec<u8>) -> io::Result<()> {
        self.runtime.block_on(self.store.put(&self.key(key)?, bytes.into()))?;
        Ok(())
    }

    pub(crate) fn get(&self, key: &str, out: &mut dyn Write) -> io::Result<()> {
        let key = self.key(key)?;
        self.runtime.block_on(async {
            let mut stream = self.store.get(&key).await?.into_stream();
            while let Some(bytes) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
                out.write_all(&bytes?)?;
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

async fn send(file: &mut File, parts: &mut WriteMultipart) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(());
        }
        parts.wait_for_capacity(PARTS).await?;
        parts.write(&buffer[..read]);
    }
}
