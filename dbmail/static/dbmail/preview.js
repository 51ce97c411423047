/* The preview: the mail as one recipient gets it. HTML stands in a frame where no script runs. */
"use strict";
dbmail.preview = (box, urls, formData, told = () => {}) => {
  const part = (name) => box.querySelector(`#preview-${name}`);
  const panel = (name) => box.querySelector(`[data-panel=${name}]`);
  const as = part("as");
  let shown = "html", isHtml = null, who = "", frame = null, frames = 0, running = null;

  async function update() {
    running?.abort();
    running = new AbortController();
    let seen;
    try {
      seen = await dbmail.post(urls.preview, { ...formData(), as: who }, running.signal);
    } catch (error) {
      if (error.name !== "AbortError") told(null, error);
      return;
    }
    const problem = part("problem");
    const fails = seen.subject === undefined;
    problem.hidden = !fails;
    problem.textContent = fails ? seen.findings.filter((f) => f.level === "error").map((f) => f.message).join(" ") : "";
    box.classList.toggle("dbmail-stale", fails); // the last good preview stays, dimmed
    part("as-name").textContent = seen.as_name;
    if (!fails) {
      part("subject").textContent = seen.subject;
      part("from").textContent = (seen.headers.find(([name]) => name === "From") || ["", ""])[1];
      setText(panel("text"), seen.text);
      panel("headers").replaceChildren(...seen.headers.flatMap(([name, value]) => [dbmail.element("dt", {}, name), dbmail.element("dd", {}, value)]));
      if (isHtml !== seen.html) { isHtml = seen.html; show(isHtml ? (shown === "text" ? "html" : shown) : (shown === "html" ? "text" : shown)); }
      if (seen.html) loadFrame();
    }
    told(seen);
  }

  function setText(place, text) {
    const top = place.scrollTop;
    place.textContent = text;
    place.scrollTop = top;
  }

  /* A new frame loads behind the old one and takes its place where that was scrolled to: nothing flickers or jumps.
     A form's POST may fill a new frame without an entry in the browser's history. */
  function loadFrame(more = {}) {
    const made = dbmail.element("iframe", {
      name: `dbmail-preview-${++frames}`, sandbox: "allow-same-origin allow-popups allow-popups-to-escape-sandbox",
      title: dbmail.say("frame"), class: "dbmail-loading",
    });
    const mine = frames;
    panel("html").append(made);
    made.addEventListener("load", () => {
      if (made.contentDocument?.URL === "about:blank") return;
      if (mine !== frames && frame) { made.remove(); return; }
      const place = frame?.contentWindow ? [frame.contentWindow.scrollX, frame.contentWindow.scrollY] : [0, 0];
      made.classList.remove("dbmail-loading");
      made.contentWindow?.scrollTo(...place);
      for (const old of panel("html").querySelectorAll("iframe")) if (old !== made && !old.classList.contains("dbmail-loading")) old.remove();
      frame = made;
    });
    const form = dbmail.element("form", { method: "post", action: urls.body, target: made.name, hidden: "" });
    for (const [name, value] of Object.entries({ ...formData(), as: who, ...more })) {
      const input = dbmail.element("input", { type: "hidden", name });
      input.value = value;
      form.append(input);
    }
    document.body.append(form);
    form.submit();
    form.remove();
  }

  function show(name) {
    shown = name;
    for (const button of box.querySelectorAll("[data-show]")) {
      button.setAttribute("aria-pressed", String(button.dataset.show === name));
      if (button.dataset.show === "html") button.disabled = !isHtml;
    }
    for (const one of box.querySelectorAll("[data-panel]")) one.hidden = one.dataset.panel !== name;
    for (const one of box.querySelectorAll("[data-only]")) one.hidden = one.dataset.only !== name;
  }

  box.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.show) show(button.dataset.show);
    if (button && "pictures" in button.dataset) loadFrame({ pictures: "1" }); // this view only: the next has none
    if (button?.dataset.width) {
      for (const one of box.querySelectorAll("[data-width]")) one.setAttribute("aria-pressed", String(one === button));
      panel("html").classList.toggle("dbmail-narrow", button.dataset.width === "narrow");
    }
  });

  if (as) {
    const list = document.getElementById("preview-people");
    const search = dbmail.later(async () => {
      const found = (await dbmail.get(`${urls.people}?${new URLSearchParams({ q: as.value })}`)).people;
      list.replaceChildren(...found.map((person) => { const o = new Option(person.name, person.name); o.dataset.pk = person.pk; return o; }));
      choose();
    }, 250);
    const choose = () => {
      const chosen = [...list.options].find((option) => option.value === as.value);
      if (as.value && !chosen) return;
      who = chosen ? chosen.dataset.pk : "";
      update();
    };
    as.addEventListener("input", () => ([...list.options].some((o) => o.value === as.value) || !as.value ? choose() : search()));
  }
  /* As one of the people that a finding names */
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-as]");
    if (!button) return;
    who = button.dataset.as;
    if (as) as.value = button.textContent;
    update();
    box.scrollIntoView({ block: "nearest" });
  });
  return { update, who: () => who };
};
