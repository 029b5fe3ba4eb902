// Without this script, the page refreshes as a whole and the filter is a form.
"use strict";
(() => {
  const live = document.getElementById("live");
  const form = document.querySelector("form");
  const input = document.getElementById("q");
  const every = Number(document.body.dataset.refresh) * 1000;
  let paused = false, busy = false, latest = 0;

  // show fetches a URL and puts its table in the place of the one here.
  async function show(url, push) {
    const turn = ++latest;
    busy = true;
    try {
      const response = await fetch(url, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (!response.ok && !push) return stop();
      const next = new DOMParser().parseFromString(await response.text(), "text/html");
      const part = next.getElementById("live");
      if (turn !== latest || !part) return;
      replace(part);
      const refresh = Number(next.body.dataset.refresh);
      if (!refresh) stop();
      say("refreshed " + new Date().toLocaleTimeString());
    } catch {
      if (turn === latest) say("no answer since " + lastAnswer, true);
      return;
    } finally {
      if (turn === latest) busy = false;
    }
    lastAnswer = new Date().toLocaleTimeString();
  }
  let lastAnswer = new Date().toLocaleTimeString();

  // replace keeps what is open and what has the focus.
  function replace(part) {
    const open = new Set([...live.querySelectorAll("details[open]")].map((d) => d.dataset.key));
    const focused = live.contains(document.activeElement) ? document.activeElement : null;
    const key = focused && (focused.getAttribute("href") || focused.parentElement?.dataset.key);
    live.replaceChildren(...part.childNodes);
    for (const d of live.querySelectorAll("details")) d.open = open.has(d.dataset.key);
    if (!key) return;
    for (const e of live.querySelectorAll("a, summary")) {
      if (e.getAttribute("href") === key || e.parentElement.dataset.key === key) {
        e.focus({ preventScroll: true });
        break;
      }
    }
  }

  const status = document.getElementById("refresh");
  const button = document.createElement("button");
  const text = document.createElement("span");
  let timer;
  function say(what, bad) {
    text.textContent = what;
    text.className = bad ? "bad" : "";
  }
  function stop() {
    clearInterval(timer);
    button.remove();
  }
  if (every > 0 && status) {
    button.type = "button";
    button.textContent = "pause";
    button.addEventListener("click", () => {
      paused = !paused;
      button.textContent = paused ? "resume" : "pause";
      if (!paused) show(location.href);
    });
    status.append(text, " ", button);
    timer = setInterval(() => {
      const selection = String(getSelection());
      if (!paused && !busy && !document.hidden && !selection) show(location.href);
    }, every);
  }

  if (form) {
    form.classList.add("live");
    const filter = () => {
      const url = new URL(location.href);
      url.search = new URLSearchParams(new FormData(form)).toString();
      history.replaceState(null, "", url);
      show(url, true);
    };
    let soon;
    input.addEventListener("input", () => {
      clearTimeout(soon);
      soon = setTimeout(filter, 150);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      filter();
    });
  }
})();
