//! `artifacts node`: runs a control node until it is told to stop, or moves all that a stopped one keeps.
//!
//! SIGTERM and SIGINT let it end in good order; a second one ends it at once, which loses nothing that was durable.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use artifacts_node::NodeError;
use artifacts_node::archive::{self, ArchiveError};
use artifacts_node::blob::{BlobsConfig, S3Config};

use artifacts_node::config::{MeshAdmission, NodeConfig, StoreKind};
use clap::{Args, Subcommand};
use serde_json::json;

use crate::failure::Failure;
use crate::logging::LogFormat;
use crate::output::{Format, Output};
use crate::stop::Stop;
use crate::traces::{self, TraceArgs};

mod signing_key;
mod status;

/// Arguments of `node`.
#[derive(Debug, Args)]
#[command(after_help = "\
The file given with --config is JSON with the names of these options and some more: data, listen, public_urls, tls_cert, tls_key,
region, session_lease_ms, signing_key_hours, audit_retention_days, rate_limit, max_connections, store_cache_bytes, console,
data_path, and blobs:
either directory, or an object s3 with bucket, prefix, endpoint, public_endpoint, region, path_style, access_key_id,
secret_access_key, session_token; store: sled or slate; and for slate cluster, an object with directory, shards,
ownership_ttl_ms and unflushed_bytes_per_shard. An object ring makes the node one of several: name, node, regions, listen,
advertise, seeds, key_file, api, gossip_interval_ms, suspect_after_ms. An object mesh says whom the mesh lets in, and where
agents reach the node: admit, listen, advertise. An object traces says where traces go: endpoint, ratio. Options go before the file.

With --s3-bucket the data of files goes to S3, with credentials from the file, or from the environment as every program of AWS
finds them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, ~/.aws, the role of the machine. --s3-... options need the bucket, here
or in the file.

With --store slate the metadata goes to the bucket too, and what is on the machine's disk can be lost: a node that is started
anew on the bucket has everything. A node that was started without moves there with `export` and `import`, while it is stopped.

At the first start the node makes an admin token in the file `admin-token` of its data directory; with it you create accounts.

Examples:
  artifacts node --data /var/lib/artifacts
  artifacts node --data /var/lib/artifacts --listen 0.0.0.0:7700 --public-url https://artifacts.example.com
  artifacts node --config /etc/artifacts/node.json --log-format json
  artifacts node --data /var/lib/artifacts --s3-bucket acme-artifacts --s3-region eu-central-1
  artifacts node --data /var/lib/artifacts --s3-bucket acme-artifacts --store slate
  artifacts node --data /var/lib/artifacts export /backup/node.export
  artifacts node --data /var/lib/new --s3-bucket acme-artifacts --store slate import /backup/node.export
  artifacts platform account create acme --admin-token-file /var/lib/artifacts/admin-token")]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    action: Option<Action>,
    /// A configuration file in JSON
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where metadata, data and the admin token live [default: artifacts-data]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:7700]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// PEM certificate chain; turns TLS on
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// PEM private key
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// What clients are told to connect to, where that differs from the listening address; may be repeated
    #[arg(long, value_name = "URL")]
    public_url: Vec<String>,
    /// The name of this node's region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// What the metadata is kept in: files of this node, or objects in the bucket [default: sled]
    #[arg(long, value_name = "STORE", value_parser = ["sled", "slate"])]
    store: Option<String>,
    /// Keep everything below this directory as if it were a bucket; for one node with --store slate
    #[arg(long, value_name = "DIR")]
    cluster_directory: Option<PathBuf>,
    /// Whom the mesh lets in: agents of hosts with a mesh credential, or every mount with a session as well; the same on all nodes
    /// [default: hosts]
    #[arg(long, value_name = "WHO", value_parser = ["hosts", "all"], env = "TONBO_MESH_ADMIT")]
    mesh_admit: Option<String>,
    #[command(flatten)]
    s3: S3Args,
    #[command(flatten)]
    traces: TraceArgs,
    /// How log lines on stderr look
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// What to do instead of running a node. To export and to import, the node has to be stopped, and the options that it is
/// started with come before.
#[derive(Debug, Subcommand)]
enum Action {
    /// Write all that a stopped node keeps into a file, which then holds its secrets too
    Export {
        /// The file to be written
        file: PathBuf,
    },
    /// Bring what was exported into the store and the place for segments that the options name, and compare
    Import {
        /// The file that `export` has written
        file: PathBuf,
    },
    /// Show the nodes of the cluster as one of them sees it
    Status(status::StatusArgs),
    /// Replace the key that signs tickets, while the node runs
    RotateSigningKey(signing_key::RotateArgs),
}

