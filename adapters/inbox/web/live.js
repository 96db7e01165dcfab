import { localTimes, say } from "./page.js";

// follow keeps the page as it is at the hub: an event says that something changed, and the page
// fetches itself and replaces its main part, without a jump.
export function follow(url, refreshed) {
  let source;
  const refresh = once(async () => {
    const fresh = await fetchPage();
    if (fresh) { replace(fresh); refreshed(); }
  });
  const open = () => {
    source = new EventSource(url);
    source.addEventListener("open", () => show(true));
    source.addEventListener("error", () => show(false));
    source.addEventListener("change", refresh);
    source.addEventListener("end", () => { source.close(); location.reload(); });
  };
  open();
  // A phone freezes hidden pages: look again when it is taken out of the pocket.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    if (source.readyState === EventSource.CLOSED) open();
    refresh();
  });
  addEventListener("pagehide", () => source.close());
}

function show(on) {
  document.getElementById("live-dot").hidden = !on;
  document.getElementById("live-text").hidden = !on;
}

// once runs work one at a time; calls meanwhile bring exactly one more run.
function once(work) {
  let running = false, again = false;
  return async () => {
    if (running) { again = true; return; }
    running = true;
    try {
      do { again = false; await work(); } while (again);
    } finally { running = false; }
  };
}

// XMLHttpRequest parses a document without a string of HTML in our hands.
function fetchPage() {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("GET", location.pathname);
    request.responseType = "document";
    request.timeout = 15000;
    request.onload = () => {
      if (request.status === 401) location.reload();
      resolve(request.status === 200 ? request.response : null);
    };
    request.onerror = request.ontimeout = () => resolve(null);
    request.send();
  });
}

function replace(fresh) {
  const main = document.getElementById("main");
  const before = statuses(main);
  const filled = keep(main);
  const focus = document.activeElement?.closest("#main") ? key(document.activeElement) : null;
  const next = document.adoptNode(fresh.getElementById("main"));
  localTimes(next);
  main.replaceChildren(...next.childNodes);
  refill(main, filled);
  if (focus) [...main.querySelectorAll("a, button, input, select, summary")].find((e) => key(e) === focus)?.focus({ preventScroll: true });
  announce(main, before);
}

// key tells an element again after it was replaced.
const key = (e) => [e.tagName, e.id, e.getAttribute("href"), e.getAttribute("name"), e.getAttribute("value")].join("|");

function statuses(main) {
  return new Map([...main.querySelectorAll("[data-id]")].map((e) => [e.dataset.id, e.dataset.status]));
}

function announce(main, before) {
  const news = [];
  for (const e of main.querySelectorAll("[data-id]")) {
    if (before.get(e.dataset.id) === e.dataset.status) continue;
    e.classList.add("changed");
    news.push(`${e.querySelector("h1, h3").textContent.trim().replace(/\s+/g, " ")}: ${e.dataset.status}`);
  }
  if (news.length) say(news.join(". "));
}

// What the patient has opened or picked, and not sent yet, survives.
function keep(main) {
  return {
    open: Boolean(main.querySelector("details[open]")),
    picked: main.querySelector("[name=pharmacy]:checked, select[name=pharmacy]")?.value,
  };
}

function refill(main, { open, picked }) {
  const details = main.querySelector("details");
  if (details && open) details.open = true;
  if (!picked) return;
  const select = main.querySelector("select[name=pharmacy]");
  if (select) select.value = picked;
  for (const radio of main.querySelectorAll("input[name=pharmacy]")) radio.checked = radio.value === picked;
}
