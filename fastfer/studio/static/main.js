// Tabs, language and theme.

import { login, request, setDefaultAttributes } from "./api.js";
import * as compare from "./compare.js";
import { element } from "./draw.js";
import { onLanguage, paragraphs, setLanguage, text } from "./i18n.js";
import * as live from "./live.js";
import * as photo from "./photo.js";
import * as video from "./video.js";

const PARTS = { photo, live, video, compare };
const tabs = [...document.querySelectorAll("[role=tab]")];
const root = document.documentElement;
let version = "";

function remember(key, value) {
  try {
    localStorage.setItem(`fastfer-${key}`, value);
  } catch {
    // Storage may be switched off.
  }
}

function remembered(key) {
  try {
    return localStorage.getItem(`fastfer-${key}`);
  } catch {
    return null;
  }
}

function select(tab, focus = false) {
  for (const other of tabs) {
    const on = other === tab;
    other.setAttribute("aria-selected", String(on));
    other.tabIndex = on ? 0 : -1;
    const name = other.getAttribute("aria-controls");
    document.getElementById(name).hidden = !on;
    if (!on) PARTS[name]?.leave();
  }
  if (focus) tab.focus();
}

function about() {
  const list = element("ul", {}, ...paragraphs().map((line) => element("li", { text: line })));
  const link = (href, label) => element("a", { href, text: label });
  document.getElementById("about").replaceChildren(
    element("h1", { text: text("aboutTitle") }), list,
    element("h2", { text: text("aboutCards") }),
    element("p", {}, link("cards/expression", text("expressionCard")), ", ", link("cards/nano", text("detectorCard")),
      ", ", link("cards/attributes", text("attributeCard"))),
    element("p", {}, text("licence"), " ", link("/docs", "/docs"), ". ", text("version", { v: version })));
}

for (const [index, tab] of tabs.entries()) {
  tab.addEventListener("click", () => select(tab));
  tab.addEventListener("keydown", (event) => {
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    const ends = { Home: 0, End: tabs.length - 1 };
    if (event.key in steps) select(tabs.at((index + steps[event.key]) % tabs.length), true);
    else if (event.key in ends) select(tabs[ends[event.key]], true);
    else return;
    event.preventDefault();
  });
}
// A file that is dropped beside its area would open in place of the page.
for (const name of ["dragover", "drop"]) {
  addEventListener(name, (event) => event.dataTransfer?.types.includes("Files") && event.preventDefault());
}
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  remember("theme", root.dataset.theme);
});
const choice = document.getElementById("language");
choice.addEventListener("change", () => {
  setLanguage(choice.value);
  remember("language", choice.value);
});

if (remembered("theme")) root.dataset.theme = remembered("theme");
for (const part of Object.values(PARTS)) part.setup();
onLanguage(about);
choice.value = remembered("language") ?? (navigator.language.startsWith("vi") ? "vi" : "en");
setLanguage(choice.value);
select(tabs[0]);
await login();
const info = await (await request("/v1/info")).json();  // Asks for the token if needed.
version = info.version;
setDefaultAttributes(info.default_attributes);
compare.offer(info.detectors);
for (const label of document.querySelectorAll(".attributes")) {
  label.hidden = !info.attributes.length;  // A package may be built without them.
  label.querySelector("input").checked = !label.hidden && info.default_attributes.length > 0;
}
about();
root.dataset.ready = "true";
