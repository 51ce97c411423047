/* The audience: conditions on allowed fields, kept as a tree in a hidden field. */
"use strict";
dbmail.audience = (root, field, changed) => {
  const data = JSON.parse(document.getElementById("audience-data").textContent);
  const fields = new Map(data.fields.map((one) => [one.path, one]));
  const copy = (id) => document.getElementById(id).content.cloneNode(true);
  const read = () => { try { return JSON.parse(field.value); } catch { return { match: "nobody" }; } };

  function store() {
    field.value = JSON.stringify(treeOf(root));
    changed();
  }

  function treeOf(box) {
    const match = box.querySelector(":scope > .dbmail-line [data-match]").value;
    if (match.startsWith("filter:")) return { filter: Number(match.slice(7)) };
    if (match === "nobody" || match === "everyone") return { match };
    const rows = [...box.querySelector(":scope > [data-rows]").children];
    return { match, rows: rows.map((row) => (row.matches(".dbmail-group") ? treeOf(row) : rowOf(row))) };
  }

  function rowOf(row) {
    const value = row.querySelector("[data-value] select, [data-value] input");
    return { field: row.querySelector("[data-field]").value, is: row.querySelector("[data-is]").value, value: value ? value.value : "" };
  }

  function fillRow(row, given) {
    const chosen = row.querySelector("[data-field]");
    for (const one of data.fields) chosen.append(new Option(one.label, one.path));
    chosen.value = fields.has(given.field) ? given.field : "";
    fillComparison(row, given);
    chosen.addEventListener("change", () => { fillComparison(row, {}); store(); });
  }

  function fillComparison(row, given) {
    const kind = fields.get(row.querySelector("[data-field]").value)?.kind;
    const comparison = row.querySelector("[data-is]");
    comparison.replaceChildren(...(data.conditions[kind] || []).map((one) => new Option(one.label, one.name)));
    comparison.hidden = !kind;
    if (given.is) comparison.value = given.is;
    fillValue(row, given.value || "");
    comparison.onchange = () => { fillValue(row, rowOf(row).value); store(); };
  }

  function fillValue(row, value) {
    const one = fields.get(row.querySelector("[data-field]").value);
    const box = row.querySelector("[data-value]");
    const comparison = one && data.conditions[one.kind].find((item) => item.name === row.querySelector("[data-is]").value);
    box.replaceChildren();
    if (!one || !comparison || comparison.fixed) return;
    const name = document.getElementById("builder-value").content.textContent.trim();
    const input = one.choices.length
      ? dbmail.element("select", {}, new Option("", ""), ...one.choices.map(([key, label]) => new Option(label, key)))
      : dbmail.element("input", { type: { date: "date", number: "number" }[one.kind] || "text", ...(one.kind === "number" ? { step: "any" } : {}) });
    input.setAttribute("aria-label", `${name}: ${one.label}`);
    input.value = value;
    input.addEventListener("input", store);
    box.append(input);
  }

  function addRow(box, given = {}) {
    const made = copy("builder-row");
    const row = made.querySelector(".dbmail-row");
    box.querySelector(":scope > [data-rows]").append(made);
    fillRow(row, given);
    return row;
  }

  function addGroup(box, given = { match: "any", rows: [{}] }) {
    const made = copy("builder-group");
    const group = made.querySelector(".dbmail-group");
    box.querySelector(":scope > [data-rows]").append(made);
    if (group.parentElement.closest(".dbmail-group")) group.querySelector("[data-add=group]").remove();
    group.querySelector("[data-match]").value = given.match;
    fill(group, given.rows);
    return group;
  }

  function fill(box, rows) {
    for (const row of rows) (row.match ? addGroup : addRow)(box, row);
  }

  function show(tree) {
    root.replaceChildren(copy("builder-top"));
    const top = root.querySelector("[data-match]");
    const saved = root.querySelector("[data-saved]");
    for (const one of data.saved) saved.append(new Option(one.name, `filter:${one.id}`));
    if (!data.saved.length) saved.remove();
    top.value = tree.filter ? `filter:${tree.filter}` : tree.match;
    if (tree.rows) fill(root, tree.rows);
    open();
  }

  function open() {
    const conditions = ["all", "any", "none"].includes(root.querySelector("[data-match]").value);
    for (const part of root.querySelectorAll(":scope > [data-rows], :scope > [data-adders]")) part.hidden = !conditions;
  }

  root.addEventListener("change", (event) => {
    if (!event.target.matches("[data-match]")) return;
    if (event.target.parentElement.parentElement === root) {
      const saved = data.saved.find((one) => event.target.value === `filter:${one.id}`);
      if (saved?.tree) show(saved.tree); // its conditions can be seen and changed
      open();
      const rows = root.querySelector("[data-rows]");
      if (!rows.hidden && !rows.children.length) addRow(root).querySelector("[data-field]").focus();
    }
    store();
  });
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button?.dataset.add) {
      const box = button.closest(".dbmail-group") || root;
      const made = (button.dataset.add === "group" ? addGroup : addRow)(box);
      made.querySelector("[data-field]").focus();
      store();
    } else if (button && "remove" in button.dataset) {
      const gone = button.closest(".dbmail-row") || button.closest(".dbmail-group");
      const next = gone.closest("[data-rows]").parentElement.querySelector("[data-add]");
      gone.remove();
      next.focus();
      store();
    }
  });
  show(read());
};
