// The page: settings, the job that runs, the picture that is shown, and the gallery.

import * as gallery from "/gallery.js";
import { MaskEditor } from "/mask.js";

const $ = (id) => document.getElementById(id);
const texts = ["prompt", "negative_prompt"];
const numbers = ["steps", "cfg_scale", "count", "width", "height", "seed", "strength", "mask_blur", "hires", "hires_strength", "hires_steps", "hires_cfg_scale"];
const choices = ["model", "scheduler", "mask_content", "hires_upscaler", "hires_scheduler"];
const largerTexts = ["hires_prompt", "hires_negative_prompt"];
const checks = ["uses-mask", "only-masked"];
const editor = new MaskEditor($("canvas"), $("canvas-box"));

let info;
let pictures = [];
let shown = -1;
let job = null;

// --- What is asked of the server

class ServerError extends Error {
  constructor(message, field, status) {
    super(message);
    this.field = field;
    this.status = status;
  }
}

async function ask(path, { method = "GET", body, raw = false } = {}) {
  const headers = {};
  if ($("key").value) headers["X-API-Key"] = $("key").value;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new ServerError("The server can't be reached.");
  }
  if (!response.ok) {
    const problem = await response.json().then((answer) => answer.error, () => null);
    if (response.status === 401) $("access").open = true;
    const wait = response.headers.get("Retry-After");
    const message = problem?.message ?? `The server answered with ${response.status}.`;
    throw new ServerError(wait ? `${message} Try again in ${wait} s.` : message, problem?.field, response.status);
  }
  if (raw) return response;
  return response.status === 204 ? null : response.json();
}

/** The events of a job, one by one. */
async function* events(id) {
  const reader = (await ask(`/v1/jobs/${id}/events`, { raw: true })).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    rest += value;
    const parts = rest.split("\n\n");
    rest = parts.pop();
    for (const part of parts) {
      const name = part.match(/^event: (.*)$/m)?.[1];
      const data = part.match(/^data: (.*)$/m)?.[1];
      if (name && data) yield { name, data: JSON.parse(data) };
    }
  }
}

