// Checks one record on this device: loads receipt, message and trust policy, and judges them here.
import { Bad, verifyReceipt } from "./verify.js";
import { say } from "./page.js";

const words = {
  commitment: "The message shown to you is not the one that was recorded. Tell your clinic or pharmacy.",
  inclusion: "The receipt does not lead to the signed log. Tell your clinic or pharmacy.",
  signature: "The signature under the log is not a trusted one. Tell your clinic or pharmacy.",
  quorum: "Too few independent witnesses have confirmed the log yet. Try again in a minute.",
  unsupported: "This browser cannot check signatures yet. Save both files, or use a newer browser.",
  later: "Your record is stored, and its signature is still being made. Try again in a minute.",
  offline: "The files could not be loaded. Try again when you are online.",
  none: "This service has not published whose signatures to trust. Save both files to check them later.",
};

const box = document.getElementById("check");
const button = document.getElementById("check-now");
const result = document.getElementById("check-result");
const reason = document.getElementById("check-reason");
button.hidden = false;
button.addEventListener("click", () => check().catch(() => show("bad", "This could not be checked", words.offline)));

async function load(url) {
  const answer = await fetch(url, { cache: "no-store" });
  if (answer.status === 503) throw new Bad("later");
  if (answer.status === 404) throw new Bad("none");
  if (!answer.ok) throw new Error("not loaded");
  return new Uint8Array(await answer.arrayBuffer());
}

async function check() {
  button.disabled = true;
  show("", "Checking …", "");
  try {
    const [receipt, message, policy] = await Promise.all([box.dataset.receipt, box.dataset.message, box.dataset.policy].map(load));
    const v = await verifyReceipt(receipt, policy, message); // from here on nothing leaves this device
    const day = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "long", timeStyle: "short" }).format(v.time);
    const seen = v.witnesses.length === 0 ? "" : ` ${v.witnesses.length} independent ${v.witnesses.length === 1 ? "witness has" : "witnesses have"} confirmed it.`;
    show("good", "This record is genuine and unchanged", `It was recorded on ${day} as number ${v.index} of ${v.size} in a signed log, exactly as your clinic sent it.${seen}`);
  } catch (e) {
    const soft = e instanceof Bad && ["later", "quorum", "unsupported", "none"].includes(e.word);
    if (e instanceof Bad) show(soft ? "" : "bad", soft ? "This cannot be checked just now" : "Something is wrong with this record", words[e.word] ?? words.inclusion);
    else show("", "This cannot be checked just now", words.offline);
  } finally {
    button.disabled = false;
  }
}

function show(tone, title, text) {
  result.className = `banner ${tone}`;
  result.hidden = false;
  result.textContent = title;
  reason.textContent = text;
  say(`${title}. ${text}`);
}
