/* The audience in numbers: asks for one piece after the other and adds them up. */
"use strict";
dbmail.survey = (urls, formData, told) => {
  const KINDS = ["self", "guardian", "emergency"];
  let running = null;

  /* Look at `pieces` pieces of the audience (Infinity: all). `told(total)` hears of each. */
  async function look(pieces) {
    running?.abort();
    const control = (running = new AbortController());
    const total = { looked: 0, sets: {}, links: {}, suppressed: new Set(), without: 0, unresolved: 0, failed: 0, why: "", empty: {}, biggest: 0, complete: false };
    for (const kind of KINDS) { total.sets[kind] = new Set(); total.links[kind] = 0; }
    let after = "";
    try {
      for (let i = 0; i < pieces; i++) {
        const seen = await dbmail.post(urls.survey, { ...formData(), after }, control.signal);
        if (seen.problem) { told(null); return; }
        add(total, seen);
        after = seen.after;
        total.complete = after === null;
        told(total);
        if (total.complete) return;
      }
    } catch (error) {
      if (error.name !== "AbortError") told(null);
    }
  }

  function add(total, seen) {
    total.looked += seen.people;
    for (const kind of KINDS) {
      for (const key of seen.addresses[kind]) total.sets[kind].add(key);
      total.links[kind] += seen.addresses[kind].length;
    }
    for (const key of seen.suppressed) total.suppressed.add(key);
    total.without += seen.without_address;
    total.unresolved += seen.unresolved;
    total.failed += seen.failed;
    total.why ||= seen.failures[0]?.why || "";
    for (const [name, count] of Object.entries(seen.empty)) total.empty[name] = (total.empty[name] || 0) + count;
    total.biggest = Math.max(total.biggest, seen.biggest);
  }

  /* Mails, duplicates and suppressed addresses of one send-to function. */
  function numbers(total, sendto) {
    const wanted = KINDS.filter((kind) => (sendto || "send_to_self").split("_").includes(kind));
    const all = new Set();
    let links = 0;
    for (const kind of wanted) { links += total.links[kind]; for (const key of total.sets[kind]) all.add(key); }
    let suppressed = 0;
    for (const key of all) if (total.suppressed.has(key)) suppressed++;
    return { mails: all.size - suppressed, suppressed, duplicates: links - all.size };
  }

  async function checks(total, sendto, people) {
    const given = {
      people: people ?? total.looked, looked_at: total.looked, ...numbers(total, sendto), without_address: total.without, unresolved: total.unresolved,
      failed: total.failed, why_failed: total.why, biggest: total.biggest, empty: total.empty,
    };
    return (await dbmail.post(urls.checks, { ...formData(), numbers: JSON.stringify(given) })).findings || [];
  }

  return { look, numbers, checks };
};
