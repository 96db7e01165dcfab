package hub

import (
	"encoding/json"
	"time"
)

// Modes.
const (
	Embedded = "embedded" // own NATS server; SQLite unless store.dsn is set; file keys
	Cluster  = "cluster"  // NATS cluster, PostgreSQL, KMS
)

// DefaultMemoryLimit is that of Config.MemoryLimit, MiB.
const DefaultMemoryLimit = 110

// Config is everything that can be set. The zero value of a field means its default. Each field has
// a key in the YAML file (in camelCase) and, where named, an environment variable, which wins.
type Config struct {
	// Mode is embedded (default) or cluster. A missing address never means embedded.
	Mode string `yaml:"mode" env:"DOSEWIRE_MODE"`

	// Data is the folder for everything that embedded mode keeps: databases, streams, keys, the admin
	// socket. Made with mode 0700. Defaults to $XDG_DATA_HOME/dosewire, else ./data.
	Data string `yaml:"data" env:"DOSEWIRE_DATA"`

	// BaseURL is how clients reach the hub, without trailing slash: Location headers and inbox links
	// begin with it. Defaults to the address in HTTP.
	BaseURL string `yaml:"baseURL" env:"DOSEWIRE_BASE_URL"`

	HTTP          HTTP          `yaml:"http"`
	NATS          NATS          `yaml:"nats"`
	Store         Store         `yaml:"store"`
	Keys          Keys          `yaml:"keys"`
	Ledger        Ledger        `yaml:"ledger"`
	Notary        Notary        `yaml:"notary"`
	FHIR          FHIR          `yaml:"fhir"`
	Prescriptions Prescriptions `yaml:"prescriptions"`
	Safety        Safety        `yaml:"safety"`
	Retention     Retention     `yaml:"retention"`
	Telemetry     Telemetry     `yaml:"telemetry"`
	Grace         Grace         `yaml:"grace"`

	// MemoryLimit is the soft limit of the Go runtime, MiB; GOMEMLIMIT wins. Defaults to 110; -1 means
	// none. Below a limit garbage is collected a third as often as the runtime would; GOGC wins.
	MemoryLimit int `yaml:"memoryLimit" env:"DOSEWIRE_MEMORY_LIMIT"`

	// Adapters holds the options of each adapter by name. An adapter that is not named gets none.
	Adapters map[string]json.RawMessage `yaml:"-"`
}

// HTTP is the surface for clinics, pharmacies and patients.
type HTTP struct {
	// Address is host:port. Defaults to 127.0.0.1:8080; port 0 takes a free one. The variable PORT
	// replaces the port alone.
	Address string `yaml:"address" env:"DOSEWIRE_HTTP_ADDRESS"`
	TLS     TLS    `yaml:"tls"`
	// Plaintext says in words that traffic may come in clear from other machines: "behind-tls-proxy".
	// Otherwise an address that is not loopback needs TLS.
	Plaintext string `yaml:"plaintext" env:"DOSEWIRE_HTTP_PLAINTEXT"`
}

// NATS is the broker.
type NATS struct {
	// Address is where the embedded server listens for organisations. Defaults to 127.0.0.1:4222;
	// port 0 takes a free one.
	Address   string `yaml:"address" env:"DOSEWIRE_NATS_ADDRESS"`
	TLS       TLS    `yaml:"tls"`
	Plaintext string `yaml:"plaintext" env:"DOSEWIRE_NATS_PLAINTEXT"` // as HTTP.Plaintext
	// MaxStore is how much disk the embedded server's streams may take, MiB. Defaults to 4096.
	MaxStore int `yaml:"maxStore" env:"DOSEWIRE_NATS_MAX_STORE"`
	// URLs are the servers of the cluster, with scheme tls. Cluster mode only.
	URLs []string `yaml:"urls" env:"DOSEWIRE_NATS_URLS"`
	// Credentials is the file with the hub's own credentials for them. Cluster mode only.
	Credentials string `yaml:"credentials" env:"DOSEWIRE_NATS_CREDENTIALS"`
	// Replicas of each stream. Defaults to 1 embedded, 3 in a cluster.
	Replicas int `yaml:"replicas" env:"DOSEWIRE_NATS_REPLICAS"`
}

// TLS names a certificate. Both fields or none.
type TLS struct {
	Certificate string `yaml:"certificate"` // PEM file, leaf first
	Key         string `yaml:"key"`         // PEM file
}

