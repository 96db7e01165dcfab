// Runs web/verify.js, the module that patients' browsers load, over the shared test vectors.
import { readFileSync } from "node:fs";

const source = readFileSync(new URL("../web/verify.js", import.meta.url)); // a module, whatever Node makes of .js
const { Bad, parsePolicy, verifyReceipt } = await import("data:text/javascript;base64," + source.toString("base64"));
const read = (name) => JSON.parse(readFileSync(new URL("../../../testdata/vectors/ledger/" + name, import.meta.url)));
const bytes = (text) => new TextEncoder().encode(text);
const word = (judged) => judged.then(() => "ok", (e) => { if (e instanceof Bad) return e.word; throw e; });

let count = 0, wrong = 0;
function expect(name, got, want) {
  count++;
  if (got !== want) { wrong++; console.error(`${name}: ${got}, want ${want}`); }
}
for (const v of read("policies.json")) expect("policy, " + v.name, await word(parsePolicy(bytes(v.policy))), v.valid ? "ok" : "policy");
for (const v of read("receipts.json")) expect("receipt, " + v.name, await word(verifyReceipt(bytes(v.receipt), bytes(v.policy), bytes(v.message))), v.verdict);
const good = read("receipts.json").find((v) => v.verdict === "ok");
const shown = await verifyReceipt(bytes(good.receipt), bytes(good.policy));
expect("shown", `${shown.index} ${shown.size} ${shown.message} ${shown.origin}`, "5 300 false dosewire.example/log");
console.log(`${count} ${wrong}`);
