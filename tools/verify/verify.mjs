#!/usr/bin/env node
// An independent verifier of the ledger, made from docs/ledger-format.md. It needs Node 20 or later and
// nothing else, and shares no code with the hub.
//
//   node verify.mjs tiles FOLDER --policy FILE          judge a published log
//   node verify.mjs receipt FILE --policy FILE [--message FILE]
//   node verify.mjs vectors FOLDER                      judge the test vectors
//
// It prints one line of JSON. Exit code 0: as it should be; 5: not; 2: wrong usage.
import { createDecipheriv, createHash, createHmac, createPublicKey, hkdfSync, verify as verifySignature } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const ENTRY = 114, WIDTH = 256, HASH = 32;

/** Bad is a verdict: a word, what it is about, and the first bad entry where one can be named. */
class Bad extends Error {
  constructor(word, text, entry) { super(text); this.word = word; this.entry = entry; }
}

const sha256 = (...parts) => parts.reduce((h, p) => h.update(p), createHash("sha256")).digest();
const leafOf = (entry) => sha256(Buffer.of(0), entry);
const node = (left, right) => sha256(Buffer.of(1), left, right);

/** base64 in its one spelling, or null. */
function base64(text) {
  const raw = Buffer.from(text, "base64");
  return raw.toString("base64") === text ? raw : null;
}

/** decimal below 2^63 in its one spelling, or null. */
function decimal(text) {
  if (!/^(0|[1-9][0-9]{0,18})$/.test(text)) return null;
  const n = BigInt(text);
  return n < 1n << 63n ? n : null;
}

// --- entries and the chain

function parseEntry(b) {
  if (b.length !== ENTRY || b[0] !== 1 || b[1] > 4 || b[10] & 0x80) throw new Bad("entry", "not an entry");
  return {
    bytes: b, kind: b[1], index: b.readBigUInt64BE(2), time: b.readBigUInt64BE(10),
    prev: b.subarray(18, 50), digest: b.subarray(50, 82), commitment: b.subarray(82), leaf: leafOf(b),
  };
}

const headOf = (origin) => ({ size: 0n, leaf: sha256(origin), time: 0n });

/** follow returns the head after e, or null when e does not follow. */
function follow(head, e) {
  const follows = e.index === head.size && e.prev.equals(head.leaf) && e.time >= head.time && (e.kind === 0) === (e.index === 0n);
  return follows ? { size: e.index + 1n, leaf: e.leaf, time: e.time } : null;
}

// --- the tree

/** Tree is a tree by its full subtrees, largest first. */
class Tree {
  edge = []; // { hash, height }
  add(hash, height = 0) {
    while (this.edge.length > 0 && this.edge.at(-1).height === height) {
      hash = node(this.edge.pop().hash, hash);
      height++;
    }
    this.edge.push({ hash, height });
  }
  root() {
    if (this.edge.length === 0) return sha256();
    return this.edge.map((s) => s.hash).reduceRight((right, left) => node(left, right));
  }
}

/** rootOf is the root over any leaves. */
function rootOf(leaves) {
  const t = new Tree();
  for (const l of leaves) t.add(l);
  return t.root();
}

function included(leaf, index, size, proof, root) {
  let fn = index, sn = size - 1n, r = leaf;
  for (const p of proof) {
    if (sn === 0n) return false;
    if (fn & 1n || fn === sn) {
      r = node(p, r);
      while (!(fn & 1n) && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
    } else {
      r = node(r, p);
    }
    fn >>= 1n; sn >>= 1n;
  }
  return sn === 0n && r.equals(root);
}

// --- keys, notes, policies

const validName = (name) => name !== "" && !/[\p{White_Space}+]/u.test(name);
const keyID = (name, type, key) => sha256(name, Buffer.of(10, type), key).subarray(0, 4);

function parseKey(vkey) {
  const [name, id, ...rest] = vkey.split("+");
  const raw = base64(rest.join("+"));
  const sizes = { 1: 33, 4: 33, 6: 1313 }; // Ed25519, Ed25519 cosignature, ML-DSA-44
  if (!validName(name) || !/^[0-9a-f]{8}$/.test(id ?? "") || raw === null || raw.length !== sizes[raw[0]]) {
    throw new Bad("policy", "not a verifier key");
  }
  const key = raw.subarray(1), own = keyID(name, raw[0], key);
  if (own.toString("hex") !== id) throw new Bad("policy", "a key id that is another key's");
  return { name, type: raw[0], id: own, key };
}

function ed25519(key, message, signature) {
  const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), key]);
  return verifySignature(null, message, createPublicKey({ key: spki, format: "der", type: "spki" }), signature);
}