function showError(error) {
  $("error").hidden = !error;
  $("error").textContent = error ? error.message : "";
  for (const field of document.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  const field = error?.field && $(error.field);
  if (field) {
    field.setAttribute("aria-invalid", "true");
    const folded = field.closest("details");
    if (folded) folded.open = true;
    field.focus();
  }
}

// --- Settings, which outlast the page

const memory = {
  get: (name) => { try { return JSON.parse(localStorage.getItem(`sd-onnx.${name}`)); } catch { return null; } },
  set: (name, value) => { try { localStorage.setItem(`sd-onnx.${name}`, JSON.stringify(value)); } catch { /* full, or forbidden */ } },
};

function saveSettings() {
  const settings = {};
  for (const name of [...texts, ...largerTexts, ...numbers, ...choices]) settings[name] = $(name).value;
  for (const name of checks) settings[name] = $(name).checked;
  memory.set("settings", settings);
  memory.set("key", $("key").value);
}

function loadSettings() {
  const settings = memory.get("settings") ?? {};
  const selected = info.models.find((model) => model.name === settings.model) ?? info.models.find((model) => model.chosen);
  $("model").value = selected.name;
  takeModel();
  for (const name of [...texts, ...largerTexts, ...numbers, ...choices]) {
    if (name !== "model" && settings[name] !== undefined) $(name).value = settings[name];
  }
  for (const name of checks) $(name).checked = settings[name] ?? false;
  for (const name of choices) if (!$(name).value) $(name).selectedIndex = 0;
  openLarger();
  showValues();
}

function currentModel() {
  return info.models.find((model) => model.name === $("model").value) ?? info.models[0];
}

/** The defaults of the model. */
function takeModel() {
  const model = currentModel();
  $("steps").value = model.steps;
  $("cfg_scale").value = model.cfg_scale;
  $("count").value ||= 1;
  $("strength").value = 0.6;
  [$("width").value, $("height").value] = [model.width, model.height];
  for (const name of ["width", "height"]) {
    $(name).step = $(name).min = model.multiple;
    $(name).disabled = model.fixed_size;
  }
  const round = (size) => Math.max(Math.round(size / model.multiple), 1) * model.multiple;
  const base = model.width;
  const sizes = [[1, 1], [3, 2], [2, 3], [4, 3], [3, 4], [16, 9], [9, 16]].map(([w, h]) => {
    const scale = Math.sqrt(w * h);
    return [round((base * w) / scale), round((base * h) / scale), `${w}:${h}`];
  });
  $("preset").replaceChildren(new Option("own size", ""), ...sizes.map(([w, h, name]) => new Option(`${name} · ${w}×${h}`, `${w}x${h}`)));
  $("preset").disabled = model.fixed_size;
  showValues();
}

function showValues() {
  const size = `${$("width").value}x${$("height").value}`;
  $("preset").value = [...$("preset").options].some((option) => option.value === size) ? size : "";
  $("random").setAttribute("aria-pressed", String(isRandom()));
  $("strength-value").textContent = $("strength").value;
  $("hires_strength-value").textContent = $("hires_strength").value;
  $("larger-more").hidden = $("larger-own").hidden = !isLarger();
  const isOver = !$("start").hidden;
  $("hires").disabled = $("hires_upscaler").disabled = isOver;
  const sides = ["width", "height"].map((name) => {
    const side = Math.floor($(name).value * $("hires").value);
    return side - (side % currentModel().multiple);
  });
  $("larger-note").textContent = isOver ? "Pictures from a prompt alone have one." : isLarger() ? `The picture will have ${sides[0]}×${sides[1]} pixels.` : "";
  $("brush-value").textContent = $("brush").value;
  $("zoom-value").textContent = `${$("zoom").value}×`;
  $("mask-tools").hidden = !$("uses-mask").checked;
}

const isLarger = () => $("hires").value !== "" && $("start").hidden;
const isRandom = () => $("seed").value === "" || Number($("seed").value) < 0;

/** Takes what a picture was made with. */
function restore(record) {
  const model = info.models.find((model) => model.name === record.model);
  if (model) {
    $("model").value = model.name;
    takeModel();
  }
  $("prompt").value = (record.prompt ?? "") + adapterTags(record);
  $("negative_prompt").value = record.negative_prompt ?? "";
  for (const name of ["steps", "cfg_scale", "width", "height", "seed"]) if (record[name] != null) $(name).value = record[name];
  $("count").value = 1;
  if (record.strength != null) $("strength").value = record.strength;
  const hires = record.hires;
  const isStated = hires?.stated_width != null || hires?.stated_height != null;
  restoreLarger(hires && { scale: isStated ? hires.width / record.width : hires.scale, ...hires, upscaler: hires.upscaler.replace(/\.onnx$/, "") });
  choose("scheduler", record.scheduler ?? "");
  didChange();
}

/** Chooses what may not be in the list. */
function choose(name, value) {
  if (![...$(name).options].some((option) => option.value === value)) $(name).add(new Option(value, value));
  $(name).value = value;
}

/** What a second pass has of its own is seen where there is any. */
function openLarger() {
  $("larger-own").open = [...largerTexts, "hires_scheduler", "hires_cfg_scale"].some((name) => $(name).value !== "");
}

/** Takes a second pass; nothing for none. */
function restoreLarger(pass) {
  $("hires").value = pass ? Math.round(1000 * pass.scale) / 1000 : "";
  $("hires_prompt").value = pass?.prompt ?? "";
  $("hires_negative_prompt").value = pass?.negative_prompt ?? "";
  $("hires_cfg_scale").value = pass?.cfg_scale ?? "";
  choose("hires_scheduler", pass?.scheduler ?? "");
  openLarger();
  if (!pass) return;
  if (pass.strength != null) $("hires_strength").value = pass.strength;
  $("hires_steps").value = pass.steps ?? "";
  if ([...$("hires_upscaler").options].some((option) => option.value === pass.upscaler)) $("hires_upscaler").value = pass.upscaler;
}

/** Puts the tag of the chosen LoRA behind the prompt, once: there its weight can be changed, and a picture's settings have it. */
function addAdapter() {
  const name = $("lora").value;
  $("lora").value = "";
  if (!name || $("prompt").value.includes(`<lora:${name}:`)) return;
  $("prompt").value = `${$("prompt").value.trimEnd()} <lora:${name}:1>`.trimStart();
  $("prompt").dispatchEvent(new Event("input", { bubbles: true }));
}

/** Tags for LoRAs that a picture had and its prompt doesn't name, as far as the server has them. */
function adapterTags(record) {
  return (record.loras ?? record.adapters ?? [])
    .filter(({ name }) => info.loras.includes(name) && !record.prompt?.includes(`<lora:${name}:`))
    .map(({ name, weight, text_weight: text = weight }) => ` <lora:${name}:${text === weight ? weight : `${text}:${weight}`}>`)
    .join("");
}

/** Takes what is known of another program's picture, as far as it has a place here. */
function restoreSettings(settings) {
  const { hires, hires_width: width, hires_height: height } = settings;
  const isLarge = hires || width || height;
  // Its names are "Latent (nearest-exact)" and the like.
  const upscaler = (settings.hires_upscaler ?? "latent").toLowerCase().replace("none", "lanczos").replace(")", "").replace(/ \(| /g, "-");
  restore({
    ...settings,
    hires: isLarge && {
      scale: hires ?? (width ? width / settings.width : height / settings.height), strength: settings.hires_strength, upscaler,
      steps: settings.hires_steps, prompt: settings.hires_prompt, negative_prompt: settings.hires_negative_prompt,
      scheduler: settings.hires_scheduler, cfg_scale: settings.hires_cfg_scale,
    },
  });
}

function didChange() {
  showValues();
  saveSettings();
  countTokens();
}

let counting;
function countTokens() {
  clearTimeout(counting);
  counting = setTimeout(async () => {
    for (const name of texts) {
      try {
        const { tokens, limit, chunks } = await ask("/v1/tokens", { method: "POST", body: { prompt: $(name).value, model: $("model").value } });
        $(`${name}-count`).textContent = `${tokens} / ${limit * Math.max(chunks, 1)} tokens`;
      } catch (error) {
        $(`${name}-count`).textContent = error.status === 422 ? error.message : "";
      }
    }
  }, 250);
}

// --- The job

function request() {
  const body = { preview_every: 1, on_disconnect: "keep" };
  for (const name of texts) if ($(name).value) body[name] = $(name).value;
  body.prompt ??= "";
  for (const name of ["steps", "cfg_scale", "count", "width", "height"]) if ($(name).value !== "") body[name] = Number($(name).value);
  body.seed = isRandom() ? -1 : Number($("seed").value);
  body.model = $("model").value;
  if ($("scheduler").value) body.scheduler = $("scheduler").value;
  if (isLarger()) {
    body.hires = Number($("hires").value);
    body.hires_strength = Number($("hires_strength").value);
    body.hires_upscaler = $("hires_upscaler").value;
    for (const name of ["hires_steps", "hires_cfg_scale"]) if ($(name).value !== "") body[name] = Number($(name).value);
    for (const name of [...largerTexts, "hires_scheduler"]) if ($(name).value) body[name] = $(name).value;
  }
  if (!$("start").hidden) {
    body.init_image = editor.imageAddress;
    body.strength = Number($("strength").value);
    body.resize = "fill";
    if ($("uses-mask").checked) {
      if (editor.isEmpty) throw new ServerError("Nothing is painted over: paint what is to be made anew, or take the whole picture.");
      body.mask = editor.maskAddress;
      body.mask_blur = Number($("mask_blur").value || 0);
      body.mask_content = $("mask_content").value;
      if ($("only-masked").checked) {
        body.only_masked = 32;
        delete body.resize;
      }
    }
  }
  return body;
}

async function make() {
  if (job) return;
  showError(null);
  try {
    setWorking(true, "Asking the server …");
    const created = await ask("/v1/jobs", { method: "POST", body: request() });
    await watch(created.id);
  } catch (error) {
    showError(error);
    setWorking(false);
  }
}

function setWorking(isWorking, text = "") {
  $("working").hidden = !isWorking;
  $("make").disabled = isWorking;
  $("progress").textContent = text;
  if (isWorking) {
    $("shown").hidden = $("empty").hidden = true;
    // On a phone the picture is below the settings.
    if (matchMedia("(max-width: 52rem)").matches) $("stage").scrollIntoView({ block: "start" });
  }
  if (!isWorking) {
    $("bar").value = 0;
    $("preview").hidden = true;
    job = null;
    memory.set("job", null);
    show(shown);
  }
}

function seconds(value) {
  return value == null ? "" : value < 90 ? ` · ${Math.ceil(value)} s left` : ` · ${Math.ceil(value / 60)} min left`;
}

/** Follows a job to its end; where the connection breaks, again. */
async function watch(id) {
  job = id;
  memory.set("job", id);
  setWorking(true, "Waiting …");
  for (let attempt = 0; job === id; attempt += 1) {
    try {
      for await (const { name, data } of events(id)) {
        if (job !== id) return;
        attempt = 0;
        if (name === "state") {
          $("progress").textContent = data.state === "queued" ? `Waiting: number ${data.position ?? 1} in the queue` : "Starting …";
        } else if (name === "step") {
          $("bar").value = data.progress;
          $("progress").textContent = `Step ${data.step} of ${data.steps}${seconds(data.eta_seconds)}`;
        } else if (name === "preview") {
          $("preview").src = data.image;
          $("preview").hidden = false;
        } else if (name === "done") {
          return await finish(data);
        }
      }
    } catch (error) {
      if (error.status || attempt > 20) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function finish(data) {
  for (const picture of data.pictures) {
    const blob = await (await ask(picture.url, { raw: true })).blob();
    await gallery.add({ blob, record: picture.record, parameters: picture.parameters });
  }
  setWorking(false);
  ask(`/v1/jobs/${data.id}`, { method: "DELETE" }).catch(() => {});
  await loadGallery();
  if (data.pictures.length > 0) show(data.pictures.length - 1);
  if (data.error) showError(new ServerError(data.error.message, data.error.field));
  else if (data.state === "cancelled") $("queue").textContent = "Cancelled.";
  if (data.notices.length > 0) $("queue").textContent = data.notices.join(" ");
}

async function cancel() {
  const id = job;
  if (!id) return setWorking(false);
  // The answer is given at once; the server follows within a step.
  const hadFocus = document.activeElement === $("cancel");
  setWorking(false);
  if (hadFocus) $("make").focus();
  $("queue").textContent = "Cancelled.";
  await ask(`/v1/jobs/${id}`, { method: "DELETE" }).catch(() => {});
}

// --- The gallery, the newest first

async function loadGallery() {
  for (const picture of pictures) URL.revokeObjectURL(picture.address);
  pictures = await gallery.all().catch(() => []);
  for (const picture of pictures) picture.address = URL.createObjectURL(picture.blob);
  $("gallery").replaceChildren(...pictures.map((picture, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `Show the picture of "${picture.record.prompt}", seed ${picture.record.seed}`);
    const image = document.createElement("img");
    image.src = picture.address;
    image.alt = "";
    image.loading = "lazy";
    button.append(image);
    button.addEventListener("click", () => show(index));
    const item = document.createElement("li");
    item.append(button);
    return item;
  }));
}

function show(index) {
  shown = pictures.length === 0 ? -1 : Math.min(Math.max(index, 0), pictures.length - 1);
  const picture = pictures[shown];
  $("shown").hidden = !picture || job !== null;
  $("empty").hidden = Boolean(picture) || job !== null;
  $("gallery-title").hidden = pictures.length === 0;
  [...$("gallery").querySelectorAll("button")].forEach((button, place) => button.setAttribute("aria-current", String(place === shown)));
  if (!picture) return;
  $("picture").src = $("download").href = picture.address;
  $("picture").alt = `A picture of "${picture.record.prompt}"`;
  $("download").download = `${picture.record.prompt.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60) || "picture"}-${picture.record.seed}.png`;
  $("settings").textContent = picture.parameters;
}

async function removeShown() {
  if (!pictures[shown]) return;
  await gallery.remove(pictures[shown].id);
  await loadGallery();
  show(shown);
}

// --- A picture to start from

function startFrom(address, withMask) {
  const image = new Image();
  image.onload = () => {
    editor.setImage(image);
    $("start").hidden = false;
    $("drop").hidden = true;
    $("brush").max = Math.max(image.naturalWidth, image.naturalHeight) / 2;
    $("brush").value = editor.brush;
    if (withMask !== undefined) $("uses-mask").checked = withMask;
    editor.setOn($("uses-mask").checked);
    didChange();
    $("canvas-box").scrollIntoView({ block: "nearest" });
  };
  image.onerror = () => showError(new ServerError("This file isn't a picture that can be read, expected a PNG or JPEG."));
  image.src = address;
}

function removeStart() {
  $("start").hidden = true;
  $("drop").hidden = false;
  $("file").value = "";
  showValues();
}

function address(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(new ServerError("The file can't be read."));
    reader.readAsDataURL(file);
  });
}

/** A picture that was dropped: its settings, or, where it has none, the picture to start from. */
async function take(file, wantsStart) {
  showError(null);
  try {
    const data = await address(file);
    if (wantsStart) return startFrom(data);
    const found = await ask("/v1/settings", { method: "POST", body: { image: data } });
    if (found.record) restore(found.record);
    else if (found.settings) restoreSettings(found.settings);
    else return startFrom(data);
    $("queue").textContent = "The settings of the picture were taken.";
  } catch (error) {
    showError(error);
  }
}

// --- The parts together

function connect() {
  $("form").addEventListener("submit", (event) => { event.preventDefault(); make(); });
  $("form").addEventListener("input", (event) => {
    if (event.target.id === "model") takeModel();
    if (event.target.id === "preset" && $("preset").value) [$("width").value, $("height").value] = $("preset").value.split("x");
    if (event.target.id === "brush") editor.brush = Number($("brush").value);
    if (event.target.id === "zoom") editor.setZoom(Number($("zoom").value));
    if (event.target.id === "uses-mask") editor.setOn($("uses-mask").checked);
    if (event.target.id !== "file") didChange();
  });
  $("cancel").addEventListener("click", cancel);
  $("swap").addEventListener("click", () => { [$("width").value, $("height").value] = [$("height").value, $("width").value]; didChange(); });
  $("lora").addEventListener("change", addAdapter);
  $("random").addEventListener("click", () => { $("seed").value = ""; didChange(); });
  $("recycle").addEventListener("click", () => { if (pictures[shown]) $("seed").value = pictures[shown].record.seed; didChange(); });
  $("previous").addEventListener("click", () => show(shown - 1));
  $("next").addEventListener("click", () => show(shown + 1));
  $("restore").addEventListener("click", () => pictures[shown] && restore(pictures[shown].record));
  $("to-start").addEventListener("click", () => pictures[shown] && startFrom(pictures[shown].address, false));
  $("to-mask").addEventListener("click", () => pictures[shown] && startFrom(pictures[shown].address, true));
  $("delete").addEventListener("click", removeShown);
  $("remove").addEventListener("click", removeStart);
  $("eraser").addEventListener("click", () => {
    editor.erases = !editor.erases;
    $("eraser").setAttribute("aria-pressed", String(editor.erases));
  });
  $("undo").addEventListener("click", () => editor.undo());
  $("clear").addEventListener("click", () => editor.clear());
  $("file").addEventListener("change", () => $("file").files[0] && take($("file").files[0], true));
  $("key").addEventListener("change", begin);
  $("theme").addEventListener("click", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    memory.set("theme", theme);
  });
  addEventListener("dragover", (event) => { event.preventDefault(); $("drop").classList.add("over"); });
  addEventListener("dragleave", () => $("drop").classList.remove("over"));
  addEventListener("drop", (event) => {
    event.preventDefault();
    $("drop").classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (file) take(file, event.target.closest?.("fieldset") !== null);
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      return make();
    }
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      event.preventDefault();
      show(shown + (event.key === "ArrowRight" ? 1 : -1));
    }
    if (event.key === "Escape" && job) cancel();
  });
}

