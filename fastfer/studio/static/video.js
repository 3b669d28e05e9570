// The tab Video: clips as jobs, with people over time beside the player.

import { ApiError, attributesOf, query, request, save, upload } from "./api.js";
import { element } from "./draw.js";
import { language, NAMES, onLanguage, reasonOf, text } from "./i18n.js";
import { setupDrop } from "./photo.js";

const { lanes, moments, clock } = globalThis.fastferTimeline;
const get = (id) => document.getElementById(id);
const clips = [];
let counter = 0;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function tell(node, error) {
  node.classList.add("error");
  node.textContent = text("failed", { reason: reasonOf(error) });
}

class Clip {
  constructor() {
    this.node = element("article", { className: "clip" });
    this.job = null;
    this.data = null;
    this.chosen = new Set();
    this.empty();
    get("clips").append(this.node);
  }

  empty(problem = null) {
    this.job = this.data = null;
    this.problem = problem;
    this.busy = false;
    const id = `clip-file-${++counter}`;
    const input = element("input", { type: "file", id, className: "hidden clip-file", accept: "video/*,image/gif" });
    input.addEventListener("change", () => input.files[0] && this.analyze(input.files[0]));
    const label = element("label", { className: "button primary", text: text("chooseClip") });
    label.htmlFor = id;
    const message = element("p", { className: "message", role: "status" });
    if (problem) tell(message, problem);
    const drop = element("div", { className: "drop" }, element("p", { text: text("dropClip") }), label, input);
    setupDrop(drop, (files) => files[0] && this.analyze(files[0]));
    this.fill(drop, message);
  }

  // New contents; their first control has the focus if another had it.
  fill(...children) {
    const focused = this.node.contains(document.activeElement);
    this.node.replaceChildren(...children);
    if (focused) this.node.querySelector("input, button, video")?.focus({ preventScroll: true });
  }

  async analyze(file) {
    const bar = element("progress", { max: 1, value: 0 });
    const note = element("p", { className: "message", role: "status" });
    const cancel = element("button", { type: "button", text: text("cancel"), className: "clip-cancel" });
    const abort = new AbortController();
    cancel.addEventListener("click", () => abort.abort());
    this.file = file;
    this.busy = true;
    this.fill(element("h2", { text: file.name }), bar, note, cancel);
    const options = { name: file.name, lang: language(), blur: get("video-blur").value,
      pixelate: get("video-pixelate").checked, attributes: attributesOf(get("video-attributes")),
      landmarks: get("video-landmarks").checked ? "false" : "" };
    this.hides = Boolean(options.blur || options.pixelate);
    try {
      let state = await upload(`/v1/video${query(options)}`, file, (share) => {
        bar.value = share * 0.2;
        note.textContent = text("uploading", { percent: Math.round(share * 100) });
      }, abort.signal);
      this.job = state.id;
      while (state.state === "waiting" || state.state === "running") {
        if (abort.signal.aborted) {
          await this.forget();
          this.empty();
          return;
        }
        bar.value = 0.2 + 0.8 * state.progress;
        if (state.state === "waiting") note.textContent = text("waiting");
        else if (state.seconds_left === null) note.textContent = text("preparing");
        else {
          note.textContent = text("analysing", { percent: Math.round(state.progress * 100),
            left: clock(state.seconds_left) });
        }
        await pause(200);
        state = await (await request(`/v1/video/${this.job}`)).json();
      }
      if (state.state !== "done") throw new ApiError(0, state.error_code, state.error);
      this.state = state;
      this.data = await (await request(`/v1/video/${this.job}/people.json`)).json();
      this.chosen = new Set(this.data.people.map((person) => person.id));
      this.show();
    } catch (error) {
      await this.forget(); // Others may wait for its turn to end.
      this.empty(error.code === "cancelled" ? null : error);
    }
    refresh();
  }

  async forget() {
    const job = this.job;
    this.job = null;
    if (job) await request(`/v1/video/${job}`, { method: "DELETE" }).catch(() => {});
  }

  player() {
    const node = element("video", { controls: true, playsInline: true, preload: "auto",
      src: `/v1/video/${this.job}/annotated.mp4` });
    node.addEventListener("error", () => {
      if (node.src.startsWith("blob:") || this.hides) return; // The original would show who is hidden.
      node.src = URL.createObjectURL(this.file);
      this.hint.textContent = text("playHint");
    });
    node.addEventListener("timeupdate", () => this.view?.setTime(node.currentTime));
    return node;
  }

  show() {
    const names = NAMES[language()];
    const title = element("h2", { text: this.data.source });
    this.hint = element("p", { className: "message", role: "status" });
    if (this.state.error) this.hint.textContent = reasonOf({ code: this.state.error_code, message: this.state.error });
    this.video ??= null;
    this.video = this.player();
    const onSeek = (seconds) => {
      this.video.currentTime = seconds;
    };
    const chart = element("div", { className: "lanes" });
    const draw = () => {
      const people = this.data.people.filter((person) => this.chosen.has(person.id));
      this.view = lanes(chart, this.data, { names, lang: language(), onSeek, people });
    };
    const chips = element("div", { className: "chips", role: "group", "aria-label": text("people") });
    for (const person of this.data.people) {
      const chip = element("button", { type: "button", text: text("person", { n: person.id }),
        "aria-pressed": "true" });
      chip.addEventListener("click", () => {
        if (!this.chosen.delete(person.id)) this.chosen.add(person.id);
        chip.setAttribute("aria-pressed", String(this.chosen.has(person.id)));
        draw();
      });
      chip.setAttribute("aria-pressed", String(this.chosen.has(person.id)));
      chips.append(chip);
    }
    draw();
    const best = element("div");
    moments(best, this.data, { names, lang: language(), onSeek });
    const files = this.state.files.filter((file) => file !== "people.json" && file !== "events.jsonl");
    const downloads = element("div", { className: "downloads" }, ...files.map((file) => {
      const button = element("button", { type: "button", text: file });
      button.addEventListener("click", async () => {
        const name = `${this.data.source.replace(/\.[^.]*$/, "")}-${file}`;
        try {
          save(await (await request(`/v1/video/${this.job}/${file}`)).blob(), name);
        } catch (error) {
          tell(this.hint, error);
        }
      });
      return button;
    }));
    const remove = element("button", { type: "button", text: text("remove"), className: "clip-remove" });
    remove.addEventListener("click", async () => {
      await this.forget();
      this.empty();
      refresh();
    });
    const beside = element("div", {}, element("h2", { text: text("timeline") }),
      ...(this.data.people.length > 1 ? [chips] : []), chart);
    this.busy = false;
    this.fill(title,
      element("div", { className: "split" }, element("div", {}, this.video, this.hint), beside),
      element("h2", { text: text("moments") }), best,
      element("h2", { text: text("downloads") }), downloads, element("div", { className: "row" }, remove));
  }
}

function refresh() {
  get("clip-add").hidden = clips.length > 1 || !clips[0].data;
}

export function setup() {
  clips.push(new Clip());
  get("clip-add").addEventListener("click", () => {
    clips.push(new Clip());
    refresh();
  });
  onLanguage(() => {
    for (const clip of clips) {
      if (clip.data) clip.show();
      else if (!clip.busy) clip.empty(clip.problem);
    }
  });
  addEventListener("pagehide", (event) => {
    if (event.persisted) return; // "Back" shows the page again, with its clips.
    for (const clip of clips) {
      if (clip.job) fetch(`/v1/video/${clip.job}`, { method: "DELETE", keepalive: true });
    }
  });
}

export const leave = () => clips.forEach((clip) => clip.video?.pause());
