// Turning notifications on and off. The panel appears only where this browser and this hub can push.
// The page calls notifications again whenever its main part was replaced.
let registered, key;

export async function notifications() {
  const panel = document.getElementById("notify");
  if (!panel) return;
  const ui = {
    panel, text: document.getElementById("notify-text"),
    on: document.getElementById("notify-on"), off: document.getElementById("notify-off"),
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
    await post("/inbox/devices", made.toJSON());
    draw(ui, made);
  });
  ui.off.onclick = () => attempt(ui, async () => {
    const made = await worker.pushManager.getSubscription();
    if (made) {
      await post("/inbox/devices/off", { endpoint: made.endpoint });
      await made.unsubscribe();
    }
    draw(ui, null);
  });
}

function draw(ui, subscription) {
  ui.text.textContent = subscription ? "On for this device." : "Be told when a prescription arrives or is ready to collect.";
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
