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
const details = [...document.querySelectorAll("details")];
let closed = [];
addEventListener("beforeprint", () => {
  closed = details.filter(one => !one.open && !one.hidden);
  closed.forEach(one => { one.open = true; });
});
addEventListener("afterprint", () => closed.forEach(one => { one.open = false; }));
