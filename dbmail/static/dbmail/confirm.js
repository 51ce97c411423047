/* The confirmation: counts mails over the whole audience while the person reads. */
"use strict";
(() => {
  const form = document.getElementById("dbmail-confirm");
  const byId = (id) => document.getElementById(id);
  const formData = () => ({ csrfmiddlewaretoken: form.elements.csrfmiddlewaretoken.value });
  const people = Number(form.dataset.count);
  const found = { mail: [], sender: [], audience: [] };
  const show = () => dbmail.showFindings(byId("findings"), Object.values(found), form.dataset.back);

  const preview = dbmail.preview(byId("dbmail-preview"), form.dataset, formData, (seen) => {
    if (seen) { found.mail = seen.findings; show(); }
  });
  const survey = dbmail.survey(form.dataset, formData, (total) => {
    if (!total) { byId("survey-state").textContent = ""; return; }
    const { mails } = survey.numbers(total, form.dataset.sendto);
    const scale = total.complete || !total.looked ? 1 : people / total.looked;
    byId("confirm-mails").textContent = dbmail.say(total.complete ? "mails" : "about", dbmail.number(Math.round(mails * scale)));
    byId("survey-state").textContent = dbmail.say("looked", dbmail.number(total.looked), dbmail.number(people));
    survey.checks(total, form.dataset.sendto, people).then((list) => { found.audience = list; show(); }, () => {});
  });
  preview.update();
  dbmail.post(form.dataset.sender, formData()).then((seen) => { found.sender = seen.findings; show(); }, () => {});
  survey.look(Infinity);
})();