/// Where the bucket is. Credentials are no arguments: anybody on the machine can read those.
#[derive(Debug, Args)]
struct S3Args {
    /// Keep the data of files in this bucket instead of the data directory
    #[arg(long, value_name = "BUCKET")]
    s3_bucket: Option<String>,
    /// What the names of all objects begin with
    #[arg(long, value_name = "PREFIX")]
    s3_prefix: Option<String>,
    /// The address of an S3 server other than AWS
    #[arg(long, value_name = "URL")]
    s3_endpoint: Option<String>,
    /// The region of the bucket [default: what the environment says]
    #[arg(long, value_name = "REGION")]
    s3_region: Option<String>,
    /// Name the bucket in the path, as most servers other than AWS want it
    #[arg(long)]
    s3_path_style: bool,
}

impl S3Args {
    /// The options over what the file says.
    fn over(self, configured: BlobsConfig) -> Result<BlobsConfig, Failure> {
        let other_given = self.s3_prefix.is_some() || self.s3_endpoint.is_some() || self.s3_region.is_some() || self.s3_path_style;
        let mut config = match (configured, self.s3_bucket) {
            (BlobsConfig::S3(config), Some(bucket)) => S3Config { bucket, ..config },
            (BlobsConfig::S3(config), None) => config,
            (BlobsConfig::Directory, Some(bucket)) => S3Config::new(bucket),
            (BlobsConfig::Directory, None) if other_given => return Err(Failure::usage("the --s3 options need --s3-bucket".to_owned())),
            (BlobsConfig::Directory, None) => return Ok(BlobsConfig::Directory),
        };
        config.prefix = self.s3_prefix.unwrap_or(config.prefix);
        config.endpoint = self.s3_endpoint.or(config.endpoint);
        config.region = self.s3_region.or(config.region);
        config.path_style |= self.s3_path_style;
        Ok(BlobsConfig::S3(config))
    }
}

impl NodeArgs {
    /// The file, and the options over it.
    fn configuration(self) -> anyhow::Result<NodeConfig> {
        let mut config: NodeConfig = match &self.config {
            Some(file) => {
                let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
                serde_json::from_str(&text).map_err(|error| {
                    Failure::usage(format!("{}: {error}", file.display())).hint("`artifacts node --help` lists the names")
                })?
            }
            None => NodeConfig::default(),
        };
        config.data = self.data.unwrap_or(config.data);
        config.listen = self.listen.unwrap_or(config.listen);
        config.tls_cert = self.tls_cert.or(config.tls_cert);
        config.tls_key = self.tls_key.or(config.tls_key);
        config.region = self.region.unwrap_or(config.region);
        if !self.public_url.is_empty() {
            config.public_urls = self.public_url;
        }
        config.blobs = self.s3.over(config.blobs)?;
        config.traces = self.traces.over(config.traces);
        config.store = match self.store.as_deref() {
            Some("slate") => StoreKind::Slate,
            Some(_) => StoreKind::Sled,
            None => config.store,
        };
        config.cluster.directory = self.cluster_directory.or(config.cluster.directory);
        config.mesh.admit = match self.mesh_admit.as_deref() {
            Some("all") => MeshAdmission::All,
            Some(_) => MeshAdmission::Hosts,
            None => config.mesh.admit,
        };
        Ok(config)
    }
}

