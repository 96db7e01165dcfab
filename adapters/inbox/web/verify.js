// Judges a receipt in the browser: no server, no library, no key. It runs under Node.js too. The format
// is in docs/ledger-format.md; the verdicts are its words.
const encoder = new TextEncoder();

/** Bad is a verdict. word is one of the format's: format, entry, index, checkpoint, signature, quorum,
 * inclusion, opening, commitment, policy; or unsupported when this browser has no Ed25519. */
export class Bad extends Error {
  constructor(word) { super(word); this.word = word; }
}

/** verifyReceipt judges a receipt (bytes) by a trust policy (bytes) and, if given, the message (bytes).
 * It resolves to what the receipt shows, or rejects with Bad. */
export async function verifyReceipt(receipt, policy, message) {
  const trusted = await parsePolicy(policy);
  const r = parseReceipt(receipt);
  const c = await openCheckpoint(r.checkpoint, trusted);
  if (r.index >= c.size) throw new Bad("index");
  if (!await included(r, c)) throw new Bad("inclusion");
  if (message !== undefined) {
    if (r.opening === null) throw new Bad("opening");
    if (!equal(await sha256(r.opening, message), r.entry.commitment)) throw new Bad("commitment");
  }
  return { index: r.index, time: new Date(Number(r.entry.time)), origin: c.origin, size: c.size, witnesses: c.witnesses, message: message !== undefined };
}

// --- bytes

function join(...parts) {
  const all = new Uint8Array(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const p of parts) { all.set(p, at); at += p.length; }
  return all;
}

const sha256 = async (...parts) => new Uint8Array(await crypto.subtle.digest("SHA-256", join(...parts)));
const equal = (a, b) => a.length === b.length && a.every((x, i) => x === b[i]);
const number = (b, at) => new DataView(b.buffer, b.byteOffset).getBigUint64(at);

/** base64 in its one spelling, or null. */
function base64(text) {
  try {
    const raw = atob(text);
    return btoa(raw) === text ? Uint8Array.from(raw, (c) => c.charCodeAt(0)) : null;
  } catch {
    return null;
  }
}

/** decimal below 2^63 in its one spelling, or null. */
function decimal(text) {
  const n = /^(0|[1-9][0-9]{0,18})$/.test(text ?? "") ? BigInt(text) : null;
  return n !== null && n < 1n << 63n ? n : null;
}

/** utf8 is the text, or null. */
function utf8(bytes) {
  try { return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes); } catch { return null; }
}

/** ascii is the text with one character for each byte. */
const ascii = (bytes) => Array.from(bytes, (b) => String.fromCharCode(b)).join("");

/** named is the text whose bytes ascii has shown. */
const named = (text) => new TextDecoder().decode(Uint8Array.from(text, (c) => c.charCodeAt(0)));

// --- the receipt

function parseReceipt(bytes) {
  const bad = () => { throw new Bad("format"); };
  const cut = bytes.findIndex((b, i) => b === 10 && bytes[i + 1] === 10);
  if (cut < 0 || cut + 2 === bytes.length || bytes.length > 128 << 10) bad();
  const [header, extra, index, ...hashes] = ascii(bytes.subarray(0, cut)).split("\n");
  if (header !== "c2sp.org/tlog-proof@v1" || !extra?.startsWith("extra ") || hashes.length > 63) bad();
  const raw = base64(extra.slice(6));
  if (raw?.length !== 114 && raw?.length !== 146) bad();
  const entry = parseEntry(raw.subarray(0, 114));
  const n = index?.startsWith("index ") ? decimal(index.slice(6)) : null;
  if (n === null) bad();
  if (n !== entry.index) throw new Bad("index");
  const proof = hashes.map((h) => { const b = base64(h); return b?.length === 32 ? b : bad(); });
  return { entry, index: n, opening: raw.length === 146 ? raw.subarray(114) : null, proof, checkpoint: bytes.subarray(cut + 2) };
}

function parseEntry(b) {
  if (b[0] !== 1 || b[1] > 4 || b[10] & 0x80) throw new Bad("entry");
  return { bytes: b, index: number(b, 2), time: number(b, 10), commitment: b.subarray(82) };
}

/** included follows the proof from the leaf to the root (RFC 9162 2.1.3.2, the tree of RFC 6962). */
async function included(r, c) {
  let fn = r.index, sn = c.size - 1n, hash = await sha256(Uint8Array.of(0), r.entry.bytes);
  for (const p of r.proof) {
    if (sn === 0n) return false;
    if (fn & 1n || fn === sn) {
      hash = await sha256(Uint8Array.of(1), p, hash);
      while (!(fn & 1n) && fn !== 0n) { fn >>= 1n; sn >>= 1n; }
    } else {
      hash = await sha256(Uint8Array.of(1), hash, p);
    }
    fn >>= 1n; sn >>= 1n;
  }
  return sn === 0n && equal(hash, c.root);
}

// --- the policy

const validName = (name) => name !== "" && !/[\p{White_Space}+]/u.test(name);
const keyID = async (name, type, key) => (await sha256(encoder.encode(name), Uint8Array.of(10, type), key)).subarray(0, 4);

