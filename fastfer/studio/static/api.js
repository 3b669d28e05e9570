// Requests to the server that this page came from.

import { text } from "./i18n.js";

export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const lost = () => new ApiError(0, "source_lost", "the connection to the server was lost");

const dialog = document.getElementById("token-dialog");
let asking = null;

async function enter(token) {
  const answer = await fetch("/v1/session", { method: "POST", body: token });
  return answer.ok;
}

// Ask until the server accepts a token.
function askToken() {
  asking ??= new Promise((resolve) => {
    const form = dialog.querySelector("form");
    const input = document.getElementById("token");
    const message = document.getElementById("token-message");
    message.textContent = "";
    dialog.showModal();
    dialog.onclose = () => asking && dialog.showModal(); // By Escape: nothing works without a token.
    form.onsubmit = async (event) => {
      event.preventDefault();
      if (await enter(input.value)) {
        input.value = "";
        dialog.close();
        asking = null;
        resolve();
      } else message.textContent = text("wrongToken");
    };
  });
  return asking;
}

// The token may come in the fragment, which browsers do not send.
export async function login() {
  const match = /^#token=(.+)$/.exec(location.hash);
  if (!match) return;
  history.replaceState(null, "", location.pathname + location.search);
  await enter(decodeURIComponent(match[1]));
}

export async function request(path, options = {}) {
  for (;;) {
    const answer = await fetch(path, options).catch(() => Promise.reject(lost()));
    if (answer.status === 401) {
      await askToken();
      continue;
    }
    if (answer.status === 429 && !options.signal?.aborted) {
      const wait = Number(answer.headers.get("retry-after")) || 1;
      await new Promise((resolve) => setTimeout(resolve, wait * 1000));
      continue;
    }
    if (!answer.ok) {
      const problem = await answer.json().catch(() => ({}));
      throw new ApiError(answer.status, problem.error_code, problem.error ?? answer.statusText);
    }
    return answer;
  }
}

// Options that are not set are left out, except attributes: none is other than the server's default.
export function query(values) {
  const given = Object.entries(values)
    .filter(([key, value]) => key === "attributes" || (value !== "" && value !== false));
  return given.length ? `?${new URLSearchParams(given)}` : "";
}

const BINARY = { headers: { "content-type": "application/octet-stream" } };

// The result of one picture.
export async function analyze(blob, options = {}) {
  const answer = await request(`/v1/analyze${query(options)}`, { method: "POST", body: blob, ...BINARY });
  return (await answer.json()).results[0];
}

export async function annotate(blob, options = {}) {
  const answer = await request(`/v1/annotate${query(options)}`, { method: "POST", body: blob, ...BINARY });
  return answer.blob();
}

// A proxy may answer with something else than JSON.
function parsed(answer) {
  try {
    return JSON.parse(answer);
  } catch {
    return {};
  }
}

// Upload with progress, which fetch does not report.
export function upload(path, blob, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const http = new XMLHttpRequest();
    http.open("POST", path);
    http.setRequestHeader("content-type", "application/octet-stream");
    http.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    http.onload = async () => {
      const answer = parsed(http.responseText);
      if (http.status === 401) {
        await askToken();
        resolve(upload(path, blob, onProgress, signal));
      } else if (http.status < 300) resolve(answer);
      else reject(new ApiError(http.status, answer.error_code, answer.error ?? `${http.status} ${http.statusText}`));
    };
    http.onerror = () => reject(lost());
    http.onabort = () => reject(new ApiError(0, "cancelled", "cancelled"));
    signal.addEventListener("abort", () => http.abort());
    http.send(blob);
  });
}

// What a box for attributes asks for: what the server estimates by default, or all.
let attributes = "gender,age";

export function setDefaultAttributes(names) {
  if (names.length) attributes = names.join(",");
}

export const attributesOf = (box) => (box.checked ? attributes : "");

export function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
