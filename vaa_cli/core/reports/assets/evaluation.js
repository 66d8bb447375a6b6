// Sorting keeps the rows that the filter hides; all is open when the page is printed.
"use strict";
const table = document.getElementById("table"), body = table.tBodies[0];
const heads = [...table.tHead.rows[0].cells];
const key = (row, column) => row.cells[column].dataset.value;
heads.forEach((head, column) => head.firstChild.addEventListener("click", () => {
  const first = column === 0 ? "ascending" : "descending";
  const other = column === 0 ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? other : first;
  heads.forEach(one => one.setAttribute("aria-sort", one === head ? order : "none"));
  const sign = order === "ascending" ? 1 : -1;
  const rows = [...body.rows].sort((a, b) => {
    const x = key(a, column), y = key(b, column);
    if (column === 0) return sign * x.localeCompare(y);
    if (x === "" || y === "") return (x === "") - (y === "");
    return sign * (Number(x) - Number(y));
  });
  body.append(...rows);
}));
const filter = document.getElementById("filter"), shown = document.getElementById("shown");
const named = [...document.querySelectorAll("[data-name]")];
filter.addEventListener("input", () => {
  const words = filter.value.trim().toLowerCase();
  named.forEach(one => { one.hidden = !one.dataset.name.includes(words); });
  const count = [...body.rows].filter(row => !row.hidden).length;
  shown.textContent = words ? `${count} of ${body.rows.length} attributes` : "";
});
const open = () => {
  const target = document.getElementById(location.hash.slice(1));
  if (target instanceof HTMLDetailsElement) target.open = true;
};
addEventListener("hashchange", open);
open();
// A picture is enlarged in a dialog; the arrow keys go on to the next.
const dialog = document.createElement("dialog"), enlarged = document.createElement("div");
dialog.append(enlarged, Object.assign(document.createElement("button"), { textContent: "Close" }));
dialog.lastChild.addEventListener("click", () => dialog.close());
dialog.addEventListener("click", event => { if (event.target === dialog) dialog.close(); });
document.body.append(dialog);
let current = null;
const enlarge = button => {
  current = button;
  const caption = document.createElement("p");
  caption.append(...button.nextElementSibling.cloneNode(true).childNodes);
  const image = button.firstChild.cloneNode();
  image.removeAttribute("width");
  image.removeAttribute("height");
  enlarged.replaceChildren(image, caption);
  dialog.ariaLabel = caption.textContent;
  if (!dialog.open) dialog.showModal();
};
addEventListener("click", event => {
  const button = event.target.closest(".enlarge");
  if (button) enlarge(button);
});
dialog.addEventListener("close", () => { if (current) current.focus(); });
dialog.addEventListener("keydown", event => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const buttons = [...document.querySelectorAll("details[open] .enlarge")];
  const next = buttons[buttons.indexOf(current) + step];
  if (next) enlarge(next);
});
const details = [...document.querySelectorAll("details")];
let closed = [];
addEventListener("beforeprint", () => {
  closed = details.filter(one => !one.open && !one.hidden);
  closed.forEach(one => { one.open = true; });
});
addEventListener("afterprint", () => closed.forEach(one => { one.open = false; }));
