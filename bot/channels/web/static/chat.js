/** The web chat: history, what the citizen sends, what the office answers. */

import { compose } from "./compose.js";
import { Outbox } from "./outbox.js";
import { citizenMessage, officeMessage, showState } from "./render.js";
import { announceFailed, showBack, showLost, showTyping } from "./signs.js";
import { listen } from "./stream.js";

const HISTORY_AGAIN_AFTER = 4_000;
const NEAR = 120; // pixels from the end that still count as reading the newest

const log = document.getElementById("log");
const welcome = document.getElementById("welcome");
const newest = document.getElementById("newest");
const outbox = new Outbox(onState);
let answering = false; // the office was heard since the last message set out, perhaps before "sent" was

start();

async function start() {
  document.getElementById("foot").hidden = false;
  compose((text) => send({ text }));
  log.addEventListener("click", onPress);
  welcome.addEventListener("click", onPress);
  newest.addEventListener("click", goToNewest);
  window.addEventListener("scroll", () => nearEnd() && (newest.hidden = true), { passive: true });
  window.addEventListener("offline", showLost);

  const { messages, last_event_id: last } = await history();
  showHistory(messages);
  listen(last, { onReply, onTyping, onUp, onDown: showLost });
}

async function history() {
  for (;;) {
    try {
      const response = await fetch("/chat/history");
      if (response.ok) return await response.json();
    } catch {
      // said below, like a page of errors
    }
    showLost();
    await new Promise((resolve) => setTimeout(resolve, HISTORY_AGAIN_AFTER));
  }
}

function showHistory(messages) {
  for (const { client_id: id } of messages) if (id) outbox.forget(id);
  const earlier = messages
    .filter(({ client_id: id }) => !(id && find(id)))
    .map((message) =>
      message.from === "citizen"
        ? citizenMessage({ ...message, id: message.client_id ?? message.id }, "sent")
        : officeMessage(message),
    );
  log.prepend(...earlier);
  for (const { id, text, label, at } of outbox.unsent) {
    if (!find(id)) log.append(citizenMessage({ id, text: text ?? label, at }, "failed"));
  }
  welcome.hidden = log.hasChildNodes();
  reveal(lastQuestion() ?? log.lastElementChild, "instant");
  requestAnimationFrame(() => log.removeAttribute("aria-busy"));
}

function send(words) {
  const letter = { id: randomId(), at: new Date().toISOString(), ...words };
  const message = citizenMessage({ ...letter, text: letter.text ?? letter.label }, "sending");
  log.append(message);
  reveal(message, "instant");
  outbox.send(letter);
}

function onPress({ target }) {
  const button = target.closest("button");
  if (!button) return;
  const { token, label } = button.dataset;
  if (button.matches(".resend")) resend(button.closest(".message"));
  else if (token) send({ pressed: token, label });
  else send({ text: button.textContent });
}

function resend(message) {
  message.focus(); // the button goes away; the keyboard stays here
  outbox.retry(message.dataset.id);
}

function onState(id, state, reason) {
  const message = find(id);
  const following = nearEnd();
  showState(message, state, reason);
  if (following && message === log.lastElementChild) reveal(message); // "Gửi lại" needs room
  if (state === "sending") answering = false;
  if (state === "sent" && !answering) showTyping(true);
  if (state === "failed") announceFailed();
}

function onUp() {
  showBack();
  outbox.retryAll();
}

function onTyping(on) {
  answering = true;
  showTyping(on);
}

function onReply(message) {
  if (find(message.id)) return;
  const following = nearEnd();
  const element = officeMessage(message);
  log.append(element);
  if (message.kind === "reply") onTyping(false);
  if (!following) newest.hidden = false;
  else reveal(message.kind === "reply" ? lastQuestion() ?? element : element);
}

function goToNewest() {
  log.lastElementChild.focus({ preventScroll: true }); // the button goes away
  reveal(log.lastElementChild);
}

function find(id) {
  return log.querySelector(`[data-id="${CSS.escape(id)}"]`);
}

function lastQuestion() {
  return [...log.querySelectorAll(".citizen")].at(-1);
}

/** Brings the top of a message under the header, so that a long answer is read from its start. */
function reveal(element, behavior = "auto") {
  element?.scrollIntoView({ block: "start", behavior });
}

function nearEnd() {
  const page = document.documentElement;
  return page.scrollHeight - page.clientHeight - window.scrollY < NEAR;
}

/** A random (version 4) UUID; crypto.randomUUID is missing where an office serves plain http. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