function parsePolicy(bytes) {
  const text = bytes.toString("latin1"); // octets, as the format says
  const bad = (why) => { throw new Bad("policy", why); };
  const p = { logs: [], witnesses: [], named: new Map(), quorum: undefined };
  if (bytes.length > 65536) bad("longer than 64 KiB");
  const members = new Set(), seen = new Set();
  const once = (role, k) => { const id = role + k.key.toString("hex"); if (seen.has(id)) bad("a key twice"); seen.add(id); };
  const define = (name, what) => { if (name === "none" || p.named.has(name)) bad("a name that is taken"); p.named.set(name, what); };
  for (const line of text.split("\n")) {
    if (/[\x00-\x08\x0b-\x1f\x7f]/.test(line)) bad("a control character");
    const [word, ...f] = line.split(/[ \t]+/).filter((w) => w !== "");
    if (word === undefined || word.startsWith("#")) continue;
    if (word !== "quorum" && p.logs.length + p.named.size >= 256) bad("more than 256 logs, witnesses and groups");
    if (word === "log" && (f.length === 1 || f.length === 2)) {
      const k = parseKey(Buffer.from(f[0], "latin1").toString());
      if (k.type !== 1) bad("a log has a key of type 1");
      once("log", k);
      p.logs.push(k);
    } else if (word === "witness" && (f.length === 2 || f.length === 3)) {
      const k = parseKey(Buffer.from(f[1], "latin1").toString());
      if (k.type === 1) k.id = keyID(k.name, 4, k.key);
      once("witness", k);
      define(f[0], k);
      p.witnesses.push(k);
    } else if (word === "group" && f.length >= 3) {
      const [name, need, ...names] = f;
      for (const m of names) {
        if (!p.named.has(m) || members.has(m)) bad("a member that is unknown, or in a group already");
        members.add(m);
      }
      const k = need === "any" ? 1 : need === "all" ? names.length : Number(decimal(need) ?? 0n);
      if (k < 1 || k > names.length) bad("a threshold out of range");
      define(name, { need: k, members: names });
    } else if (word === "quorum" && f.length === 1) {
      if (p.quorum !== undefined || f[0] !== "none" && !p.named.has(f[0])) bad("a second quorum, or an unknown one");
      p.quorum = f[0];
    } else {
      bad("a line that is not understood");
    }
  }
  if (p.quorum === undefined || p.logs.length === 0) bad("no quorum, or no log");
  return p;
}

function satisfied(policy, name, cosigned) {
  if (name === "none") return true;
  const c = policy.named.get(name);
  return c.members ? c.members.filter((m) => satisfied(policy, m, cosigned)).length >= c.need : cosigned.has(c);
}

