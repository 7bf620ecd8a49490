"use strict";
/* Everything works without this file. It counts deadlines down, previews forms as they are typed, and keeps the
   page of today fresh. It stores nothing and talks to this gateway only. */

(() => {
  const TICK_MS = 1000;
  const REFRESH_MS = 15000;
  const TYPING_MS = 350;
  const ALONE_MS = 15 * 60000; // after this without anybody's hand the page rests, so that a session can end

  document.body.classList.add("scripted");

  /* ---------------------------------------------------------------- countdowns */

  // The page says what time it was for the gateway when it was made; only the difference is this machine's.
  const skewMs = () => Number(document.body.dataset.nowMs) - loadedMs;
  let loadedMs = Date.now();

  const words = (ms) => {
    const minutes = Math.floor(Math.abs(ms) / 60000);
    const hours = Math.floor(minutes / 60);
    const days = Math.floor(hours / 24);
    const span = days ? `${days} d ${hours % 24} h` : hours ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
    return ms < 0 ? `${span} ago` : `in ${span}`;
  };

  const countDown = () => {
    for (const node of document.querySelectorAll("[data-until-ms]")) {
      const text = words(Number(node.dataset.untilMs) - Date.now() - skewMs());
      if (node.textContent !== text) node.textContent = text;
    }
  };
  countDown();
  setInterval(countDown, TICK_MS);

  /* ---------------------------------------------------------------- fragments of pages */

  const page = async (url, options) => {
    const answer = await fetch(url, { credentials: "same-origin", redirect: "error", ...options });
    if (!(answer.headers.get("content-type") || "").startsWith("text/html")) throw new Error("not a page");
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  };

  const swap = (from, id) => {
    const fresh = from.getElementById(id);
    const old = document.getElementById(id);
    if (fresh && old && fresh.innerHTML !== old.innerHTML) old.replaceChildren(...fresh.childNodes);
    return Boolean(fresh);
  };

  /* ---------------------------------------------------------------- live preview */

  for (const form of document.querySelectorAll("form[data-preview]")) {
    let timer = 0;
    let asked = 0;
    const preview = async () => {
      const mine = ++asked;
      const body = new URLSearchParams(new FormData(form));
      body.set("action", "preview");
      try {
        const found = await page(form.getAttribute("action"), { method: "POST", body });
        if (mine === asked) swap(found, form.dataset.preview);
      } catch { /* the button still works */ }
    };
    form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(preview, TYPING_MS);
    });
  }

  /* ---------------------------------------------------------------- more lines in a form */

  for (const button of document.querySelectorAll("[data-add-row]")) {
    button.addEventListener("click", () => {
      const body = document.getElementById(button.dataset.addRow);
      const row = body.rows[body.rows.length - 1].cloneNode(true);
      const number = body.rows.length + 1;
      for (const input of row.querySelectorAll("input")) {
        input.value = "";
        input.removeAttribute("aria-invalid");
        input.setAttribute("aria-label", input.getAttribute("aria-label").replace(/\d+$/, String(number)));
      }
      for (const note of row.querySelectorAll(".wrong")) note.remove();
      body.append(row);
      row.querySelector("input").focus();
    });
  }

  /* ---------------------------------------------------------------- today stays fresh */

  const fresh = document.querySelector("[data-fresh]");
  if (fresh) {
    let touchedMs = Date.now();
    for (const kind of ["pointermove", "pointerdown", "keydown", "wheel"]) {
      addEventListener(kind, () => { touchedMs = Date.now(); }, { passive: true });
    }
    setInterval(async () => {
      const alone = Date.now() - touchedMs > ALONE_MS;
      document.getElementById("rests").hidden = !alone;
      const busy = fresh.contains(document.activeElement) || document.hidden || String(getSelection());
      if (alone || busy) return;
      try {
        const found = await page(location.href);
        if (!swap(found, fresh.id)) location.reload();
        document.body.dataset.nowMs = found.body.dataset.nowMs;
        loadedMs = Date.now();
        swap(found, "notices");
        countDown();
      } catch {
        document.getElementById("stale").hidden = false;
        return;
      }
      document.getElementById("stale").hidden = true;
    }, REFRESH_MS);
  }
})();