/// Serves until a signal comes, or does what is asked instead.
pub(crate) async fn run(mut args: NodeArgs, output: Output) -> anyhow::Result<()> {
    let action = args.action.take();
    let config = args.configuration()?;
    match action {
        None => serve(config, output).await,
        Some(Action::Export { file }) => {
            let moved = archive::export(&config, &file).await.map_err(of_archive)?;
            report(output, "exported", &moved)
        }
        Some(Action::Import { file }) => {
            let moved = archive::import(&config, &file).await.map_err(of_archive)?;
            report(output, "imported and compared", &moved)
        }
        Some(Action::Status(args)) => status::run(args, &config, output).await,
        Some(Action::RotateSigningKey(args)) => signing_key::run(args, &config, output).await,
    }
}

/// What a node would have said is said as if by a node.
fn of_archive(error: ArchiveError) -> anyhow::Error {
    match error {
        ArchiveError::Node(error) => (*error).into(),
        ArchiveError::Store(error) => NodeError::Store(error).into(),
        error => error.into(),
    }
}

fn report(output: Output, done: &str, moved: &archive::Summary) -> anyhow::Result<()> {
    let archive::Summary { rows, segments, segment_bytes } = moved;
    match output.format {
        Format::Json => output.json(&json!({ "rows": rows, "segments": segments, "segment_bytes": segment_bytes }))?,
        Format::Text => output.line(&format!("{done} {rows} rows and {segments} segments of {segment_bytes} bytes"))?,
    }
    Ok(())
}

async fn serve(config: NodeConfig, output: Output) -> anyhow::Result<()> {
    // From here on a signal no longer kills the process half way through its start.
    let mut stop = Stop::new()?;
    let tracing = traces::start(&config.traces, "artifacts-node")?;
    let node = tokio::select! {
        node = artifacts_node::Node::start(config) => node?,
        () = stop.asked() => return Ok(()),
    };
    let served = serve_node(node, &mut stop, output).await;
    // It waits for no task of this runtime.
    tracing.finish();
    served
}

