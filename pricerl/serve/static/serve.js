"use strict";

/* Words in the reader's language, with their values. */
let known;
function say(words, values = {}) {
  known ??= JSON.parse(document.querySelector?.("meta[name=words]")?.content || "{}");
  return (known[words] || words).replace(/\{(\w+)\}/g, (_, name) => values[name]);
}

/* What advice.json says of one price of its curves, in the form of an answer to /what-if. */
function figuresAt(product, at) {
  const { curves, objections } = product.details;
  const price = curves.price[at];
  const known = ["profit", "sales", "units"].filter((name) => curves[name] && curves.gain[name]);
  const measures = known.map((name) => [name, { asked: curves[name][at], gain: curves.gain[name][at] }]);
  const said = objections.filter((item) => item.low <= price && price <= item.high);
  return {
    price,
    measures: Object.fromEntries(measures),
    probability_better: curves.better ? curves.better[at] : null,
    num_draws: product.num_draws,
    objections: said.map((item) => item.why),
    allowed: said.length ? said[0].nearest : price,
  };
}

/* Place of the price of the curves that is nearest to another one. */
function nearest(prices, price) {
  return prices.reduce((best, other, at) => (Math.abs(other - price) < Math.abs(prices[best] - price) ? at : best), 0);
}

/* Writers of numbers, prices and money in the locale and currency of an advice. */
function writers(product, place) {
  const locale = (place || product.locale).replace("_", "-");
  const money = product.currency ? { style: "currency", currency: product.currency } : {};
  const two = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  const digits = { minimumFractionDigits: product.price_decimals, maximumFractionDigits: product.price_decimals };
  const write = (options) => (value) => new Intl.NumberFormat(locale, options).format(value).replace("-", "−");
  return {
    price: write({ ...money, ...digits }),
    amount: { units: write(two), sales: write({ ...money, ...two }), profit: write({ ...money, ...two }) },
    gain: write({ ...two, signDisplay: "exceptZero" }),
  };
}

const element = (name, text, more = {}) => Object.assign(document.createElement(name), { textContent: text, ...more });
const drawn = (name, more) => {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  Object.entries(more).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
};

/* The point on the curve that is dragged; returns a function that moves it to a price and a height. */
function drawHandle(slider) {
  const frame = slider.parentElement.querySelector("g[data-x]");
  const [[left, right], [low, high]] = ["x", "y"].map((key) => frame.dataset[key].split(" ").map(Number));
  const handle = drawn("g", { class: "handle" });
  const line = drawn("line", { y1: 22, y2: 180 });
  const point = drawn("circle", { r: 5 });
  handle.append(line, point);
  frame.parentElement.append(handle);
  Object.assign(slider, { min: left, max: right });
  return (price, value) => {
    const share = Math.min(Math.max((price - left) / (right - left), 0), 1);
    const x = 62 + share * 272;
    ["x1", "x2"].forEach((key) => line.setAttribute(key, x));
    point.setAttribute("cx", x);
    point.setAttribute("cy", 180 - (158 * (value - low)) / (high - low));
  };
}

/* Dragging answers at prices of the curves at once; typed prices and another unit cost are asked of /what-if, and
   figures are grey meanwhile. At the advised price stand the figures of the advice itself. Limits that delay the advised
   change do not object to it. */
