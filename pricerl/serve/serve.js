"use strict";

/* Figures of advice.json at one price of its curves: rows of [measure, at this price, against keeping], with 90 % limits. */
function figuresAt(product, at) {
  const { curves, objections } = product.details;
  const price = curves.price[at];
  const kept = product.keep;
  const rows = [];
  for (const name of ["units", "sales", "profit"]) {
    const gain = curves.gain[name];
    if (!gain) continue;
    rows.push([name, curves[name] ? curves[name][at] : [kept[name][0] + gain[at][0]], gain[at]]);
  }
  const better = curves.better ? Math.round(curves.better[at] * product.num_draws) : null;
  const against = objections.filter((item) => item.low <= price && price <= item.high).map((item) => item.why);
  return { price, rows, better, draws: product.num_draws, objections: against };
}

/* Place of the price of the curves that is nearest to another one. */
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

function element(name, text) {
  return Object.assign(document.createElement(name), { textContent: text });
}

function showSlider(box, product) {
  const { price, amount } = writers(product);
  const find = (id) => document.getElementById(id);
  const prices = product.details.curves.price;
  const slider = find("at");
  const show = () => {
    const found = figuresAt(product, Number(slider.value));
    find("price").textContent = price(found.price);
    if (find("ordered")) find("ordered").value = found.price; // absent for those who may not decide
    find("figures").replaceChildren(
      ...found.rows.map(([name, there, gain]) => {
        const row = document.createElement("tr");
        const [mean, low, high] = gain.map(amount[name]);
        const label = Object.assign(element("th", name[0].toUpperCase() + name.slice(1)), { scope: "row" });
        row.append(label, element("td", amount[name](there[0])), element("td", `${mean} (${low} to ${high})`));
        return row;
      }),
    );
    find("better").textContent =
      found.better === null ? "" : `Earns more in ${found.better} of ${found.draws} plausible scenarios.`;
    find("objections").replaceChildren(...found.objections.map((why) => element("li", why)));
  };
  slider.max = prices.length - 1;
  slider.value = nearest(prices, product.recommended_price);
  slider.addEventListener("input", show);
  box.hidden = false;
  show();
}

/* Values of a form by kind: fields, the rows of its table, or a mapping of all its fields. */
function valuesOf(form) {
  const value = (field) => (field.type === "number" ? (field.value === "" ? null : Number(field.value)) : field.value || null);
  const fields = [...form.elements].filter((field) => field.name);
  const kind = form.dataset.kind;
  if (kind === "rows") {
    const rows = [...form.querySelectorAll("tbody tr")].map((row) => [...row.querySelectorAll("input")]);
    return { rows: rows.map((row) => Object.fromEntries(row.map((field) => [field.name, value(field)]))) };
  }
  if (kind === "columns") return { columns: Object.fromEntries(fields.map((field) => [field.name, field.value])) };
  if (kind === "limits") return { limits: Object.fromEntries(fields.map((field) => [field.name, value(field)])) };
  if (kind === "files") return { files: fields.map((field) => field.value) };
  const given = fields.map((field) => [field.name, field.type === "checkbox" ? field.checked : value(field)]);
  return Object.fromEntries(given.filter(([, found]) => found !== null));
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

/* Send a form once: its files, if it drops some, then its values; show what follows, or why it was refused. */
async function submit(form) {
  const { api, method, next, upload } = form.dataset;
  const buttons = form.querySelectorAll("button");
  buttons.forEach((button) => (button.disabled = true));
  try {
    const files = upload === undefined ? null : await send("/api/files", "POST", new FormData(form));
    const found = files && !upload ? {} : await send(upload || api, method || "POST", files ? { files } : valuesOf(form));
    if (found.job) follow(found.job);
    else if (files) location.assign(`/files?${files.map((name) => `name=${encodeURIComponent(name)}`).join("&")}`);
    else if (next) location.assign(next);
    else location.reload();
  } catch (error) {
    form.querySelector("output").textContent = error.message;
  }
  buttons.forEach((button) => (button.disabled = false));
}

function follow(number) {
  const box = document.querySelector(".job");
  const list = box.querySelector("ol");
  const events = new EventSource(`/api/jobs/${number}/events`);
  box.hidden = false;
  list.replaceChildren();
  box.scrollIntoView();
  events.onmessage = ({ data }) => {
    list.append(element("li", JSON.parse(data)));
    list.scrollTop = list.scrollHeight;
  };
  events.addEventListener("end", ({ data }) => {
    events.close();
    Object.assign(box.querySelector("a"), { href: JSON.parse(data).leads_to || location.pathname, hidden: false });
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
    for (const row of document.querySelectorAll(".index tbody tr")) {
      const graded = grades.includes(row.querySelector("td[data-label=Grade]").textContent);
      row.hidden = !(graded && states.some((state) => row.classList.contains(state)));
    }
  };
  document.querySelectorAll("input.grade, input.state").forEach((box) => box.addEventListener("change", show));
  const find = document.getElementById("find");
  find.addEventListener("change", () => location.assign(`?find=${encodeURIComponent(find.value)}`));
}

if (typeof document !== "undefined") wire();
if (typeof module !== "undefined") module.exports = { figuresAt, nearest, writers };