/** openCheckpoint judges a signed note. */
function openCheckpoint(note, policy) {
  const bad = (why) => { throw new Bad("checkpoint", why); };
  if (note.length > 65536) bad("longer than 64 KiB");
  const all = note.toString();
  if (!Buffer.from(all).equals(note) || /[\x00-\x09\x0b-\x1f]/.test(all)) bad("not UTF-8, or a control character");
  const cut = all.lastIndexOf("\n\n");
  if (cut < 0 || !all.endsWith("\n")) bad("no signatures");
  const text = all.slice(0, cut + 1);
  const signatures = all.slice(cut + 2, -1).split("\n").map((line) => {
    const m = /^\u2014 ([^ ]+) ([^ ]+)$/u.exec(line), raw = m && base64(m[2]);
    if (!raw || !validName(m[1]) || raw.length < 5) bad("a malformed signature line");
    return { name: m[1], id: raw.subarray(0, 4), bytes: raw.subarray(4) };
  });
  if (signatures.length > 100) bad("too many signatures");
  const [origin, size, root, ...extensions] = text.slice(0, -1).split("\n");
  const c = { origin, size: decimal(size ?? ""), root: base64(root ?? "") };
  if (origin === "" || c.size === null || c.root?.length !== HASH || extensions.includes("")) bad("not origin, size and root");

  let signed = false;
  const cosigned = new Set();
  for (const s of signatures) {
    for (const k of policy.logs) {
      if (k.name !== s.name || !k.id.equals(s.id) || k.name !== origin) continue;
      if (!ed25519(k.key, Buffer.from(text), s.bytes)) throw new Bad("signature", "the log's signature is wrong");
      signed = true;
    }
    for (const w of policy.witnesses) {
      if (w.name !== s.name || !w.id.equals(s.id) || w.type === 6) continue; // ML-DSA is not judged here: it never counts
      const message = s.bytes.length === 72 && s.bytes[0] < 0x80 && Buffer.from(`cosignature/v1\ntime ${s.bytes.readBigUInt64BE()}\n${text}`);
      if (!message || !ed25519(w.key, message, s.bytes.subarray(8))) throw new Bad("signature", "a cosignature is wrong");
      cosigned.add(w);
    }
  }
  if (!signed) throw new Bad("signature", "no log of the policy has signed this");
  if (!satisfied(policy, policy.quorum, cosigned)) throw new Bad("quorum", "too few witnesses");
  return { ...c, witnesses: [...cosigned].map((w) => w.name) };
}

// --- receipts

function judgeReceipt(bytes, policy, message) {
  const bad = () => { throw new Bad("format", "not a receipt"); };
  const cut = bytes.indexOf("\n\n");
  if (cut < 0 || cut + 2 === bytes.length) bad();
  const [header, extra, index, ...hashes] = bytes.subarray(0, cut).toString("latin1").split("\n");
  if (header !== "c2sp.org/tlog-proof@v1" || !extra?.startsWith("extra ") || hashes.length > 63) bad();
  const raw = base64(extra.slice(6));
  if (raw === null || raw.length !== ENTRY && raw.length !== ENTRY + 32) bad();
  const entry = parseEntry(raw.subarray(0, ENTRY));
  const n = index?.startsWith("index ") ? decimal(index.slice(6)) : null;
  if (n === null) bad();
  if (n !== entry.index) throw new Bad("index", "the entry is not the one at this index");
  const proof = hashes.map((h) => { const b = base64(h); return b?.length === HASH ? b : bad(); });

  const c = openCheckpoint(bytes.subarray(cut + 2), policy);
  if (n >= c.size) throw new Bad("index", "the tree is smaller");
  if (!included(entry.leaf, n, c.size, proof, c.root)) throw new Bad("inclusion", "the entry is not in the signed tree");
  if (message !== undefined) {
    if (raw.length === ENTRY) throw new Bad("opening", "it holds no opening");
    if (!sha256(raw.subarray(ENTRY), message).equals(entry.commitment)) throw new Bad("commitment", "another message was recorded");
  }
  return { index: Number(n), time: new Date(Number(entry.time)).toISOString(), size: Number(c.size), witnesses: c.witnesses, message: message !== undefined };
}

// --- published logs

function tilePath(level, n, width) {
  let name = String(n % 1000).padStart(3, "0");
  for (let rest = Math.floor(n / 1000); rest > 0; rest = Math.floor(rest / 1000)) name = `x${String(rest % 1000).padStart(3, "0")}/${name}`;
  return `tile/${level}/${name}` + (width < WIDTH ? `.p/${width}` : "");
}

function readTile(folder, level, n, width, size) {
  const name = tilePath(level, n, width), first = n * WIDTH ** (level === "entries" ? 1 : level + 1);
  let b;
  try {
    b = readFileSync(join(folder, name));
  } catch {
    try { b = readFileSync(join(folder, tilePath(level, n, WIDTH))).subarray(0, width * size); } catch { throw new Bad("missing", `${name} is missing`, first); }
  }
  if (b.length !== width * size) throw new Bad("tile", `${name} is malformed`, first);
  return b;
}

