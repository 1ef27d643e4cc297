// Keys, where the reader is, and the code of `vouchsafe dashboard`. Every page works without this.
"use strict";

(() => {
  const typing = (target) =>
    target instanceof Element &&
    target.closest("input:not([type=radio]):not([type=checkbox]), textarea, select, dialog[open]");

  const items = () => Array.from(document.querySelectorAll("[data-item]"));

  const current = () => document.activeElement?.closest?.("[data-item]") ?? null;

  const focusItem = (item) => {
    const link = item?.querySelector("a") ?? item;
    link?.focus();
    link?.scrollIntoView({ block: "nearest" });
  };

  const move = (by) => {
    const all = items();
    const at = all.indexOf(current());
    const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by;
    if (all[next]) focusItem(all[next]);
  };

  // On an approval: to the answer. In a list: to the approval's answer.
  const answer = (which) => {
    const here = document.getElementById(which);
    if (here) return reveal(here);
    const item = current() ?? items()[0];
    const link = item?.querySelector(`a[data-answer="${which}"]`);
    if (link) window.location.assign(link.href);
  };

  const reveal = (form) => {
    const field = form.querySelector("[data-first]") ?? form.querySelector("button");
    field?.focus();
    form.scrollIntoView({ block: "nearest" });
  };

  const help = () => {
    const dialog = document.getElementById("help");
    if (dialog && !dialog.open) dialog.showModal();
  };

  const keys = {
    j: () => move(1),
    k: () => move(-1),
    a: () => answer("approve"),
    d: () => answer("deny"),
    i: () => window.location.assign("/inbox"),
    "?": help,
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.repeat) return;
    if (typing(event.target)) return;
    const key = keys[event.key];
    if (!key || !document.getElementById("help")) return;
    event.preventDefault();
    key();
  });

  // A part of the page was written anew: the reader stays where they were.
  let kept = null;
  document.addEventListener("htmx:beforeSwap", () => {
    const item = current();
    kept = item ? { id: item.id, at: items().indexOf(item) } : null;
  });
  document.addEventListener("htmx:afterSettle", () => {
    if (!kept) return;
    const same = kept.id && document.getElementById(kept.id);
    focusItem(same || items()[Math.min(kept.at, items().length - 1)]);
    kept = null;
  });

  // A form is sent once.
  document.addEventListener("submit", (event) => {
    if (event.target.method === "dialog") return;
    if (event.target.dataset.sent) return event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  window.addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });

  const arrived = () => {
    const mark = window.location.hash.slice(1);
    // What `vouchsafe dashboard` opens: the code is used at once, and not kept in the history.
    const dashboard = document.getElementById("dashboard");
    if (dashboard && mark.startsWith("code=")) {
      dashboard.elements.code.value = decodeURIComponent(mark.slice("code=".length));
      window.history.replaceState(null, "", window.location.pathname + window.location.search);
      dashboard.requestSubmit();
      return;
    }
    if (mark === "approve" || mark === "deny") {
      const form = document.getElementById(mark);
      // Once the browser has gone to the mark itself, which takes the focus away.
      if (form) window.addEventListener("load", () => setTimeout(() => reveal(form)));
    }
    document.querySelector(".problem[role=alert]")?.scrollIntoView({ block: "nearest" });
  };
  arrived();
})();
