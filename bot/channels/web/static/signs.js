/** What the page says of itself: who is writing, whether it is connected. Its words stand in the page. */

const SLOW_AFTER = 30_000;
const LOST_AFTER = 3_000;
const BACK_FOR = 4_000;

const typing = document.getElementById("typing");
const connection = document.getElementById("connection");
const announcement = document.getElementById("announcement");
let slow;
let loss; // a loss that waits to be told, or was
let change;

/** @param {boolean} on a turn runs, and an answer is being written */
export function showTyping(on) {
  clearTimeout(slow);
  typing.textContent = on ? typing.dataset.writing : "";
  if (on) slow = setTimeout(() => (typing.textContent = typing.dataset.slow), SLOW_AFTER);
}

/** The connection is gone: said at once when the device is offline, after a moment otherwise. */
export function showLost() {
  clearTimeout(change);
  const say = () => (connection.textContent = connection.dataset.lost);
  if (!navigator.onLine) say();
  else loss ??= setTimeout(say, LOST_AFTER); // the browser tries again sooner: one wait for all
}

/** The connection is there; a loss that was told is taken back. */
export function showBack() {
  clearTimeout(loss);
  clearTimeout(change);
  loss = undefined;
  if (!connection.textContent) return;
  connection.textContent = connection.dataset.back;
  change = setTimeout(() => (connection.textContent = ""), BACK_FOR);
}

/** For the ear only: a message could not be sent. */
export function announceFailed() {
  announce(announcement.dataset.failed);
}

/** @param {string} sentence  for the ear only, told again when it is the same */
export function announce(sentence) {
  announcement.textContent = "";
  requestAnimationFrame(() => (announcement.textContent = sentence));
}
