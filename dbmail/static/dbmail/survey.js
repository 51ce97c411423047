/* The audience in numbers: a survey of the first people, and the survey of everyone (the preflight), which the server keeps. */
"use strict";
dbmail.survey = (urls, formData, told) => {
  let running = null;

  /* `told(seen)` hears of each answer; one with a `problem` has nothing else. True if
     everybody was looked at, false if not, undefined where nobody can say. */
  async function ask(url, control) {
    try {
      const seen = await dbmail.post(url, formData(), control.signal);
      told(seen);
      return seen.problem ? undefined : seen.complete;
    } catch (error) {
      if (error.name === "AbortError" || error instanceof dbmail.LoggedOut || /^4/.test(error.message)) return undefined;
      return false; // the site does not answer just now
    }
  }

  function begin() {
    running?.abort();
    return (running = new AbortController());
  }

  /* With the form as it is, saved or not; true if the server has to look at the rest. */
  const first = async () => (await ask(urls.survey, begin())) === false;

  /* With the draft as it was saved, until everybody was looked at or `stop` is called. */
  async function everyone() {
    const control = begin();
    let answered = Date.now();
    while ((await ask(urls.everyone, control)) === false && !control.signal.aborted) {
      if (Date.now() - answered < 500) await new Promise((go) => setTimeout(go, 3000)); // no piece takes so little time
      answered = Date.now();
    }
  }

  return { first, everyone, stop: () => running?.abort() };
};
