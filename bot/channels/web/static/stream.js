/** Replies as they arrive. A broken stream resumes after the last reply seen. */

const REOPEN_AFTER = 4_000;

/**
 * @param {number} after  id of the last reply the page already shows
 * @param {{onReply: (message: object) => void, onTyping: (on: boolean) => void,
 *          onUp: () => void, onDown: () => void}} told
 */
export function listen(after, { onReply, onTyping, onUp, onDown }) {
  let last = after;
  let source;
  let timer;

  function open() {
    clearTimeout(timer);
    source?.close();
    source = new EventSource(`/chat/stream?after=${last}`);
    source.addEventListener("open", onUp);
    source.addEventListener("error", broken);
    source.addEventListener("typing", (event) => onTyping(JSON.parse(event.data).on));
    source.addEventListener("reply", (event) => {
      const message = JSON.parse(event.data);
      last = Math.max(last, message.id);
      onReply(message);
    });
  }

  // The browser itself comes back after a network error, but not after an error page.
  function broken() {
    onDown();
    if (source.readyState === EventSource.CLOSED) timer = setTimeout(open, REOPEN_AFTER);
  }

  // A stream that slept through a change of network can look open and be dead.
  window.addEventListener("online", open);
  window.addEventListener("pageshow", ({ persisted }) => persisted && open());
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && source.readyState !== EventSource.OPEN) open();
  });
  open();
}
