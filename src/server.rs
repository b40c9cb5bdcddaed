//! The server as a whole: listeners, database and tasks, started and stopped in order.
//!
//! Start: bind every listener, open the database, then serve. So a port in use is told before
//! anything is touched. The database knows all names by then, which the APIs answer at once, and reads
//! the samples of its log meanwhile, which queries wait for; points are received when these are
//! there, and connections wait until then. Stop is the reverse: receivers and APIs drain, then the
//! database syncs and closes.

use crate::config::keys::Status;
use crate::config::{Config, ListenAddress, Loaded};
use crate::self_metrics::{Publishing, SelfMetrics, Sources};
use silverback_carbon_ingest::{self as ingest, ReceiverCounters, TcpOptions, UdpOptions};
use silverback_engine::schema::Schema;
use silverback_engine::{CloseError, Db, OpenError, Options, StoreOptions};
use silverback_query_api::{self as query_api, Api, ApiOptions, Cors, Limits};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longest time that receivers and APIs get to finish what they are at; go-carbon's.
const DRAIN: Duration = Duration::from_secs(5);

/// What listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Plaintext lines over TCP.
    CarbonTcp,
    /// Plaintext lines in datagrams.
    CarbonUdp,
    /// go-carbon's carbonserver API.
    NodeApi,
    /// Graphite's API.
    GraphiteApi,
    /// What operators ask.
    AdminApi,
}

impl Service {
    /// Its name in messages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CarbonTcp => "carbon-tcp",
            Self::CarbonUdp => "carbon-udp",
            Self::NodeApi => "node-api",
            Self::GraphiteApi => "graphite-api",
            Self::AdminApi => "admin-api",
        }
    }

    /// The section of the configuration that it belongs to.
    fn section(self) -> &'static str {
        match self {
            Self::CarbonTcp => "tcp",
            Self::CarbonUdp => "udp",
            Self::NodeApi => "carbonserver",
            Self::GraphiteApi => "graphite-api",
            Self::AdminApi => "admin",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A service and where it really listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening {
    /// What listens.
    pub service: Service,
    /// Its address; the port is never 0.
    pub address: SocketAddr,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on: it is in use, not ours, or needs a privilege.
    #[error("{config}: [{}] listen = \"{address}\": {source}", service.section())]
    Listen {
        /// The configuration that names it.
        config: String,
        /// What should have listened.
        service: Service,
        /// The address as configured.
        address: ListenAddress,
        /// What the system said.
        source: io::Error,
    },
    /// The database cannot be opened.
    #[error("the database cannot be opened: {0}")]
    Open(#[from] OpenError),
}

/// The sockets of all services, bound.
#[derive(Debug)]
struct Listeners {
    tcp: Option<TcpListener>,
    udp: Option<UdpSocket>,
    node_api: Option<TcpListener>,
    graphite_api: Option<TcpListener>,
    admin_api: Option<TcpListener>,
    listening: Vec<Listening>,
}

impl Listeners {
    fn bind(config: &Config) -> Result<Self, StartError> {
        let mut listening = Vec::new();
        let mut place = Place { config, listening: &mut listening };
        let tcp = place.bind(Service::CarbonTcp, config.tcp.as_ref(), bind_tcp)?;
        let udp = place.bind(Service::CarbonUdp, config.udp.as_ref(), bind_udp)?;
        let node_api = place.bind(Service::NodeApi, config.node_api.as_ref(), bind_tcp)?;
        let graphite_api =
            place.bind(Service::GraphiteApi, config.graphite_api.as_ref(), bind_tcp)?;
        let admin_api = place.bind(Service::AdminApi, config.admin_api.as_ref(), bind_tcp)?;
        Ok(Self { tcp, udp, node_api, graphite_api, admin_api, listening })
    }
}

/// Binds services one by one and notes where.
struct Place<'a> {
    config: &'a Config,
    listening: &'a mut Vec<Listening>,
}

impl Place<'_> {
    /// Binds the first candidate of `address` that can be bound.
    fn bind<T>(
        &mut self,
        service: Service,
        address: Option<&ListenAddress>,
        bind: fn(SocketAddr) -> io::Result<(T, SocketAddr)>,
    ) -> Result<Option<T>, StartError> {
        let Some(address) = address else { return Ok(None) };
        let fail = |source| StartError::Listen {
            config: self.config.name(),
            service,
            address: address.clone(),
            source,
        };
        let mut refused = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for candidate in address.candidates().map_err(fail)? {
            match bind(candidate) {
                Ok((socket, address)) => {
                    self.listening.push(Listening { service, address });
                    return Ok(Some(socket));
                }
                // In use stays in use: the other family would serve half of the callers.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(fail(error)),
                Err(error) => refused = error,
            }
        }
        Err(fail(refused))
    }
}

