"use strict";
// What a model or a user wrote becomes text nodes only: no markup is ever parsed here.
const data = JSON.parse(document.getElementById("data").textContent);
const MAX_LETTERS = 20000;
const byElementId = (id) => document.getElementById(id);

function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

// Control characters, changes of direction included, are shown as their code.
function reveal(text) {
  return text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Co}]/gu, (char) => char === "\n" || char === "\t" ? char
    : `[U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]`);
}

function clipped(text) {
  return text.length > MAX_LETTERS ? text.slice(0, MAX_LETTERS) : text;
}

function options(select, values, all) {
  select.append(make("option", "", all));
  select.firstChild.value = "";
  for (const value of [...new Set(values)].sort()) {
    const option = make("option", "", reveal(value));
    option.value = value;
    select.append(option);
  }
}

function blur() {
  const on = document.body.classList.toggle("blurred");
  byElementId("blur").setAttribute("aria-pressed", String(on));
  byElementId("blur").textContent = on ? "Show unsafe text" : "Blur unsafe text";
}

const themes = { "": "as the system", light: "light", dark: "dark" };
byElementId("theme").addEventListener("click", () => {
  const names = Object.keys(themes), root = document.documentElement;
  const next = names[(names.indexOf(root.dataset.theme || "") + 1) % names.length];
  if (next) root.dataset.theme = next; else delete root.dataset.theme;
  byElementId("theme").textContent = `Theme: ${themes[next]}`;
});
byElementId("theme").hidden = false;
// What is folded on a screen is printed too.
let opened = [];
window.addEventListener("beforeprint", () => {
  opened = [...document.querySelectorAll("details:not([open])")];
  for (const details of opened) details.open = true;
});
window.addEventListener("afterprint", () => { for (const details of opened) details.open = false; });