// Store is the records database and the key database. They are backed up apart, so that no one
// backup holds both.
type Store struct {
	// DSN is a PostgreSQL URL for records. Empty means SQLite in the data folder (embedded mode). The
	// variable DATABASE_URL is understood too.
	DSN string `yaml:"dsn" env:"DOSEWIRE_STORE_DSN"`
	// KeysDSN is a PostgreSQL URL for keys: another database, best on another server. Set with DSN.
	KeysDSN string `yaml:"keysDSN" env:"DOSEWIRE_STORE_KEYS_DSN"`
	// Migrate brings the schema up to date at start. Embedded mode with SQLite always does.
	Migrate bool `yaml:"migrate" env:"DOSEWIRE_STORE_MIGRATE"`
}

// Keys is what protects the deployment key.
type Keys struct {
	// File holds the key-wrapping key (32 bytes, mode 0600, in a folder of mode 0700), made on first
	// use. Defaults to keys/kek in the data folder. Whoever has it and the key database can read all.
	File string `yaml:"file" env:"DOSEWIRE_KEYS_FILE"`
	// Missing says in words that the hub serves although the key database lacks keys of recorded
	// messages: "records-stay-unreadable". Otherwise it refuses to start.
	Missing string `yaml:"missing" env:"DOSEWIRE_KEYS_MISSING"`
	// KMS is the ARN of a symmetric AWS KMS key, used instead of File. Credentials are found as the AWS
	// SDK does: environment, shared files, container or instance role.
	KMS string `yaml:"kms" env:"DOSEWIRE_KEYS_KMS"`
	// KMSEndpoint is the URL of a private KMS endpoint. Defaults to AWS's own for the key's region.
	KMSEndpoint string `yaml:"kmsEndpoint" env:"DOSEWIRE_KEYS_KMS_ENDPOINT"`
}

// Ledger names the log.
type Ledger struct {
	// Origin is the C2SP log origin, fixed by the first start. Defaults to dosewire.example/log.
	Origin string `yaml:"origin" env:"DOSEWIRE_LEDGER_ORIGIN"`
	// Reads is how many times a second an organisation, or a patient, may read plaintext at this hub, and
	// ten times as many at once: each is an entry for ever. Defaults to 30; -1 means any number.
	Reads int `yaml:"reads" env:"DOSEWIRE_LEDGER_READS"`
}

// Notary signs the ledger's checkpoints and publishes its tiles.
type Notary struct {
	// Apart says that another process is the notary (dosewire notary, with its own key and a role that
	// may only read), so the hub runs none.
	Apart bool `yaml:"apart" env:"DOSEWIRE_NOTARY_APART"`
	// Folder holds the notary's state. Defaults to notary in the data folder.
	Folder string `yaml:"folder" env:"DOSEWIRE_NOTARY_FOLDER"`
	// Key is the file with the checkpoint key, made on first use. Defaults to key in Folder.
	Key string `yaml:"key" env:"DOSEWIRE_NOTARY_KEY"`
	// KMS is the ARN of an Ed25519 key in AWS KMS (ECC_NIST_EDWARDS25519, SIGN_VERIFY), used instead of
	// Key.
	KMS string `yaml:"kms" env:"DOSEWIRE_NOTARY_KMS"`
	// KMSEndpoint is the URL of a private KMS endpoint. Defaults to AWS's own for the key's region.
	KMSEndpoint string `yaml:"kmsEndpoint" env:"DOSEWIRE_NOTARY_KMS_ENDPOINT"`
	// Policy is the trust policy (C2SP tlog-policy): the log's key, the witnesses that are asked, and
	// the quorum without which nothing is published. Patients are given it to check their receipts with.
	// Defaults to trust.policy in Folder, which the first start makes, without witnesses.
	Policy string `yaml:"policy" env:"DOSEWIRE_NOTARY_POLICY"`
	// Tiles is where checkpoints and tiles are: a folder, in which the notary publishes, or an http(s)
	// URL at which what it publishes is read. Receipts are made from them. Defaults to tiles in Folder,
	// or to S3 where a bucket is set.
	Tiles string `yaml:"tiles" env:"DOSEWIRE_NOTARY_TILES"`
	S3    S3     `yaml:"s3"`
	// Interval between two looks at the ledger. Defaults to 1s.
	Interval time.Duration `yaml:"interval" env:"DOSEWIRE_NOTARY_INTERVAL"`
}

