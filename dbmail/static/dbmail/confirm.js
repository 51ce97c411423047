/* The confirmation: goes on with the look over the whole audience while the person reads. */
"use strict";
(() => {
  const form = document.getElementById("dbmail-confirm");
  const byId = (id) => document.getElementById(id);
  const formData = () => ({ csrfmiddlewaretoken: form.elements.csrfmiddlewaretoken.value });
  const found = { mail: [], sender: [], audience: [] };
  const show = () => dbmail.showFindings(byId("findings"), Object.values(found), form.dataset.back);

  const preview = dbmail.preview(byId("dbmail-preview"), form.dataset, formData, (seen) => {
    if (seen) { found.mail = seen.findings; show(); }
  });
  const survey = dbmail.survey(form.dataset, formData, (seen) => {
    byId("survey-state").textContent = seen.problem || seen.said;
    if (seen.problem) return;
    const mails = byId("confirm-mails"); // only for who may see recipients
    if (mails) mails.textContent = seen.chosen;
    found.audience = seen.findings;
    show();
  });
  preview.update();
  dbmail.post(form.dataset.sender, formData()).then((seen) => { found.sender = seen.findings; show(); }, () => {});
  survey.everyone();
})();