async fn serve_node(node: artifacts_node::Node, stop: &mut Stop, output: Output) -> anyhow::Result<()> {
    let admin_token = std::path::absolute(node.admin_token_path())?;
    match output.format {
        Format::Json => output.json(&json!({ "listening": node.urls(), "address": node.local_addr(), "admin_token_file": admin_token }))?,
        Format::Text => output.line(&format!("listening on {} (admin token: {})", node.urls().join(", "), admin_token.display()))?,
    }
    tokio::select! {
        () = stop.asked() => {}
        () = node.superseded() => return Err(Failure::failed("another node has taken over from this one").into()),
    }
    tracing::info!("stopping; a second signal stops at once");
    tokio::select! {
        stopped = node.shutdown() => Ok(stopped?),
        () = stop.asked() => {
            tracing::warn!("stopped at once");
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        node: NodeArgs,
    }

    fn configuration(line: &[&str]) -> anyhow::Result<NodeConfig> {
        Line::try_parse_from([&["node"], line].concat()).unwrap().node.configuration()
    }

    #[test]
    fn options_go_before_the_file_and_the_file_before_the_defaults() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("node.json");
        std::fs::write(&file, r#"{"listen":"0.0.0.0:1","region":"eu","rate_limit":7}"#).unwrap();
        let config = configuration(&["--config", file.to_str().unwrap(), "--region", "us", "--data", "/d"]).unwrap();
        assert_eq!((config.listen.port(), config.region.as_str(), config.rate_limit), (1, "us", 7));
        assert_eq!(config.data, PathBuf::from("/d"));
        assert_eq!(config.max_connections, NodeConfig::default().max_connections);
    }

    #[test]
    fn the_store_is_chosen_by_the_option_or_the_file() {
        assert_eq!(configuration(&[]).unwrap().store, StoreKind::Sled);
        let config = configuration(&["--store", "slate", "--cluster-directory", "/b"]).unwrap();
        assert_eq!((config.store, config.cluster.directory), (StoreKind::Slate, Some(PathBuf::from("/b"))));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("node.json");
        std::fs::write(&file, r#"{"store":"slate","cluster":{"directory":"/b","shards":4}}"#).unwrap();
        let config = configuration(&["--config", file.to_str().unwrap()]).unwrap();
        assert_eq!((config.store, config.cluster.shards, config.cluster.ownership_ttl_ms), (StoreKind::Slate, 4, 2_000));
        let config = configuration(&["--config", file.to_str().unwrap(), "--store", "sled"]).unwrap();
        assert_eq!(config.store, StoreKind::Sled);
        assert!(Line::try_parse_from(["node", "--store", "other"]).is_err());
    }

    #[test]
    fn s3_options_go_before_the_file_and_need_a_bucket() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("node.json");
        std::fs::write(&file, r#"{"blobs":{"s3":{"bucket":"b","prefix":"p","access_key_id":"k","secret_access_key":"hush"}}}"#).unwrap();
        let config = configuration(&["--config", file.to_str().unwrap(), "--s3-bucket", "c", "--s3-path-style"]).unwrap();
        assert!(!format!("{config:?}").contains("hush"));
        let BlobsConfig::S3(bucket) = config.blobs else { panic!("not in S3") };
        assert_eq!((bucket.bucket.as_str(), bucket.prefix.as_str(), bucket.path_style), ("c", "p", true));
        assert!(bucket.secret_access_key.is_some());
        let BlobsConfig::S3(bucket) = configuration(&["--s3-bucket", "b", "--s3-endpoint", "http://h:1"]).unwrap().blobs else {
            panic!("not in S3")
        };
        assert_eq!(bucket.endpoint.as_deref(), Some("http://h:1"));
        assert!(configuration(&["--s3-prefix", "p"]).is_err());
        assert_eq!(configuration(&[]).unwrap().blobs, BlobsConfig::Directory);
    }

    #[test]
    fn a_ring_comes_from_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("node.json");
        std::fs::write(&file, r#"{"ring":{"listen":"10.0.0.1:7701","seeds":["10.0.0.2:7701"],"key_file":"/k"}}"#).unwrap();
        let ring = configuration(&["--config", file.to_str().unwrap()]).unwrap().ring.unwrap();
        assert_eq!((ring.seeds.len(), ring.gossip_interval_ms), (1, 200));
        assert!(configuration(&[]).unwrap().ring.is_none());
    }

    #[test]
    fn guests_are_let_into_the_mesh_by_the_option_or_the_file() {
        assert_eq!(configuration(&[]).unwrap().mesh.admit, MeshAdmission::Hosts);
        assert_eq!(configuration(&["--mesh-admit", "all"]).unwrap().mesh.admit, MeshAdmission::All);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("node.json");
        std::fs::write(&file, r#"{"mesh":{"admit":"all","listen":"0.0.0.0:7702"}}"#).unwrap();
        assert_eq!(configuration(&["--config", file.to_str().unwrap()]).unwrap().mesh.admit, MeshAdmission::All);
        let config = configuration(&["--config", file.to_str().unwrap(), "--mesh-admit", "hosts"]).unwrap();
        assert_eq!((config.mesh.admit, config.admits_guests()), (MeshAdmission::Hosts, false));
        assert!(Line::try_parse_from(["node", "--mesh-admit", "some"]).is_err());
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("node.json");
        std::fs::write(&file, r#"{"lisen":"0.0.0.0:1"}"#).unwrap();
        assert!(configuration(&["--config", file.to_str().unwrap()]).unwrap_err().to_string().contains("lisen"));
    }
}
