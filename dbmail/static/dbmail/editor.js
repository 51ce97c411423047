/* The editor stands in for the textarea that it hides: to the page, what happens in one happens in the other. */
"use strict";
window.addEventListener("load", () => {
  const widget = document.querySelector(".django-ace-widget");
  const field = document.getElementById("id_msgtext");
  const editor = widget?.editor;
  if (!editor) return;
  const session = editor.session;

  session.on("change", () => field.dispatchEvent(new Event("input", { bubbles: true })));
  editor.on("focus", () => field.dispatchEvent(new Event("focus")));
  field.focus = () => editor.focus();
  field.scrollIntoView = (options) => widget.scrollIntoView(options);
  field.setRangeText = (text) => {
    session.replace(editor.selection.getRange(), text);
    editor.clearSelection();
  };
  field.setSelectionRange = (from, to) => {
    const [start, end] = [from, to].map((index) => session.doc.indexToPosition(index));
    editor.selection.setRange({ start, end });
    editor.scrollToLine(start.row, true);
  };

  /* Tab goes on to the next field; Enter on the editor begins to write, Escape ends it. */
  const label = field.labels[0];
  editor.setOptions({ enableKeyboardAccessibility: true, textInputAriaLabel: label.textContent });
  label.addEventListener("click", () => editor.focus());

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = () => {
    const chosen = document.documentElement.dataset.theme;
    const isDark = chosen === "dark" || (chosen !== "light" && dark.matches);
    editor.setTheme(isDark ? "ace/theme/github_dark" : "ace/theme/github_light_default");
  };
  new MutationObserver(paint).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  dark.addEventListener("change", paint);
  paint();
});