function showSlider(box, product) {
  const write = writers(product, box.dataset.locale);
  const find = (id) => document.getElementById(id);
  const [slider, typed, cost, figures, heads] = ["at", "typed", "cost", "figures", "heads"].map(find);
  const { price: prices, ...curves } = product.details.curves;
  const own = [...figures.children];
  const ownHeads = [...heads.children];
  const place = drawHandle(slider);
  const hint = find("better").textContent;
  const isAdvised = () => Number(typed.value) === product.recommended_price && !cost.value;
  const rowOf = ([name, found]) => {
    const label = element("th", say(name[0].toUpperCase() + name.slice(1)), { scope: "row" });
    const row = element("tr", "");
    const texts = ["–", "–", "–"];
    if (found) {
      const [mean, low, high] = found.gain.map(write.gain);
      texts.splice(0, 3, write.amount[name](product.keep[name][0]), write.amount[name](found.asked[0]), mean);
      if (low !== high) texts[3] = `(${say("{low} to {high}", { low, high })})`;
    }
    const cells = texts.slice(0, 3).map((text) => {
      const cell = element("td", "");
      cell.append(element("span", text, { className: "value" }));
      return cell;
    });
    if (texts[3]) cells[2].append(element("span", ` ${texts[3]}`, { className: "range" }));
    row.append(label, ...cells);
    return row;
  };
  const unknown = Object.fromEntries(Object.keys(figuresAt(product, 0).measures).map((name) => [name, null]));
  const show = (found, waits = false) => {
    const { measures = {}, objections = [], allowed, probability_better: share = null, num_draws: draws, detail = "" } = found;
    find("price").textContent = slider.ariaValueText = write.price(typed.value);
    if (find("ordered")) find("ordered").value = typed.value; // absent for those who may not decide
    const known = ["profit", "sales", "units"].filter((name) => name in measures).map((name) => [name, measures[name]]);
    const texts = ["", say("keep {price}", { price: write.price(product.current_price) }), say("charge {price}", { price: write.price(typed.value) }), say("difference (90 %)")];
    const row = element("tr", "");
    row.append(...texts.map((text) => element("th", text, { scope: "col" })));
    heads.replaceChildren(...(isAdvised() ? ownHeads : [row]));
    figures.replaceChildren(...(isAdvised() ? own : known.map(rowOf)));
    figures.className = waits ? "asking" : "";
    const better = say("Would {better} in {count} of {draws} plausible scenarios.", { better: box.dataset.better, count: Math.round(share * draws), draws });
    find("better").textContent = isAdvised() ? hint : share === null ? detail : better;
    const next = Number.isFinite(allowed) ? [say("The next allowed price is {price}", { price: write.price(allowed) })] : [];
    const said = objections.length && !isAdvised() ? [...objections, ...next] : [];
    find("objections").replaceChildren(...said.map((why) => element("li", why)));
  };
  let asked;
  const update = () => {
    const at = prices.indexOf(Number(typed.value));
    const path = `${box.dataset.ask}?price=${typed.value}${cost.value && `&unit_cost=${cost.value}`}`;
    const answer = (found) => path === asked && show(found); // unless another question has followed
    const curve = curves[product.measure] || curves.units;
    asked = path;
    place(Number(typed.value), curve[nearest(prices, typed.value)][0]);
    if (isAdvised() || (at >= 0 && !cost.value && !product.stock)) return show(figuresAt(product, Math.max(at, 0)));
    show({ measures: unknown, detail: "…" }, true);
    const refuse = (error) => answer({ measures: unknown, detail: error.message });
    setTimeout(() => path === asked && fetch(path).then((got) => got.json()).then((found) => answer({ measures: unknown, ...found }), refuse), 300);
  };
  slider.oninput = () => ((typed.value = prices[nearest(prices, slider.value)]), update());
  slider.onkeydown = (event) => {
    const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    typed.value = prices[Math.min(Math.max(nearest(prices, typed.value) + step, 0), prices.length - 1)];
    typed.oninput();
  };
  typed.oninput = () => ((slider.value = typed.value), update());
  cost.oninput = update;
  typed.value = product.recommended_price;
  typed.oninput();
}

/* Values of a form by kind: fields, the rows of its table, or a mapping of all its fields; of limits those changed. */
function valuesOf(form) {
  const value = (field) => (field.type === "number" ? (field.value === "" ? null : Number(field.value) / (field.dataset.per || 1)) : field.value || null);
  const fields = [...form.elements].filter((field) => field.name);
  const kind = form.dataset.kind;
  if (kind === "rows") {
    const rows = [...form.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("input")]);
    return { rows: rows.map((row) => Object.fromEntries(row.map((field) => [field.name, value(field)]))) };
  }
  if (kind === "columns") return { columns: Object.fromEntries(fields.map((field) => [field.name, field.value])) };
  const isChanged = (field) => field.dataset.per && field.value !== field.defaultValue;
  const limits = Object.fromEntries(fields.filter(isChanged).map((field) => [field.name, value(field)]));
  const others = fields.filter((field) => !field.dataset.per && !["accept", "files"].includes(field.name));
  const given = others.map((field) => [field.name, field.type === "checkbox" ? field.checked : value(field)]);
  const found = Object.fromEntries(given.filter(([, one]) => one !== null));
  const files = fields.filter((field) => field.name === "files" && field.type === "hidden").map((field) => field.value);
  if (files.length) return { ...found, ...accepted(form), files };
  return kind === "limits" ? { ...found, limits } : found;
}

