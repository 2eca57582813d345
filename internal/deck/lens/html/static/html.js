// Gives frames the height of what is in them. Of several, each is closed then.
'use strict';
(() => {
  const measured = new WeakSet();
  addEventListener('message', (event) => {
    const frame = [...document.querySelectorAll('.file iframe')].find((f) => f.contentWindow === event.source);
    const height = event.data?.height;
    if (!frame || typeof height !== 'number' || !(height > 0)) return;
    const details = frame.closest('details');
    if (!details.open) return;
    frame.style.height = `${Math.min(Math.max(height, 40), 20000) + 2}px`;
    if (!measured.has(frame)) {
      measured.add(frame);
      if (document.querySelectorAll('.file').length > 1) details.open = false;
    }
    globalThis.spyglass?.contentUpdated?.();
  });
  // What a frame told before this script was there is lost, so each is asked.
  const ask = (frame) => frame.contentWindow?.postMessage('how high', '*');
  for (const frame of document.querySelectorAll('.file iframe')) {
    frame.addEventListener('load', () => ask(frame));
    ask(frame);
  }
})();
