// The service worker shows wakes and, without a connection, one page that says so. It keeps nothing
// about anybody.
const shell = "inbox-shell-1";
const offline = ["/inbox/static/offline.html", "/inbox/static/inbox.css"];

self.addEventListener("install", (event) => {
  event.waitUntil(caches.open(shell).then((c) => c.addAll(offline)).then(() => self.skipWaiting()));
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name !== shell) await caches.delete(name);
    await self.clients.claim();
  })());
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.mode === "navigate" && request.method === "GET") {
    event.respondWith(fetch(request).catch(() => caches.match(offline[0])));
  } else if (request.url === new URL(offline[1], location.origin).href) {
    event.respondWith(fetch(request).catch(() => caches.match(offline[1])));
  }
});

// A wake is declarative Web Push (web_push 8030): browsers that know the form show it by themselves,
// the others come here.
self.addEventListener("push", (event) => {
  let wake = {};
  try { wake = event.data.json(); } catch { /* a push must always show something */ }
  const note = wake.notification ?? {};
  event.waitUntil((async () => {
    await self.registration.showNotification(note.title ?? "You have a new message", {
      tag: note.tag ?? "inbox", renotify: true, lang: note.lang ?? "en",
      icon: "/inbox/static/icon-180.png", badge: "/inbox/static/icon-180.png",
    });
    if (wake.id) await receipt(wake.id);
  })());
});

async function receipt(id) {
  try {
    await fetch("/push/ack", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ id }) });
  } catch { /* the receipt is a courtesy; the notification has been shown */ }
}

// The way to open is always the inbox of this origin, whatever a message says.
self.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil((async () => {
    const open = await self.clients.matchAll({ type: "window" });
    const inbox = open.find((c) => new URL(c.url).pathname.startsWith("/inbox/"));
    if (inbox) { await inbox.focus(); return; }
    await self.clients.openWindow("/inbox/");
  })());
});
