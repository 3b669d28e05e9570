// Draws the people of a video over time. Used by reports, where it is inlined, and by the studio.
// Text is set with textContent only: names of files are not trusted.
"use strict";
globalThis.fastferTimeline = (() => {
  const COLORS = { angry: "#ce2015", disgust: "#52ab60", fear: "#c33abc", happy: "#f3c644",
    sad: "#2253ff", surprise: "#62edf2", neutral: "#828287", contempt: "#e1ffc3" };
  const WORDS = {
    en: { timeline: "Emotions over time", moments: "Best moments", none: "No face was found.",
      person: "person", at: "at", facts: "{frames} frames, {duration} s, {people} people",
      hidden: "and {hidden} more people, in view for a shorter time",
      female: "female", male: "male", years: "{age} years",
      looks: "Perceived gender and age: how a face looks to strangers, no fact about a person.",
      limits: "Shown expressions, as a stranger would label them; not what people feel or think." },
    vi: { timeline: "Cảm xúc theo thời gian", moments: "Khoảnh khắc rõ nhất",
      none: "Không tìm thấy khuôn mặt nào.", person: "người", at: "lúc",
      facts: "{frames} khung hình, {duration} giây, {people} người",
      hidden: "và {hidden} người khác, xuất hiện ngắn hơn",
      female: "nữ", male: "nam", years: "{age} tuổi",
      looks: "Giới tính và tuổi theo vẻ ngoài: khuôn mặt trông thế nào trong mắt người lạ, không phải sự thật về một người.",
      limits: "Biểu cảm thể hiện ra, như một người lạ nhìn vào; không phải điều người đó nghĩ hay cảm thấy." },
  };

  function element(name, options = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(options)) {
      if (key === "text") node.textContent = value;
      else if (key in node) node[key] = value;
      else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key]);

  function clock(seconds, step = 1) {
    const digits = step < 1 ? 1 : 0;
    const minutes = Math.floor(seconds / 60);
    const rest = (seconds - 60 * minutes).toFixed(digits).padStart(digits ? 4 : 2, "0");
    return `${minutes}:${rest}`;
  }

  // One area per emotion, stacked; gaps while the person is out of view.
  function areas(person, data) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    const columns = Math.max(1, data.duration / data.step);
    svg.setAttribute("viewBox", `0 0 ${columns} 100`);
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    // The last frame of a run lasts as long as others.
    const lasting = Math.max(1, Math.round((data.frame ?? 0) / data.step));
    const runs = [];
    for (const bin of person.bins) {
      const last = runs.at(-1)?.at(-1);
      if (last && bin[0] - last[0] <= Math.max(2, 0.5 / data.step)) runs.at(-1).push(bin);
      else runs.push([bin]);
    }
    data.emotions.forEach((emotion, index) => {
      const pieces = [];
      for (const run of runs) {
        const points = [...run.map((bin) => [bin[0], bin]), [Math.min(run.at(-1)[0] + lasting, columns), run.at(-1)]];
        const edge = (bin, count) => {
          const sum = bin.slice(1).reduce((a, b) => a + b, 0) || 1;
          return 100 - (bin.slice(1, 1 + count).reduce((a, b) => a + b, 0) / sum) * 100;
        };
        const low = points.map(([x, bin]) => `${x} ${edge(bin, index).toFixed(1)}`);
        const high = points.map(([x, bin]) => `${x} ${edge(bin, index + 1).toFixed(1)}`).reverse();
        pieces.push(`M${low.join("L")}L${high.join("L")}Z`);
      }
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("d", pieces.join(""));
      path.setAttribute("fill", COLORS[emotion]);
      svg.append(path);
    });
    return svg;
  }

  // How a face looks, in words; nothing if that was not asked for.
  function looks(attributes, lang) {
    const words = WORDS[lang];
    const found = [];
    if (attributes?.perceived_gender) found.push(words[attributes.perceived_gender]);
    if (attributes?.age_group) found.push(fill(words.years, { age: attributes.age_group }));
    return found;
  }

  function describe(person, data, names, seconds, words) {
    const at = Math.floor(seconds / data.step);
    const near = person.bins.filter((bin) => Math.abs(bin[0] - at) * data.step <= 0.5);
    const bin = near.sort((a, b) => Math.abs(a[0] - at) - Math.abs(b[0] - at))[0];
    const head = `#${person.id} ${words.at} ${clock(seconds, data.step)}`;
    if (!bin) return head;
    const best = bin.slice(1).map((p, i) => [p, i]).sort((a, b) => b[0] - a[0]).slice(0, 3);
    return `${head}: ${best.map(([p, i]) => `${names[data.emotions[i]]} ${p} %`).join(", ")}`;
  }

  // Lanes of `people` (all by default) into `parent`. onSeek(seconds) is called by click and keys.
  // Returns {setTime(seconds)}.
  function lanes(parent, data, { names, lang = "en", onSeek = () => {}, people = null } = {}) {
    const words = WORDS[lang];
    const shown = people ?? data.people;
    parent.replaceChildren();
    const legend = element("div", { className: "ff-legend" });
    for (const emotion of data.emotions) {
      const swatch = element("span", { className: "ff-swatch" });
      swatch.style.background = COLORS[emotion];
      legend.append(element("span", {}, swatch, names[emotion]));
    }
    const tip = element("p", { className: "ff-tip", role: "status" });
    const tracks = [];
    let now = 0;
    const move = (seconds) => {
      now = Math.min(Math.max(0, seconds), data.duration);
      for (const { cursor, track, person } of tracks) {
        cursor.style.left = `${(now / Math.max(data.duration, 1e-6)) * 100}%`;
        track.setAttribute("aria-valuenow", now.toFixed(1));
        track.setAttribute("aria-valuetext", describe(person, data, names, now, words));
      }
    };
    for (const person of shown) {
      const who = element("div", { className: "ff-who" });
      if (person.picture) who.append(element("img", { src: person.picture, alt: "" }));
      who.append(element("span", { text: `#${person.id}` }));
      for (const line of looks(person.attributes, lang)) {
        who.append(element("span", { className: "ff-look", text: line, title: words.looks }));
      }
      const cursor = element("div", { className: "ff-cursor" });
      const track = element("div", { className: "ff-track", tabIndex: 0, role: "slider",
        "aria-label": `${words.person} ${person.id}`, "aria-valuemin": "0",
        "aria-valuemax": data.duration.toFixed(1) }, areas(person, data), cursor);
      const seek = (seconds) => {
        move(seconds);
        tip.textContent = describe(person, data, names, now, words);
        onSeek(now);
      };
      track.addEventListener("click", (event) => {
        const area = track.getBoundingClientRect();
        seek(((event.clientX - area.left) / area.width) * data.duration);
      });
      track.addEventListener("mousemove", (event) => {
        const area = track.getBoundingClientRect();
        const seconds = ((event.clientX - area.left) / area.width) * data.duration;
        tip.textContent = describe(person, data, names, Math.max(0, seconds), words);
      });
      track.addEventListener("keydown", (event) => {
        const jumps = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: data.duration,
          PageDown: now - 10, PageUp: now + 10 };
        if (event.key in jumps) {
          event.preventDefault();
          seek(jumps[event.key]);
        }
      });
      tracks.push({ cursor, track, person });
      parent.append(element("div", { className: "ff-lane" }, who, track));
    }
    if (shown.length) {
      const half = data.duration / 2;
      parent.append(element("div", { className: "ff-axis" },
        ...[0, half, data.duration].map((t) => element("span", { text: clock(t, data.step) }))));
      parent.prepend(legend);
      parent.append(tip);
    } else parent.append(element("p", { text: words.none }));
    if (data.hidden) parent.append(element("p", { text: fill(words.hidden, data) }));
    move(0);
    return { setTime: move };
  }

  function moments(parent, data, { names, lang = "en", onSeek = () => {} } = {}) {
    const words = WORDS[lang];
    const row = element("div", { className: "ff-moments" });
    for (const moment of data.moments) {
      const button = element("button", { className: "ff-moment", type: "button" });
      if (moment.picture) button.append(element("img", { src: moment.picture, alt: "" }));
      button.append(
        element("strong", { text: names[moment.emotion] }),
        element("span", { text: `#${moment.person} ${words.at} ${clock(moment.pts, data.step)}` }),
        element("span", { text: `${Math.round(moment.score * 100)} %` }));
      button.addEventListener("click", () => onSeek(moment.pts));
      row.append(button);
    }
    parent.replaceChildren(row);
  }

  function report(data) {
    const { lang, names } = data;
    const words = WORDS[lang];
    const get = (id) => document.getElementById(id);
    get("facts").textContent = fill(words.facts, { frames: data.frames,
      duration: data.duration.toFixed(1), people: data.people.length + data.hidden });
    const asked = data.people.some((person) => person.attributes);
    get("limits").textContent = asked ? `${words.limits} ${words.looks}` : words.limits;
    const drawn = element("div");
    const view = lanes(drawn, data, { names, lang });
    get("timeline").append(element("h2", { text: words.timeline }), drawn);
    const best = element("div");
    const onSeek = (seconds) => {
      view.setTime(seconds);
      get("timeline").scrollIntoView({ block: "nearest" });
    };
    moments(best, data, { names, lang, onSeek });
    if (data.moments.length) get("moments").append(element("h2", { text: words.moments }), best);
  }

  return { lanes, moments, report, clock, element, looks, WORDS, COLORS };
})();