/** slices cuts a tile into hashes. */
const slices = (b) => Array.from({ length: b.length / HASH }, (_, i) => b.subarray(i * HASH, (i + 1) * HASH));

function judgeTiles(folder, policy) {
  let note;
  try { note = readFileSync(join(folder, "checkpoint")); } catch { throw new Bad("missing", "checkpoint is missing", 0); }
  const c = openCheckpoint(note, policy), size = Number(c.size);
  let head = headOf(c.origin), leaves = [], before = null;
  for (let n = 0; n * WIDTH < size; n++) {
    const width = Math.min(WIDTH, size - n * WIDTH);
    const bundle = readTile(folder, "entries", n, width, 2 + ENTRY);
    const tile = slices(readTile(folder, 0, n, width, HASH));
    for (let i = 0; i < width; i++) {
      const at = n * WIDTH + i, b = bundle.subarray(i * (2 + ENTRY), (i + 1) * (2 + ENTRY));
      if (b.readUInt16BE() !== ENTRY) throw new Bad("entry", "a length that is not an entry's", at);
      let e;
      try { e = parseEntry(b.subarray(2)); } catch (err) { err.entry = at; throw err; }
      const next = follow(head, e);
      if (before !== null) { // the leaf before is not in its tile: its successor says which of the two is wrong
        throw next === null ? new Bad("changed", "the entry was changed", at - 1) : new Bad("hash", "a hash tile was changed", at - 1);
      }
      if (next === null) throw new Bad("chain", "the entry does not follow its predecessor", at);
      if (!e.leaf.equals(tile[i])) before = e;
      head = next;
      leaves.push(e.leaf);
    }
  }
  const root = rootOf(leaves);
  if (before !== null) throw root.equals(c.root) ? new Bad("hash", "a hash tile was changed", size - 1) : new Bad("changed", "the entry was changed", size - 1);
  for (let level = 1, below = leaves; below.length >= WIDTH; level++) {
    const here = [];
    for (let i = 0; i + WIDTH <= below.length; i += WIDTH) here.push(rootOf(below.slice(i, i + WIDTH)));
    for (let n = 0; n * WIDTH < here.length; n++) {
      const width = Math.min(WIDTH, here.length - n * WIDTH);
      slices(readTile(folder, level, n, width, HASH)).forEach((h, i) => {
        if (!h.equals(here[n * WIDTH + i])) throw new Bad("hash", `${tilePath(level, n, width)} was changed`, (n * WIDTH + i) * WIDTH ** level);
      });
    }
    below = here;
  }
  if (!root.equals(c.root)) throw new Bad("root", "the entries do not make the root that was signed");
  return { origin: c.origin, entries: size, witnesses: c.witnesses };
}

// --- the test vectors

const hex = (text) => Buffer.from(text, "hex");
const uuid = (text) => hex(text.replaceAll("-", ""));
const word = (judge) => { try { judge(); return "ok"; } catch (e) { if (e instanceof Bad) return e.word; throw e; } };

function uint(n, bytes) {
  const b = Buffer.alloc(bytes);
  if (bytes === 8) b.writeBigUInt64BE(BigInt(n));
  else b.writeUIntBE(n, 0, bytes);
  return b;
}

/** stated reads which records an erasure emptied: [index, record id]. */
function stated(sealed, version) {
  const bad = () => { throw new Bad("erasure", "an erasure that cannot be read"); };
  const n = sealed[0] === 3 && sealed.length >= 5 ? sealed.readUInt32BE(1) : bad();
  if (version !== n + 1 || sealed.length < 5 + 24 * n) bad();
  const list = Array.from({ length: n }, (_, i) => [Number(sealed.readBigUInt64BE(5 + 24 * i)), sealed.subarray(13 + 24 * i, 29 + 24 * i).toString("hex")]);
  if (list.some((e, i) => i > 0 && e[0] <= list[i - 1][0])) bad();
  return list;
}

