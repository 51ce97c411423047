/* The compose page: keeps the draft, shows it, counts its audience, as the person writes. */
"use strict";
(() => {
  const form = document.getElementById("dbmail-compose");
  const urls = form.dataset;
  const byId = (id) => document.getElementById(id);
  const state = byId("save-state");
  const findings = byId("findings");
  const found = { mail: [], sender: [], audience: [], saving: [] };
  let dirty = false, unseen = false, saving = false, leaving = false, submitter = null, stuck = false;

  const formData = () => Object.fromEntries(new FormData(form));
  const showFindings = () => dbmail.showFindings(findings, Object.values(found));

  /* Keeping the draft */
  async function save() {
    if (saving || stuck || !dirty || leaving) return;
    saving = true;
    dirty = false;
    state.textContent = dbmail.say("saving");
    try {
      const kept = await dbmail.post(urls.save, formData());
      if (kept.problem) {
        state.textContent = kept.problem;
        state.classList.add("dbmail-bad");
        stuck = dirty = true; // nothing more is kept from this page by itself
        return goOn();
      }
      form.elements.token.value = kept.token;
      found.saving = Object.entries(kept.errors).map(([field, errors]) => ({ level: "error", level_name: "!", field, message: errors.join(" "), line: null }));
      state.textContent = dirty ? dbmail.say("unsaved") : dbmail.say("saved");
      state.classList.remove("dbmail-bad");
      showFindings();
      everyoneSoon();
    } catch (error) {
      dirty = true;
      state.textContent = dbmail.say(error instanceof dbmail.LoggedOut ? "loggedOut" : "offline");
      state.classList.add("dbmail-bad");
      setTimeout(() => { saving = false; save(); }, 5000);
      if (submitter) goOn();
      return;
    }
    saving = false;
    if (submitter) goOn();
    else if (dirty) saveSoon();
  }

  /* A button pressed during a save waits for it: the page has to know the draft's new token. */
  function goOn() {
    saving = false;
    const pressed = submitter;
    submitter = null;
    if (pressed) form.requestSubmit(pressed);
  }
  const saveSoon = dbmail.later(save, 800);

  /* The preview and what is wrong with the mail */
  const preview = dbmail.preview(byId("dbmail-preview"), urls, formData, (seen) => {
    if (!seen) return;
    found.mail = seen.findings;
    showFindings();
  });
  const previewSoon = dbmail.later(preview.update, 250);

  /* What receivers find in DNS about From */
  async function lookAtSender() {
    try { found.sender = (await dbmail.post(urls.sender, formData())).findings; } catch { return; }
    showFindings();
  }
  const lookAtSenderSoon = dbmail.later(lookAtSender, 1500);

  /* The audience in numbers */
  const survey = dbmail.survey(urls, formData, (seen) => {
    found.audience = seen.findings || [];
    byId("survey-state").textContent = seen.problem || seen.said;
    if (seen.mails) for (const place of form.querySelectorAll("[data-sendto]")) place.textContent = seen.mails[place.dataset.sendto] || "";
    showFindings();
  });
  const surveySoon = dbmail.later(async () => { unseen = await survey.first(); everyoneSoon(); }, 900);
  /* Once the draft is saved and nobody is typing */
  const everyoneSoon = dbmail.later(() => {
    if (!unseen || dirty || saving || leaving) return;
    unseen = false;
    survey.everyone();
  }, 1500);

  async function count() {
    const place = byId("audience-count");
    try {
      const seen = await dbmail.post(urls.count, formData());
      place.classList.toggle("dbmail-bad", Boolean(seen.problem));
      place.textContent = seen.problem || (seen.people === null ? seen.said : dbmail.say(seen.people === 1 ? "onePerson" : "people", dbmail.number(seen.people)));
      if (!seen.problem) place.title = seen.words;
    } catch { /* the next change asks again */ }
  }
  const countSoon = dbmail.later(count, 300);

  function changed() {
    dirty = true;
    if (!saving && !stuck) state.textContent = dbmail.say("unsaved");
    survey.stop();
    saveSoon();
    previewSoon();
    surveySoon();
  }
  form.addEventListener("input", (event) => {
    if (event.target.name && event.target.name !== "audience") changed();
    if (event.target.name === "sender") lookAtSenderSoon();
  });
  const audience = form.querySelector("input[name=audience]");
  if (!audience.disabled) {
    dbmail.audience(byId("audience-builder"), audience, () => { countSoon(); changed(); });
  }

  /* Variables go where the cursor was last */
  let target = byId("id_msgtext");
  for (const field of [byId("id_subject"), byId("id_msgtext")]) field.addEventListener("focus", () => { target = field; });
  form.addEventListener("click", (event) => {
    const button = event.target.closest("[data-insert]");
    if (!button) return;
    target.setRangeText(`{{ ${button.dataset.insert} }}`, target.selectionStart, target.selectionEnd, "end");
    target.focus();
    changed();
  });

  /* A finding leads to its line */
  findings.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    const field = link && document.getElementById(link.hash.slice(1));
    if (!field) return;
    event.preventDefault();
    field.focus();
    field.scrollIntoView({ block: "nearest" });
    if (link.dataset.line && field.tagName === "TEXTAREA") {
      const lines = field.value.split("\n");
      const start = lines.slice(0, link.dataset.line - 1).join("\n").length + (link.dataset.line > 1 ? 1 : 0);
      field.setSelectionRange(start, start + (lines[link.dataset.line - 1] || "").length);
    }
  });

  byId("audience-keep")?.addEventListener("click", async () => {
    const said = byId("audience-kept");
    const kept = await dbmail.post(urls.name, { ...formData(), name: byId("audience-name").value }).catch((error) => ({ problem: String(error.message) }));
    said.textContent = kept.done || kept.problem;
    said.classList.toggle("dbmail-bad", Boolean(kept.problem));
  });

  byId("test-send").addEventListener("click", async (event) => {
    const said = byId("test-result");
    event.target.disabled = true;
    said.textContent = dbmail.say("sending");
    try {
      const sent = await dbmail.post(urls.test, { ...formData(), to: byId("test-to").value, as: preview.who() });
      said.textContent = sent.done || sent.problem;
      said.classList.toggle("dbmail-bad", Boolean(sent.problem));
    } catch (error) {
      said.textContent = String(error.message || error);
      said.classList.add("dbmail-bad");
    }
    event.target.disabled = false;
  });

  form.addEventListener("submit", (event) => {
    if (saving && !leaving) { event.preventDefault(); submitter = event.submitter; return; }
    leaving = true;
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("input:not([type=submit])")) event.preventDefault(); // no accidental submit
  });
  window.addEventListener("beforeunload", (event) => { if (dirty && !leaving) event.preventDefault(); });

  preview.update();
  lookAtSender();
  count();
  surveySoon();
})();
