/* A broadcast on its way: numbers that move without a reload. */
"use strict";
(() => {
  const page = document.getElementById("dbmail-watch");
  const parts = document.getElementById("watch-parts");
  const EVERY = 2000, DRAW_EVERY = 20000; // the chart looks at many mails
  let drawn = 0;
  let now = JSON.parse(document.getElementById("watch-now").textContent);
  let history = [[Date.now(), now.left]];

  const signature = (numbers) => JSON.stringify([numbers.state, numbers.reason, numbers.few, numbers.counts.failed, numbers.counts.in_doubt, numbers.counts.expired]);

  async function look() {
    let seen;
    try { seen = await dbmail.get(page.dataset.progress); } catch { return setTimeout(look, EVERY * 3); }
    const changed = signature(seen) !== signature(now);
    now = seen;
    if (changed && !parts.contains(document.activeElement)) await loadParts();
    show();
    if (changed || Date.now() - drawn > DRAW_EVERY) draw();
    setTimeout(look, document.hidden || seen.over ? EVERY * 5 : EVERY);
  }

  async function loadParts() {
    const response = await fetch(page.dataset.parts, { credentials: "same-origin" });
    if (response.ok && !response.redirected) parts.replaceChildren(...new DOMParser().parseFromString(await response.text(), "text/html").body.childNodes);
  }

  function show() {
    if (now.few || !document.getElementById("bar-sent")) return; // so few mails are not counted, or were not just now
    for (const place of parts.querySelectorAll("[data-count]")) place.textContent = now.shown[place.dataset.count] ?? "";
    bar("bar-made", now.looked_at, now.people);
    bar("bar-sent", now.left, now.made);
    document.getElementById("meter-made").hidden = now.processed || !now.people;
    history.push([Date.now(), now.left]);
    history = history.filter(([at]) => at > Date.now() - 60000);
    document.getElementById("watch-rate").textContent = rate();
  }

  function bar(id, value, most) {
    const place = document.getElementById(id);
    place.max = Math.max(most, 1);
    place.value = value;
  }

  function rate() {
    const [then, before] = history[0];
    const minutes = (Date.now() - then) / 60000;
    const perMinute = minutes > 0 ? (now.left - before) / minutes : 0;
    if (now.over || !now.exact || perMinute <= 0) return "";
    const left = now.to_go / perMinute;
    const words = left >= 1 ? dbmail.say("minutes", dbmail.number(Math.round(left))) : dbmail.say("seconds", dbmail.number(Math.ceil(left * 60)));
    return `${dbmail.say("rate", dbmail.number(Math.round(perMinute)))}, ${dbmail.say("left", words)}`;
  }

  /* Attributes only, no styles: a strict CSP takes it. */
  async function draw() {
    let seen;
    drawn = Date.now();
    try { seen = await dbmail.get(page.dataset.chart); } catch { return; }
    const box = document.getElementById("watch-chart");
    const words = document.getElementById("watch-chart-words");
    if (!seen.bars.length) { box.replaceChildren(); words.textContent = "–"; return; }
    const make = (tag, attributes) => {
      const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
      for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
      return made;
    };
    const most = Math.max(...seen.bars);
    const places = Math.max(seen.bars.length, 12);
    const svg = make("svg", { viewBox: `0 0 ${places * 10} 100`, preserveAspectRatio: "none", role: "img" });
    const shown = (count) => `${seen.exact ? "" : "≈ "}${dbmail.number(count)}`;
    words.textContent = dbmail.say("chart", shown(seen.bars.reduce((a, b) => a + b, 0)), dbmail.number(seen.bars.length * seen.minutes), shown(most), seen.minutes);
    svg.setAttribute("aria-label", words.textContent);
    seen.bars.forEach((count, place) => {
      const height = (count / most) * 98;
      svg.append(make("rect", { x: place * 10 + 1, y: 100 - height, width: 8, height }));
    });
    svg.append(make("line", { x1: 0, y1: 99.5, x2: places * 10, y2: 99.5 }));
    box.replaceChildren(svg);
  }

  if (dbmail.preview && document.getElementById("dbmail-preview")) {
    const token = document.querySelector("[name=csrfmiddlewaretoken]")?.value || "";
    dbmail.preview(document.getElementById("dbmail-preview"), page.dataset, () => ({ csrfmiddlewaretoken: token })).update();
  }
  draw();
  setTimeout(look, EVERY);
})();
