// localTimes writes every time below root as the phone's owner is used to.
export function localTimes(root) {
  const language = navigator.languages.find((l) => l.startsWith(document.documentElement.lang)) ?? document.documentElement.lang;
  const format = new Intl.DateTimeFormat(language, {
    day: "numeric", month: "long", hour: "numeric", minute: "2-digit",
  });
  for (const t of root.querySelectorAll("time[data-local]")) {
    const at = new Date(t.dateTime);
    if (!Number.isNaN(at.getTime())) t.textContent = format.format(at);
  }
}

// say speaks to screen readers.
export function say(text) {
  document.getElementById("said").textContent = text;
}
