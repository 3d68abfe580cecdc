// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Elements and numbers as text.

"use strict";

// An element with attributes and children; children that are null, false or undefined are left out.
function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const isNumber = (value) => typeof value === "number";
const whole = d3.format(",.0f");
const fixed = (digits) => d3.format(`,.${digits}f`);
const share = d3.format(".1%");

// Three digits, whatever the size: 0.0123, 4.56, 1,234.
function short(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e7 || size < 1e-4) return d3.format(".3~s")(value);
  return d3.format(`,.${Math.max(0, 2 - Math.floor(Math.log10(size)))}~f`)(value);
}

// With a prefix of ten before the unit: 3.2 GB, 12 mW.
function withUnit(value, unit) {
  const text = d3.format(value === 0 ? "d" : ".3~s")(value);
  const prefix = /[a-zA-Zµ]$/.test(text) ? text.slice(-1) : "";
  return `${prefix ? text.slice(0, -1) : text} ${prefix}${unit}`;
}

const squareMillimetres = (um2) => `${short(um2 / 1e6)} mm²`;

// What was not measured is said, never shown as zero.
function orNull(value, format, why = "not measured") {
  return value === null || value === undefined ? h("span", {class: "null"}, why) : format(value);
}

// A section's figure in large: name, value, and a line below it.
function tile(name, value, more, mood = "") {
  const words = value instanceof Node || /[a-z]{3}/.test(value);
  return h(
    "div",
    {class: "tile"},
    h("dt", {}, name),
    h(
      "dd",
      {},
      h("div", {class: `value ${words ? "words" : ""} ${mood}`}, value),
      more && h("div", {class: "more"}, more),
    ),
  );
}

const tiles = (...all) => h("dl", {class: "tiles"}, all);

// What is not there, and the command that would make it.
function absent(text, command) {
  return h("div", {class: "card absent"}, h("p", {}, text, command && [" ", h("code", {}, command)]));
}

function folded(summary, ...content) {
  return h("details", {}, h("summary", {}, summary), content);
}