async function send(path, method, body) {
  const csrf = document.querySelector("meta[name=csrf]").content;
  const headers = { "X-CSRF-Token": csrf };
  if (!(body instanceof FormData)) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method, headers, body: body instanceof FormData ? body : JSON.stringify(body) });
  const found = await answer.json();
  if (!answer.ok) throw new Error(found.detail);
  return found;
}

/* The answers to questions about a file that a form holds. */
function accepted(form) {
  const answers = [...form.querySelectorAll("input[name=accept]:checked, select[name=accept]")].map((field) => field.value);
  const accept = answers.filter(Boolean).join(",");
  return accept ? { accept } : {};
}

const plain = (text) => text.replace(/--(data\.|reading\.)*/g, "");

/* Send a form once: its files if it drops some, what was typed before Advise, its values; show what follows, or why not. */
async function submit(form) {
  const { api, method, next, upload, many } = form.dataset;
  const output = form.querySelector("output:not(.margin)");
  form.inert = true;
  output.textContent = "";
  try {
    if (many) {
      for (const row of picked()) await send(many, "POST", { number: Number(row.dataset.number) });
      return location.reload();
    }
    const files = upload === undefined ? null : await send("/api/files", "POST", new FormData(form));
    for (const typed of form.dataset.kind === "files" ? document.querySelectorAll("form.costs") : [])
      if ([...typed.elements].some((field) => field.value !== (field.defaultValue ?? field.value)))
        await send(typed.dataset.api, typed.dataset.method, valuesOf(typed));
    const found = files && !upload ? files : await send(upload || api, method || "POST", files ? { files, ...accepted(form) } : valuesOf(form));
    if (found.job) follow(found.job, form);
    else if (Array.isArray(found) && api !== "/api/costs") location.assign(`/files?${found.map((name) => `name=${encodeURIComponent(name)}`).join("&")}`);
    else if (next) location.assign(next);
    else location.reload();
  } catch (error) {
    output.textContent = plain(error.message);
    form.inert = false;
  }
}

/* Tick the steps of a job as they end, then show its result; if it stops, say why, and ask what it asks. */
function follow(number, form) {
  const box = document.querySelector(".job");
  const log = box.querySelector("pre");
  const steps = [...box.querySelectorAll("li")];
  const events = new EventSource(`/api/jobs/${number}/events`);
  const tick = (count) => steps.forEach((step, at) => (step.className = at < count ? "done" : at === count ? "open" : ""));
  let ended = 0;
  const lines = [];
  box.hidden = false;
  log.textContent = "";
  tick(0);
  events.onmessage = ({ data }) => {
    lines.push(JSON.parse(data));
    log.textContent += `${lines.at(-1)}\n`;
    const at = steps.findIndex((step) => lines.at(-1).startsWith(step.dataset.said));
    ended = Math.max(ended, at + 1);
    tick(ended);
  };
  events.addEventListener("end", ({ data }) => {
    events.close();
    const { answered, leads_to: leadsTo } = JSON.parse(data);
    tick(answered ? steps.length : ended);
    if (answered) return location.assign(leadsTo || location.pathname);
    const from = lines.findLastIndex((line) => /error:|^pricerl/.test(line));
    const said = box.querySelector(".alarm");
    Object.assign(said, { hidden: false, textContent: plain(lines.slice(Math.max(from, 0)).slice(0, 6).join(" ").replace(/^.*?error: /, "")) });
    box.querySelector("h2").textContent = say("This stopped");
    const asks = form?.querySelector(".answers");
    if (form) form.inert = false;
    if (asks && lines.some((line) => line.includes("--accept"))) asks.hidden = false;
  });
}

const picked = () => [...document.querySelectorAll(".pick input:checked")].map((box) => box.closest("tr"));

