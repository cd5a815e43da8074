// The one script of all pages: live pieces, ages, copying. No page needs it to be read.
"use strict";

// -- pieces of the page that the server sends anew ---------------------------------------------

const AGAIN_MILLISECONDS = 3000;

// What a reader opened or stands on survives the exchange of a piece.
function exchange(id, html) {
  const old = document.getElementById(id);
  if (old === null) return;
  const holder = document.createElement("template");
  holder.innerHTML = html;
  const fresh = holder.content.firstElementChild;
  if (fresh === null) return;
  for (const opened of old.querySelectorAll("details[id][open]")) {
    const same = fresh.querySelector("#" + CSS.escape(opened.id));
    if (same !== null) same.open = true;
  }
  for (const field of old.querySelectorAll("input[id], textarea[id]")) {
    const same = fresh.querySelector("#" + CSS.escape(field.id));
    if (same !== null) same.value = field.value;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const way = focused === null ? null : wayTo(old, focused);
  const scrolled = [...old.querySelectorAll(".scroll")].map((one) => one.scrollLeft);
  old.replaceWith(fresh);
  fresh.querySelectorAll(".scroll").forEach((one, index) => {
    one.scrollLeft = scrolled[index] ?? 0;
  });
  if (way !== null) findAgain(fresh, way)?.focus({ preventScroll: true });
  writeTimes(fresh);
}

// An element by its id or by what it copies or leads to: its place may change with the piece.
function wayTo(root, element) {
  const copies = element.dataset.copy ?? null;
  const leads = element.getAttribute("href");
  const kind = element.tagName;
  const alike = same(root, { id: element.id, copies, leads, kind });
  return { id: element.id, copies, leads, kind, index: alike.indexOf(element) };
}

function same(root, way) {
  return [...root.querySelectorAll(way.kind)].filter(
    (one) =>
      one.id === way.id &&
      (one.dataset.copy ?? null) === way.copies &&
      one.getAttribute("href") === way.leads,
  );
}

function findAgain(root, way) {
  return same(root, way)[way.index] ?? null;
}

// Nothing is exchanged while the reader marks text in it.
function isMarking(id) {
  const selection = document.getSelection();
  const element = document.getElementById(id);
  return (
    selection !== null &&
    !selection.isCollapsed &&
    element !== null &&
    element.contains(selection.anchorNode)
  );
}

function watch(address) {
  const waiting = new Map();
  let source = null;
  let timer = null;

  function take() {
    for (const [id, html] of waiting) {
      if (isMarking(id)) continue;
      waiting.delete(id);
      exchange(id, html);
    }
  }

  function open() {
    timer = null;
    source = new EventSource(address);
    source.addEventListener("open", () => connected("live"));
    source.addEventListener("pieces", (event) => {
      connected("live");
      for (const [id, html] of Object.entries(JSON.parse(event.data))) waiting.set(id, html);
      take();
    });
    source.addEventListener("end", () => {
      close();
      connected("ended");
    });
    source.addEventListener("error", () => {
      connected("lost");
      close();
      timer = setTimeout(open, AGAIN_MILLISECONDS);
    });
  }

  function close() {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    source?.close();
    source = null;
  }

  // A page that nobody sees asks for nothing.
  document.addEventListener("visibilitychange", () => {
    close();
    if (document.hidden) connected("paused");
    else open();
  });
  document.addEventListener("selectionchange", take);
  window.addEventListener("pagehide", close);
  window.addEventListener("pageshow", (event) => {
    if (event.persisted) open();
  });
  open();
}

const CONNECTIONS = {
  live: "live",
  lost: "connection lost, trying again",
  paused: "paused",
  ended: "complete",
};

function connected(how) {
  const shown = document.getElementById("connection");
  if (shown === null || shown.dataset.state === how) return;
  shown.dataset.state = how;
  shown.textContent = CONNECTIONS[how];
}

// -- times as ages, by the server's clock ------------------------------------------------------

const ahead = Number(document.body.dataset.now) * 1000 - Date.now();

function inWords(seconds) {
  const size = Math.abs(seconds);
  const [number, unit] =
    size < 120
      ? [Math.round(size), "s"]
      : size < 7200
        ? [Math.floor(size / 60), "min"]
        : size < 172800
          ? [Math.floor(size / 3600), "h"]
          : [Math.floor(size / 86400), "days"];
  if (number === 0) return "now";
  return seconds < 0 ? `in ${number} ${unit}` : `${number} ${unit} ago`;
}

function writeTimes(root) {
  const now = Date.now() + ahead;
  for (const time of root.querySelectorAll('time[data-kind="age"]')) {
    const text = inWords((now - Date.parse(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}

// -- copying -----------------------------------------------------------------------------------

async function copy(button) {
  const value = button.dataset.copy;
  try {
    await navigator.clipboard.writeText(value);
    say("copied " + button.textContent.trim());
  } catch {
    button.textContent = value; // where nothing may be copied, it can be marked
  }
}

function say(text) {
  const place = document.getElementById("said");
  if (place === null) return;
  place.textContent = text;
  setTimeout(() => {
    if (place.textContent === text) place.textContent = "";
  }, 2500);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-copy]");
  if (button !== null) void copy(button);
});

writeTimes(document);
setInterval(() => {
  if (!document.hidden) writeTimes(document);
}, 1000);
if (document.body.dataset.live) watch(document.body.dataset.live);
