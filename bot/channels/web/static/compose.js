/** The field one writes in: it grows, counts near the limit, and sends with Enter. */

import { announce } from "./signs.js";

const COUNT_FROM = 0.9; // of the limit

const form = document.getElementById("compose");
const field = document.getElementById("text");
const counter = document.getElementById("counter");
const limit = Number(field.dataset.maxLength);

/** @param {(text: string) => void} onSend given words that are neither empty nor too long */
export function compose(onSend) {
  field.addEventListener("input", fit);
  field.addEventListener("keydown", (event) => {
    // Vietnamese input methods use Enter to end a word they are still composing.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    form.requestSubmit();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const text = field.value.trim();
    field.focus();
    if (!text) return;
    if (lengthOf(text) > limit) {
      announce(counter.textContent);
      return;
    }
    field.value = "";
    fit();
    onSend(text);
  });
  fit();
}

function fit() {
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight + field.offsetHeight - field.clientHeight}px`;
  const left = limit - lengthOf(field.value.trim());
  const sentence = left < 0 ? counter.dataset.over : counter.dataset.left;
  counter.textContent = sentence.replace("#", Math.abs(left).toLocaleString("vi-VN"));
  counter.hidden = left > limit * (1 - COUNT_FROM);
  field.ariaInvalid = String(left < 0);
}

/** Letters as the server counts them. */
function lengthOf(text) {
  return [...text].length;
}
