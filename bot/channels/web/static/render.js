/** Messages as elements, cloned from the templates of the page. */

import { words } from "./words.js";

const ZONE = { timeZone: "Asia/Ho_Chi_Minh" };
const clock = new Intl.DateTimeFormat("vi-VN", { ...ZONE, hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat("vi-VN", { ...ZONE, day: "2-digit", month: "2-digit", year: "numeric" });

/**
 * What the citizen wrote or pressed.
 * @param {{id: string, text: string, at: string}} message  `id` is the one made in the browser, where known
 * @param {"sending" | "sent" | "failed"} state
 * @returns {HTMLElement}
 */
export function citizenMessage({ id, text, at }, state) {
  const element = clone("citizen-message");
  element.dataset.id = id;
  element.querySelector(".words").textContent = text;
  tellTime(element, at);
  showState(element, state);
  return element;
}

/**
 * Sending, sent or failed.
 * @param {HTMLElement} element
 * @param {"sending" | "sent" | "failed"} state
 * @param {string} [reason]  a sentence of the server
 */
export function showState(element, state, reason) {
  element.dataset.state = state;
  element.querySelector(".reason").textContent = reason ?? "";
}

/**
 * A reply of the assistant, or an officer's answer (a notice).
 * @param {{id: number, kind: "reply" | "notice", at: string, blocks: object[]}} message
 * @returns {HTMLElement}
 */
export function officeMessage({ id, kind, at, blocks }) {
  const element = clone(kind === "notice" ? "notice-message" : "office-message");
  element.dataset.id = id;
  tellTime(element, at);
  let bubble = null;
  for (const block of blocks) {
    if (block.type === "choices") {
      element.append(choices(block.choices));
      bubble = null;
      continue;
    }
    if (!bubble) element.append((bubble = box("div", "bubble")));
    bubble.append(shown(block));
  }
  return element;
}

function shown(block) {
  switch (block.type) {
    case "text":
      return prose(block.text);
    case "file":
      return file(block);
    case "ask_location":
    case "ask_contact":
      return prose(block.words);
    default:
      return folded(block);
  }
}

/** An image in place, anything else as a link to save it. */
function file({ file: id, name, media_type: type }) {
  const link = document.createElement("a");
  link.href = `/chat/files/${id}`;
  link.target = "_blank";
  link.rel = "noopener";
  link.className = "file";
  if (!type.startsWith("image/")) {
    link.textContent = name;
    return link;
  }
  const image = document.createElement("img");
  Object.assign(image, { src: link.href, alt: name, loading: "lazy" });
  link.append(image);
  return link;
}

function choices(list) {
  const group = clone("choices");
  for (const { number, label, token } of list) {
    const button = box("button", "choice");
    button.type = "button";
    Object.assign(button.dataset, { token, label });
    const figure = box("span", "number");
    figure.textContent = `${number}. `;
    button.append(figure, label);
    group.append(button);
  }
  return group;
}

function folded({ type, summary, text }) {
  const details = box("details", type);
  const head = document.createElement("summary");
  head.textContent = summary;
  details.append(head, prose(text));
  return details;
}

function prose(text) {
  const element = box("div", "words");
  element.append(words(text));
  return element;
}

function tellTime(element, at) {
  const time = element.querySelector("time");
  const moment = new Date(at);
  const day = calendar.format(moment);
  time.dateTime = at;
  time.textContent = (day === calendar.format(new Date()) ? "" : `${day}, `) + clock.format(moment);
}

function clone(id) {
  return document.getElementById(id).content.cloneNode(true).firstElementChild;
}

function box(tag, className) {
  const element = document.createElement(tag);
  element.className = className;
  return element;
}
