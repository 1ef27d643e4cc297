// What moves on a page that stays open: whether it is told of what changes, and how far off its
// times are. Every page works without this.
"use strict";

(() => {
  const banner = document.getElementById("live");
  if (!banner) return;

  // A stream that breaks off comes back by itself within this, or something is wrong.
  const GRACE_MS = 8000;
  const TICK_MS = 10000;
  const listener = document.querySelector("[sse-connect]");
  let open = false;
  let waiting = null;

  const say = (text, label, href) => {
    const link = document.createElement("a");
    link.textContent = label;
    link.setAttribute("href", href);
    // What is said already is not said again: it would be read out each time.
    if (banner.textContent === `${text} ${label}`) return;
    banner.replaceChildren(`${text} `, link);
  };

  const calm = () => {
    clearTimeout(waiting);
    waiting = null;
  };

  // A stream does not tell why it does not open; the page that it is for does.
  const ask = async () => {
    calm();
    delete document.documentElement.dataset.live;
    const here = window.location.pathname + window.location.search;
    const request = { method: "HEAD", headers: { "HX-Request": "true" }, cache: "no-store" };
    let answer = null;
    try {
      answer = await fetch(listener.getAttribute("hx-get"), request);
    } catch {
      // The daemon is down, or out of reach.
    }
    if (open) return;
    const signIn = answer?.headers.get("HX-Redirect");
    if (signIn?.startsWith("/signin")) {
      // Nothing is gained by asking again.
      listener.removeAttribute("sse-connect");
      say("This page is not live any more: you are signed out.", "Sign in", signIn);
    } else if (answer?.ok) {
      say("This page is not live: too many are open at once. Close some of them.", "Reload", here);
    } else if (answer) {
      say("This page is not live any more.", "Reload", here);
    } else {
      say("This page is not live: the daemon does not answer.", "Reload", here);
    }
  };

  document.addEventListener("htmx:sseOpen", () => {
    open = true;
    calm();
    banner.replaceChildren();
    document.documentElement.dataset.live = "yes";
  });

  document.addEventListener("htmx:sseError", (event) => {
    open = false;
    if (event.detail.source?.readyState === EventSource.CLOSED) ask();
    else waiting ??= setTimeout(ask, GRACE_MS);
  });

  // As the server writes them, beside its own clock.
  const near = (ms) => {
    const seconds = Math.floor(Math.abs(ms) / 1000);
    const units = [[120, 1, "s"], [7200, 60, "min"], [172800, 3600, "h"], [Infinity, 86400, "d"]];
    if (seconds === 0) return "now";
    const [, unit, name] = units.find(([below]) => seconds < below);
    const span = `${Math.floor(seconds / unit)} ${name}`;
    return ms < 0 ? `${span} ago` : `in ${span}`;
  };

  const ahead = Number(banner.dataset.now) - Date.now();
  setInterval(() => {
    const now = Date.now() + ahead;
    for (const time of document.querySelectorAll("main time[datetime]")) {
      const text = near(Date.parse(time.getAttribute("datetime")) - now);
      // What is marked stays marked where nothing changes.
      if (time.textContent !== text) time.textContent = text;
    }
  }, TICK_MS);
})();