async function showQueue() {
  if (document.hidden || job) return;
  const queue = await ask("/v1/queue").catch(() => null);
  if (queue && queue.waiting + queue.running > 0) $("queue").textContent = `${queue.waiting + queue.running} in the queue`;
  else if (queue && /in the queue$/.test($("queue").textContent)) $("queue").textContent = "";
}

async function begin() {
  showError(null);
  try {
    info = await ask("/v1/info");
    $("model").replaceChildren(...info.models.map((model) => new Option(model.name, model.name)));
    $("lora").replaceChildren(new Option("choose …", ""), ...info.loras.map((name) => new Option(name, name)));
    $("lora-field").hidden = info.loras.length === 0;
    $("scheduler").replaceChildren(new Option("the model's", ""), ...info.schedulers.map((name) => new Option(name, name)));
    $("hires_scheduler").replaceChildren(new Option("the same", ""), ...info.schedulers.map((name) => new Option(name, name)));
    $("hires_upscaler").replaceChildren(...info.upscalers.map((name) => new Option(name, name)));
    $("steps").max = $("hires_steps").max = info.limits.steps;
    $("count").max = info.limits.batch;
    loadSettings();
    countTokens();
    const last = memory.get("job");
    if (last) await watch(last).catch(() => setWorking(false));
  } catch (error) {
    showError(error);
  }
}

document.documentElement.dataset.theme = memory.get("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
$("key").value = memory.get("key") ?? "";
connect();
await loadGallery();
show(0);
await begin();
setInterval(showQueue, 5000);
