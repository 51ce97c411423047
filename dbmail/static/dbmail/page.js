/* What the other scripts share: requests, words, elements. No inline style or script anywhere: a strict CSP holds. */
"use strict";
window.dbmail = (() => {
  const words = document.getElementById("dbmail-words").dataset;

  /* A sentence of the page, each %s replaced in turn. */
  function say(name, ...values) {
    return values.reduce((text, value) => text.replace("%s", value), words[name] || name);
  }

  function number(value) {
    return Number(value).toLocaleString(document.documentElement.lang || undefined);
  }

  class LoggedOut extends Error {}

  async function answer(response) {
    const isJson = (response.headers.get("Content-Type") || "").startsWith("application/json");
    if (response.redirected || (response.ok && !isJson)) throw new LoggedOut();
    if (!isJson) throw new Error(`${response.status}`);
    return response.json();
  }

  async function post(url, data, signal) {
    return answer(await fetch(url, { method: "POST", body: new URLSearchParams(data), signal, credentials: "same-origin" }));
  }

  async function get(url, signal) {
    return answer(await fetch(url, { signal, credentials: "same-origin" }));
  }

  /* Call `act` once, `wait` milliseconds after the last of many calls. */
  function later(act, wait) {
    let timer;
    return (...values) => {
      clearTimeout(timer);
      timer = setTimeout(() => act(...values), wait);
    };
  }

  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  /* A few people whom a finding is about: each shows the preview as it would reach them (preview.js). */
  function people(finding) {
    const buttons = (finding.people || []).map((person) => element("button", { type: "button", class: "dbmail-link", "data-as": person.pk, title: say("showAs", person.name) }, person.name));
    return buttons.length ? [element("span", { class: "dbmail-people" }, say("forInstance"), ...buttons)] : [];
  }

  /* Show findings in the list, worst first; a place in the text is a link to it. */
  function showFindings(list, groups, back = "") {
    const order = ["error", "warning", "note"];
    const findings = groups.flat().sort((a, b) => order.indexOf(a.level) - order.indexOf(b.level));
    const key = JSON.stringify(findings);
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.replaceChildren(...findings.map((finding) => {
      const place = finding.field === "audience" ? "audience" : `id_${finding.field}`;
      const link = element("a", { href: `${back}#${place}` }, finding.message);
      if (finding.line) link.dataset.line = finding.line;
      const where = finding.line && !finding.message.includes(String(finding.line)) ? ` (${say("line")} ${finding.line})` : "";
      return element("li", { "data-level": finding.level }, element("b", {}, finding.level_name), " ", link, where, ...(finding.more ? [" ", element("a", { href: finding.more_url }, finding.more)] : []), ...people(finding));
    }));
    if (!findings.length) list.append(element("li", { "data-level": "ok" }, say("allWell")));
  }

  return { say, number, post, get, later, element, showFindings, LoggedOut };
})();
