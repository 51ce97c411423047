/* The audience in numbers: a quick look at the first people, and the look over everyone, which the server keeps. */
"use strict";
dbmail.survey = (urls, formData, told) => {
  let running = null;

  /* `told(seen)` hears of each answer; null where there is none. True if everybody was looked at. */
  async function ask(url) {
    running?.abort();
    const control = (running = new AbortController());
    try {
      const seen = await dbmail.post(url, formData(), control.signal);
      told(seen.problem ? null : seen);
      return Boolean(seen.problem || seen.complete);
    } catch (error) {
      if (error.name === "AbortError") return true; // a later question stands for this one
      told(null);
      return true;
    }
  }

  /* With the form as it is, saved or not. */
  const first = () => ask(urls.survey);

  /* With the draft as it was saved, until everybody was looked at or `stop` is called. */
  async function everyone() {
    while (!(await ask(urls.everyone)));
  }

  return { first, everyone, stop: () => running?.abort() };
};
