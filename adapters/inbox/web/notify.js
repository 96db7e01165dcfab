// Turning notifications on and off. The panel appears only where this browser and this hub can push.
// The page calls notifications again whenever its main part was replaced.
let registered, key;

export async function notifications() {
  const panel = document.getElementById("notify");
  if (!panel) return;
  const ui = {
    panel, text: document.getElementById("notify-text"),
    on: document.getElementById("notify-on"), off: document.getElementById("notify-off"),
    quiet: document.getElementById("notify-quiet"), from: document.getElementById("quiet-from"),
    until: document.getElementById("quiet-until"), none: document.getElementById("quiet-none"),
  };
  key ??= await applicationKey();
  if (!key) return;
  if (!("serviceWorker" in navigator) || !("PushManager" in window)) { homeScreen(ui); return; }
  registered ??= navigator.serviceWorker.register(workerURL(), { scope: "/inbox/" });
  const worker = await registered;
  const present = await worker.pushManager.getSubscription();
  ui.panel.hidden = false;
  if (Notification.permission === "denied") {
    ui.text.textContent = "Your browser blocks notifications from this page. You can allow them in its settings.";
    return;
  }
  draw(ui, present);
  ui.on.onclick = () => attempt(ui, async () => {
    const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    await post("/inbox/devices", { ...made.toJSON(), ...kept() });
    draw(ui, made);
  });
  const keep = (quiet) => attempt(ui, async () => {
    const made = await worker.pushManager.getSubscription();
    if (!made) return;
    await post("/inbox/devices", quiet ? { ...made.toJSON(), quiet } : made.toJSON());
    if (quiet) localStorage.setItem("quiet", JSON.stringify(quiet)); else localStorage.removeItem("quiet");
    draw(ui, made);
  });
  ui.quiet.onsubmit = (event) => {
    event.preventDefault();
    keep({ from: ui.from.value, until: ui.until.value, zone: Intl.DateTimeFormat().resolvedOptions().timeZone });
  };
  ui.none.onclick = () => keep(null);
  ui.off.onclick = () => attempt(ui, async () => {
    const made = await worker.pushManager.getSubscription();
    if (made) {
      await post("/inbox/devices/off", { endpoint: made.endpoint });
      await made.unsubscribe();
    }
    draw(ui, null);
  });
}

// kept are this device's quiet hours. The hub has them sealed; the page remembers what it sent.
function kept() {
  const quiet = JSON.parse(localStorage.getItem("quiet") ?? "null");
  return quiet ? { quiet } : {};
}

function draw(ui, subscription) {
  const { quiet } = kept();
  ui.text.textContent = !subscription ? "Be told when a prescription arrives or is ready to collect."
    : quiet ? `On for this device, quiet from ${quiet.from} until ${quiet.until}.` : "On for this device.";
  ui.quiet.hidden = !subscription;
  ui.none.hidden = !quiet;
  if (quiet) [ui.from.value, ui.until.value] = [quiet.from, quiet.until];
  const focused = document.activeElement === ui.on || document.activeElement === ui.off;
  ui.on.hidden = Boolean(subscription);
  ui.off.hidden = !subscription;
  if (focused) (subscription ? ui.off : ui.on).focus();
}

async function attempt(ui, work) {
  ui.on.disabled = ui.off.disabled = true;
  try {
    await work();
  } catch {
    ui.text.textContent = Notification.permission === "denied"
      ? "Your browser blocks notifications from this page. You can allow them in its settings."
      : "That did not work. Please try again later.";
  } finally {
    ui.on.disabled = ui.off.disabled = false;
  }
}

// iPhones push only to pages on the Home Screen.
function homeScreen(ui) {
  if (!/iPhone|iPad/.test(navigator.userAgent)) return;
  ui.panel.hidden = false;
  ui.text.textContent = "To get notifications on this iPhone, tap Share, then “Add to Home Screen”, and open the inbox from there.";
}

async function applicationKey() {
  const answer = await fetch("/push/key");
  if (!answer.ok) return null;
  const text = await answer.text();
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
}

async function post(url, body) {
  const answer = await fetch(url, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(String(answer.status));
}

function workerURL() {
  const url = "/inbox/sw.js";
  if (!window.trustedTypes) return url;
  return window.trustedTypes.createPolicy("inbox", { createScriptURL: (u) => {
    if (u === url) return u;
    throw new TypeError("not our worker");
  } }).createScriptURL(url);
}