const counted = (text) => Buffer.concat([Buffer.of(Buffer.byteLength(text)), Buffer.from(text)]);

function judgeVectors(folder) {
  const read = (name) => JSON.parse(readFileSync(join(folder, name)));
  let checked = 0;
  const expect = (what, got, want) => {
    checked++;
    const same = Buffer.isBuffer(got) ? got.equals(hex(want)) : got === want;
    if (!same) throw new Bad("vector", `${what}: got ${Buffer.isBuffer(got) ? got.toString("hex") : got}, want ${want}`);
  };

  const entries = read("entries.json");
  for (const v of entries.valid) {
    const e = parseEntry(hex(v.bytes));
    expect(`entries, ${v.name}: leaf`, e.leaf, v.leaf);
    expect(`entries, ${v.name}: prev`, e.prev, v.prev);
    expect(`entries, ${v.name}: digest`, e.digest, v.digest);
    expect(`entries, ${v.name}: commitment`, e.commitment, v.commitment);
    expect(`entries, ${v.name}: kind`, e.kind, v.kind);
  }
  for (const v of entries.invalid) expect(`entries, ${v.name}`, word(() => parseEntry(hex(v.bytes))), "entry");

  const chain = read("chain.json");
  const walk = (list) => {
    let head = headOf(chain.origin);
    for (const [i, text] of list.entries()) {
      const next = follow(head, parseEntry(hex(text)));
      if (next === null) return { at: i };
      head = next;
    }
    return head;
  };
  expect("chain", walk(chain.entries).leaf, chain.leaf);
  for (const v of chain.broken) expect(`chain, ${v.name}`, walk(v.entries).at, v.at);

  for (const v of read("seal.json")) {
    const header = Buffer.concat([Buffer.of(1), uuid(v.record), uuid(v.keyId), uuid(v.org), counted(v.type), uint(v.version, 4), uuid(v.of)]);
    expect(`seal, ${v.name}: header`, header, v.header);
    const sealed = hex(v.sealed), key = Buffer.from(hkdfSync("sha256", hex(v.patientKey), "", Buffer.concat([Buffer.from("dosewire/record/v1"), uuid(v.record)]), 32));
    expect(`seal, ${v.name}: record key`, key, v.recordKey);
    expect(`seal, ${v.name}: digest`, sha256(header, sealed), v.digest);
    const d = createDecipheriv("aes-256-gcm", key, sealed.subarray(1, 13));
    d.setAAD(header);
    d.setAuthTag(sealed.subarray(-16));
    const opened = Buffer.concat([d.update(sealed.subarray(13, -16)), d.final()]);
    expect(`seal, ${v.name}: opening`, opened.subarray(0, 32), v.opening);
    expect(`seal, ${v.name}: plaintext`, opened.subarray(32).toString(), v.plaintext);
    expect(`seal, ${v.name}: commitment`, sha256(opened), v.commitment);
  }

  for (const v of read("seal-evidence.json")) {
    const header = Buffer.concat([Buffer.of(1), uuid(v.record), uuid(v.keyId), uuid(v.org), counted(v.type), uint(v.version, 4), uuid(v.of)]);
    const sealed = hex(v.sealed), key = Buffer.from(hkdfSync("sha256", hex(v.patientKey), "", Buffer.concat([Buffer.from("dosewire/record/v2"), uuid(v.record)]), 32));
    expect(`seal-evidence, ${v.name}: version`, sealed[0], 2);
    expect(`seal-evidence, ${v.name}: digest`, sha256(header, sealed), v.digest);
    const d = createDecipheriv("aes-256-gcm", key, sealed.subarray(1, 13));
    d.setAAD(header);
    d.setAuthTag(sealed.subarray(-16));
    const opened = Buffer.concat([d.update(sealed.subarray(13, -16)), d.final()]);
    const end = 36 + opened.readUInt32BE(32);
    const opening = sha256("dosewire/opening/v2", opened.subarray(0, 32), opened.subarray(36, end));
    expect(`seal-evidence, ${v.name}: evidence`, opened.subarray(36, end).toString(), v.evidence);
    expect(`seal-evidence, ${v.name}: plaintext`, opened.subarray(end).toString(), v.plaintext);
    expect(`seal-evidence, ${v.name}: opening`, opening, v.opening);
    expect(`seal-evidence, ${v.name}: commitment`, sha256(opening, opened.subarray(end)), v.commitment);
  }

  for (const v of read("seal-erasure.json")) {
    const header = Buffer.concat([Buffer.of(1), uuid(v.record), uuid(v.keyId), Buffer.alloc(16), counted("erasure"), uint(v.version, 4), uuid(v.record)]);
    const sealed = hex(v.sealed), emptied = stated(sealed, v.version);
    expect(`seal-erasure, ${v.name}: digest`, sha256(header, sealed), v.digest);
    expect(`seal-erasure, ${v.name}: emptied`, JSON.stringify(emptied), JSON.stringify((v.emptied ?? []).map((e) => [e.index, e.record.replaceAll("-", "")])));
    expect(`seal-erasure, ${v.name}: inner`, sealed.subarray(5 + 24 * emptied.length), v.inner);
  }

  for (const v of read("index.json")) {
    const key = Buffer.from(hkdfSync("sha256", hex(v.deploymentKey), "", "dosewire/index/v1", 32));
    expect("index: key", key, v.indexKey);
    expect("index: hash", createHmac("sha256", key).update(v.parts.join("\0")).digest(), v.hash);
  }

  for (const v of read("access.json")) {
    const b = Buffer.concat([Buffer.of(1), uuid(v.id), uuid(v.org), uuid(v.patient), uuid(v.client), uint(v.time, 8), counted(v.person), counted(v.purpose),
      counted(v.action), uint((v.records ?? []).length, 4), ...(v.records ?? []).map(uuid)]);
    expect("access: bytes", b, v.bytes);
    expect("access: digest", sha256(b), v.digest);
  }

  const tree = new Tree();
  let size = 0;
  for (const v of read("tree.json")) {
    for (; size < v.size; size++) tree.add(sha256(Buffer.of(0), String(size)));
    expect(`tree of ${v.size}`, tree.root(), v.root);
  }

  for (const v of read("policies.json")) expect(`policy, ${v.name}`, word(() => parsePolicy(Buffer.from(v.policy))) === "ok", v.valid);
  for (const v of read("receipts.json")) {
    expect(`receipt, ${v.name}`, word(() => judgeReceipt(Buffer.from(v.receipt), parsePolicy(Buffer.from(v.policy)), Buffer.from(v.message))), v.verdict);
  }
  return { vectors: checked };
}

