// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Tables that sort: by the buttons in their heads, so with keyboard and screen reader as well.

"use strict";

// `columns`: {name, value(row): number, text or null, show(value, row): text or element, absent a
// null's words, wide}. A column without a text is one of numbers. `rowClass(row)` may name a class.
// Equal values keep the order of `rows`; nulls come last whichever way is sorted.
function table(caption, columns, rows, rowClass = () => null) {
  const numeric = columns.map((column) => rows.every((row) => typeof column.value(row) !== "string"));
  const body = h("tbody");
  const lines = rows.map((row) =>
    h(
      "tr",
      {class: rowClass(row)},
      columns.map((column, c) => {
        const value = column.value(row);
        const shown = orNull(value, (v) => (column.show ? column.show(v, row) : String(v)), column.absent);
        return h("td", {class: numeric[c] ? "number" : column.wide ? "wide" : null}, shown);
      }),
    ),
  );
  body.append(...lines);

  const heads = columns.map((column, c) =>
    h(
      "th",
      {scope: "col", class: numeric[c] ? "number" : null},
      h("button", {type: "button", onclick: () => sortBy(c)}, column.name),
    ),
  );
  function sortBy(c) {
    // Numbers are first asked for from the largest.
    const first = numeric[c] ? "descending" : "ascending";
    const second = numeric[c] ? "ascending" : "descending";
    const order = heads[c].getAttribute("aria-sort") === first ? second : first;
    const sign = order === "ascending" ? 1 : -1;
    const value = columns[c].value;
    const ranks = rows
      .map((row, r) => r)
      .sort((a, b) => {
        const left = value(rows[a]);
        const right = value(rows[b]);
        const none = (left === null || left === undefined) - (right === null || right === undefined);
        if (none !== 0) return none;
        if (numeric[c]) return sign * (left - right) || a - b;
        return sign * String(left).localeCompare(String(right), "en", {numeric: true}) || a - b;
      });
    heads.forEach((head, i) => (i === c ? head.setAttribute("aria-sort", order) : head.removeAttribute("aria-sort")));
    body.append(...ranks.map((r) => lines[r]));
  }
  return h(
    "div",
    {class: "card scroll", tabindex: 0, role: "group", "aria-label": caption},
    h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, heads)), body),
  );
}