/* Sum up in money what the selected rows would let out. */
function sumUp() {
  const form = document.querySelector(".picked");
  if (!form) return;
  const rows = picked();
  const money = rows.reduce((sum, row) => sum + Number(row.dataset.money), 0);
  const share = Math.max(0, ...rows.map((row) => Number(row.dataset.share)));
  const write = (value, sign) => new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: sign ? 2 : 1, minimumFractionDigits: sign ? 2 : 1, signDisplay: sign || "auto" }).format(value).replace("-", "−");
  const words = form.querySelector("span");
  form.hidden = !rows.length;
  document.querySelector(".going").hidden = rows.length > 0;
  form.querySelector("b").textContent = say("{count} selected", { count: rows.length });
  words.textContent = words.dataset.words.replace("{share}", write(100 * share)).replace("{money}", write(money, "exceptZero"));
  form.querySelector("button").textContent = say(rows.length === 1 ? "Approve {count} price" : "Approve {count} prices", { count: rows.length });
}

/* Keys of the work list: j and k go through the rows, a approves, o overrides, / searches. */
function press(event) {
  const rows = [...document.querySelectorAll(".list .row:not([hidden])")];
  if (event.target.matches("input:not([type=checkbox]), select, textarea") || event.ctrlKey || event.metaKey || event.altKey) return;
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const go = (place) => rows[Math.min(Math.max(place, 0), rows.length - 1)]?.querySelector("th a").focus();
  const acts = {
    j: () => go(at + 1),
    k: () => go(at - 1),
    a: () => rows[at]?.querySelector(".act form[data-api$=approve]")?.requestSubmit(),
    o: () => rows[at] && location.assign(`${rows[at].querySelector("th a").href}?another=1`),
    "/": () => document.getElementById("find")?.focus(),
  };
  if (!acts[event.key]) return;
  event.preventDefault();
  acts[event.key]();
}

/* Fill a share of the price into every row, and show what is left of it. */
function wireCosts(form) {
  const rows = [...form.querySelectorAll("tbody tr")];
  const show = () => {
    for (const row of rows) {
      const [cost, fees] = ["unit_cost", "fees"].map((name) => row.querySelector(`[name=${name}]`)?.value);
      const left = 1 - Number(cost) / Number(row.dataset.price) - Number(fees) / 100;
      row.querySelector(".margin").textContent = cost && row.dataset.price ? `${Math.round(100 * left)} %`.replace("-", "−") : "–";
    }
  };
  for (const all of form.querySelectorAll("[data-fill]"))
    all.addEventListener("input", () => {
      for (const row of rows.filter((row) => row.dataset.price)) { // a group has no price of its own
        const cell = row.querySelector(`[name=${all.dataset.fill}]`);
        const share = all.dataset.fill === "fees" ? all.value : ((all.value * row.dataset.price) / 100).toFixed(2);
        cell.value = all.value === "" ? cell.defaultValue : share;
      }
      show();
    });
  form.addEventListener("input", show);
  show();
}

function wireDrop(form) {
  form.elements.files.addEventListener("change", () => form.requestSubmit());
  form.addEventListener("dragover", (event) => (event.preventDefault(), form.classList.add("over")));
  form.addEventListener("dragleave", () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    form.elements.files.files = event.dataTransfer.files;
    form.requestSubmit();
  });
}

/* Filters of a long work list; a search is a new list. */
function wireFilters(find) {
  const show = document.getElementById("show");
  show.addEventListener("change", () => {
    const wanted = show.value === "ordered" ? ["ordered", "approved"] : [show.value];
    for (const row of document.querySelectorAll(".list .row"))
      row.hidden = show.value !== "" && !wanted.some((state) => row.classList.contains(state));
  });
  find.addEventListener("change", () => location.assign(`?find=${encodeURIComponent(find.value)}`));
}

function wire() {
  const all = (selector) => [...document.querySelectorAll(selector)];
  for (const form of all("form"))
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      submit(form);
    });
  all(".drop").forEach(wireDrop);
  all("form.costs").forEach(wireCosts);
  all(".pick input").forEach((box) => box.addEventListener("change", sumUp));
  sumUp();
  if (all(".list").length) document.addEventListener("keydown", press);
  const box = document.getElementById("slider");
  if (box) fetch(box.dataset.source).then((answer) => answer.json()).then((product) => showSlider(box, product));
  const job = document.querySelector(".job")?.dataset.job;
  if (job) follow(job);
  const find = document.getElementById("find");
  if (find) wireFilters(find);
}

if (typeof document !== "undefined") wire();
if (typeof module !== "undefined") module.exports = { figuresAt, showSlider };