// S3 is a bucket that the notary publishes in instead of a folder. The bucket has versioning, and Object
// Lock if RetainDays is set.
type S3 struct {
	Bucket string `yaml:"bucket" env:"DOSEWIRE_NOTARY_S3_BUCKET"`
	Region string `yaml:"region" env:"DOSEWIRE_NOTARY_S3_REGION"`
	// Prefix comes before every path, such as "log/".
	Prefix string `yaml:"prefix" env:"DOSEWIRE_NOTARY_S3_PREFIX"`
	// RetainDays is how long nobody can delete or replace a version of what is published (Object Lock in
	// compliance mode). 0 means no lock.
	RetainDays int `yaml:"retainDays" env:"DOSEWIRE_NOTARY_S3_RETAIN_DAYS"`
	// Endpoint is the URL of a private endpoint. Defaults to AWS's own for the region.
	Endpoint string `yaml:"endpoint" env:"DOSEWIRE_NOTARY_S3_ENDPOINT"`
}

// FHIR is what messages must satisfy beyond base R4 and the hub's own rules.
type FHIR struct {
	// Profiles are files with StructureDefinitions of R4: a resource that states one of them in
	// meta.profile is judged by it.
	Profiles []string `yaml:"profiles" env:"DOSEWIRE_FHIR_PROFILES"`
	// ValueSets are files with the ValueSets to which required bindings of the profiles point.
	ValueSets []string `yaml:"valueSets" env:"DOSEWIRE_FHIR_VALUE_SETS"`
	// Accept lists the profiles that a resource may state, as "url", "url from" or "url from until" with
	// days such as 2026-01-31, both included. Empty means any.
	Accept []string `yaml:"accept" env:"DOSEWIRE_FHIR_ACCEPT"`
}

// Prescriptions is what the operator has decided about orders. Codes are "system|code".
type Prescriptions struct {
	// Controlled are the codes of controlled drugs, as medication or as one of its ingredients. Such an
	// order is recorded and reaches no pharmacy. Empty means that none is known.
	Controlled []string `yaml:"controlled" env:"DOSEWIRE_PRESCRIPTIONS_CONTROLLED"`
	// ControlledAllow are the ids of the clinics whose orders for them are routed like any other. This
	// hub is not certified for electronic prescriptions of controlled substances (21 CFR 1311).
	ControlledAllow []string `yaml:"controlledAllow" env:"DOSEWIRE_PRESCRIPTIONS_CONTROLLED_ALLOW"`
	// Directed are the codes of MedicationRequest.category with which the prescriber chooses the
	// pharmacy: the patient can then send it nowhere else.
	Directed []string `yaml:"directed" env:"DOSEWIRE_PRESCRIPTIONS_DIRECTED"`
}

// Safety is what orders are checked by, beyond their own codes (docs/safety.md).
type Safety struct {
	// Map is a file with a FHIR ConceptMap (R4, JSON) that puts codes of medicines into classes, such as
	// products into their ingredients. None is shipped. Its SHA-256 is in the log at start and in what is
	// found by it.
	Map string `yaml:"map" env:"DOSEWIRE_SAFETY_MAP"`
}

// Telemetry is logs; traces are set by the OTEL_EXPORTER_OTLP variables.
type Telemetry struct {
	Log   string `yaml:"log" env:"DOSEWIRE_LOG"`         // text (default) or json
	Level string `yaml:"level" env:"DOSEWIRE_LOG_LEVEL"` // debug, info (default), warn or error
}

// Grace is how long each stage may take to finish what it began, outside first. Write durations as
// 20s or 1m30s.
type Grace struct {
	Ready    time.Duration `yaml:"ready" env:"DOSEWIRE_GRACE_READY"`       // not ready, still serving: for load balancers; default 0
	HTTP     time.Duration `yaml:"http" env:"DOSEWIRE_GRACE_HTTP"`         // requests in flight; default 15s
	Adapters time.Duration `yaml:"adapters" env:"DOSEWIRE_GRACE_ADAPTERS"` // pushes under way; default 10s
	Recorder time.Duration `yaml:"recorder" env:"DOSEWIRE_GRACE_RECORDER"` // the batch in hand and its deliveries; default 15s
}
