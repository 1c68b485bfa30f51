"use strict";

/* What advice.json says of one price of its curves, in the form of an answer to /what-if. */
function figuresAt(product, at) {
  const { curves, objections } = product.details;
  const price = curves.price[at];
  const known = ["units", "sales", "profit"].filter((name) => curves[name] && curves.gain[name]);
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

/* Place of the price of the curves that is nearest to another one, for the handle of the slider. */
function nearest(prices, price) {
  return prices.reduce((best, other, at) => (Math.abs(other - price) < Math.abs(prices[best] - price) ? at : best), 0);
}

/* Writers of numbers, prices and money in the locale and currency of an advice. */
function writers(product) {
  const locale = product.locale.replace("_", "-");
  const money = product.currency ? { style: "currency", currency: product.currency } : {};
  const two = { minimumFractionDigits: 2, maximumFractionDigits: 2 };
  const digits = { minimumFractionDigits: product.price_decimals, maximumFractionDigits: product.price_decimals };
  const write = (options) => (value) => new Intl.NumberFormat(locale, options).format(value);
  return {
    price: write({ ...money, ...digits }),
    amount: { units: write(two), sales: write({ ...money, ...two }), profit: write({ ...money, ...two }) },
  };
}

const element = (name, text, more = {}) => Object.assign(document.createElement(name), { textContent: text, ...more });

/* The slider answers at prices of the curves at once; other prices and another unit cost are asked of /what-if, and
   no figure of another price is shown meanwhile. Limits that delay the advised change do not object to it. */
function showSlider(box, product) {
  const write = writers(product);
  const find = (id) => document.getElementById(id);
  const [slider, typed, cost] = ["at", "typed", "cost"].map(find);
  const prices = product.details.curves.price;
  const rowOf = ([name, found]) => {
    const [there, mean, low, high] = found ? [found.asked[0], ...found.gain].map(write.amount[name]) : ["–"];
    const label = element("th", name[0].toUpperCase() + name.slice(1), { scope: "row" });
    const row = element("tr", "");
    row.append(label, element("td", there), element("td", found ? `${mean} (${low} to ${high})` : "–"));
    return row;
  };
  const unknown = Object.fromEntries(Object.keys(figuresAt(product, 0).measures).map((name) => [name, null]));
  const show = (found) => {
    const { measures = {}, objections = [], allowed, probability_better: share = null, num_draws: draws, detail = "" } = found;
    find("price").textContent = write.price(typed.value);
    if (find("ordered")) find("ordered").value = typed.value; // absent for those who may not decide
    const known = Object.entries(measures).filter(([name]) => write.amount[name]);
    find("figures").replaceChildren(...known.map(rowOf));
    const better = `Would ${box.dataset.better} in ${Math.round(share * draws)} of ${draws} plausible scenarios.`;
    find("better").textContent = share === null ? detail : better;
    const advised = Number(typed.value) === product.recommended_price && !cost.value;
    const next = Number.isFinite(allowed) ? [`The next allowed price is ${write.price(allowed)}`] : [];
    const said = objections.length && !advised ? [...objections, ...next] : [];
    find("objections").replaceChildren(...said.map((why) => element("li", why)));
  };
  let asked;
  const update = () => {
    const at = prices.indexOf(Number(typed.value));
    const path = `${box.dataset.ask}?price=${typed.value}${cost.value && `&unit_cost=${cost.value}`}`;
    const answer = (found) => path === asked && show(found); // unless another question has followed
    asked = path;
    if (at >= 0 && !cost.value && !product.stock) return show(figuresAt(product, at));
    show({ measures: unknown, detail: "…" });
    const refuse = (error) => answer({ detail: error.message });
    setTimeout(() => path === asked && fetch(path).then((got) => got.json()).then(answer, refuse), 300);
  };
  slider.oninput = () => ((typed.value = prices[slider.value]), update());
  typed.oninput = () => ((slider.value = nearest(prices, typed.value)), update());
  cost.oninput = update;
  slider.max = prices.length - 1;
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
  if (kind === "files") {
    const files = fields.filter((field) => field.name === "files").map((field) => field.value);
    return Object.keys(limits).length ? { files, limits } : { files };
  }
  const others = fields.filter((field) => !field.dataset.per);
  const given = others.map((field) => [field.name, field.type === "checkbox" ? field.checked : value(field)]);
  const found = Object.fromEntries(given.filter(([, one]) => one !== null));
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

/* What a form with files accepts of them. */
function accepted(form) {
  const answers = [...form.querySelectorAll("input[name=accept]:checked, select[name=accept]")].map((field) => field.value);
  const accept = answers.filter(Boolean).join(",");
  return accept ? { accept } : {};
}

/* Send a form once: its files if it drops some, what was typed before Advise, its values; show what follows, or why not. */
async function submit(form) {
  const { api, method, next, upload } = form.dataset;
  form.inert = true;
  form.querySelector("output").textContent = "";
  try {
    const files = upload === undefined ? null : await send("/api/files", "POST", new FormData(form));
    for (const typed of form.dataset.kind === "files" ? document.querySelectorAll("form[data-method=PUT]") : [])
      if ([...typed.elements].some((field) => field.value !== (field.defaultValue ?? field.value)))
        await send(typed.dataset.api, typed.dataset.method, valuesOf(typed));
    const found = files && !upload ? {} : await send(upload || api, method || "POST", files ? { files, ...accepted(form) } : valuesOf(form));
    if (found.job) follow(found.job);
    else if (files) location.assign(`/files?${files.map((name) => `name=${encodeURIComponent(name)}`).join("&")}`);
    else if (next) location.assign(next);
    else location.reload();
  } catch (error) {
    form.querySelector("output").textContent = error.message.replaceAll("--", "");
  }
  form.inert = false;
}

function follow(number) {
  const box = document.querySelector(".job");
  const list = box.querySelector("ol");
  const events = new EventSource(`/api/jobs/${number}/events`);
  box.hidden = false;
  box.querySelector("h2").textContent = "Progress";
  list.replaceChildren();
  events.onmessage = ({ data }) => {
    list.append(element("li", JSON.parse(data)));
    list.scrollTop = list.scrollHeight;
  };
  events.addEventListener("end", ({ data }) => {
    events.close();
    const { answered, leads_to: leadsTo } = JSON.parse(data);
    box.querySelector("h2").textContent = answered ? "Done" : "This stopped; the last lines say why";
    Object.assign(box.querySelector("a"), { href: leadsTo || location.pathname, hidden: !answered });
  });
}

function wire() {
  for (const form of document.querySelectorAll("form"))
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      submit(form);
    });
  for (const form of document.querySelectorAll(".drop")) {
    form.addEventListener("dragover", (event) => (event.preventDefault(), form.classList.add("over")));
    form.addEventListener("dragleave", () => form.classList.remove("over"));
    form.addEventListener("drop", (event) => {
      event.preventDefault();
      form.elements.files.files = event.dataTransfer.files;
      form.requestSubmit();
    });
  }
  const box = document.getElementById("slider");
  if (box) fetch(box.dataset.source).then((answer) => answer.json()).then((product) => showSlider(box, product));
  const job = document.querySelector(".job")?.dataset.job;
  if (job) follow(job);
  if (document.getElementById("find")) wireList();
}

/* Hide the rows of the work list that filters leave out; a search is a new list. */
function wireList() {
  const checked = (name) => [...document.querySelectorAll(`input.${name}:checked`)].map((box) => box.value);
  const show = () => {
    const grades = checked("grade");
    const states = checked("state");
    for (const row of document.querySelectorAll(".index tbody tr[data-grade]")) {
      const graded = grades.includes(row.dataset.grade);
      row.hidden = !(graded && states.some((state) => row.classList.contains(state)));
    }
  };
  document.querySelectorAll("input.grade, input.state").forEach((box) => box.addEventListener("change", show));
  const find = document.getElementById("find");
  find.addEventListener("change", () => location.assign(`?find=${encodeURIComponent(find.value)}`));
}

if (typeof document !== "undefined") wire();
if (typeof module !== "undefined") module.exports = { figuresAt, showSlider };
