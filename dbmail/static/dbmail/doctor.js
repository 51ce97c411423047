/* The doctor's page: says that it is looking, and copies records. It works without this, too. */
"use strict";
(() => {
  const run = document.getElementById("doctor-run");
  run?.addEventListener("submit", () => {
    run.querySelector("button").disabled = true;
    const status = run.querySelector("[role=status]");
    status.textContent = status.dataset.busy;
  });
  // Back in the browser's history shows the page as it was left.
  window.addEventListener("pageshow", () => { if (run) run.querySelector("button").disabled = false; });

  if (!navigator.clipboard) return;
  const copied = document.getElementById("doctor-copied");
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.closest("div").hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      const word = button.textContent;
      button.textContent = copied.textContent = copied.dataset.done;
      setTimeout(() => { button.textContent = word; copied.textContent = ""; }, 2000);
    });
  }
})();