fn bind_tcp(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = ingest::bind_tcp(address)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

fn bind_udp(address: SocketAddr) -> io::Result<(UdpSocket, SocketAddr)> {
    let socket = ingest::bind_udp(address)?;
    let address = socket.local_addr()?;
    Ok((socket, address))
}

/// A running server. Dropping it ends its tasks at once, without draining; [`Server::stop`]
/// ends it in good order.
#[derive(Debug)]
pub struct Server {
    config: Config,
    db: Db,
    listening: Vec<Listening>,
    /// Cancelled when receivers and APIs shall drain.
    shutdown: CancellationToken,
    /// Each gives its service's name when it ends.
    tasks: JoinSet<&'static str>,
    /// How the own metrics are published; a reload changes it.
    publishing: watch::Sender<Publishing>,
}

impl Server {
    /// Binds all listeners, opens the database and serves. To be called inside a tokio runtime.
    ///
    /// # Errors
    /// When an address cannot be listened on, or the database not be opened; then nothing
    /// is left behind.
    pub async fn start(loaded: Loaded) -> Result<Self, StartError> {
        let Loaded { config, schema } = loaded;
        let listeners = Listeners::bind(&config)?;
        let options = db_options(&config, schema);
        let db = blocking(move || Db::open(options)).await?;
        let api = Arc::new(Api::with_options(db.clone(), limits(&config), api_options(&config)));
        let publishing = watch::Sender::new(Publishing::of(&config));
        let mut server = Self {
            listening: listeners.listening.clone(),
            config,
            db,
            shutdown: CancellationToken::new(),
            tasks: JoinSet::new(),
            publishing,
        };
        server.spawn(listeners, api);
        Ok(server)
    }

    fn spawn(&mut self, listeners: Listeners, api: Arc<Api>) {
        let tcp_counters = listeners.tcp.is_some().then(Arc::<ReceiverCounters>::default);
        let udp_counters = listeners.udp.is_some().then(Arc::<ReceiverCounters>::default);
        let connections = api.limits.connections;
        if let (Some(listener), Some(counters)) = (listeners.tcp, tcp_counters.clone()) {
            let (db, token) = (self.db.clone(), self.shutdown.clone());
            let receiver = async move {
                await_samples(&db).await;
                ingest::serve_tcp(listener, db, TcpOptions::default(), counters, token).await;
            };
            self.spawn_service(Service::CarbonTcp.name(), receiver);
        }
        if let (Some(socket), Some(counters)) = (listeners.udp, udp_counters.clone()) {
            let (db, token) = (self.db.clone(), self.shutdown.clone());
            let receiver = async move {
                await_samples(&db).await;
                ingest::serve_udp(socket, db, UdpOptions::default(), counters, token).await;
            };
            self.spawn_service(Service::CarbonUdp.name(), receiver);
        }
        if let Some(listener) = listeners.node_api {
            let router = query_api::node_router(Arc::clone(&api));
            let server = query_api::serve(listener, router, connections, self.shutdown.clone());
            self.spawn_service(Service::NodeApi.name(), server);
        }
        if let Some(listener) = listeners.graphite_api {
            let router = query_api::graphite_router(Arc::clone(&api));
            let server = query_api::serve(listener, router, connections, self.shutdown.clone());
            self.spawn_service(Service::GraphiteApi.name(), server);
        }
        if let Some(listener) = listeners.admin_api {
            let limits = admin_limits(&api.limits);
            let own = Arc::new(Api::with_options(self.db.clone(), limits, admin_options(&api)));
            let router = query_api::admin_router(own);
            let server = query_api::serve(listener, router, connections, self.shutdown.clone());
            self.spawn_service(Service::AdminApi.name(), server);
        }
        let sources = Sources { db: self.db.clone(), tcp: tcp_counters, udp: udp_counters, api };
        let metrics = SelfMetrics::new(sources);
        let (publishing, token) = (self.publishing.subscribe(), self.shutdown.clone());
        let db = self.db.clone();
        let published = async move {
            await_samples(&db).await;
            metrics.publish(publishing, token).await;
        };
        self.spawn_service("self-metrics", published);
    }

    fn spawn_service(
        &mut self,
        name: &'static str,
        service: impl Future<Output = ()> + Send + 'static,
    ) {
        self.tasks.spawn(async move {
            service.await;
            name
        });
    }

    /// What listens, and where.
    #[must_use]
    pub fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// Where a service listens, when it is on.
    #[must_use]
    pub fn address(&self, service: Service) -> Option<SocketAddr> {
        let found = self.listening.iter().find(|listening| listening.service == service);
        found.map(|listening| listening.address)
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Waits for a service that ends although nobody asked it to, and names it.
    pub async fn ended(&mut self) -> &'static str {
        match self.tasks.join_next().await {
            Some(Ok(name)) => name,
            Some(Err(_)) => "a service that panicked",
            // The task of the own metrics is always there.
            None => std::future::pending().await,
        }
    }

    /// Applies a new configuration and returns the changed keys that need a restart.
    pub fn reload(&mut self, loaded: Loaded) -> Vec<String> {
        let Loaded { config, schema } = loaded;
        self.db.set_schema(schema);
        if let StoreOptions::Whisper(whisper) = &config.store {
            self.db.set_whisper((**whisper).clone());
        }
        self.publishing.send_replace(Publishing { at_once: false, ..Publishing::of(&config) });
        let kept = self.config.settings.changed(&config.settings, Status::AtStart);
        self.config.graph_prefix = config.graph_prefix;
        self.config.metric_interval = config.metric_interval;
        self.config.remote_metric_endpoint = config.remote_metric_endpoint;
        self.config.schemas_file = config.schemas_file;
        self.config.aggregation_file = config.aggregation_file;
        kept
    }

    /// Lets receivers and APIs drain, then syncs and closes the database.
    ///
    /// # Errors
    /// When the last sync fails.
    pub async fn stop(mut self) -> Result<(), CloseError> {
        self.shutdown.cancel();
        let drained = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!("not drained within {} s, stopping anyway", DRAIN.as_secs());
            self.tasks.shutdown().await;
        }
        let db = self.db.clone();
        blocking(move || db.close()).await
    }
}

