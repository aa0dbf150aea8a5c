(() => {
  const root = document.documentElement;
  const kept = (() => { try { return localStorage.getItem("otel-theme"); } catch { return null; } })();
  if (kept) root.dataset.theme = kept;

  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }
  function switchTheme() {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("otel-theme", root.dataset.theme); } catch { /* private windows keep nothing */ }
  }

  function here() { return location.pathname + location.search; }
  function go(url) {
    const target = new URL(url, location.href);
    if (!window.socket || !window.socket.connected) { location.assign(target); return; }
    history.pushState({}, "", target);
    arriving = true;
    emitEvent("go", here());
  }
  let arriving = false;
  window.otelArrived = () => {
    if (!arriving) return;
    arriving = false;
    scrolledTo.clear();
    window.scrollTo(0, 0);
    document.getElementById("content")?.focus({ preventScroll: true });
  };
  window.otelAnswered = (url) => {
    history.replaceState({}, "", url);
    document.getElementById("card-answer")?.scrollIntoView({ block: "nearest" });
    for (const button of document.querySelectorAll("form[data-act] button[disabled]")) button.disabled = false;
  };
  addEventListener("popstate", () => emitEvent("go", here()));

  document.addEventListener("click", (event) => {
    const plain = !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey && event.button === 0;
    const link = event.target.closest("a[data-go]");
    if (link && plain) { event.preventDefault(); go(link.href); return; }
    if (event.target.closest("[data-theme-switch]")) switchTheme();
    const copied = event.target.closest("[data-copy]");
    if (copied) {
      navigator.clipboard?.writeText(copied.dataset.copy).then(() => {
        const before = copied.textContent;
        copied.textContent = "Copied";
        setTimeout(() => { copied.textContent = before; }, 1200);
      });
    }
  });

  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.go !== undefined) {
      event.preventDefault();
      const given = new URLSearchParams();
      for (const [name, value] of new FormData(form)) if (String(value).trim()) given.set(name, value);
      go(form.getAttribute("action") + (given.size ? "?" + given : ""));
    } else if (form.dataset.act !== undefined) {
      event.preventDefault();
      const button = form.querySelector("button[type=submit]");
      if (button) button.disabled = true;
      emitEvent("act", { what: form.dataset.act, ...Object.fromEntries(new FormData(form)) });
    }
  });

  document.addEventListener("keydown", (event) => {
    const writing = event.target.closest("input, textarea, select, [contenteditable]");
    if (writing) {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) writing.closest("form")?.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^[1-9]$/.test(event.key)) document.querySelectorAll(".views a")[event.key - 1]?.click();
    else if (event.key === "[" || event.key === "]") {
      const ranges = [...document.querySelectorAll(".ranges a")];
      const now = ranges.findIndex((one) => one.hasAttribute("aria-current"));
      ranges[now + (event.key === "]" ? 1 : -1)]?.click();
    } else if (event.key === "t") switchTheme();
    else if (event.key === "/") {
      const field = document.querySelector("main [data-search], main textarea");
      if (field) { event.preventDefault(); field.focus(); }
    }
  });

  document.addEventListener("visibilitychange", () => emitEvent("seen", document.visibilityState === "visible"));

  function said(seconds) {
    const s = Math.max(0, Math.round(seconds));
    const two = (n) => String(n).padStart(2, "0");
    if (s < 60) return s + "s";
    if (s < 3600) return Math.floor(s / 60) + "m" + two(s % 60) + "s";
    const m = Math.floor(s / 60);
    return m < 1440 ? Math.floor(m / 60) + "h" + two(m % 60) + "m" : Math.floor(m / 1440) + "d" + two(Math.floor(m / 60) % 24) + "h";
  }
  function tick() {
    for (const one of document.querySelectorAll("time[data-ago]")) {
      const text = said((Date.now() - Date.parse(one.dateTime)) / 1000);
      if (one.textContent !== text) one.textContent = text;
    }
  }
  setInterval(tick, 1000);
  let current = null;
  function bringIntoView() {
    const link = document.querySelector(".views [aria-current]");
    if (!link || link === current) return;
    current = link;
    const list = link.closest(".views");
    list.scrollLeft = link.offsetLeft - list.offsetLeft - (list.clientWidth - link.offsetWidth) / 2;
  }

  // A card that changes is made anew: what had the focus in it gets it back, and tables stay scrolled as they were.
  let held = null;
  const scrolledTo = new Map();
  function twins(within, css) { return [...(document.getElementById(within) ?? document).querySelectorAll(css)]; }
  document.addEventListener("focusin", ({ target }) => {
    const name = ["id", "href", "name", "aria-label"].find((one) => target.hasAttribute(one));
    const within = target.closest("section[id]")?.id;
    if (!name || !within) { held = null; return; }
    const css = `${target.localName}[${name}="${CSS.escape(target.getAttribute(name))}"]`;
    held = { target, within, css, place: twins(within, css).indexOf(target) };
  });
  document.addEventListener("pointerdown", () => { held = null; }, true);
  document.addEventListener("scroll", ({ target }) => {
    const table = target.querySelector?.(":scope > table[id]");
    if (table) scrolledTo.set(table.id, target.scrollLeft);
  }, true);
  function putBack() {
    if (held && !held.target.isConnected && document.activeElement === document.body) {
      const found = twins(held.within, held.css);
      (found[held.place] ?? found[0])?.focus({ preventScroll: true });
    }
    for (const [id, left] of scrolledTo) {
      const frame = document.getElementById(id)?.parentElement;
      if (frame && frame.scrollLeft !== left) frame.scrollLeft = left;
    }
  }
  let planned = false;
  new MutationObserver(() => {
    if (planned) return;
    planned = true;
    requestAnimationFrame(() => { planned = false; tick(); bringIntoView(); putBack(); });
  }).observe(root, { childList: true, subtree: true });
})();