// --- the command

function main(args) {
  const option = (name) => {
    const i = args.indexOf(name);
    if (i < 0) return undefined;
    if (i + 1 >= args.length) usage();
    return args.splice(i, 2)[1];
  };
  const policyFile = option("--policy"), messageFile = option("--message");
  const [mode, place, ...rest] = args;
  const needsPolicy = mode === "tiles" || mode === "receipt";
  if (place === undefined || rest.length > 0 || needsPolicy !== (policyFile !== undefined) || !needsPolicy && mode !== "vectors") usage();
  try {
    const policy = needsPolicy ? parsePolicy(readFileSync(policyFile)) : undefined;
    const judge = { tiles: () => judgeTiles(place, policy), vectors: () => judgeVectors(place),
      receipt: () => judgeReceipt(readFileSync(place), policy, messageFile === undefined ? undefined : readFileSync(messageFile)) };
    console.log(JSON.stringify({ ok: true, ...judge[mode]() }));
  } catch (e) {
    if (!(e instanceof Bad)) throw e;
    console.log(JSON.stringify({ ok: false, verdict: e.word, reason: e.message, entry: e.entry }));
    process.exitCode = 5;
  }
}

function usage() {
  console.error("usage: verify.mjs tiles FOLDER --policy FILE\n       verify.mjs receipt FILE --policy FILE [--message FILE]\n       verify.mjs vectors FOLDER");
  process.exit(2);
}

main(process.argv.slice(2));