/// How the database of a configuration is opened.
pub(crate) fn db_options(config: &Config, schema: Schema) -> Options {
    Options {
        schema,
        wal_sync_interval: config.wal_sync_interval,
        wal_budget_bytes: config.wal_budget_bytes,
        block_duration_s: config.block_duration_s,
        compaction_bytes_per_s: config.compaction_bytes_per_s,
        head_budget_bytes: config.head_budget_bytes,
        series_budget_bytes: config.series_budget_bytes,
        head_budget_points: config.head_budget_points,
        store: config.store.clone(),
        migrate_from: config.migrate_from.clone(),
        cleanup: config.cleanup.clone(),
        tags: config.tags,
        ..Options::new(&config.storage_path)
    }
}

fn limits(config: &Config) -> Limits {
    let defaults = Limits::default();
    Limits {
        request_timeout: config.request_timeout.unwrap_or(defaults.request_timeout),
        running_requests: config.max_inflight_requests.unwrap_or(defaults.running_requests),
        globbed_nodes: config.max_metrics_globbed,
        rendered_series: config.max_metrics_rendered,
        rendered_points: config.max_points,
        series_bytes: config.max_series_bytes,
        answer_bytes: config.max_answer_bytes,
        memory_bytes: config.max_memory_bytes,
        ..defaults
    }
}

fn api_options(config: &Config) -> ApiOptions {
    ApiOptions {
        node_name: crate::config::host(),
        empty_result_ok: config.empty_result_ok,
        cors: if config.cors { Cors::Open } else { Cors::Closed },
        slow_request: config.slow_request,
        whisper: config.whisper.clone(),
    }
}

/// Work for operators ends when it is done, and does not wait for that of the other APIs.
fn admin_limits(limits: &Limits) -> Limits {
    Limits {
        request_timeout: Duration::from_secs(86_400),
        running_requests: 4,
        waiting_requests: 64,
        globbed_nodes: usize::MAX,
        ..limits.clone()
    }
}

/// No web page has business there, whatever it may do elsewhere, and long work is no news.
fn admin_options(api: &Api) -> ApiOptions {
    ApiOptions { cors: Cors::Closed, slow_request: None, ..api.options.clone() }
}

/// Waits for the samples that the database reads after a start. Also when the server is to stop:
/// what senders have brought by then is still taken.
async fn await_samples(db: &Db) {
    let db = db.clone();
    blocking(move || db.await_samples()).await;
}

/// Runs work that blocks without holding up the tasks of this thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => unreachable!("a blocking task that was started is not cancelled"),
        },
    }
}