async function parseKey(vkey) {
  const [name, id, ...rest] = vkey.split("+");
  const raw = base64(rest.join("+"));
  const sizes = { 1: 33, 4: 33, 6: 1313 }; // Ed25519, Ed25519 cosignature, ML-DSA-44
  if (!validName(name) || raw === null || raw.length !== sizes[raw[0]]) throw new Bad("policy");
  const own = await keyID(name, raw[0], raw.subarray(1));
  if (Array.from(own, (b) => b.toString(16).padStart(2, "0")).join("") !== id) throw new Bad("policy");
  return { name, type: raw[0], id: own, key: raw.subarray(1) };
}

/** parsePolicy reads a C2SP tlog-policy (bytes). */
export async function parsePolicy(bytes) {
  const bad = () => { throw new Bad("policy"); };
  if (bytes.length > 64 << 10) bad();
  const text = ascii(bytes); // octets, as the format says
  const p = { logs: [], witnesses: [], named: new Map(), quorum: undefined };
  const members = new Set(), keys = new Set();
  const once = (role, k) => { const id = role + ascii(k.key); if (keys.has(id)) bad(); keys.add(id); };
  const define = (name, what) => { if (name === "none" || p.named.has(name)) bad(); p.named.set(name, what); };
  for (const line of text.split("\n")) {
    if (/[\x00-\x08\x0b-\x1f\x7f]/.test(line)) bad();
    const [word, ...f] = line.split(/[ \t]+/).filter((w) => w !== "");
    if (word === undefined || word.startsWith("#")) continue;
    if (word !== "quorum" && p.logs.length + p.named.size >= 256) bad();
    if (word === "log" && (f.length === 1 || f.length === 2)) {
      const k = await parseKey(named(f[0]));
      if (k.type !== 1) bad();
      once("log ", k);
      p.logs.push(k);
    } else if (word === "witness" && (f.length === 2 || f.length === 3)) {
      const k = await parseKey(named(f[1]));
      if (k.type === 1) k.id = await keyID(k.name, 4, k.key);
      once("witness ", k);
      define(f[0], k);
      p.witnesses.push(k);
    } else if (word === "group" && f.length >= 3) {
      const [name, need, ...of] = f;
      for (const m of of) {
        if (!p.named.has(m) || members.has(m)) bad();
        members.add(m);
      }
      const k = need === "any" ? 1 : need === "all" ? of.length : Number(decimal(need) ?? 0n);
      if (k < 1 || k > of.length) bad();
      define(name, { need: k, of });
    } else if (word === "quorum" && f.length === 1 && p.quorum === undefined && (f[0] === "none" || p.named.has(f[0]))) {
      p.quorum = f[0];
    } else {
      bad();
    }
  }
  if (p.quorum === undefined || p.logs.length === 0) bad();
  return p;
}

function satisfied(policy, name, cosigned) {
  if (name === "none") return true;
  const c = policy.named.get(name);
  return c.of ? c.of.filter((m) => satisfied(policy, m, cosigned)).length >= c.need : cosigned.has(c);
}

// --- the checkpoint

async function openCheckpoint(bytes, policy) {
  const bad = () => { throw new Bad("checkpoint"); };
  if (bytes.length > 64 << 10) bad();
  const all = utf8(bytes) ?? bad();
  const cut = all.lastIndexOf("\n\n");
  if (/[\x00-\x09\x0b-\x1f]/.test(all) || cut < 0 || !all.endsWith("\n")) bad();
  const text = encoder.encode(all.slice(0, cut + 1));
  const lines = all.slice(cut + 2, -1).split("\n").map((line) => {
    const m = /^\u2014 ([^ ]+) ([^ ]+)$/u.exec(line), raw = m && base64(m[2]);
    if (!raw || !validName(m[1]) || raw.length < 5) bad();
    return { name: m[1], id: raw.subarray(0, 4), bytes: raw.subarray(4) };
  });
  const [origin, size, root, ...extensions] = all.slice(0, cut).split("\n");
  const c = { origin, size: decimal(size), root: base64(root ?? ""), witnesses: [] };
  if (lines.length > 100 || origin === "" || c.size === null || c.root?.length !== 32 || extensions.includes("")) bad();

  const claims = (k, s) => k.name === s.name && equal(k.id, s.id);
  let signed = false;
  const cosigned = new Set();
  for (const s of lines) {
    for (const k of policy.logs.filter((k) => claims(k, s) && k.name === origin)) {
      if (!await ed25519(k.key, s.bytes, text)) throw new Bad("signature");
      signed = true;
    }
    for (const w of policy.witnesses.filter((w) => claims(w, s) && w.type !== 6)) { // no browser has ML-DSA yet: those never count
      const stamped = s.bytes.length === 72 && s.bytes[0] < 0x80 && join(encoder.encode(`cosignature/v1\ntime ${number(s.bytes, 0)}\n`), text);
      if (!stamped || !await ed25519(w.key, s.bytes.subarray(8), stamped)) throw new Bad("signature");
      if (!cosigned.has(w)) c.witnesses.push(w.name);
      cosigned.add(w);
    }
  }
  if (!signed) throw new Bad("signature");
  if (!satisfied(policy, policy.quorum, cosigned)) throw new Bad("quorum");
  return c;
}

async function ed25519(key, signature, message) {
  let k;
  try {
    k = await crypto.subtle.importKey("raw", key, { name: "Ed25519" }, false, ["verify"]);
  } catch (e) {
    throw e.name === "NotSupportedError" ? new Bad("unsupported") : e;
  }
  return crypto.subtle.verify({ name: "Ed25519" }, k, signature, message);
}
