// Follows a log that is being written, and keeps its end in view while the viewer is there.
const AGAIN = 10000;

export function follow(log) {
  const { element, root, data } = log;
  const box = root.querySelector('[data-follow]');
  let last = Number(data.last) || 0;
  let source = null;
  let ended = false;
  let away = false;

  const atEnd = () => window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 120;
  const showEnd = () => window.scrollTo({ top: document.documentElement.scrollHeight });

  function append({ first, lines }) {
    root.querySelector('[data-log-waiting]')?.remove();
    const part = document.createDocumentFragment();
    if (last && first > last + 1) part.append(gap(first - last - 1));
    lines.forEach((html, i) => {
      const number = first + i;
      if (number <= last) return;
      if (!away) part.append(log.line(number, html));
      last = number;
    });
    if (away) return;
    element.append(part);
    log.trim();
    log.tell();
    if (box?.checked) showEnd();
    log.mark();
  }

  function gap(count) {
    const row = document.createElement('div');
    row.className = 'gap';
    row.textContent = `${count} lines went by too fast; the raw log has them`;
    return row;
  }

  function start() {
    if (source || ended || !data.followUrl) return;
    box.closest('label').hidden = false;
    if (!away) box.checked = !location.hash && atEnd();
    source = new EventSource(`${data.followUrl}&from=${last}`);
    source.addEventListener('message', (event) => append(JSON.parse(event.data)));
    source.addEventListener('end', () => { ended = true; stop(); });
    // A browser does not come back by itself where it was turned away.
    source.addEventListener('error', () => {
      if (source?.readyState !== EventSource.CLOSED) return;
      source = null;
      setTimeout(start, AGAIN);
    });
  }

  function stop() {
    source?.close();
    source = null;
    if (box) box.closest('label').hidden = true;
  }

  box?.addEventListener('change', () => {
    if (!box.checked) return;
    if (away) { location.assign(location.pathname + location.search); return; }
    showEnd();
  });
  window.addEventListener('wheel', (event) => { if (box && event.deltaY < 0) box.checked = false; }, { passive: true });
  if (log.live && data.mode === 'lines') start();
  return {
    // Another part of the log is shown: the end does not belong behind it.
    away() { away = true; if (box) box.checked = false; },
  };
}
